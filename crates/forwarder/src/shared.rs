//! What all workers share, and how they are reached from other threads.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use asyncore::{Channel, ExitNow, Token, Trigger};
use asyncore_http::Server;

use crate::capture::Captures;
use crate::config::{Listen, Rule};
use crate::handover::Kept;
use crate::pid_file::PidFile;
use crate::policy::{ProcessCounts, RuleState};
use crate::relay::CloseReason;
use crate::systemd;
use crate::unix::{Permissions, SocketFile};
use crate::worker::{self, Worker};

/// A rule as it is configured, and what its workers share.
pub(crate) type ActiveRule = (Arc<Rule>, Arc<RuleState>);

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) process: Arc<ProcessCounts>,
    rules: Mutex<Vec<ActiveRule>>,
    pub(crate) started: Instant,
    /// For the process that comes next.
    pub(crate) kept: Kept,
    pub(crate) files: SocketFiles,
    captures: Mutex<Option<Arc<Captures>>>,
    pid_file: Mutex<Option<PidFile>>,
    /// The status page, on the control loop.
    page: Mutex<Option<Token<Server>>>,
    drain_limit: Mutex<Duration>,
    /// The loop of the main thread.
    control: OnceLock<Trigger>,
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
            files: SocketFiles(Mutex::new(Some(HashMap::new()))),
            captures: Mutex::default(),
            pid_file: Mutex::default(),
            page: Mutex::default(),
            drain_limit: Mutex::default(),
            control: OnceLock::new(),
            workers: OnceLock::new(),
            listening: AtomicUsize::new(workers),
            busy: AtomicUsize::new(workers),
            draining: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
        })
    }

    /// Makes the loops known, once.
    pub(crate) fn set_loops(&self, control: Trigger, workers: Vec<Handle>) {
        // Nothing sets them again.
        let _ = self.control.set(control);
        let _ = self.workers.set(workers);
    }

    /// Reaches the loop of the main thread, which serves the pages.
    pub(crate) fn control(&self) -> Option<&Trigger> {
        self.control.get()
    }

    pub(crate) fn workers(&self) -> &[Handle] {
        self.workers.get().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Vec<ActiveRule>> {
        lock(&self.rules)
    }

    /// Has every worker capture these connections from now on.
    pub(crate) fn set_captures(&self, captures: Option<Arc<Captures>>) {
        lock(&self.captures).clone_from(&captures);
        for worker in self.workers() {
            let captures = captures.clone();
            worker.run(move |worker, _| worker.set_captures(captures));
        }
    }

    pub(crate) fn captures(&self) -> Option<Arc<Captures>> {
        lock(&self.captures).clone()
    }

    pub(crate) fn pid_file(&self) -> MutexGuard<'_, Option<PidFile>> {
        lock(&self.pid_file)
    }

    pub(crate) fn page(&self) -> MutexGuard<'_, Option<Token<Server>>> {
        lock(&self.page)
    }

    /// How long a drain waits for the connections that are open.
    pub(crate) fn drain_limit(&self) -> Duration {
        *lock(&self.drain_limit)
    }

    pub(crate) fn set_drain_limit(&self, limit: Duration) {
        *lock(&self.drain_limit) = limit;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Stops accepting everywhere; the loops return when all connections have ended.
    pub(crate) fn drain(&self, why: Drain) {
        if self.draining.swap(true, Ordering::Relaxed) {
            return;
        }
        self.kept.close();
        let files = self.files.close();
        match why {
            Drain::Stop => systemd::stopping(),
            Drain::HandedOver { to } => {
                files.into_values().for_each(SocketFile::leave);
                systemd::main_pid(to);
            }
        }
        let deadline = self.drain_limit();
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
        let workers = self.workers().iter().map(|worker| &worker.trigger);
        for trigger in workers.chain(self.control()) {
            // A loop that has ended needs nothing.
            let _ = trigger.pull_trigger(|map| {
                worker::end_all(map, &CloseReason::Drained);
                Err(ExitNow.into())
            });
        }
    }
}

/// The files of the Unix sockets that this process listens on.
pub(crate) struct SocketFiles(Mutex<Option<HashMap<Listen, SocketFile>>>);

impl SocketFiles {
    /// Adds files. Once the process drains they are removed at once.
    pub(crate) fn add(&self, files: impl IntoIterator<Item = (Listen, SocketFile)>) {
        if let Some(there) = &mut *lock(&self.0) {
            there.extend(files);
        }
    }

    /// Takes over the files that another process handed over.
    pub(crate) fn own(&self) {
        lock(&self.0).iter_mut().flat_map(HashMap::values_mut).for_each(SocketFile::own);
    }

    /// Changes who may connect to a socket.
    pub(crate) fn permit(&self, listen: &Listen, permissions: Permissions) -> io::Result<()> {
        let there = lock(&self.0);
        let file = there.as_ref().and_then(|there| there.get(listen));
        file.map_or(Ok(()), |file| file.permit(permissions))
    }

    /// Removes the file of a socket.
    pub(crate) fn remove(&self, listen: &Listen) {
        if let Some(there) = &mut *lock(&self.0) {
            there.remove(listen);
        }
    }

    /// Takes all of them, and keeps none any more.
    fn close(&self) -> HashMap<Listen, SocketFile> {
        lock(&self.0).take().unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
