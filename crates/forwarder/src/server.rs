//! The process: its workers, and what signals and reloads do to all of them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use asyncore::{ExitNow, SocketMap, Token, Trigger};

use crate::bind;
use crate::capture::Captures;
use crate::config::{Config, Listen, Rule};
use crate::descriptors::{self, Beside, Descriptors};
use crate::handover::{Door, Kept, Predecessor};
use crate::inherited::Inherited;
use crate::pid_file::PidFile;
use crate::policy::{ProcessCounts, RuleState};
use crate::site::Site;
use crate::systemd;
use crate::worker::{Served, Worker};

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) process: Arc<ProcessCounts>,
    pub(crate) rules: Mutex<Vec<(Arc<Rule>, Arc<RuleState>)>>,
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
    pub(crate) fn run(
        &self,
        act: impl FnOnce(&mut Worker, &mut asyncore::Channel<'_>) + Send + 'static,
    ) {
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

    pub(crate) fn rules(&self) -> MutexGuard<'_, Vec<(Arc<Rule>, Arc<RuleState>)>> {
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

    /// Ends all loops now.
    pub(crate) fn stop(&self) {
        for worker in self.workers() {
            // A loop that has ended already needs no telling.
            let _ = worker.trigger.pull_trigger(|_| Err(ExitNow.into()));
        }
    }
}

/// Where the configuration comes from, again at each reload.
pub type Source = Box<dyn Fn() -> anyhow::Result<Config>>;

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every connection came to its end.
    Drained,
    /// Some were cut off, by the deadline or by a second signal.
    CutOff,
}

/// Serves until a signal ends it; with a `site`, that too, for the rule that forwards to it.
///
/// Without a `source` there is nothing to reload.
///
/// # Errors
/// When it cannot start: an address in use, no descriptors.
pub fn serve(
    config: &Config,
    source: Option<Source>,
    site: Option<Site>,
) -> anyhow::Result<Outcome> {
    let descriptors = Descriptors::raise(config.workers);
    let shared = Shared::new(config.max_connections, config.workers);
    if let Some(captures) = Captures::open(&config.capture)? {
        // Nobody else sets it.
        let _ = shared.captures.set(captures);
    }
    let mut inherited = Inherited::from_systemd()?;
    let predecessor = match &config.handover {
        Some(path) => Predecessor::ask(path)
            .with_context(|| format!("cannot take over by way of {}", path.display()))?,
        None => None,
    };
    let predecessor = predecessor.map(|(predecessor, sockets)| {
        inherited.extend(sockets);
        predecessor
    });
    let mut sockets = bind::all(config, config.workers, &[], &mut inherited)?;

    let mut map = new_map(descriptors)?;
    let mut handles = vec![start(&mut map, &shared)?];
    let mut threads = Vec::new();
    for index in 1..config.workers {
        let (thread, handle) = spawn(index, &shared, descriptors)?;
        threads.push(thread);
        handles.push(handle);
    }
    shared.set_workers(handles);

    let now = Instant::now();
    let states: Vec<_> = config
        .rules
        .iter()
        .map(|rule| {
            let state = RuleState::new(rule, Arc::clone(&shared.process), now);
            (Arc::new(rule.clone()), Arc::new(state))
        })
        .collect();
    if config.handover.is_some() {
        shared.kept.keep(&sockets)?;
    }
    let room = descriptors.room(Beside {
        open: descriptors::open(),
        workers: config.workers,
        targets: config.rules.iter().map(|rule| rule.targets.len()).sum(),
        pages: usize::from(config.status.is_some()) + usize::from(site.is_some()),
    });
    descriptors.tell(room, config.max_connections);
    shared.process.set_room(room);
    hand_out(&shared, &states, &mut sockets);
    *shared.rules() = states;
    crate::signals::watch(&mut map, &shared, config.drain, source)?;
    let mut page = None;
    if let Some(status) = &config.status {
        let passed = inherited.take(&Listen::Tcp(status.listen)).pop();
        let server = crate::status::start(&mut map, &shared, status, passed)?;
        if let Some(fd) = map.channel(server).as_ref().and_then(|page| page.as_fd()) {
            shared.kept.keep_page(status.listen, fd)?;
        }
        page = Some(server);
    }
    if let Some(site) = site {
        site.start(&mut map, &shared).context("the built-in site cannot be served")?;
    }
    for rule in &config.rules {
        let targets: Vec<_> = rule.targets.iter().map(|it| it.endpoint.to_string()).collect();
        tracing::info!(rule = %rule.name, listen = %rule.listen, targets = targets.join(","), "forwarding");
    }
    inherited.close_rest();
    let _pid_file = config.pid_file.as_deref().map(PidFile::write).transpose()?;
    if let Some(path) = &config.handover {
        let taken_over = predecessor.is_some();
        Door::open(&mut map, &shared, path, taken_over, config.drain, page)?;
    }
    if let Some(Err(error)) = predecessor.map(Predecessor::tell_serving) {
        tracing::warn!("the process that ran before has gone: {error}");
    }
    systemd::feed_watchdog(&mut map);
    systemd::ready();
    map.run().context("the loop failed")?;
    drop(map);
    for thread in threads {
        let _ = thread.join();
    }
    let cut_off = shared.cut_off.load(Ordering::Relaxed);
    Ok(if cut_off { Outcome::CutOff } else { Outcome::Drained })
}

fn new_map(descriptors: Descriptors) -> anyhow::Result<SocketMap> {
    SocketMap::builder().max_pipes(descriptors.pipes).build().context("cannot make a loop")
}

fn start(map: &mut SocketMap, shared: &Arc<Shared>) -> anyhow::Result<Handle> {
    let token = Worker::start(map, Arc::clone(shared)).context("cannot start a worker")?;
    let trigger = map.trigger().context("cannot make a trigger")?;
    Ok(Handle { trigger, token })
}

fn spawn(
    index: usize,
    shared: &Arc<Shared>,
    descriptors: Descriptors,
) -> anyhow::Result<(thread::JoinHandle<()>, Handle)> {
    let (tell, told) = std::sync::mpsc::channel();
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let started = new_map(descriptors)
            .and_then(|mut map| start(&mut map, &shared).map(|handle| (map, handle)));
        match started {
            Ok((mut map, handle)) => {
                let _ = tell.send(Ok(handle));
                if let Err(error) = map.run() {
                    tracing::error!("worker {index} has ended: {error}");
                }
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
    })?;
    let handle = told.recv().context("a worker did not start")??;
    Ok((thread, handle))
}

/// Gives every worker the rules, and its own sockets for those that are new.
fn hand_out(shared: &Shared, rules: &[(Arc<Rule>, Arc<RuleState>)], sockets: &mut bind::Sockets) {
    let workers = shared.workers().len();
    for (index, worker) in shared.workers().iter().enumerate() {
        let served: Vec<Served> = rules
            .iter()
            .map(|(rule, state)| Served {
                rule: Arc::clone(rule),
                state: Arc::clone(state),
                sockets: sockets.share(&rule.listen, workers - index),
                checks: index == 0,
            })
            .collect();
        worker.run(move |worker, ch| worker.apply(ch, served));
    }
}

/// Serves what the new configuration says, without touching connections that run.
///
/// # Errors
/// When the configuration is bad or an address cannot be bound; nothing has changed then.
pub(crate) fn reload(shared: &Shared, config: &Config) -> anyhow::Result<()> {
    let before = shared.rules().clone();
    let bound: Vec<_> = before.iter().map(|(rule, _)| rule.listen.clone()).collect();
    let workers = shared.workers().len();
    let mut sockets = bind::all(config, workers, &bound, &mut Inherited::default())?;
    shared.kept.follow(config, &sockets)?;
    let now = Instant::now();
    let rules: Vec<_> = config
        .rules
        .iter()
        .map(|rule| {
            let old = before.iter().find(|(old, _)| old.listen == rule.listen);
            let state = match old {
                Some((_, state)) => state.reloaded(rule, now),
                None => RuleState::new(rule, Arc::clone(&shared.process), now),
            };
            (Arc::new(rule.clone()), Arc::new(state))
        })
        .collect();
    shared.process.set_max_connections(config.max_connections);
    hand_out(shared, &rules, &mut sockets);
    *shared.rules() = rules;
    Ok(())
}
