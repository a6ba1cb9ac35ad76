//! Log lines: to `tracing`, and to standard error where the map does so.

use std::fmt;

use tracing::subscriber::NoSubscriber;

/// The type of a message given to [`Dispatcher::log_info`](crate::Dispatcher::log_info).
///
/// Python passed these as strings.
///
/// ```
/// use asyncore::{Dispatcher, LogType};
///
/// struct Thorough;
///
/// impl Dispatcher for Thorough {
///     fn ignore_log_types(&self) -> &[LogType] {
///         &[] // warnings too
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogType {
    /// Something happened.
    Info,
    /// An event came that no method was overridden for. Ignored by default, as in Python.
    Warning,
    /// A callback failed.
    Error,
}

impl fmt::Display for LogType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogType::Info => "info",
            LogType::Warning => "warning",
            LogType::Error => "error",
        })
    }
}

/// Emits one line of `kind`. With `to_stderr`, errors and warnings also go to standard error while
/// the program has set no `tracing` subscriber, as Python's did.
pub(crate) fn emit(kind: LogType, message: impl fmt::Display, to_stderr: bool) {
    match kind {
        LogType::Info => tracing::info!(target: "asyncore", "{message}"),
        LogType::Warning => tracing::warn!(target: "asyncore", "{message}"),
        LogType::Error => tracing::error!(target: "asyncore", "{message}"),
    }
    if to_stderr && kind != LogType::Info {
        let is_unheard = tracing::dispatcher::get_default(|it| it.is::<NoSubscriber>());
        if is_unheard {
            eprintln!("{kind}: {message}");
        }
    }
}
