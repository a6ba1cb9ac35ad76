//! One target, as all workers see it.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Health, hash};
use crate::config::{Endpoint, Target};

/// The longest text kept of an error, in bytes.
const ERROR_LIMIT: usize = 256;
/// How long an error is remembered.
pub const ERROR_LIFE: Duration = Duration::from_secs(3600);

/// What workers and status page share about one target: its counters, its health, and whether it
/// is drained.
///
/// A reload keeps it as long as the rule still names the same endpoint. Every field stands for
/// itself: two read one after the other may be from either side of a connection's end.
#[derive(Debug)]
pub struct TargetState {
    endpoint: Endpoint,
    /// The endpoint in words, which every connection's line of the log tells.
    name: Box<str>,
    hash: u64,
    weight: AtomicU32,
    drained: AtomicBool,
    active: AtomicUsize,
    total: AtomicU64,
    failures: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    last_error: Mutex<Option<TargetError>>,
    health: Health,
}

/// What went wrong last at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    /// When it was noticed.
    pub at: Instant,
    /// The error in words, at most 256 bytes of it.
    pub text: String,
}

impl TargetState {
    /// A target that nothing is known about yet.
    pub fn new(target: &Target, now: Instant) -> Self {
        TargetState {
            endpoint: target.endpoint.clone(),
            name: target.endpoint.to_string().into(),
            hash: hash::endpoint(&target.endpoint),
            weight: AtomicU32::new(target.weight),
            drained: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            total: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            last_error: Mutex::new(None),
            health: Health::new(now),
        }
    }

    /// Counts a connection that begins now, until what is returned is dropped.
    pub fn assign(self: &Arc<Self>, now: Instant) -> Assignment {
        self.active.fetch_add(1, Relaxed);
        self.total.fetch_add(1, Relaxed);
        Assignment { target: Arc::clone(self), began: now }
    }

    /// An active check succeeded. Returns whether the target was not up before.
    pub fn check_succeeded(&self) -> bool {
        self.health.check_succeeded()
    }

    /// An active check failed. Returns whether the target went down by it.
    pub fn check_failed(&self, now: Instant, error: &dyn Display) -> bool {
        self.note(now, error);
        self.health.check_failed()
    }

    /// Drains the target (it keeps what it has and gets nothing new), or takes it back.
    pub fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Relaxed);
    }

    pub(super) fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Relaxed);
    }

    fn note(&self, now: Instant, error: &dyn Display) {
        let mut text = error.to_string();
        let mut end = text.len().min(ERROR_LIMIT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.shrink_to_fit();
        let error = TargetError { at: now, text };
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// Where connections go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The endpoint in words.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its share among the rule's targets; 0 is drained by configuration.
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Whether it was drained with [`set_drained`](Self::set_drained).
    pub fn is_drained(&self) -> bool {
        self.drained.load(Relaxed)
    }

    /// Whether it takes new connections, up or not: its weight is not 0, and it is not drained.
    pub fn takes_new(&self) -> bool {
        self.weight() > 0 && !self.is_drained()
    }

    /// Connections open or being opened.
    pub fn active(&self) -> usize {
        self.active.load(Relaxed)
    }

    /// Connections ever begun, those that failed too.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Connections that failed by [`Assignment::failed`]; checks do not count.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Bytes sent to the target.
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Relaxed)
    }

    /// Bytes received from the target.
    pub fn bytes_received(&self) -> u64 {
        self.bytes_received.load(Relaxed)
    }

    /// What went wrong last, in a connection or a check, also when the target is up again; nothing
    /// when that was more than [`ERROR_LIFE`] ago.
    pub fn last_error(&self, now: Instant) -> Option<TargetError> {
        let error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        error.filter(|error| now.saturating_duration_since(error.at) <= ERROR_LIFE)
    }

    /// Whether it is up.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// A hash of the endpoint that never changes.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }
}

/// One connection's place at a target, given back when dropped.
#[derive(Debug)]
pub struct Assignment {
    target: Arc<TargetState>,
    began: Instant,
}

impl Assignment {
    /// The connection was made. Returns whether that ended a time of backing off.
    pub fn succeeded(&self) -> bool {
        self.target.health.succeeded()
    }

    /// The connection was refused or timed out. Returns how long the target backs off if it does
    /// for this, `None` if it did already.
    pub fn failed(&self, now: Instant, error: &dyn Display) -> Option<Duration> {
        self.target.failures.fetch_add(1, Relaxed);
        self.target.note(now, error);
        self.target.health.failed(now, self.began)
    }

    /// Counts bytes that went through. Workers share the counters: adding up what many reads
    /// brought before telling it here is cheaper than telling each.
    pub fn add_bytes(&self, sent: u64, received: u64) {
        if sent > 0 {
            self.target.bytes_sent.fetch_add(sent, Relaxed);
        }
        if received > 0 {
            self.target.bytes_received.fetch_add(received, Relaxed);
        }
    }

    /// The target.
    pub fn target(&self) -> &Arc<TargetState> {
        &self.target
    }

    /// When the connection was begun.
    pub fn began(&self) -> Instant {
        self.began
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        self.target.active.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
