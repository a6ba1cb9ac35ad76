//! Reading the configuration again, and applying what has changed.
//!
//! All of it happens on a thread of its own: reading a file on a mount that hangs, checking ten
//! thousand rules or binding their addresses would stop traffic otherwise. The workers get what
//! concerns them when nothing can fail any more.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use asyncore::SocketMap;
use asyncore_http::Server;

use crate::bind::{self, Bound, Port, Sockets};
use crate::capture::Captures;
use crate::config::{Config, Listen, Rule, Status};
use crate::inherited::Inherited;
use crate::listener_handle::LINGER;
use crate::logging;
use crate::pid_file::PidFile;
use crate::policy::RuleState;
use crate::shared::{ActiveRule, Shared};
use crate::status;
use crate::systemd;
use crate::unix::Permissions;
use crate::worker::RuleChange;

/// Time for reading and checking a configuration.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// From one look at the file to the next, where a change of it reloads.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Device, inode, size and time of the last change.
type Stamp = (u64, u64, u64, i64);

/// Where the configuration comes from, again at each reload.
#[derive(Clone)]
pub struct Source {
    /// The file, for messages.
    pub path: PathBuf,
    /// Reads and checks it.
    pub load: Arc<dyn Fn() -> anyhow::Result<Config> + Send + Sync>,
}

/// The thread that reloads.
pub(crate) struct Reloader {
    requests: SyncSender<()>,
}

impl Reloader {
    /// Starts the thread; `config` is what runs.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(
        shared: Arc<Shared>,
        config: Config,
        source: Source,
    ) -> anyhow::Result<Self> {
        let (requests, received) = mpsc::sync_channel(1);
        let mut reload = Reload { shared, config, source, left: HashMap::new(), reader: None };
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || reload.serve(&received))
            .context("cannot start the thread that reloads")?;
        Ok(Reloader { requests })
    }

    /// Reloads soon. A request that waits already will read what is there then.
    pub(crate) fn request(&self) {
        let _ = self.requests.try_send(());
    }
}

struct Reload {
    shared: Arc<Shared>,
    /// What runs: the last configuration, except for options that need a restart.
    config: Config,
    source: Source,
    /// Ports of rules that have gone, whose listeners may still let clients in.
    left: HashMap<Port, Instant>,
    /// A reader that has taken too long.
    reader: Option<JoinHandle<()>>,
}

impl Reload {
    /// Reloads at each request, and when the file changes if the configuration says so.
    fn serve(&mut self, requests: &Receiver<()>) {
        let mut applied = self.stamp();
        let mut last = applied;
        loop {
            let timeout = if self.config.reload_on_change { LOOK_INTERVAL } else { Duration::MAX };
            match requests.recv_timeout(timeout) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) => applied = self.stamp(),
                Err(RecvTimeoutError::Timeout) => {
                    let stamp = self.stamp();
                    // Not while it is being written, or gone for a moment.
                    let is_settled =
                        stamp.is_some() && std::mem::replace(&mut last, stamp) == stamp;
                    if stamp == applied || !is_settled {
                        continue;
                    }
                    tracing::info!("{} has changed", self.source.path.display());
                    applied = stamp;
                }
            }
            self.run();
        }
    }

    /// What tells one content of the file from another; `None` when it cannot be told.
    fn stamp(&mut self) -> Option<Stamp> {
        let path = self.source.path.clone();
        // The file that links lead to: Kubernetes exchanges a link to its directory.
        let found = self.limited(move || std::fs::metadata(path)).ok()?.ok()?;
        let time = found.mtime().wrapping_mul(1_000_000_000).wrapping_add(found.mtime_nsec());
        Some((found.dev(), found.ino(), found.size(), time))
    }

    fn run(&mut self) {
        systemd::reloading();
        match self.read().and_then(|config| self.apply(config)) {
            Ok(left) if left.is_empty() => tracing::info!("reloaded"),
            Ok(left) => {
                let left = left.join(", ");
                tracing::warn!("reloaded; these options have changed and need a restart: {left}");
            }
            Err(error) => tracing::error!("not reloaded, nothing has changed: {error:#}"),
        }
        systemd::ready();
    }

    fn read(&mut self) -> anyhow::Result<Config> {
        let load = Arc::clone(&self.source.load);
        let config = self.limited(move || load())?;
        match &self.config.chroot {
            Some(root) => config.with_context(|| {
                format!("paths are looked up inside {} since the start", root.display())
            }),
            None => config,
        }
    }

    /// What `read` returns on yet another thread, which may never come back.
    ///
    /// # Errors
    /// When it takes too long, or an earlier one still does.
    fn limited<T: Send + 'static>(
        &mut self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let path = self.source.path.display();
        if self.reader.take_if(|reader| reader.is_finished()).is_none() && self.reader.is_some() {
            bail!("{path} is still being read from before: see whether its file system hangs");
        }
        let (sender, receiver) = mpsc::channel();
        let reader = thread::Builder::new().name("config".to_owned()).spawn(move || {
            let _ = sender.send(read());
        })?;
        match receiver.recv_timeout(READ_TIMEOUT) {
            Ok(read) => Ok(read),
            Err(RecvTimeoutError::Timeout) => {
                self.reader = Some(reader);
                let limit = READ_TIMEOUT.as_secs();
                bail!(
                    "reading {path} takes more than {limit} s: see whether its file system hangs"
                );
            }
            Err(RecvTimeoutError::Disconnected) => bail!("reading {path} failed unexpectedly"),
        }
    }

    /// Serves what a configuration says, without touching connections that run. Returns the names
    /// of changed options that only a restart applies.
    ///
    /// # Errors
    /// When an address cannot be bound or a file cannot be written; nothing has changed then.
    fn apply(&mut self, next: Config) -> anyhow::Result<Vec<&'static str>> {
        // By name, so that a new option does not compile until a reload does something with it.
        let Config {
            workers,
            drain,
            max_connections,
            status,
            log,
            capture,
            handover,
            pid_file,
            user,
            group,
            chroot,
            reload_on_change: _,
            rules: _,
            warnings: _,
        } = &next;
        self.left.retain(|_, since| since.elapsed() < LINGER);
        let (shared, now) = (&self.shared, &self.config);
        if shared.is_draining() {
            bail!("the process is about to end");
        }

        // What can fail comes first.
        let before = shared.rules().clone();
        let bound = Bound::new(before.iter().map(|(rule, _)| &rule.listen), &self.left, &next);
        let sockets = bind::all(&next, now.workers, &bound, &mut Inherited::default())?;
        let page = page(status.as_ref(), now)?;
        let captures = (*capture != now.capture).then(|| Captures::open(capture)).transpose()?;
        let pid_changed = *pid_file != now.pid_file;
        let new_pid_file = match pid_file {
            Some(path) if pid_changed => Some(PidFile::write(path)?),
            _ => None,
        };
        shared.kept.add(sockets.iter())?;
        let there: HashMap<_, _> = before.iter().map(|(rule, _)| (&rule.listen, rule)).collect();
        for rule in &next.rules {
            let of = |rule: &Rule| (rule.unix_mode, rule.unix_owner.clone());
            if there.get(&rule.listen).is_some_and(|old| of(old) != of(rule)) {
                let permitted = Permissions::of(rule)
                    .and_then(|permissions| Ok(shared.files.permit(&rule.listen, permissions)?));
                permitted.with_context(|| format!("cannot change who may use {}", rule.listen))?;
            }
        }
        if *log != now.log {
            logging::apply(log)?;
        }

        if pid_changed {
            *shared.pid_file() = new_pid_file;
        }
        if let Some(captures) = captures {
            shared.set_captures(captures);
            tracing::info!("the capture has changed for new connections");
        }
        shared.set_drain_limit(*drain);
        shared.process.set_max_connections(*max_connections);
        if status != &now.status {
            change_page(shared, status.clone(), page);
        }
        self.left.extend(bound.leaving().map(|port| (port, Instant::now())));
        serve(shared, &next, &before, sockets);
        close_rest(shared, &next);

        let mut left = Vec::new();
        for (name, changed) in [
            ("workers", *workers != now.workers),
            ("handover", *handover != now.handover),
            ("user", *user != now.user),
            ("group", *group != now.group),
            ("chroot", *chroot != now.chroot),
        ] {
            left.extend(changed.then_some(name));
        }
        let Config { workers, handover, user, group, chroot, .. } = now.clone();
        self.config = Config { workers, handover, user, group, chroot, ..next };
        Ok(left)
    }
}

/// A socket for the page where it is to listen, unless it listens there already.
fn page(next: Option<&Status>, now: &Config) -> anyhow::Result<Option<socket2::Socket>> {
    let Some(status) = next else {
        return Ok(None);
    };
    let listens_there = now.status.as_ref().is_some_and(|now| now.listen == status.listen);
    (!listens_there).then(|| open_page(status, None)).transpose()
}

/// A socket for the status page, or the one that was `passed` by another process.
pub(crate) fn open_page(
    status: &Status,
    passed: Option<socket2::Socket>,
) -> anyhow::Result<socket2::Socket> {
    passed
        .map_or_else(|| status::listen(status.listen), Ok)
        .with_context(|| format!("the status page cannot listen on {}", status.listen))
}

/// Serves the page anew, on the control loop, and ends it as it was.
fn change_page(shared: &Arc<Shared>, status: Option<Status>, socket: Option<socket2::Socket>) {
    let this = Arc::clone(shared);
    let changed = move |map: &mut SocketMap| {
        let before = this.page().take();
        let socket = match (socket, before) {
            (None, Some(page)) => map.channel(page).and_then(|page| {
                page.descriptor()?.try_clone_to_owned().ok().map(socket2::Socket::from)
            }),
            (socket, _) => socket,
        };
        if let Some(page) = before {
            map.with(page, Server::stop);
        }
        if let Some((status, socket)) = status.as_ref().zip(socket) {
            if let Err(error) = start_page(map, &this, status, socket) {
                tracing::error!("the status page has ended: {error:#}");
            }
        }
        Ok(())
    };
    if let Some(control) = shared.control() {
        if let Err(error) = control.pull_trigger(changed) {
            tracing::error!("the status page cannot be changed: {error}");
        }
    }
}

/// Serves the page; its socket is kept for the process that comes next.
pub(crate) fn start_page(
    map: &mut SocketMap,
    shared: &Arc<Shared>,
    status: &Status,
    socket: socket2::Socket,
) -> anyhow::Result<()> {
    let listen = Listen::Tcp(status.listen);
    shared.kept.replace(&listen, &socket)?;
    *shared.page() = Some(status::start(map, shared, status, socket)?);
    Ok(())
}

/// Gives every worker what changes from `before` to the configuration, and its own sockets for
/// rules that listen on new addresses.
pub(crate) fn serve(shared: &Shared, config: &Config, before: &[ActiveRule], mut sockets: Sockets) {
    let Changes { rules, changed, removed } = changes(shared, config, before);
    shared.files.add(sockets.files.drain(..));
    removed.iter().for_each(|listen| shared.files.remove(listen));
    let workers = shared.workers();
    for (index, worker) in workers.iter().enumerate() {
        let serve = changed.iter().map(|(rule, state)| RuleChange::Serve {
            rule: Arc::clone(rule),
            state: Arc::clone(state),
            sockets: sockets.share(&rule.listen, workers.len() - index),
            checks: index == 0,
        });
        // What is new listens before what it replaces closes.
        let changes = serve.chain(removed.iter().cloned().map(RuleChange::Remove)).collect();
        worker.run(move |worker, ch| worker.apply(ch, changes));
    }
    *shared.rules() = rules;
}

/// Closes and removes what is kept of addresses that are no longer listened on.
fn close_rest(shared: &Shared, config: &Config) {
    let page = config.status.as_ref().map(|status| Listen::Tcp(status.listen));
    let listens = config.rules.iter().map(|rule| &rule.listen).chain(&page).collect();
    shared.kept.retain(&listens);
}

struct Changes {
    /// All of them.
    rules: Vec<ActiveRule>,
    changed: Vec<ActiveRule>,
    removed: Vec<Listen>,
}

/// The configuration's rules with their states. A rule goes on with the state of the rule that
/// listened there before, or else of one that is gone and had its name or its port: it has moved.
fn changes(shared: &Shared, config: &Config, before: &[ActiveRule]) -> Changes {
    let now = Instant::now();
    let next: HashSet<_> = config.rules.iter().map(|rule| &rule.listen).collect();
    let there: HashMap<_, _> = before.iter().map(|old| (&old.0.listen, old)).collect();
    let gone = || before.iter().filter(|(old, _)| !next.contains(&old.listen));
    let mut gone_by_name: HashMap<_, _> = gone().map(|old| (old.0.name.as_str(), old)).collect();
    let mut gone_by_port: HashMap<_, _> =
        gone().filter_map(|old| Some((Port::of(&old.0.listen)?, old))).collect();

    let mut changes = Changes { rules: Vec::new(), changed: Vec::new(), removed: Vec::new() };
    for rule in &config.rules {
        let old = there.get(&rule.listen).copied();
        if let Some(same) = old.filter(|(old, _)| **old == *rule) {
            changes.rules.push(same.clone());
            continue;
        }
        let moved = || {
            let named = gone_by_name.remove(rule.name.as_str());
            let moved = named.or_else(|| gone_by_port.remove(&Port::of(&rule.listen)?))?;
            gone_by_name.remove(moved.0.name.as_str());
            Port::of(&moved.0.listen).and_then(|port| gone_by_port.remove(&port));
            Some(moved)
        };
        let state = match old.or_else(moved) {
            Some((_, state)) => state.reloaded(rule, now),
            None => RuleState::new(rule, Arc::clone(&shared.process), now),
        };
        let rule = (Arc::new(rule.clone()), Arc::new(state));
        changes.changed.push(rule.clone());
        changes.rules.push(rule);
    }
    changes.removed = gone().map(|(rule, _)| rule.listen.clone()).collect();
    changes
}
