//! What both halves of a connection share.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use asyncore::{Address, Channel, Timer, Token};

use crate::capture::{Captures, Subject, Tap};
use crate::exhaustion::Exhaustion;
use crate::logging::Entry;
use crate::policy::{Assignment, Permit, Throttle};
use crate::registry::Number;
use crate::relay::close_reason::CloseReason;
use crate::relay::proxy_header::Ends;
use crate::worker_rule::WorkerRule;

/// The client's side of a connection, or the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Client => "client",
            Side::Target => "target",
        })
    }
}

/// A client's connection, from accept to its end.
pub(crate) struct Connection {
    pub(crate) worker_rule: Rc<WorkerRule>,
    number: Cell<Number>,
    pub(crate) client: Option<SocketAddr>,
    /// Where the client connected to, if a PROXY header names it.
    pub(crate) destination: Cell<Option<SocketAddr>>,
    /// The forwarders before this one, as [`Header::hops`](super::proxy_header::Header::hops).
    pub(crate) hops: Cell<u8>,
    /// What came from the client together with its PROXY header, until there is a target.
    pub(crate) early: Cell<Vec<u8>>,
    pub(crate) started: Instant,
    /// What few connections have is boxed: an idle one should cost little.
    pub(crate) throttle: Option<Box<RefCell<Throttle>>>,
    pub(crate) lifetime: Cell<Option<Timer>>,
    /// The targets that are not to be tried again.
    pub(crate) tried: RefCell<Vec<usize>>,
    pub(crate) assignment: RefCell<Option<Assignment>>,
    /// The capture of the connection, from when it has a target.
    pub(crate) tap: RefCell<Option<Box<Tap>>>,
    /// Microseconds that it took to connect to the target, at most 71 minutes; 0 until then.
    connect_micros: Cell<u32>,
    close_reason: RefCell<Option<CloseReason>>,
    /// Bytes from the client, and from the target.
    bytes: Cell<(u64, u64)>,
    /// All bytes so far at the status page's last look, and bytes a second before that.
    pub(crate) sampled: Cell<(u64, u64)>,
    _permit: Permit,
}

impl Connection {
    pub(crate) fn new(
        worker_rule: Rc<WorkerRule>,
        client: Option<SocketAddr>,
        permit: Permit,
        now: Instant,
    ) -> Rc<Self> {
        let throttle = worker_rule.state.throttle(now).map(|it| Box::new(RefCell::new(it)));
        worker_rule.worker.begin();
        Rc::new(Connection {
            worker_rule,
            number: Cell::new(0),
            client,
            destination: Cell::new(None),
            hops: Cell::new(0),
            early: Cell::default(),
            started: now,
            throttle,
            lifetime: Cell::new(None),
            tried: RefCell::new(Vec::new()),
            assignment: RefCell::new(None),
            tap: RefCell::new(None),
            connect_micros: Cell::new(0),
            close_reason: RefCell::new(None),
            bytes: Cell::new((0, 0)),
            sampled: Cell::new((0, 0)),
            _permit: permit,
        })
    }

    /// Its number on its worker, from when it has a channel.
    pub(crate) fn number(&self) -> Number {
        self.number.get()
    }

    /// Notes the channel that stands for the connection.
    pub(crate) fn note_channel(&self, channel: Token) {
        let registry = &self.worker_rule.worker.registry;
        match self.number.get() {
            0 => self.number.set(registry.add(channel)),
            number => registry.replace(number, channel),
        }
    }

    /// Notes why the connection ends. The first reason counts, except that a half that ended in
    /// good order does not hide that the connection was cut off later.
    pub(crate) fn note_close(&self, reason: CloseReason) {
        let mut noted = self.close_reason.borrow_mut();
        if noted.as_ref().is_none_or(|noted| !noted.cuts_off() && reason.cuts_off()) {
            *noted = Some(reason);
        }
    }

    /// Notes that the target is connected.
    pub(crate) fn note_connected(&self, now: Instant) {
        if let Some(assignment) = &*self.assignment.borrow() {
            let time = now.saturating_duration_since(assignment.began());
            self.connect_micros.set(u32::try_from(time.as_micros()).unwrap_or(u32::MAX).max(1));
            self.worker_rule.state.counts().note_connected(time);
        }
        self.note_up();
    }

    /// Notes that the target works, as a connection or an answer shows.
    pub(crate) fn note_up(&self) {
        if let Some(assignment) = self.assignment.borrow().as_ref().filter(|it| it.succeeded()) {
            let (rule, target) = (&self.worker_rule.rule.name, assignment.target().name());
            tracing::info!(%rule, %target, "the target is up again");
        }
    }

    /// How long it took to connect to the target; `None` until it is connected.
    pub(crate) fn connect_time(&self) -> Option<Duration> {
        let micros = self.connect_micros.get();
        (micros > 0).then(|| Duration::from_micros(micros.into()))
    }

    /// Whether neither side's bytes have gone through, as far as halves that have ended tell, and
    /// nothing has ended it.
    pub(crate) fn is_unused(&self) -> bool {
        self.bytes.get() == (0, 0) && self.close_reason.borrow().is_none()
    }

    /// Notes that connecting to a target has failed. It is logged when the target backs off for this,
    /// and not for each connection that meets the same: returns whether it was.
    pub(crate) fn note_failure(
        &self,
        assignment: &Assignment,
        now: Instant,
        error: &dyn fmt::Display,
        exhaustion: Option<Exhaustion>,
    ) -> bool {
        let (rule, target) = (&self.worker_rule.rule.name, assignment.target().name());
        if exhaustion.is_some() {
            // A good target must not back off because this machine is short of something.
            let is_news = self.worker_rule.state.counts().process().shortage_is_news(now);
            if is_news {
                tracing::error!(
                    %rule, %target,
                    "this machine is short of descriptors, memory or ports, not the target's fault \
                     (logged once a minute): {error}"
                );
            }
            return is_news;
        }
        let Some(backoff) = assignment.failed(now, error) else {
            tracing::debug!(%rule, %target, "{error}");
            return false;
        };
        tracing::warn!(%rule, %target, backs_off_seconds = backoff.as_secs_f64(), "{error}");
        true
    }

    /// Notes that a target could not be used, so that another one's turn comes.
    pub(crate) fn note_tried(&self, assignment: &Assignment) {
        let targets = self.worker_rule.state.targets();
        let index = targets.iter().position(|target| Arc::ptr_eq(target, assignment.target()));
        self.tried.borrow_mut().extend(index);
    }

    /// Has the connection captured by what `begin` begins, if it is one of the chosen; `target` is
    /// the address of the target, which has been assigned.
    pub(crate) fn capture(
        &self,
        target: Option<&Address>,
        begin: impl FnOnce(&Arc<Captures>, &Subject<'_>) -> Option<Tap>,
    ) {
        let Some(captures) = self.worker_rule.worker.captures() else {
            return;
        };
        let assignment = self.assignment.borrow();
        let Some(endpoint) = assignment.as_ref().map(|it| it.target().endpoint()) else {
            return;
        };
        let subject = Subject {
            rule: &self.worker_rule.rule.name,
            client: self.client,
            target: endpoint,
            target_addr: target.and_then(Address::inet),
        };
        self.tap.replace(begin(&captures, &subject).map(Box::new));
    }

    /// Keeps what was received from the client before its half was there.
    pub(crate) fn note_early(&self, bytes: Vec<u8>) {
        self.note_bytes(Side::Client, bytes.len() as u64);
        self.early.replace(bytes);
    }

    /// Notes what was received from a side by its end.
    pub(crate) fn note_bytes(&self, side: Side, received: u64) {
        let (up, down) = self.bytes.get();
        self.bytes.set(match side {
            Side::Client => (up + received, down),
            Side::Target => (up, down + received),
        });
    }

    /// What halves that have ended received: from the client, and from the target.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.bytes.get()
    }

    /// Whether the connection ends at once, without sending what is queued.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.close_reason.borrow().as_ref().is_some_and(CloseReason::cuts_off)
    }

    /// The connection's two ends as the client sees them, which is what a PROXY header tells;
    /// `local` is our end of the client's socket.
    pub(crate) fn ends(&self, local: Option<SocketAddr>) -> Option<Ends> {
        Some(Ends { source: self.client?, destination: self.destination.get().or(local)? })
    }

    /// Stops what was timed from when the connection had a target.
    pub(crate) fn cancel_lifetime(&self, ch: &mut Channel<'_>) {
        if let Some(timer) = self.lifetime.take() {
            ch.cancel(timer);
        }
    }

    /// Ends what never began. A client whose datagrams have nowhere to go may send thousands, so
    /// this is not worth a line of the log.
    pub(crate) fn discard(&self) {
        self.worker_rule.worker.end();
    }

    /// The last act, when both halves have ended: counts the bytes, and logs the connection if it
    /// `is_worth_a_line`.
    pub(crate) fn finish(&self, ch: &mut Channel<'_>, is_worth_a_line: bool) {
        self.cancel_lifetime(ch);
        let bytes = self.bytes.get();
        let assignment = self.assignment.take();
        if let Some(assignment) = &assignment {
            assignment.add_bytes(bytes.0, bytes.1);
        }
        let entry = Entry {
            rule: Arc::clone(&self.worker_rule.rule),
            client: self.client,
            target: assignment.as_ref().map(|it| Arc::clone(it.target())),
            bytes,
            lasted: ch.now().saturating_duration_since(self.started),
            reason: self.close_reason.take(),
        };
        let reason = entry.reason.as_ref().map(CloseReason::reason);
        self.worker_rule.state.counts().note_ended(reason, entry.lasted);
        if is_worth_a_line {
            self.worker_rule.worker.access_log().add(ch, entry);
        }
        self.worker_rule.worker.registry.remove(self.number.get());
        self.worker_rule.worker.end();
    }
}

#[cfg(test)]
mod tests;
