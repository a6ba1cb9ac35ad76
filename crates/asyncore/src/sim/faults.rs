//! The faults that a simulated network injects.

use std::ops::Range;
use std::time::Duration;

/// Maximum latency, so that arrival times stay within the range of the clock.
const MAX_LATENCY: Duration = Duration::from_secs(3600);

/// The faults that a simulated network injects, with their probabilities and sizes.
///
/// Probabilities are from 0.0 (never) to 1.0 (always). With any faults, a stream keeps its bytes
/// and their order unless it is reset, and a wait always reports ready channels in random order,
/// since no operating system guarantees one.
///
/// ```
/// use asyncore::sim::{Faults, Network};
///
/// let net = Network::with_faults(1, Faults { window: 16, ..Faults::mild() });
/// # let _ = net;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// Probability that a read, a write or a segment carries only a random part of the possible
    /// bytes.
    pub partial: f64,
    /// Probability of spurious readiness: a wait reports a channel ready although it is not, so
    /// that the operation returns `WouldBlock`. Connecting channels are exempt, as on real systems.
    pub would_block: f64,
    /// Probability that a wait reports only some of the ready channels.
    pub subset: f64,
    /// Probability that a signal interrupts a wait, which then ends early and reports nothing. At
    /// 1.0 no wait ever reports a channel.
    pub interrupt: f64,
    /// Probability that the network, instead of delivering a segment, resets its connection at both
    /// ends.
    pub reset: f64,
    /// Probability that a datagram is lost.
    pub loss: f64,
    /// Travel time of a segment or datagram, drawn for each; more than an hour counts as an hour.
    /// Datagrams overtake one another, segments of one stream do not.
    pub latency: Range<Duration>,
    /// Number of bytes that one direction of a stream holds between `send` at one end and `recv` at
    /// the other, and maximum number of datagram bytes that a socket has in flight; at least 1. A
    /// stream is reported writable while a third of its window is free.
    pub window: usize,
    /// Maximum number of bytes in a segment of a stream; at least 1. The receiver announces room in
    /// its window by the segment, or by half the window if that is less.
    pub segment: usize,
}

impl Faults {
    /// Returns the faults of a perfect network: no latency, no partial operation, a window of
    /// 64 KiB.
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

    /// Returns everyday faults, which any correct program must handle: partial reads and writes,
    /// waits that report some of the ready channels, rarely an interrupted wait, a latency of up to
    /// 5 ms. The network neither loses datagrams nor resets connections.
    pub fn mild() -> Faults {
        Faults {
            partial: 0.3,
            subset: 0.25,
            interrupt: 0.02,
            latency: Duration::from_micros(50)..Duration::from_millis(5),
            ..Faults::none()
        }
    }

    /// Returns severe faults: a window of 1,000 bytes, segments of at most 64, mostly partial
    /// operations, spurious readiness, interrupted waits, a latency of up to 200 ms, lost
    /// datagrams, rarely a reset.
    ///
    /// A test that needs every byte to arrive uses `Faults { reset: 0.0, ..Faults::harsh() }`.
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

    /// Returns the same faults with every size and time limited to its documented bounds.
    pub(super) fn bounded(self) -> Faults {
        Faults {
            latency: self.latency.start.min(MAX_LATENCY)..self.latency.end.min(MAX_LATENCY),
            window: self.window.max(1),
            segment: self.segment.max(1),
            ..self
        }
    }
}

impl Default for Faults {
    /// Returns [`Faults::mild`].
    fn default() -> Faults {
        Faults::mild()
    }
}
