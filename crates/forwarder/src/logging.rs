//! Where log lines go, and what they look like.

mod line;
mod together;

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) use self::together::together;
use crate::config::{Log, LogFormat, LogLevel};

/// Logs to standard error from now on, as the configuration says.
pub(crate) fn start(log: Log) {
    let level = level(log.level);
    // The library's own life of a channel is of interest only to those who ask for each decision.
    let library = if log.level < LogLevel::Debug { LevelFilter::WARN.min(level) } else { level };
    let filter = Targets::new().with_default(level).with_target("asyncore", library);
    let colours = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(|| together::Stderr).with_ansi(colours).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start in one process, as tests make, leaves the first in place.
    let _ = match log.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text if colours => registry.with(lines).try_init(),
        LogFormat::Text => registry.with(lines.event_format(line::Line)).try_init(),
    };
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
