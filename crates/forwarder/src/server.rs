//! The process, from its start to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::Context as _;
use asyncore::{EventLoop, SocketMap};
use rustix::process::Signal;

use crate::bind::{self, Bound};
use crate::capture::Captures;
use crate::config::{Config, Listen};
use crate::descriptors::{self, Beside, Descriptors};
use crate::handover::{HandoverListener, Predecessor};
use crate::inherited::Inherited;
use crate::logging;
use crate::pid_file::PidFile;
use crate::privileges::Privileges;
use crate::reload::{self, Reloader, Source};
use crate::shared::{Drain, Handle, Shared};
use crate::site::Site;
use crate::systemd;
use crate::worker::Worker;

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
    let privileges = Privileges::look_up(config)?;
    let descriptors = Descriptors::raise(config.workers);
    let shared = Shared::new(config.max_connections, config.workers);
    shared.set_drain_limit(config.drain);
    // This thread serves the pages, signals and the handover. Only the workers forward, so nothing
    // here delays traffic. A signal that comes early waits until the start is over.
    let mut map = SocketMap::new().context("cannot make a loop")?;
    let reloader =
        source.map(|source| Reloader::start(Arc::clone(&shared), config.clone(), source));
    watch_signals(&mut map, &shared, reloader.transpose()?)?;
    let captures = Captures::open(&config.capture)?;

    let mut inherited = Inherited::from_systemd()?;
    let asked = config.handover.as_deref().map(|path| {
        Predecessor::ask(path)
            .with_context(|| format!("cannot take over by way of {}", path.display()))
    });
    let predecessor = asked.transpose()?.flatten().map(|(predecessor, sockets)| {
        inherited.extend(sockets);
        predecessor
    });
    let sockets = bind::all(config, config.workers, &Bound::default(), &mut inherited)?;
    if config.handover.is_some() {
        shared.kept.keep(&sockets)?;
    }
    let page = config.status.as_ref().map(|status| {
        let passed = inherited.take(&Listen::Tcp(status.listen)).pop();
        Ok::<_, anyhow::Error>((status, reload::open_page(status, passed)?))
    });
    let page = page.transpose()?;
    inherited.close_rest();

    let control = map.trigger().context("cannot make a trigger")?;
    let workers = (0..config.workers).map(|index| spawn(index, &shared, descriptors));
    let workers = workers.collect::<anyhow::Result<Vec<_>>>()?;
    let (threads, handles): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
    shared.set_loops(control, handles);

    if let Some(path) = &config.handover {
        HandoverListener::start(&mut map, &shared, path, predecessor.as_ref())?;
    }
    *shared.pid_file() = config.pid_file.as_deref().map(PidFile::write).transpose()?;
    let room = descriptors.room(Beside {
        open: descriptors::open(),
        workers: config.workers,
        targets: config.rules.iter().map(|rule| rule.targets.len()).sum(),
        pages: usize::from(page.is_some()) + usize::from(site.is_some()),
    });
    descriptors.tell(room, config.max_connections);
    shared.process.set_room(room);
    // All that needs root is done, and nothing has been received yet.
    systemd::connect();
    privileges.drop_to(&sockets)?;
    shared.set_captures(captures);
    reload::serve(&shared, config, &[], sockets);
    if let Some((status, socket)) = page {
        reload::start_page(&mut map, &shared, status, socket)?;
    }
    if let Some(site) = site {
        site.start(&mut map, &shared).context("the built-in site cannot be served")?;
    }
    for rule in &config.rules {
        let targets: Vec<_> = rule.targets.iter().map(|it| it.endpoint.to_string()).collect();
        tracing::info!(rule = %rule.name, listen = %rule.listen, targets = targets.join(","), "forwarding");
    }
    if let Some(Err(error)) = predecessor.map(Predecessor::tell_serving) {
        tracing::warn!("the process that ran before has gone: {error}");
    }
    shared.files.own();
    // On a worker's loop, since the traffic is what has to be alive.
    shared.workers()[0].trigger.pull_trigger(|map| {
        systemd::feed_watchdog(map);
        Ok(())
    })?;
    systemd::ready();
    map.run().context("the loop failed")?;
    drop(map);
    for thread in threads {
        thread.join().unwrap_or_else(|_| Err(anyhow::Error::msg("a worker panicked")))?;
    }
    drop(shared.pid_file().take());
    if let Some(captures) = shared.captures() {
        captures.finish();
    }
    let cut_off = shared.cut_off.load(Ordering::Relaxed);
    Ok(if cut_off { Outcome::CutOff } else { Outcome::Drained })
}

/// A thread that forwards, and how it ended.
type WorkerThread = thread::JoinHandle<anyhow::Result<()>>;

fn spawn(
    index: usize,
    shared: &Arc<Shared>,
    descriptors: Descriptors,
) -> anyhow::Result<(WorkerThread, Handle)> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let (mut map, handle) = start(&shared, descriptors)?;
        let _ = sender.send(handle);
        // Without this worker the process could not go on: an end of its own ends all.
        let _stop = StopAll(shared);
        map.run().with_context(|| format!("the loop of worker {index} failed"))
    })?;
    match receiver.recv() {
        Ok(handle) => Ok((thread, handle)),
        Err(_) => {
            let why = thread.join().map_or(None, Result::err);
            Err(why.unwrap_or_else(|| anyhow::Error::msg("a worker did not start")))
        }
    }
}

fn start(shared: &Arc<Shared>, descriptors: Descriptors) -> anyhow::Result<(EventLoop, Handle)> {
    let map = SocketMap::builder().max_pipes(descriptors.pipes).build();
    let mut map = map.context("cannot make a loop")?;
    let token = Worker::start(&mut map, Arc::clone(shared)).context("cannot start a worker")?;
    let trigger = map.trigger().context("cannot make a trigger")?;
    Ok((map, Handle { trigger, token }))
}

/// Ends all loops when it is dropped, also by a panic.
struct StopAll(Arc<Shared>);

impl Drop for StopAll {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Watches for the signals to end, to reload and to reopen the log. Without a `reloader` there is
/// nothing to reload.
fn watch_signals(
    map: &mut SocketMap,
    shared: &Arc<Shared>,
    reloader: Option<Reloader>,
) -> anyhow::Result<()> {
    let mut on = |signal: Signal, mut act: Box<dyn FnMut()>| {
        map.on_signal(signal.as_raw(), move |_map| {
            act();
            Ok(())
        })
        .context("cannot watch for signals")
    };
    for signal in [Signal::INT, Signal::TERM] {
        let shared = Arc::clone(shared);
        on(signal, Box::new(move || stop(&shared)))?;
    }
    on(
        Signal::HUP,
        Box::new(move || match &reloader {
            Some(reloader) => reloader.request(),
            None => tracing::warn!("nothing to reload: the configuration came from no file"),
        }),
    )?;
    // Log rotation sends it.
    on(Signal::USR1, Box::new(logging::reopen))
}

fn stop(shared: &Shared) {
    if shared.is_draining() {
        tracing::warn!("stopping at once");
        shared.cut_off.store(true, Ordering::Relaxed);
        shared.stop();
    } else {
        let open = shared.process.open();
        let seconds = shared.drain_limit().as_secs_f64();
        tracing::info!(open, seconds, "draining");
        shared.drain(Drain::Stop);
    }
}
