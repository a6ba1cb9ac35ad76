//! The process, from its start to its end, and what a reload does to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use anyhow::Context as _;
use asyncore::{EventLoop, SocketMap, Token};

use crate::bind;
use crate::capture::Captures;
use crate::config::{Config, Listen, Rule, Status};
use crate::descriptors::{self, Beside, Descriptors};
use crate::handover::{Door, Predecessor};
use crate::http::Server;
use crate::inherited::Inherited;
use crate::pid_file::PidFile;
use crate::policy::RuleState;
use crate::shared::{Handle, RuleAtWork, Shared};
use crate::site::Site;
use crate::systemd;
use crate::worker::{Served, Worker};

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

    let rules = states(config, &shared, &[]);
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
    hand_out(&shared, &rules, &mut sockets);
    *shared.rules() = rules;
    crate::signals::watch(&mut map, &shared, config.drain, source)?;
    let page = match &config.status {
        Some(status) => Some(open_page(&mut map, &shared, status, &mut inherited)?),
        None => None,
    };
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

fn new_map(descriptors: Descriptors) -> anyhow::Result<EventLoop> {
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

/// Serves the status page, whose socket is kept for the process that comes next.
fn open_page(
    map: &mut SocketMap,
    shared: &Arc<Shared>,
    status: &Status,
    inherited: &mut Inherited,
) -> anyhow::Result<Token<Server>> {
    let passed = inherited.take(&Listen::Tcp(status.listen)).pop();
    let page = crate::status::start(map, shared, status, passed)?;
    if let Some(fd) = map.channel(page).as_ref().and_then(|page| page.descriptor()) {
        shared.kept.keep_page(status.listen, fd)?;
    }
    Ok(page)
}

/// The configuration's rules with their states, which go on where one listened there before.
fn states(config: &Config, shared: &Shared, before: &[RuleAtWork]) -> Vec<RuleAtWork> {
    let now = Instant::now();
    let state = |rule: &Rule| match before.iter().find(|(old, _)| old.listen == rule.listen) {
        Some((_, state)) => state.reloaded(rule, now),
        None => RuleState::new(rule, Arc::clone(&shared.process), now),
    };
    let rules = config.rules.iter();
    rules.map(|rule| (Arc::new(rule.clone()), Arc::new(state(rule)))).collect()
}

/// Gives every worker the rules, and its own sockets for those that are new.
fn hand_out(shared: &Shared, rules: &[RuleAtWork], sockets: &mut bind::Sockets) {
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
    let rules = states(config, shared, &before);
    shared.process.set_max_connections(config.max_connections);
    hand_out(shared, &rules, &mut sockets);
    *shared.rules() = rules;
    Ok(())
}
