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

use std::panic::set_hook;

use asyncore::SocketMap;
use asyncore::sim::Network;
use libfuzzer_sys::fuzz_target;

use crate::run::run;
use crate::script::Scenario;
use crate::stage::Scripted;

/// Lets every panic end the process, also one that the library would catch, but for those of the
/// script.
fn abort_on_panic() {
    // The library sets a hook of its own with its first map.
    drop(SocketMap::simulated(&Network::new(0)));
    set_hook(Box::new(|info| {
        if !info.payload().is::<Scripted>() {
            eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }
    }));
}

fuzz_target!(init: abort_on_panic(), |scenario: Scenario| {
    let first = run(&scenario);
    let second = run(&scenario);
    assert_eq!(first, second, "the same script gave another run");
});
