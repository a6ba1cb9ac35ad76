//! What all workers share, and how they are reached from other threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use asyncore::{Channel, ExitNow, Token, Trigger};

use crate::capture::Captures;
use crate::config::Rule;
use crate::handover::Kept;
use crate::policy::{ProcessCounts, RuleState};
use crate::systemd;
use crate::relay::CloseReason;
use crate::worker::{self, Worker};

/// A rule as it is configured, and what its workers share.
pub(crate) type RuleAtWork = (Arc<Rule>, Arc<RuleState>);

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) process: Arc<ProcessCounts>,
    rules: Mutex<Vec<RuleAtWork>>,
    pub(crate) started: Instant,
    /// For the process that comes next.
    pub(crate) kept: Kept,
    /// Set at the start, if anything is to be captured.
    pub(crate) captures: OnceLock<Arc<Captures>>,
    workers: OnceLock<Vec<Handle>>,
    /// Workers that listen still.
    listening: AtomicUsize,
    /// Workers that have not drained yet.
    busy: AtomicUsize,
    draining: AtomicBool,
    /// A second signal, or the drain's deadline, cut connections off.
    pub(crate) cut_off: AtomicBool,
}

/// Why nothing new is accepted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    /// The process is to end.
    Stop,
    /// Another process, of this number, serves by the same sockets.
    HandedOver { to: u32 },
}

/// How to reach a worker from another thread.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) trigger: Trigger,
    pub(crate) token: Token<Worker>,
}

impl Handle {
    /// Runs `act` on the worker's thread.
    pub(crate) fn run(&self, act: impl FnOnce(&mut Worker, &mut Channel<'_>) + Send + 'static) {
        let token = self.token;
        let pulled = self.trigger.pull_trigger(move |map| {
            map.with(token, act);
            Ok(())
        });
        if let Err(error) = pulled {
            tracing::error!("a worker cannot be reached: {error}");
        }
    }
}

impl Shared {
    pub(crate) fn new(max_connections: usize, workers: usize) -> Arc<Self> {
        Arc::new(Shared {
            process: Arc::new(ProcessCounts::new(max_connections)),
            rules: Mutex::new(Vec::new()),
            started: Instant::now(),
            kept: Kept::default(),
            captures: OnceLock::new(),
            workers: OnceLock::new(),
            listening: AtomicUsize::new(workers),
            busy: AtomicUsize::new(workers),
            draining: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
        })
    }

    /// Makes the workers known, once.
    pub(crate) fn set_workers(&self, workers: Vec<Handle>) {
        // Nobody sets them again.
        let _ = self.workers.set(workers);
    }

    pub(crate) fn workers(&self) -> &[Handle] {
        self.workers.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Vec<RuleAtWork>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Stops accepting everywhere; the loops return when all connections have ended.
    pub(crate) fn drain(&self, why: Drain, deadline: Duration) {
        if self.draining.swap(true, Ordering::Relaxed) {
            return;
        }
        self.kept.close();
        match why {
            Drain::Stop => systemd::stopping(),
            Drain::HandedOver { to } => systemd::main_pid(to),
        }
        for worker in self.workers() {
            worker.run(move |worker, ch| worker.drain(ch, why, deadline));
        }
    }

    /// A worker listens no longer; when none does, nobody new is let in by what still receives.
    /// Not before that: whom another worker accepts meanwhile would be turned away.
    pub(crate) fn worker_stopped_listening(&self) {
        if self.listening.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.process.drain();
        }
    }

    /// A worker has nothing left to do; the last one ends all loops.
    pub(crate) fn worker_drained(&self) {
        if self.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.stop();
        }
    }

    /// Ends all loops now. Connections that are open are reset: the end of the process would end
    /// them in good order, and an answer that is cut off would look whole.
    pub(crate) fn stop(&self) {
        for worker in self.workers() {
            // A loop that has ended already needs no telling.
            let _ = worker.trigger.pull_trigger(|map| {
                worker::end_all(map, &CloseReason::Drained);
                Err(ExitNow.into())
            });
        }
    }
}
