//! What a seed chooses: the network, the subjects, and how the peers behave.

use std::time::Duration;

use asyncore::sim::Faults;
use fastrand::Rng;

use crate::chat::ChatPlan;
use crate::relay::{Backpressure, Flaw, RelayPlan};

/// What is put to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every kind of subject that has to move bytes.
    All,
    /// Relays that pause and resume by hand, as the forwarder did.
    ByHand,
    /// Relays with a flaw.
    Flawed(Flaw),
}

#[derive(Clone, Debug)]
pub enum Subject {
    Relay(RelayPlan),
    Chat(ChatPlan),
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub faults: Faults,
    /// One or two of a kind at a time, each with its own connections.
    pub subjects: Vec<Subject>,
    /// Number of actions of the peers before all is to be delivered.
    pub actions: usize,
    /// Maximum number of passes between two actions.
    pub passes: usize,
    /// A peer never reads again after the script; the other directions have to go on.
    pub stops_reading: bool,
    /// The script also ends, closes and resets connections.
    pub ends: bool,
}

impl Plan {
    pub fn new(seed: u64, target: Target) -> Plan {
        let mut rng = Rng::with_seed(seed);
        let faults = choose_faults(&mut rng);
        let count = if rng.u8(..4) == 0 { 2 } else { 1 };
        let subjects = (0..count).map(|_| choose_subject(&mut rng, target, &faults)).collect();
        Plan {
            faults,
            subjects,
            actions: rng.usize(5..60),
            passes: [1, 4, 20][rng.usize(..3)],
            stops_reading: rng.u8(..4) == 0,
            ends: rng.u8(..3) > 0,
        }
    }

    /// Maximum number of passes for which no byte reaches a peer that reads while there are bytes
    /// for it.
    ///
    /// A byte needs at most four journeys: the announcements of room back to the source, on both
    /// connections, and the bytes on both connections. A pass carries one arrival or one batch of
    /// ready channels, so each journey can be delayed by all that is under way elsewhere: on each
    /// of two connections, in both directions, a window in segments that are cut in two at most,
    /// as many announcements, and the reads of that window by a buffer. That makes the factor 4.
    ///
    /// The constant allows for luck: a wait is interrupted, a ready channel is left out of a
    /// report, or the other direction makes round trips meanwhile. A run prints the largest share
    /// of the bound that occurred.
    pub fn max_idle_passes(&self) -> usize {
        let Faults { window, segment, .. } = self.faults;
        let buffer = self.subjects.iter().map(Subject::buffer).min().unwrap_or(1);
        let of_one_direction = 3 * window.div_ceil(segment.min(window)) + window.div_ceil(buffer);
        let under_way = self.subjects.len() * 4 * of_one_direction;
        400 + 4 * under_way
    }

    /// Maximum virtual time for the same: the journeys at their slowest with room for as many
    /// again, and the pauses of throttles and late producers.
    pub fn max_idle_time(&self) -> Duration {
        self.faults.latency.end * 10 + PAUSE.end * 4
    }

    /// Maximum virtual time until what has ended is gone, counted from the last byte: for each side
    /// of a relay in turn a peer that takes nothing is given up after 30 s, and a closing channel
    /// lingers for 2 s.
    pub fn max_end_time(&self) -> Duration {
        Duration::from_secs(2 * (30 + 2)) + self.max_idle_time()
    }
}

impl Subject {
    pub fn parties(&self) -> usize {
        match self {
            Subject::Relay(_) => 2,
            Subject::Chat(_) => 1,
        }
    }

    fn buffer(&self) -> usize {
        match self {
            Subject::Relay(plan) => plan.buffer,
            Subject::Chat(plan) => plan.buffer,
        }
    }

    /// Whether the connection of a party has a layer.
    pub fn is_layered(&self, party: usize) -> bool {
        match self {
            Subject::Relay(plan) => plan.layers[party],
            Subject::Chat(plan) => plan.layered,
        }
    }
}

/// Pauses of throttles and of producers.
const PAUSE: std::ops::Range<Duration> = Duration::from_micros(1)..Duration::from_millis(50);

fn choose_faults(rng: &mut Rng) -> Faults {
    let window = match rng.u8(..8) {
        0 => 64 * 1024,
        1..4 => 1_000,
        _ => 64 << rng.u32(..7),
    };
    let segment = if rng.bool() { 64 } else { 16 << rng.u32(..8) };
    let (partial, subset) = (rng.f64() * 0.9, rng.f64() * 0.5);
    let random = Faults {
        partial,
        subset,
        would_block: rng.f64() * 0.3,
        interrupt: rng.f64() * 0.3,
        latency: Duration::ZERO..Duration::from_micros(1 << rng.u32(..18)),
        ..Faults::none()
    };
    let faults = match rng.u8(..5) {
        0 => Faults::none(),
        1 => Faults::mild(),
        2 => Faults { reset: 0.0, ..Faults::harsh() },
        3 => Faults { reset: 0.002, ..random },
        _ => random,
    };
    Faults { window, segment, ..faults }
}

fn choose_subject(rng: &mut Rng, target: Target, faults: &Faults) -> Subject {
    let (flaw, by_hand) = match target {
        Target::All => (None, false),
        Target::ByHand => (None, true),
        Target::Flawed(flaw) => (Some(flaw), false),
    };
    let buffer = [16, 100, 1_000, 64 * 1024][rng.usize(..4)];
    // Below, near and above what the network holds.
    let high_water = match rng.u8(..5) {
        0 => 1,
        1 => rng.usize(1..100),
        2 | 3 => rng.usize(1..2 * faults.window),
        _ => 64 * 1024,
    };
    let layers = if rng.u8(..3) == 0 { [rng.bool(), rng.bool()] } else { [false; 2] };
    let pause = Duration::from_micros(rng.u64(1..PAUSE.end.as_micros() as u64));
    if target == Target::All && rng.u8(..4) == 0 {
        let producers = rng.bool().then_some(pause);
        return Subject::Chat(ChatPlan { high_water, layered: layers[0], buffer, producers });
    }
    let backpressure = match rng.u8(..3) {
        _ if by_hand => Backpressure::ByHand,
        0 => Backpressure::Predicate,
        _ => Backpressure::Sink,
    };
    // Few seeds choose both by chance.
    let needs_both = flaw == Some(Flaw::ResumeAfterDiscard);
    Subject::Relay(RelayPlan {
        backpressure,
        flaw,
        by_data: rng.bool(),
        buffer,
        high_water,
        layers,
        throttle: (!by_hand && (needs_both || rng.u8(..3) == 0)).then_some(pause),
        // What a discard takes of a layered channel's input cannot be seen from outside.
        discards: layers == [false; 2] && (needs_both || rng.u8(..3) == 0),
    })
}
