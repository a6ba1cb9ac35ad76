//! Why a connection ended.

use std::fmt;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::config::Rule;
use crate::policy::EndReason;
use crate::relay::connection::Side;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
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
    Operator,
    /// The time to drain was over.
    Drained,
    /// The rule, or a target of datagrams, is no longer there.
    Removed,
    /// It had no answer while the rule was stuck at its limit, as in a forwarding loop.
    Loop,
}

impl CloseReason {
    /// The reason of a connection whose `side` closed with `cause`, under the limits of `rule`.
    pub(crate) fn caused_by(side: Side, cause: &io::Error, rule: &Rule) -> Self {
        match Errno::from_io_error(cause) {
            Some(Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED) => CloseReason::Reset(side),
            Some(Errno::TIMEDOUT) => CloseReason::TimedOut(side),
            // The library's own limit, which is no error of the system's.
            None if cause.kind() == io::ErrorKind::TimedOut => {
                CloseReason::Stalled(side, rule.stall_timeout().unwrap_or_default())
            }
            _ => CloseReason::Failed(side, cause.to_string()),
        }
    }

    /// Whether both sides are to be cut off instead of sent what is queued.
    pub(crate) fn cuts_off(&self) -> bool {
        !matches!(self, CloseReason::Done(_))
    }

    /// What the end is counted under.
    pub(crate) fn reason(&self) -> EndReason {
        match self {
            CloseReason::Done(Side::Client) => EndReason::ClientDone,
            CloseReason::Done(Side::Target) => EndReason::TargetDone,
            CloseReason::Reset(Side::Client) => EndReason::ClientReset,
            CloseReason::Reset(Side::Target) => EndReason::TargetReset,
            CloseReason::Stalled(Side::Client, _) => EndReason::ClientStalled,
            CloseReason::Stalled(Side::Target, _) => EndReason::TargetStalled,
            CloseReason::TimedOut(Side::Client) => EndReason::ClientTimedOut,
            CloseReason::TimedOut(Side::Target) => EndReason::TargetTimedOut,
            CloseReason::Failed(Side::Client, _) => EndReason::ClientFailed,
            CloseReason::Failed(Side::Target, _) => EndReason::TargetFailed,
            CloseReason::NoTarget(_) => EndReason::NoTarget,
            CloseReason::Idle => EndReason::Idle,
            CloseReason::Lifetime => EndReason::Lifetime,
            CloseReason::Operator => EndReason::Operator,
            CloseReason::Drained => EndReason::Drained,
            CloseReason::Removed => EndReason::Removed,
            CloseReason::Loop => EndReason::Loop,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Done(side) => write!(f, "done, the {side} first"),
            CloseReason::Reset(side) => write!(f, "reset by the {side}"),
            CloseReason::Stalled(side, limit) => {
                write!(f, "the {side} took no bytes for {}", humantime::format_duration(*limit))
            }
            CloseReason::TimedOut(side) => {
                write!(f, "TCP gave the {side} up, which acknowledged no bytes for too long")
            }
            CloseReason::Failed(side, error) => write!(f, "the {side}'s side failed: {error}"),
            CloseReason::NoTarget(error) => write!(f, "no target: {error}"),
            CloseReason::Idle => f.write_str("idle for too long"),
            CloseReason::Lifetime => f.write_str("open for too long"),
            CloseReason::Operator => f.write_str("ended by the operator"),
            CloseReason::Drained => f.write_str("still open at the end of the drain"),
            CloseReason::Removed => f.write_str("the rule or its target was removed"),
            CloseReason::Loop => f.write_str(
                "no answer while clients wait for others to end: perhaps a forwarding loop",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
