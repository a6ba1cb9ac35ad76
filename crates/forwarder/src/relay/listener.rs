//! Accepting clients.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asyncore::{Channel, ChannelStats, Dispatcher, Result, Socket, SocketMap, Token};

use crate::policy::{AtCapacity, Refusal, Reservation, RuleCounts, Waiter};
use crate::relay::dial::{self, Arrival};
use crate::relay::{CloseReason, Half, preamble};
use crate::worker_rule::WorkerRule;

/// How many connections are accepted in one go, before other channels have their turn.
const BURST: usize = 64;
/// How long a limit may be reached, with clients waiting and no connection ending, until the listener
/// looks for a forwarding loop.
const STUCK_FOR: Duration = Duration::from_secs(10);
/// Minimum number of connections that a loop is taken for one.
const LEAST_LOOP: usize = 16;

/// A rule's listener: lets clients in and begins their connections.
pub(crate) struct Listener {
    pub(crate) worker_rule: Rc<WorkerRule>,
    waiter: Arc<Waiter>,
    /// A limit has to allow the next connection first.
    waiting: bool,
    /// Since when there has been no reservation for the next connection.
    stuck_since: Option<Instant>,
    /// How many more are let in before it closes, once it is about to.
    last: Option<u32>,
}

impl Listener {
    /// A listener whose channel is `ch`.
    ///
    /// # Errors
    /// When there is no descriptor for what wakes it when a connection has ended.
    pub(crate) fn new(worker_rule: Rc<WorkerRule>, ch: &mut Channel<'_>) -> io::Result<Self> {
        let waiter = waiter(&worker_rule, ch)?;
        Ok(Listener { worker_rule, waiter, waiting: false, stuck_since: None, last: None })
    }

    /// One on a simulated network, for tests, where the rule says.
    #[cfg(test)]
    pub(crate) fn simulated(map: &mut SocketMap, worker_rule: &Rc<WorkerRule>) -> Token<Self> {
        let crate::config::Listen::Tcp(addr) = worker_rule.rule.listen else {
            panic!("a simulated network has TCP only");
        };
        let listener = map.add_with(|ch| {
            ch.create_socket(asyncore::Domain::for_address(addr), asyncore::Type::STREAM)?;
            ch.bind(addr)?;
            ch.listen(worker_rule.rule.backlog)?;
            Listener::new(Rc::clone(worker_rule), ch)
        });
        listener.expect("an address that is free")
    }

    /// Lets the clients in the backlog in, which closing would reset, and closes. While a limit
    /// keeps them waiting it stays open, and counts among what the worker has to do; true if so.
    pub(crate) fn drain(&mut self, ch: &mut Channel<'_>) -> bool {
        // Others may come all the while, but no more wait now than the backlog holds.
        self.last = Some(self.worker_rule.rule.backlog);
        self.worker_rule.worker.begin();
        self.resume(ch);
        self.last.is_some()
    }

    /// Goes on with [`drain`](Self::drain).
    fn let_last_in(&mut self, ch: &mut Channel<'_>) {
        while let Some(last @ 1..) = self.last {
            match self.let_next_in(ch, true) {
                Ok(true) => self.last = Some(last - 1),
                _ if self.waiting => return,
                _ => break,
            }
        }
        self.close(ch);
    }

    /// Closes at once, also while clients wait.
    fn close(&mut self, ch: &mut Channel<'_>) {
        if self.last.take().is_some() {
            self.worker_rule.worker.end();
        }
        ch.close();
    }

    /// The limit may allow the next connection now.
    fn resume(&mut self, ch: &mut Channel<'_>) {
        self.waiting = false;
        self.stuck_since = None;
        if self.last.is_some() {
            return self.let_last_in(ch);
        }
        // Not when the socket is ready: if no client waits any more, another listener's turn has come.
        let _ = self.handle_accept(ch);
    }

    /// Lets the next client in, or refuses it; false without one, or if it has to wait.
    fn let_next_in(&mut self, ch: &mut Channel<'_>, client_waits: bool) -> io::Result<bool> {
        if let Some(wait) = self.worker_rule.state.pause(ch.now()) {
            self.waiting = true;
            let this = ch.token::<Listener>();
            ch.call_later(wait, move |map| {
                map.with(this, Listener::resume);
                Ok(())
            });
            return Ok(false);
        }
        let Some(reservation) = self.reserve(ch, client_waits) else {
            return Ok(false);
        };
        let Some((sock, peer)) = ch.accept()? else {
            return Ok(false);
        };
        self.let_in(ch, reservation, sock, peer);
        Ok(true)
    }

    /// A reservation for the next client; without one, a client that is known to wait stays in the
    /// backlog until another connection has ended.
    fn reserve(&mut self, ch: &mut Channel<'_>, client_waits: bool) -> Option<Reservation> {
        let state = &self.worker_rule.state;
        if !client_waits {
            return state.reserve().ok();
        }
        let AtCapacity { refusal, is_news } = match state.reserve_or_wait(&self.waiter, ch.now()) {
            Ok(reservation) => return Some(reservation),
            Err(at_capacity) => at_capacity,
        };
        self.waiting = true;
        if self.stuck_since.is_none() {
            self.watch_for_loop(ch, refusal);
        }
        if is_news {
            let rule = &self.worker_rule.rule.name;
            tracing::warn!(%rule, "clients wait until others have gone: {refusal}");
        }
        None
    }

    /// Ends a forwarding loop through other processes, which no configuration shows: each connection
    /// makes the next one until a limit is reached, and none ever gets an answer. To reset one of them
    /// ends them all.
    fn watch_for_loop(&mut self, ch: &mut Channel<'_>, refusal: Refusal) {
        let (this, since) = (ch.token::<Listener>(), ch.now());
        self.stuck_since = Some(since);
        ch.call_later(STUCK_FOR, move |map| {
            let is_stuck = |listener: &Listener| listener.stuck_since == Some(since);
            let Some(listener) = map.get(this).filter(|listener| is_stuck(listener)) else {
                return Ok(());
            };
            if let Some(oldest) = looping(map, refusal, listener.worker_rule.state.counts()) {
                dial::end(map, oldest, CloseReason::Loop);
            }
            map.with(this, |listener, ch| {
                if is_stuck(listener) {
                    listener.watch_for_loop(ch, refusal);
                }
            });
            Ok(())
        });
    }

    /// Begins the connection of a client that was accepted, or closes it.
    fn let_in(
        &mut self,
        ch: &mut Channel<'_>,
        reservation: Reservation,
        sock: Socket,
        peer: Option<SocketAddr>,
    ) {
        let worker_rule = &self.worker_rule;
        let proxy = peer.filter(|peer| worker_rule.proxies.contains(peer.ip()));
        // Of a proxy's client nothing is known yet.
        let client = if proxy.is_some() { None } else { peer };
        match worker_rule.state.admit_to(reservation, ch.now(), client.map(|client| client.ip())) {
            Ok(permit) => match proxy {
                Some(proxy) => preamble::begin(ch, worker_rule, sock, proxy, permit),
                None => {
                    let (destination, hops, early) = (None, 0, Vec::new());
                    let arrival = Arrival { sock, client, destination, hops, early, permit };
                    dial::begin(ch, worker_rule, arrival);
                }
            },
            Err(refusal) => tracing::debug!(
                rule = %self.worker_rule.rule.name,
                client = peer.as_ref().map(tracing::field::display),
                "refused: {refusal}"
            ),
        }
    }
}

/// Finds the oldest connection of what looks like a loop: most of the connections that count in the
/// limit come from one address, and nothing has moved on them since their targets got the first bytes.
fn looping(map: &SocketMap, refusal: Refusal, counts: &Arc<RuleCounts>) -> Option<Token<Half>> {
    let mut all = 0;
    let mut silent: HashMap<Option<IpAddr>, Vec<(Instant, Token<Half>)>> = HashMap::new();
    for token in map.tokens().map(Token::cast::<Half>) {
        let Some(half) = map.get(token).filter(|half| half.is_target_of(refusal, counts)) else {
            continue;
        };
        all += 1;
        let is_silent = |stats: ChannelStats| stats.bytes_in == 0 && stats.idle >= STUCK_FOR / 2;
        if map.channel_stats(token).is_some_and(is_silent) {
            let ip = half.connection.client.map(|client| client.ip());
            silent.entry(ip).or_default().push((half.connection.started, token));
        }
    }
    let most = silent.into_values().max_by_key(Vec::len)?;
    let is_loop = most.len() >= LEAST_LOOP && most.len() * 2 > all;
    most.into_iter().min_by_key(|(started, _)| *started).filter(|_| is_loop).map(|(_, token)| token)
}

/// What wakes the listener whose channel is `ch` from any thread.
fn waiter(worker_rule: &WorkerRule, ch: &mut Channel<'_>) -> io::Result<Arc<Waiter>> {
    let (this, trigger) = (ch.token::<Listener>(), ch.trigger()?);
    // The counts keep the waiter, and are not to keep themselves.
    let counts = Arc::downgrade(worker_rule.state.counts());
    Ok(Waiter::new(move || {
        let counts = counts.clone();
        let pulled = trigger.pull_trigger(move |map| {
            if map.with(this, Listener::resume).is_none() {
                // It has closed; another listener's turn has come.
                if let Some(counts) = counts.upgrade() {
                    counts.pass_on();
                }
            }
            Ok(())
        });
        if let Err(error) = pulled {
            tracing::error!("a listener that waits cannot be woken: {error}");
        }
    }))
}

/// Closes a listener that is about to close, also while clients wait.
pub(crate) fn end(map: &mut SocketMap, token: Token<Listener>) {
    map.with(token, |listener, ch| listener.close(ch));
}

impl Dispatcher for Listener {
    fn readable(&self, _ch: &Channel<'_>) -> bool {
        !self.waiting
    }

    fn handle_accept(&mut self, ch: &mut Channel<'_>) -> Result {
        for turn in 0..BURST {
            // Only the first accept tells whether clients are queued.
            if !self.let_next_in(ch, turn == 0)? {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
