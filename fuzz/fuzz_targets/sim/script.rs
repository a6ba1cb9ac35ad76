//! The scenarios that the fuzzer generates.

use std::time::Duration;

use arbitrary::Arbitrary;
use asyncore::sim::Faults;

#[derive(Arbitrary, Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub conditions: Conditions,
    /// The run omits everything that can lose bytes, so that all bytes must arrive.
    pub lossless: bool,
    pub max_channels: Option<u8>,
    pub backlog: u8,
    pub steps: Vec<Step>,
    /// The commands of the callbacks; each callback takes the next.
    pub commands: Vec<Command>,
    pub teardown: Teardown,
    /// Further actions; each callback takes the next. The last field, so that the other fields of
    /// inputs that were kept before it was added keep their meaning.
    pub flow: Vec<FlowCommand>,
}

#[derive(Arbitrary, Clone, Debug)]
pub struct Conditions {
    partial: u8,
    would_block: u8,
    subset: u8,
    reset: u8,
    latency: u8,
    window: u16,
    segment: u16,
}

/// One step of the run, taken outside of any callback.
#[derive(Arbitrary, Clone, Debug)]
pub enum Step {
    Passes(u8),
    Advance(u16),
    /// A peer connects to the listening channel.
    PeerConnects {
        paused: bool,
    },
    Open(Destination),
    Peer(u8, PeerAction),
    Command(Command),
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
    /// The harness's listener.
    Peer,
    /// The listening channel.
    Listener,
    Refused,
    Blackhole,
    Host,
    UnknownHost,
}

#[derive(Arbitrary, Clone, Debug)]
pub enum PeerAction {
    Send(u16),
    Urgent(u8),
    Pause,
    Resume,
    Shutdown,
    Reset,
    Close,
}

/// An action and the channel that it targets.
#[derive(Arbitrary, Clone, Debug)]
pub struct Command {
    pub target: Target,
    pub action: Action,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Target {
    Me,
    Channel(u8),
    With(u8),
    GetMut(u8),
    Later(u16, u8),
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Action {
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
    DependOn(Option<u8>),
    Open(Destination),
    Every(u8),
    Cancel(u8),
    Reset(u8, u16),
    Exit,
    /// Grouped, so that the fuzzer picks them less often: most of them close the channel.
    Rare(Rare),
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Rare {
    /// The callback leaves its event unhandled: it reads nothing, or closes nothing.
    IgnoreEvent,
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

/// A flow-control or layer action, and the channel that it targets.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct FlowCommand {
    pub channel: u8,
    pub action: FlowAction,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum FlowAction {
    Nothing,
    SetSink(u8),
    ClearSink,
    PauseReading,
    ResumeReading,
    HoldOpen,
    Release,
    InsertLayer,
    RemoveLayer,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
pub enum Teardown {
    Run,
    Drain,
    CloseAll,
    Drop,
}

impl Conditions {
    pub fn faults(&self, lossless: bool) -> Faults {
        let chance = |byte: u8| f64::from(byte) / 256.0;
        let millis = u64::from(self.latency);
        let (latency, least) = if lossless { (millis / 2, 64) } else { (millis * millis, 1) };
        Faults {
            partial: chance(self.partial),
            would_block: chance(self.would_block),
            subset: chance(self.subset),
            // Derived from `subset`: a byte of its own would change the meaning of kept inputs.
            interrupt: chance(self.subset) / 4.0,
            reset: if lossless { 0.0 } else { chance(self.reset) / 16.0 },
            loss: 0.0,
            latency: Duration::ZERO..Duration::from_millis(latency),
            window: usize::from(self.window).max(least),
            segment: usize::from(self.segment).max(1),
        }
    }

    /// Returns the number of bytes that a run may send, which bounds the run time with the
    /// smallest segments.
    pub fn budget(&self) -> usize {
        (usize::from(self.window.min(self.segment)) * 256).clamp(4096, 200_000)
    }
}

impl Action {
    /// Returns whether the action cannot lose bytes.
    pub fn is_lossless(&self) -> bool {
        match self {
            Action::HighWater(_)
            | Action::OutputLimit(_)
            | Action::Reads(_)
            | Action::DependOn(_) => false,
            Action::Produce(pieces) => {
                pieces.iter().all(|piece| matches!(piece, Piece::Bytes(1..)))
            }
            Action::Rare(rare) => {
                use Rare::{CloseWhenDone, Fail, Panic, ShutdownWrite};
                matches!(rare, CloseWhenDone | ShutdownWrite | Fail | Panic)
            }
            _ => true,
        }
    }

    /// Returns whether the callback must leave its event unhandled.
    pub fn ignores_event(&self) -> bool {
        matches!(self, Action::Rare(Rare::IgnoreEvent))
    }
}

impl PeerAction {
    pub fn is_lossless(&self) -> bool {
        matches!(self, PeerAction::Send(_) | PeerAction::Urgent(_) | PeerAction::Shutdown)
    }
}
