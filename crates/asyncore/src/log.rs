//! Log lines: to `tracing`, and to standard error if the map enables that.

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
    /// An ordinary event.
    Info,
    /// An event whose method the handler does not override. Ignored by default, as in Python.
    Warning,
    /// A failed callback.
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

/// Emits one line of `kind`. With `to_stderr`, errors and warnings also go to standard error, as in
/// Python, if the program has set no `tracing` subscriber.
pub(crate) fn emit(kind: LogType, message: impl fmt::Display, to_stderr: bool) {
    match kind {
        LogType::Info => tracing::info!(target: "asyncore", "{message}"),
        LogType::Warning => tracing::warn!(target: "asyncore", "{message}"),
        LogType::Error => tracing::error!(target: "asyncore", "{message}"),
    }
    if to_stderr && kind != LogType::Info {
        let has_no_subscriber = tracing::dispatcher::get_default(|it| it.is::<NoSubscriber>());
        if has_no_subscriber {
            eprintln!("{kind}: {message}");
        }
    }
}
