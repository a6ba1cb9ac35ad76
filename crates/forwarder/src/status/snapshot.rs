//! Snapshots: the connections of one worker, of streams and of datagrams.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use asyncore::{SocketMap, Stats, Token};

use super::actions::ConnectionId;
use super::report::ConnectionState;
use super::totals::{ByTarget, Bytes, per_second};
use crate::config::{Endpoint, Rule};
use crate::policy::TargetState;
use crate::registry::{Number, Registry};
use crate::relay::{Connection, Half, Side, State};
use crate::udp::Session;
use crate::worker::Worker;

/// Channels that a worker looks at in one pass, some 50 us of work, so that a report delays no
/// traffic.
pub(super) const CHANNELS_PER_PASS: usize = 256;

/// What a worker reports.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) open: usize,
    pub(crate) stats: Stats,
    /// The bytes of open connections so far, by target.
    pub(crate) by_target: ByTarget,
    /// The connections, if they were asked for.
    pub(crate) rows: Vec<Row>,
}

/// One connection, or one client's datagrams.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) worker: usize,
    pub(crate) number: Number,
    pub(crate) rule: Arc<Rule>,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) target: Option<Arc<TargetState>>,
    pub(crate) state: ConnectionState,
    pub(crate) age: Duration,
    pub(crate) connect_time: Option<Duration>,
    pub(crate) idle: Duration,
    pub(crate) bytes: Bytes,
    pub(crate) per_second: u64,
    pub(crate) queued_up: usize,
    pub(crate) queued_down: usize,
}

impl Row {
    pub(crate) fn id(&self) -> ConnectionId {
        ConnectionId { worker: self.worker, number: self.number }
    }

    /// Bytes that wait to be sent on, in both directions.
    pub(crate) fn queued(&self) -> usize {
        self.queued_up + self.queued_down
    }

    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        self.target.as_ref().map(|target| target.endpoint())
    }
}

/// A walk over all connections of a worker, one slice in each pass.
pub(crate) struct Scan {
    pub(crate) worker: usize,
    pub(crate) with_rows: bool,
    /// The time since the last scan in seconds; rates are computed for this time.
    pub(crate) elapsed: f64,
    pub(crate) done: Box<dyn FnOnce(Snapshot) + Send>,
}

/// A scan under way.
struct Walk {
    scan: Scan,
    /// The channels still to look at.
    tokens: Vec<Token>,
    /// The place of each target in the snapshot.
    places: HashMap<*const TargetState, usize>,
    snapshot: Snapshot,
}

impl Scan {
    /// Begins at the `worker` of this map.
    pub(crate) fn start(self, map: &mut SocketMap, worker: Token<Worker>) {
        let registry = Worker::registry(map, worker);
        let tokens = registry.map(Registry::channels).unwrap_or_default();
        let places = HashMap::new();
        Walk { scan: self, tokens, places, snapshot: Snapshot::default() }.step(map);
    }
}

impl Walk {
    fn step(mut self, map: &mut SocketMap) {
        let rest = self.tokens.len().saturating_sub(CHANNELS_PER_PASS);
        for token in self.tokens.split_off(rest) {
            if let Some(view) = stream(map, token).or_else(|| datagrams(map, token)) {
                self.add(map, &view);
            }
        }
        if self.tokens.is_empty() {
            self.snapshot.stats = map.stats();
            return (self.scan.done)(self.snapshot);
        }
        map.call_later(Duration::ZERO, move |map| {
            self.step(map);
            Ok(())
        });
    }

    fn add(&mut self, map: &SocketMap, view: &View<'_>) {
        let snapshot = &mut self.snapshot;
        let total = view.bytes.up + view.bytes.down;
        let sampled = &view.connection.sampled;
        sampled.set((total, per_second(total, sampled.get().0, self.scan.elapsed)));
        snapshot.open += 1;
        if let Some(target) = view.target() {
            let place = *self.places.entry(Arc::as_ptr(&target)).or_insert_with(|| {
                snapshot.by_target.push((target, Bytes::default()));
                snapshot.by_target.len() - 1
            });
            snapshot.by_target[place].1 += view.bytes;
        }
        if self.scan.with_rows {
            snapshot.rows.push(view.row(map, self.scan.worker));
        }
    }
}

/// A connection as it is seen from its worker.
struct View<'m> {
    client: Option<Token>,
    target: Option<Token>,
    connection: &'m Connection,
    state: ConnectionState,
    bytes: Bytes,
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
    let (client, target) = match half.side {
        Side::Client => (Some(token), half.other().map(Token::untyped)),
        Side::Target => (None, Some(token)),
    };
    Some(View {
        client,
        target,
        connection: &half.connection,
        state,
        bytes: Bytes { up: up + noted_up, down: down + noted_down },
    })
}

fn datagrams(map: &SocketMap, token: Token) -> Option<View<'_>> {
    let session = map.get(token.cast::<Session>())?;
    let stats = map.channel_stats(token)?;
    Some(View {
        client: None,
        target: Some(token),
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
        let stats = [self.client, self.target].map(|token| map.channel_stats(token?));
        let queued = stats.map(|stats| stats.map_or(0, |stats| stats.output_len));
        Row {
            worker,
            number: self.connection.number(),
            rule: Arc::clone(&self.connection.worker_rule.rule),
            client: self.connection.client,
            target: self.target(),
            state: self.state,
            age: map.now().saturating_duration_since(self.connection.started),
            connect_time: self.connection.connect_time(),
            idle: stats.iter().flatten().map(|stats| stats.idle).min().unwrap_or_default(),
            bytes: self.bytes,
            per_second: self.connection.sampled.get().1,
            queued_up: queued[1],
            queued_down: queued[0],
        }
    }
}
