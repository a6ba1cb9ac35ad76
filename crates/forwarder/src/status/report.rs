//! What the status page tells: the form of `/status.json`.

use serde::{Deserialize, Serialize};

/// Everything, at one moment. Times are seconds; "up" is from the client to the target.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) version: String,
    pub(crate) uptime: f64,
    pub(crate) draining: bool,
    /// Whether whoever has the token can end connections and drain targets.
    pub(crate) actions: bool,
    pub(crate) workers: Vec<WorkerReport>,
    /// Connections open now, and how many may be.
    pub(crate) open: usize,
    pub(crate) max_connections: usize,
    pub(crate) total: Counts,
    pub(crate) per_second: Rates,
    /// Lines of the log that nothing read in time.
    pub(crate) log_lines_dropped: u64,
    pub(crate) history: History,
    pub(crate) rules: Vec<RuleReport>,
    /// The first of the connections in the order that was asked for.
    pub(crate) connections: Vec<ConnectionReport>,
    /// How many more there are.
    pub(crate) connections_left_out: usize,
}

/// A loop and its thread.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct WorkerReport {
    /// Whether it answered within a second; if not, its connections are missing here.
    pub(crate) answers: bool,
    pub(crate) open: usize,
    pub(crate) passes: u64,
    pub(crate) events: u64,
    pub(crate) errors: u64,
}

/// Counted since the start.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

/// What [`Counts`] grew by in the last second.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Rates {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

/// The last five minutes, oldest first, one value a second.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct History {
    /// How long ago each second ended.
    pub(crate) ago: Vec<f64>,
    pub(crate) open: Vec<usize>,
    pub(crate) accepted: Vec<u64>,
    pub(crate) bytes_up: Vec<u64>,
    pub(crate) bytes_down: Vec<u64>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct RuleReport {
    pub(crate) name: String,
    pub(crate) listen: String,
    pub(crate) balance: String,
    pub(crate) open: usize,
    pub(crate) max_connections: usize,
    /// How many addresses have connections.
    pub(crate) clients: usize,
    pub(crate) accepted: u64,
    pub(crate) refused: Vec<ForReason>,
    /// How often clients had to wait in the backlog for a place.
    pub(crate) waits: Vec<ForReason>,
    /// Connections that were closed.
    pub(crate) ended: Vec<ForReason>,
    /// Datagrams that were not passed on.
    pub(crate) dropped: Vec<ForReason>,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    pub(crate) bytes_up_per_second: u64,
    pub(crate) bytes_down_per_second: u64,
    pub(crate) targets: Vec<TargetReport>,
}

/// How often something happened for one reason.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct ForReason {
    pub(crate) reason: String,
    pub(crate) count: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct TargetReport {
    pub(crate) endpoint: String,
    pub(crate) weight: u32,
    pub(crate) health: HealthReport,
    /// Seconds for which the target still backs off.
    pub(crate) retry_in: Option<f64>,
    pub(crate) drained: bool,
    pub(crate) active: usize,
    pub(crate) total: u64,
    pub(crate) failures: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    pub(crate) bytes_up_per_second: u64,
    pub(crate) bytes_down_per_second: u64,
    pub(crate) last_error: Option<ErrorReport>,
}

/// The state of a target, in the words that page and report show.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HealthReport {
    /// It was never used nor checked.
    Unknown,
    Up,
    /// A connection failed, and the target gets none for a while.
    #[serde(rename = "backing off")]
    BackingOff,
    /// Health checks failed.
    Down,
    /// It keeps its connections and gets no new ones.
    Draining,
}

impl HealthReport {
    /// Whether nothing is known to be wrong.
    pub(crate) fn is_available(self) -> bool {
        matches!(self, HealthReport::Unknown | HealthReport::Up | HealthReport::Draining)
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct ErrorReport {
    pub(crate) ago: f64,
    pub(crate) text: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct ConnectionReport {
    /// To end it by; unique as long as the process runs.
    pub(crate) id: String,
    pub(crate) rule: String,
    /// `None` on a Unix socket.
    pub(crate) client: Option<String>,
    /// `None` until one is chosen.
    pub(crate) target: Option<String>,
    pub(crate) state: ConnectionState,
    pub(crate) age: f64,
    /// Seconds until the target was connected; `None` before that.
    pub(crate) connect_time: Option<f64>,
    /// How long no byte came or went.
    pub(crate) idle: f64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    /// Both directions, in the last second.
    pub(crate) per_second: u64,
    /// Bytes that were received and wait to be sent, in all, to the target, and to the client.
    pub(crate) queued: usize,
    pub(crate) queued_up: usize,
    pub(crate) queued_down: usize,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ConnectionState {
    Connecting,
    Open,
    Closing,
}

#[cfg(test)]
mod sample;
#[cfg(test)]
pub(crate) use self::sample::sample;
