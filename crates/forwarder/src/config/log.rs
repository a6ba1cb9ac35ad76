//! What is logged.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is logged, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Nothing less important than this.
    pub level: LogLevel,
    /// For people or for programs.
    pub format: LogFormat,
    /// Appended to, and opened again at SIGUSR1; `None` is standard error.
    pub file: Option<PathBuf>,
}

/// How important a line is. The line at a connection's end is of level `info`.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Nothing at all.
    Off,
    /// What went wrong.
    Error,
    /// What may go wrong.
    Warn,
    /// One line for each connection at its end, and what happens to rules and targets.
    #[default]
    Info,
    /// Each decision about a connection.
    Debug,
    /// Each call.
    Trace,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// What is logged, and where.
#[derive(Args, Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Log")]
#[command(next_help_heading = "Log")]
pub struct LogOptions {
    /// What a line of the log looks like [default: text]
    #[arg(id = "log_format", long = "log-format", value_name = "FORMAT")]
    pub format: Option<LogFormat>,

    /// The least important lines that are logged [default: info]
    #[arg(id = "log_level", long = "log-level", value_name = "LEVEL")]
    pub level: Option<LogLevel>,

    /// File that the log is appended to [default: standard error]
    ///
    /// SIGUSR1 opens it again, for log rotation.
    #[arg(id = "log_file", long = "log-file", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl LogOptions {
    pub(super) fn over(self, base: Self) -> Self {
        LogOptions {
            format: self.format.or(base.format),
            level: self.level.or(base.level),
            file: self.file.or(base.file),
        }
    }

    pub(super) fn log(&self) -> Log {
        Log {
            level: self.level.unwrap_or_default(),
            format: self.format.unwrap_or_default(),
            file: self.file.clone(),
        }
    }
}
