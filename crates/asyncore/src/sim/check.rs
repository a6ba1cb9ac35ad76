//! Test runs over many seeds.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::network::Network;

const SEED_VARIABLE: &str = "ASYNCORE_SIM_SEED";

/// Runs `test` on a new network for each seed.
///
/// If a run panics, `check` prints the seed and the command to run it alone to standard error, and
/// resumes the panic. With `ASYNCORE_SIM_SEED` in the environment, it runs only that seed. A test
/// with other than mild faults creates its network with
/// [`Network::with_faults`]`(net.seed(), …)`.
///
/// # Panics
///
/// If `test` panics, if `seeds` is empty, or if the variable is not a number.
///
/// ```
/// use asyncore::sim;
///
/// sim::check(0..20, |net| {
///     let listener = net.listen("[::1]:25".parse().unwrap()).unwrap();
///     let client = net.connect(listener.local_addr());
///     client.send(&[7; 10_000]);
///     while net.step() {}
///     let server = listener.accept().unwrap();
///     while net.step() {}
///     assert_eq!(server.received(), [7; 10_000]);
/// });
/// ```
pub fn check(seeds: Range<u64>, test: impl FnMut(Network)) {
    let chosen = std::env::var(SEED_VARIABLE).ok();
    run_each(seeds_to_run(seeds, chosen.as_deref()), test);
}

pub(super) fn run_each(seeds: Range<u64>, mut test: impl FnMut(Network)) {
    for seed in seeds {
        let outcome = catch_unwind(AssertUnwindSafe(|| test(Network::new(seed))));
        if let Err(panic) = outcome {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("");
            eprintln!(
                "the simulation failed with seed {seed}; to run it alone: {SEED_VARIABLE}={seed} cargo test {name}"
            );
            resume_unwind(panic);
        }
    }
}

pub(super) fn seeds_to_run(seeds: Range<u64>, chosen: Option<&str>) -> Range<u64> {
    match chosen {
        Some(text) => match text.parse::<u64>() {
            Ok(seed) if seed < u64::MAX => seed..seed + 1,
            _ => panic!(
                "{SEED_VARIABLE} is {text:?}, which is not a seed; set it to a number below 2^64 - 1"
            ),
        },
        None => {
            assert!(!seeds.is_empty(), "sim::check has no seed to run: {seeds:?} is empty");
            seeds
        }
    }
}
