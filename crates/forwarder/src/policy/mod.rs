//! The rules by which connections are let in, spread and slowed down.
//!
//! Nothing here has a socket or a clock: time is an argument, and the caller reports what
//! happened. What workers share is `Sync`: mostly single atomics, a lock where several numbers have
//! to change together, held for some nanoseconds.
//!
//! The life of a connection:
//!
//! 1. [`RuleState::reserve_or_wait`] makes a [`Reservation`] in the process and in the rule, out of
//!    the [`RuleCounts`], before the connection is accepted; at capacity, clients wait in the backlog
//!    until a [`Waiter`] is woken. [`RuleState::admit_to`] asks the [`AccessList`], counts the client's
//!    address, takes a token from the rate, and gives a [`Permit`], or a [`Refusal`]. A client that a
//!    PROXY header names later is held to the rules by [`RuleState::identify`]. Datagrams cannot
//!    wait: [`RuleState::admit`] does all at once.
//! 2. [`RuleState::choose`] asks the [`Balancer`] for a target; [`TargetState::assign`] counts the
//!    connection there. [`Assignment::failed`] tells the target's [`Health`], and the connection
//!    chooses again without that one.
//! 3. Where bytes are limited, the connection's [`Throttle`] says how many may go through, out of
//!    a [`Bucket`] of its own and the [`SharedBucket`] of the rule.
//! 4. At the end, dropping permit, assignment and throttle gives back what they took.

mod access;
mod balance;
mod bucket;
mod clients;
mod count;
mod counts;
mod hash;
mod health;
mod reasons;
mod rule;
mod target;
mod throttle;

pub use access::{AccessList, NetSet};
pub use balance::Balancer;
pub use bucket::{Bucket, Draw, LEAST_BYTE_BURST, LONGEST_WAIT, SharedBucket};
pub use clients::Clients;
pub use count::Waiter;
pub use counts::{AtCapacity, Permit, ProcessCounts, Reservation, RuleCounts};
pub use health::{FALL, FIRST_BACKOFF, Health, HealthState, LONGEST_BACKOFF};
pub use reasons::{DatagramDrop, EndReason, Refusal};
pub use rule::RuleState;
pub use target::{Assignment, ERROR_LIFE, TargetError, TargetState};
pub use throttle::{GRANT_LIFE, Throttle};
