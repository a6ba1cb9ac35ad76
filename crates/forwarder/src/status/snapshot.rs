//! What one worker knows about its connections.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use asyncore::{SocketMap, Stats, Token};

use super::bytes::{Bytes, per_second};
use super::id::ConnectionId;
use super::listing::Listing;
use super::report::ConnectionState;
use crate::config::{Endpoint, Rule};
use crate::policy::TargetState;
use crate::relay::{Half, Side};

/// What a worker tells.
pub(crate) struct Snapshot {
    pub(crate) open: usize,
    pub(crate) stats: Stats,
    /// What the open connections moved so far, for each target.
    pub(crate) live: Vec<(Arc<TargetState>, Bytes)>,
    /// Some of the connections, in the order that was asked for.
    pub(crate) rows: Vec<Row>,
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) worker: usize,
    /// The client's side, or what is left when that has ended.
    pub(crate) token: Token<Half>,
    pub(crate) rule: Arc<Rule>,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) target: Option<Arc<TargetState>>,
    pub(crate) state: ConnectionState,
    pub(crate) age: Duration,
    pub(crate) idle: Duration,
    pub(crate) bytes: Bytes,
    pub(crate) per_second: u64,
    pub(crate) queued: usize,
}

impl Row {
    pub(crate) fn id(&self) -> ConnectionId {
        ConnectionId::new(self.worker, self.token)
    }

    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        self.target.as_ref().map(|target| target.endpoint())
    }
}

/// Looks at all connections of a worker, without a system call: some 100 ns for each.
pub(crate) fn take(map: &SocketMap, worker: usize, listing: &Listing) -> Snapshot {
    let mut live: HashMap<*const TargetState, (Arc<TargetState>, Bytes)> = HashMap::new();
    let mut rows = Vec::new();
    let mut open = 0;
    for view in connections(map) {
        open += 1;
        if let Some(target) = view.target() {
            let (_, bytes) =
                live.entry(Arc::as_ptr(&target)).or_insert_with(|| (target, Bytes::default()));
            *bytes += view.bytes;
        }
        if listing.limit > 0 {
            rows.push(view.row(map, worker));
            // Whoever is not among the first so far never will be.
            if rows.len() >= 4 * listing.limit.max(256) {
                listing.apply(&mut rows);
            }
        }
    }
    listing.apply(&mut rows);
    Snapshot { open, stats: map.stats(), live: live.into_values().collect(), rows }
}

/// Notes for each connection how fast it was since the last time, `elapsed` seconds ago.
pub(crate) fn sample(map: &SocketMap, elapsed: f64) {
    for View { half, bytes, .. } in connections(map) {
        let sampled = &half.connection.sampled;
        let total = bytes.up + bytes.down;
        let rate = per_second(total, sampled.get().0, elapsed);
        sampled.set((total, rate));
    }
}

/// A connection as it is seen from its worker.
struct View<'m> {
    token: Token<Half>,
    half: &'m Half,
    bytes: Bytes,
}

fn connections(map: &SocketMap) -> impl Iterator<Item = View<'_>> {
    map.tokens().filter_map(|token| {
        let token = token.cast::<Half>();
        let half = map.get(token)?;
        let other = half.other.and_then(|other| map.channel_stats(other));
        let own = map.channel_stats(token)?.bytes_in;
        // What has ended has noted its bytes.
        let (up, down) = half.connection.bytes();
        let bytes = match (half.side, other) {
            (Side::Client, other) => Bytes { up: own, down: other.map_or(down, |it| it.bytes_in) },
            (Side::Target, None) => Bytes { up, down: own },
            // The client's side tells about both.
            (Side::Target, Some(_)) => return None,
        };
        Some(View { token, half, bytes })
    })
}

impl View<'_> {
    fn target(&self) -> Option<Arc<TargetState>> {
        let assignment = self.half.connection.assignment.borrow();
        assignment.as_ref().map(|assignment| Arc::clone(assignment.target()))
    }

    fn row(&self, map: &SocketMap, worker: usize) -> Row {
        let connection = &self.half.connection;
        let both = [Some(self.token), self.half.other];
        let stats = || both.iter().flatten().filter_map(|token| map.channel_stats(*token));
        Row {
            worker,
            token: self.token,
            rule: Arc::clone(&connection.serving.rule),
            client: connection.client,
            target: self.target(),
            state: match self.half.side {
                Side::Target => ConnectionState::Closing,
                Side::Client if self.half.open => ConnectionState::Open,
                Side::Client => ConnectionState::Connecting,
            },
            age: map.now().saturating_duration_since(connection.started),
            idle: stats().map(|stats| stats.idle).min().unwrap_or_default(),
            bytes: self.bytes,
            per_second: connection.sampled.get().1,
            queued: stats().map(|stats| stats.output_len).sum(),
        }
    }
}
