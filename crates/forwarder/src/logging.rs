//! Where log lines go, and what they look like.
//!
//! The threads that forward only queue their lines; a thread of its own writes them. When the
//! log is not read, lines are dropped and counted instead of holding traffic up.

mod access;
mod line;
mod writer;

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::Context as _;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

pub(crate) use self::access::{AccessLog, Entry};
use self::writer::Writer;
use crate::config::{Log, LogFormat, LogLevel};

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// The log of this process, once it has been started.
static LOG: OnceLock<Running> = OnceLock::new();

struct Running {
    writer: &'static Writer,
    lines: reload::Handle<Lines, Registry>,
    file: Mutex<Option<PathBuf>>,
}

impl Running {
    fn file(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the last lines when it is dropped, at the end of the process.
pub(crate) struct FlushAtEnd(());

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        if let Some(running) = LOG.get() {
            running.writer.flush();
        }
    }
}

/// Logs from now on as the configuration says.
///
/// # Errors
/// When the file cannot be opened, or there is no thread for writing.
pub(crate) fn start(log: &Log) -> anyhow::Result<FlushAtEnd> {
    // A second start in one process, as tests make, leaves the first in place.
    if LOG.get().is_none() {
        let writer = Writer::start(open(log.file.as_deref())?).context("cannot start logging")?;
        let (layer, lines) = reload::Layer::new(lines(log, writer));
        let _ = tracing_subscriber::registry().with(layer).try_init();
        let _ = LOG.set(Running { writer, lines, file: Mutex::new(log.file.clone()) });
        // The standard hook writes to standard error itself, which can block.
        std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    }
    Ok(FlushAtEnd(()))
}

/// Changes level, format and file to those of a new configuration. Opening a file can block, so this
/// is not for a loop's thread.
///
/// # Errors
/// When the file cannot be opened; nothing has changed then.
pub(crate) fn apply(log: &Log) -> anyhow::Result<()> {
    if let Some(running) = LOG.get() {
        let file = open(log.file.as_deref())?;
        let lines = lines(log, running.writer);
        running.lines.reload(lines).context("cannot change the log's level and format")?;
        running.writer.write_to(move || Ok(file));
        *running.file() = log.file.clone();
    }
    Ok(())
}

/// Opens the log file again, which has been renamed to begin another; does nothing without one.
pub(crate) fn reopen() {
    let Some(running) = LOG.get() else {
        return;
    };
    match running.file().clone() {
        // The writer's thread opens it, because a file system can block.
        Some(path) => running.writer.write_to(move || open(Some(&path))),
        None => tracing::info!("no log file to reopen: the log goes to standard error"),
    }
}

/// Lines that were dropped because the log was not read, or could not be written to.
pub(crate) fn lines_dropped() -> u64 {
    LOG.get().map_or(0, |running| running.writer.lines_dropped())
}

fn open(file: Option<&Path>) -> anyhow::Result<File> {
    let Some(path) = file else {
        // A descriptor of our own: the lock of `io::stderr` would be held through a blocked write.
        let stderr = io::stderr().as_fd().try_clone_to_owned();
        return stderr.map(File::from).context("cannot write to standard error");
    };
    let opened = File::options().append(true).create(true).mode(0o600).open(path);
    opened.with_context(|| format!("cannot open the log file {}", path.display()))
}

fn lines(log: &Log, writer: &'static Writer) -> Lines {
    let level = level(log.level);
    // The library's own life of a channel is of interest only to those who ask for each decision.
    let library = if log.level < LogLevel::Debug { LevelFilter::WARN.min(level) } else { level };
    let filter = Targets::new().with_default(level).with_target("asyncore", library);
    let colours = log.file.is_none() && io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(move || writer).with_ansi(colours).with_target(false);
    match log.format {
        LogFormat::Json => filter.and_then(lines.json().flatten_event(true)).boxed(),
        LogFormat::Text if colours => filter.and_then(lines).boxed(),
        LogFormat::Text => filter.and_then(lines.event_format(line::Line)).boxed(),
    }
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => Level::ERROR.into(),
        LogLevel::Warn => Level::WARN.into(),
        LogLevel::Info => Level::INFO.into(),
        LogLevel::Debug => Level::DEBUG.into(),
        LogLevel::Trace => Level::TRACE.into(),
    }
}
