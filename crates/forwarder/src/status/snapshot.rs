//! What one worker knows about its connections, of streams and of datagrams.

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
use crate::relay::{Connection, Half, Side, State};
use crate::udp::Session;

/// What a worker tells.
pub(crate) struct Snapshot {
    pub(crate) open: usize,
    pub(crate) stats: Stats,
    /// What the open connections moved so far, for each target.
    pub(crate) live: Vec<(Arc<TargetState>, Bytes)>,
    /// Some of the connections, in the order that was asked for.
    pub(crate) rows: Vec<Row>,
}

/// One connection, or one client's datagrams.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) worker: usize,
    pub(crate) token: Token,
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
    for View { connection, bytes, .. } in connections(map) {
        let sampled = &connection.sampled;
        let total = bytes.up + bytes.down;
        let rate = per_second(total, sampled.get().0, elapsed);
        sampled.set((total, rate));
    }
}

/// A connection as it is seen from its worker.
struct View<'m> {
    /// The client's side, or what is left when that has ended.
    token: Token,
    other: Option<Token>,
    connection: &'m Connection,
    state: ConnectionState,
    bytes: Bytes,
}

fn connections(map: &SocketMap) -> impl Iterator<Item = View<'_>> {
    map.tokens().filter_map(|token| stream(map, token).or_else(|| datagrams(map, token)))
}

fn stream(map: &SocketMap, token: Token) -> Option<View<'_>> {
    let half = map.get(token.cast::<Half>())?;
    let own = map.channel_stats(token)?.bytes_in;
    let other = half.other().and_then(|other| map.channel_stats(other));
    let (up, down, state) = match (half.side, other) {
        // The client's side tells about both.
        (Side::Target, Some(_)) => return None,
        (Side::Target, None) => (0, own, ConnectionState::Closing),
        (Side::Client, other) => {
            let state = match half.state {
                State::Dialing(_) => ConnectionState::Connecting,
                State::Relaying(_) => ConnectionState::Open,
                State::Closing | State::Replaced => ConnectionState::Closing,
            };
            (own, other.map_or(0, |it| it.bytes_in), state)
        }
    };
    let (noted_up, noted_down) = half.connection.bytes();
    Some(View {
        token,
        other: half.other().map(Token::untyped),
        connection: &half.connection,
        state,
        bytes: Bytes { up, down } + Bytes { up: noted_up, down: noted_down },
    })
}

fn datagrams(map: &SocketMap, token: Token) -> Option<View<'_>> {
    let session = map.get(token.cast::<Session>())?;
    let stats = map.channel_stats(token)?;
    Some(View {
        token,
        other: None,
        connection: &session.connection,
        state: ConnectionState::Open,
        bytes: Bytes { up: stats.bytes_out, down: stats.bytes_in },
    })
}

impl View<'_> {
    fn target(&self) -> Option<Arc<TargetState>> {
        let assignment = self.connection.assignment.borrow();
        assignment.as_ref().map(|assignment| Arc::clone(assignment.target()))
    }

    fn row(&self, map: &SocketMap, worker: usize) -> Row {
        let both = [Some(self.token), self.other];
        let stats = || both.iter().flatten().filter_map(|token| map.channel_stats(*token));
        Row {
            worker,
            token: self.token,
            rule: Arc::clone(&self.connection.serving.rule),
            client: self.connection.client,
            target: self.target(),
            state: self.state,
            age: map.now().saturating_duration_since(self.connection.started),
            idle: stats().map(|stats| stats.idle).min().unwrap_or_default(),
            bytes: self.bytes,
            per_second: self.connection.sampled.get().1,
            queued: stats().map(|stats| stats.output_len).sum(),
        }
    }
}
