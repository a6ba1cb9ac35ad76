//! How unkind a simulated network is.

use std::ops::Range;
use std::time::Duration;

const LONGEST_LATENCY: Duration = Duration::from_secs(3600);

/// What a simulated network does to its traffic, and how often.
///
/// Probabilities are from 0.0 (never) to 1.0 (always). Whatever the faults, a stream keeps its
/// bytes and their order unless it is reset, and the order in which a wait reports ready channels
/// is always shuffled: no operating system promises one.
///
/// ```
/// use asyncore::sim::{Faults, Network};
///
/// let net = Network::with_faults(1, Faults { window: 16, ..Faults::mild() });
/// # let _ = net;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// How often a read, a write or a segment carries only a random part of what it could.
    pub partial: f64,
    /// How often a wait reports a channel ready for what it is not ready for, so that the
    /// operation answers `WouldBlock`. Connecting channels are spared, as by real systems.
    pub would_block: f64,
    /// How often a wait reports only some of the channels that are ready.
    pub subset: f64,
    /// How often a signal interrupts a wait, which then ends early and reports nothing. At 1.0 no
    /// wait ever reports a channel.
    pub interrupt: f64,
    /// How often a segment, instead of arriving, has the network reset its connection at both ends.
    pub reset: f64,
    /// How often a datagram is lost.
    pub loss: f64,
    /// How long a segment or datagram travels, drawn for each; more than an hour counts as an
    /// hour. Datagrams overtake one another, segments of one stream do not.
    pub latency: Range<Duration>,
    /// How many bytes one direction of a stream holds between `send` at one end and `recv` at the
    /// other, and how many bytes of datagrams a socket has under way; at least 1. A stream is
    /// reported writable while a third of it is free.
    pub window: usize,
    /// The most bytes that a segment of a stream carries; at least 1. The receiver announces room
    /// in its window by the segment, or by half the window if that is less.
    pub segment: usize,
}

impl Faults {
    /// A perfect network: no latency, no partial operation, a window of 64 KiB.
    pub fn none() -> Faults {
        Faults {
            partial: 0.0,
            would_block: 0.0,
            subset: 0.0,
            interrupt: 0.0,
            reset: 0.0,
            loss: 0.0,
            latency: Duration::ZERO..Duration::ZERO,
            window: 64 * 1024,
            segment: 1460,
        }
    }

    /// What any correct program meets every day: partial reads and writes, readiness reported in
    /// portions, an interrupted wait now and then, a latency of up to 5 ms. Nothing is lost or
    /// reset.
    pub fn mild() -> Faults {
        Faults {
            partial: 0.3,
            subset: 0.25,
            interrupt: 0.02,
            latency: Duration::from_micros(50)..Duration::from_millis(5),
            ..Faults::none()
        }
    }

    /// A bad day: a window of 1,000 bytes, segments of at most 64, mostly partial operations,
    /// spurious readiness, interrupted waits, a latency of up to 200 ms, lost datagrams, now and
    /// then a reset.
    ///
    /// A test that needs every byte to arrive says `Faults { reset: 0.0, ..Faults::harsh() }`.
    pub fn harsh() -> Faults {
        Faults {
            partial: 0.8,
            would_block: 0.2,
            subset: 0.5,
            interrupt: 0.1,
            reset: 0.001,
            loss: 0.1,
            latency: Duration::ZERO..Duration::from_millis(200),
            window: 1000,
            segment: 64,
        }
    }

    /// The same faults with every size and time inside its documented bounds.
    pub(super) fn bounded(self) -> Faults {
        Faults {
            latency: self.latency.start.min(LONGEST_LATENCY)..self.latency.end.min(LONGEST_LATENCY),
            window: self.window.max(1),
            segment: self.segment.max(1),
            ..self
        }
    }
}

impl Default for Faults {
    /// [`Faults::mild`].
    fn default() -> Faults {
        Faults::mild()
    }
}
