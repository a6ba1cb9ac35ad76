//! Channels do what a script says in each of their callbacks, on a simulated network with faults.
//! Nothing panics, callbacks never nest, `handle_close` comes exactly once, what arrives is how
//! what was sent begins (all of it when nothing was done that costs bytes), predicates announce
//! their changes, the loop comes to an end, and the same script gives the same run.
#![no_main]

mod deed;
mod life;
mod line;
mod node;
mod run;
mod script;
mod stage;

use asyncore_fuzz::prepare;
use libfuzzer_sys::fuzz_target;

use crate::run::run;
use crate::script::Scenario;
use crate::stage::Scripted;

fuzz_target!(init: prepare(|payload| payload.is::<Scripted>()), |scenario: Scenario| {
    let first = run(&scenario);
    let second = run(&scenario);
    assert_eq!(first, second, "the same script gave another run");
});
