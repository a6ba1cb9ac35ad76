//! What a run does, as the fuzzer makes it up.

use std::time::Duration;

use arbitrary::Arbitrary;
use asyncore::sim::Faults;

#[derive(Arbitrary, Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub weather: Weather,
    /// Nothing is done that may cost bytes, so that all of them have to arrive.
    pub gentle: bool,
    pub max_channels: Option<u8>,
    pub backlog: u8,
    pub scenes: Vec<Scene>,
    /// What the callbacks do, each the next that is left.
    pub acts: Vec<Act>,
    pub ending: Ending,
}

#[derive(Arbitrary, Clone, Debug)]
pub struct Weather {
    partial: u8,
    would_block: u8,
    subset: u8,
    reset: u8,
    latency: u8,
    window: u16,
    segment: u16,
}

/// What happens outside, between two passes.
#[derive(Arbitrary, Clone, Debug)]
pub enum Scene {
    Passes(u8),
    Advance(u16),
    /// A peer connects to the listening channel.
    Visitor {
        paused: bool,
    },
    Open(Destination),
    Peer(u8, PeerAct),
    Act(Act),
    MaxChannels(u8),
    FailAccept(Failure, u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Failure {
    NoDescriptors,
    Aborted,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Destination {
    /// The test's own listener.
    Peer,
    /// The listening channel.
    Listener,
    Refused,
    Silence,
    Host,
    NoHost,
}

#[derive(Arbitrary, Clone, Debug)]
pub enum PeerAct {
    Send(u16),
    Urgent(u8),
    Pause,
    Resume,
    Shutdown,
    Reset,
    Close,
}

/// Something done to a channel, and how it is reached.
#[derive(Arbitrary, Clone, Debug)]
pub struct Act {
    pub who: Who,
    pub deed: Deed,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Who {
    Me,
    Channel(u8),
    With(u8),
    GetMut(u8),
    Later(u16, u8),
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Deed {
    Nothing,
    Push {
        size: u16,
        owned: bool,
    },
    Produce(Vec<Piece>),
    Send(u16),
    SendUrgent(u8),
    Priority(bool),
    Timeout(Option<u16>),
    HighWater(u16),
    OutputLimit(u16),
    Terminator(u8),
    Touch,
    Reads(bool),
    Writes(bool),
    LookAt(Option<u8>),
    Open(Destination),
    Every(u8),
    Cancel(u8),
    Reset(u8, u16),
    Exit,
    /// Rare, or channels would be few.
    Rare(Rare),
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Rare {
    /// The callback does not do what it is called for: it reads nothing, or closes nothing.
    LeaveAlone,
    CloseWhenDone,
    ShutdownWrite,
    Close,
    Abort,
    Discard,
    MoveSocket,
    Drain(u16),
    Fail,
    Panic,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Piece {
    Bytes(u8),
    NothingYet,
    Fail,
    Panic,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    Run,
    Drain,
    CloseAll,
    Drop,
}

impl Weather {
    pub fn faults(&self, gentle: bool) -> Faults {
        let chance = |byte: u8| f64::from(byte) / 256.0;
        let millis = u64::from(self.latency);
        let (latency, least) = if gentle { (millis / 2, 64) } else { (millis * millis, 1) };
        Faults {
            partial: chance(self.partial),
            would_block: chance(self.would_block),
            subset: chance(self.subset),
            // Not a byte of its own, with which kept inputs would mean something else.
            interrupt: chance(self.subset) / 4.0,
            reset: if gentle { 0.0 } else { chance(self.reset) / 16.0 },
            loss: 0.0,
            latency: Duration::ZERO..Duration::from_millis(latency),
            window: usize::from(self.window).max(least),
            segment: usize::from(self.segment).max(1),
        }
    }

    /// How many bytes may be sent, so that a run with the smallest segments ends soon too.
    pub fn budget(&self) -> usize {
        (usize::from(self.window.min(self.segment)) * 256).clamp(4096, 200_000)
    }
}

impl Deed {
    /// Whether every byte still arrives after it.
    pub fn is_gentle(&self) -> bool {
        match self {
            Deed::HighWater(_) | Deed::OutputLimit(_) | Deed::Reads(_) | Deed::LookAt(_) => false,
            Deed::Produce(pieces) => pieces.iter().all(|piece| matches!(piece, Piece::Bytes(1..))),
            Deed::Rare(rare) => {
                use Rare::{CloseWhenDone, Fail, Panic, ShutdownWrite};
                matches!(rare, CloseWhenDone | ShutdownWrite | Fail | Panic)
            }
            _ => true,
        }
    }

    /// Whether the callback is to leave alone what it is called for.
    pub fn is_idle(&self) -> bool {
        matches!(self, Deed::Rare(Rare::LeaveAlone))
    }
}

impl PeerAct {
    pub fn is_gentle(&self) -> bool {
        matches!(self, PeerAct::Send(_) | PeerAct::Urgent(_) | PeerAct::Shutdown)
    }
}
