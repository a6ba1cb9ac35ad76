//! Why a connection ended.

use std::fmt;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::policy::EndReason;
use crate::relay::connection::Side;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// One side ended first, in good order.
    Done(Side),
    Reset(Side),
    /// The side took none of the bytes queued for it for this long.
    Stalled(Side, Duration),
    /// TCP gave the side up: it acknowledged nothing, or let nothing in, for too long.
    TimedOut(Side),
    Failed(Side, String),
    /// No target could be connected to; with what the last one failed with.
    NoTarget(String),
    Idle,
    Lifetime,
    /// Ended from the status page.
    Ended,
    /// The time to drain was over.
    Drained,
    /// The rule is no longer there.
    Removed,
}

impl Ending {
    /// The end of a connection whose `side` failed with `cause`.
    pub(crate) fn caused_by(side: Side, cause: &io::Error) -> Self {
        match Errno::from_io_error(cause) {
            Some(Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED) => Ending::Reset(side),
            Some(Errno::TIMEDOUT) => Ending::TimedOut(side),
            _ => Ending::Failed(side, cause.to_string()),
        }
    }

    /// Whether both sides are to be cut off instead of sent what is queued.
    pub(crate) fn cuts_off(&self) -> bool {
        !matches!(self, Ending::Done(_))
    }

    /// What the end is counted under.
    pub(crate) fn reason(&self) -> EndReason {
        match self {
            Ending::Done(Side::Client) => EndReason::ClientDone,
            Ending::Done(Side::Target) => EndReason::TargetDone,
            Ending::Reset(Side::Client) => EndReason::ClientReset,
            Ending::Reset(Side::Target) => EndReason::TargetReset,
            Ending::Stalled(Side::Client, _) => EndReason::ClientStalled,
            Ending::Stalled(Side::Target, _) => EndReason::TargetStalled,
            Ending::TimedOut(Side::Client) => EndReason::ClientTimedOut,
            Ending::TimedOut(Side::Target) => EndReason::TargetTimedOut,
            Ending::Failed(Side::Client, _) => EndReason::ClientFailed,
            Ending::Failed(Side::Target, _) => EndReason::TargetFailed,
            Ending::NoTarget(_) => EndReason::NoTarget,
            Ending::Idle => EndReason::Idle,
            Ending::Lifetime => EndReason::Lifetime,
            Ending::Ended => EndReason::Operator,
            Ending::Drained => EndReason::Drained,
            Ending::Removed => EndReason::Removed,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Done(side) => write!(f, "done, the {side} first"),
            Ending::Reset(side) => write!(f, "reset by the {side}"),
            Ending::Stalled(side, limit) => {
                write!(f, "the {side} took no bytes for {}", humantime::format_duration(*limit))
            }
            Ending::TimedOut(side) => {
                write!(f, "TCP gave the {side} up, which acknowledged no bytes for too long")
            }
            Ending::Failed(side, error) => write!(f, "the {side}'s side failed: {error}"),
            Ending::NoTarget(error) => write!(f, "no target: {error}"),
            Ending::Idle => f.write_str("idle for too long"),
            Ending::Lifetime => f.write_str("open for too long"),
            Ending::Ended => f.write_str("ended by the operator"),
            Ending::Drained => f.write_str("still open at the end of the drain"),
            Ending::Removed => f.write_str("the rule was removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_reset_a_timeout_or_what_the_system_calls_it() {
        let side = Side::Target;
        let of = |errno: Errno| Ending::caused_by(side, &errno.into());
        for errno in [Errno::CONNRESET, Errno::PIPE, Errno::CONNABORTED] {
            assert_eq!(of(errno), Ending::Reset(side));
        }
        assert_eq!(of(Errno::TIMEDOUT), Ending::TimedOut(side));
        assert!(matches!(of(Errno::HOSTUNREACH), Ending::Failed(Side::Target, _)));
    }

    #[test]
    fn a_stall_says_who_took_nothing_and_for_how_long() {
        let ending = Ending::Stalled(Side::Target, Duration::from_secs(60));
        assert_eq!(ending.to_string(), "the target took no bytes for 1m");
    }
}
