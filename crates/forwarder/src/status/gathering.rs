//! Answers of workers that come in one after the other.

use std::sync::Arc;

use asyncore::Timer;

use super::bytes::Bytes;
use super::hub::Then;
use super::snapshot::Snapshot;
use crate::policy::TargetState;

/// A question to all workers, and what they have answered so far.
pub(super) struct Gathering {
    /// Ends the wait.
    pub(super) timer: Timer,
    /// What ended connections had moved before the question.
    pub(super) ended: Vec<(Arc<TargetState>, Bytes)>,
    /// By worker.
    pub(super) answers: Vec<Option<Snapshot>>,
    pub(super) then: Then,
    missing: usize,
}

impl Gathering {
    /// A question that `asked` of the workers will answer.
    pub(super) fn new(
        workers: usize,
        asked: usize,
        timer: Timer,
        ended: Vec<(Arc<TargetState>, Bytes)>,
        then: Then,
    ) -> Self {
        let answers = (0..workers).map(|_| None).collect();
        Gathering { timer, ended, answers, then, missing: asked }
    }

    /// Notes what a worker answered.
    pub(super) fn add(&mut self, worker: usize, snapshot: Snapshot) {
        self.answers[worker] = Some(snapshot);
        self.missing -= 1;
    }

    /// Whether all have answered that were asked.
    pub(super) fn is_complete(&self) -> bool {
        self.missing == 0
    }
}
