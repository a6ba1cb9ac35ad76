//! Liveness: if a source has bytes and its sink has room, bytes move within a bounded number of
//! passes; and what has ended is noticed.
//!
//! Each seed chooses a network, a subject (relays, dialogues, each with and without layers) and
//! what the peers do. An observer looks on from outside, after each pass: it knows what the peers
//! have sent and received, and nothing of the library. See `Plan::max_idle_passes` for the bound.
//!
//! The suite runs a share of the seeds. 100,000 of them:
//!
//! ```text
//! ASYNCORE_SIM_SEEDS=100000 cargo test --release -p asyncore-rs --test liveness every_seed -- --nocapture
//! ```

#![allow(unreachable_pub, reason = "what the modules share is public among them")]

mod case;
mod chat;
mod party;
mod plan;
mod relay;
mod run;
#[cfg(target_os = "linux")]
mod splice;
mod toy_layer;

use std::time::Instant;

use plan::Target;
use relay::Flaw;

/// Number of seeds that the test suite runs.
const SHARE: u64 = 300;

#[test]
fn bytes_move_for_every_seed() {
    let (seeds, began) = (run::seeds(SHARE), Instant::now());
    match run::search(seeds.clone(), Target::All) {
        Ok(sum) => println!(
            "seeds {seeds:?}: {} passes in {:.1?}, at most {:.0} % of the bound without a byte",
            sum.passes,
            began.elapsed(),
            100.0 * sum.idle_share,
        ),
        Err(stall) => panic!("{stall}"),
    }
}

/// Checks that a third of the suite's share shows what is wrong with `target`.
#[track_caller]
fn assert_found(target: Target) {
    let count = SHARE / 3;
    let stalls: Vec<_> = (0..count).filter_map(|seed| run::run(seed, target).err()).collect();
    let first = stalls.first().unwrap_or_else(|| panic!("{count} seeds do not show {target:?}"));
    println!("{target:?}: {} of {count} seeds show it, first {first}", stalls.len());
}

#[test]
fn a_relay_that_pauses_and_resumes_by_hand_is_found() {
    assert_found(Target::ByHand);
}

#[test]
fn a_relay_that_forgets_to_resume_after_a_discard_is_found() {
    assert_found(Target::Flawed(Flaw::ResumeAfterDiscard));
}

#[test]
fn a_relay_that_does_not_pass_on_a_half_close_is_found() {
    assert_found(Target::Flawed(Flaw::HalfClose));
}
