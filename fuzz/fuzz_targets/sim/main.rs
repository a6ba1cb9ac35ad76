//! Channels run the commands of a script in their callbacks, on a simulated network with faults.
//!
//! The target checks that nothing panics, that callbacks never nest, that `handle_close` is called
//! exactly once, that each end receives a prefix of what the other sent (all of it in a lossless
//! run), that changes of predicates are announced, that the loop terminates, and that the same
//! script gives the same run.
#![no_main]

mod action;
mod endpoint;
mod flow;
mod harness;
mod lifecycle;
mod node;
mod run;
mod script;

use asyncore_fuzz::prepare;
use libfuzzer_sys::fuzz_target;

use crate::harness::ScriptedPanic;
use crate::run::run;
use crate::script::Scenario;

fuzz_target!(init: prepare(|payload| payload.is::<ScriptedPanic>()), |scenario: Scenario| {
    let first = run(&scenario);
    let second = run(&scenario);
    assert_eq!(first, second, "two runs of the same script differ");
});
