//! One loop, serving all rules, on one thread.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, SocketMap, Token};

use crate::capture::Captures;
use crate::config::{Listen, Rule};
use crate::health_check::Checks;
use crate::listener_handle::ListenerHandle;
use crate::logging::AccessLog;
use crate::policy::RuleState;
use crate::registry::Registry;
use crate::relay::{self, CloseReason, listener, preamble};
use crate::resolver;
use crate::shared::{Drain, Shared};
use crate::udp;
use crate::worker_rule::WorkerRule;

/// Changes of rules that a worker makes before it serves clients again.
const CHANGES_PER_PASS: usize = 32;

/// What a worker is to do about one rule.
pub(crate) enum RuleChange {
    /// To serve it, with this worker's own listening sockets if the address is new; one worker
    /// also checks the targets.
    Serve { rule: Arc<Rule>, state: Arc<RuleState>, sockets: Vec<socket2::Socket>, checks: bool },
    /// To give the address back.
    Remove(Listen),
}

/// A worker's own channel, without a socket: what holds its listeners, and what closures from
/// other threads reach by its token.
pub(crate) struct Worker {
    rules: HashMap<Listen, Listeners>,
    changes: VecDeque<RuleChange>,
    drains: bool,
    state: Rc<WorkerState>,
}

/// What a worker has of one rule.
#[derive(Default)]
struct Listeners {
    listeners: Vec<ListenerHandle>,
    /// Go on for as long as this is held.
    checks: Option<Rc<Checks>>,
}

/// What the connections of one worker share: captures, access log, registry, and the count that ends
/// a drain.
pub(crate) struct WorkerState {
    shared: Arc<Shared>,
    captures: RefCell<Option<Arc<Captures>>>,
    access_log: Rc<AccessLog>,
    pub(crate) registry: Registry,
    open: Cell<usize>,
    draining: Cell<bool>,
}

impl WorkerState {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        WorkerState {
            shared,
            captures: RefCell::default(),
            access_log: Rc::default(),
            registry: Registry::default(),
            open: Cell::new(0),
            draining: Cell::new(false),
        }
    }

    pub(crate) fn captures(&self) -> Option<Arc<Captures>> {
        self.captures.borrow().clone()
    }

    pub(crate) fn access_log(&self) -> &Rc<AccessLog> {
        &self.access_log
    }

    pub(crate) fn begin(&self) {
        self.open.set(self.open.get() + 1);
    }

    pub(crate) fn end(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.check();
    }

    fn check(&self) {
        if self.draining.get() && self.open.get() == 0 {
            self.draining.set(false);
            self.shared.worker_drained();
        }
    }
}

impl Dispatcher for Worker {}

impl Worker {
    /// Adds the worker to its map.
    pub(crate) fn start(map: &mut SocketMap, shared: Arc<Shared>) -> std::io::Result<Token<Self>> {
        map.add_with(|_ch| {
            let state = Rc::new(WorkerState::new(shared));
            let (rules, changes) = (HashMap::new(), VecDeque::new());
            Ok(Worker { rules, changes, drains: false, state })
        })
    }

    /// The connections of a worker of this map.
    pub(crate) fn registry(map: &SocketMap, worker: Token<Self>) -> Option<&Registry> {
        map.get(worker).map(|worker| &worker.state.registry)
    }

    /// Captures these connections from now on.
    pub(crate) fn set_captures(&self, captures: Option<Arc<Captures>>) {
        self.state.captures.replace(captures);
    }

    /// Makes changes, some in each pass; connections that run are not touched.
    pub(crate) fn apply(&mut self, ch: &mut Channel<'_>, changes: Vec<RuleChange>) {
        if self.drains {
            return;
        }
        let waits = !self.changes.is_empty();
        self.changes.extend(changes);
        if !waits {
            self.apply_some(ch);
        }
    }

    fn apply_some(&mut self, ch: &mut Channel<'_>) {
        for change in self.changes.drain(..CHANGES_PER_PASS.min(self.changes.len())) {
            match change {
                RuleChange::Serve { rule, state, sockets, checks } => {
                    let worker_rule = Rc::new(WorkerRule::new(rule, state, Rc::clone(&self.state)));
                    let listeners = self.rules.entry(worker_rule.rule.listen.clone()).or_default();
                    listeners.serve(ch, &worker_rule, sockets);
                    // The checks of the rule as it was end with this.
                    listeners.checks = checks.then(|| Checks::start(ch, &worker_rule)).flatten();
                }
                RuleChange::Remove(listen) => {
                    let removed = self.rules.remove(&listen).unwrap_or_default();
                    removed.listeners.iter().for_each(|listener| listener.close(ch));
                }
            }
        }
        if !self.changes.is_empty() {
            let this = ch.token::<Worker>();
            ch.call_later(Duration::ZERO, move |map| {
                map.with(this, Worker::apply_some);
                Ok(())
            });
        }
    }

    /// Stops accepting, and ends what is still open after `deadline`.
    pub(crate) fn drain(&mut self, ch: &mut Channel<'_>, why: Drain, deadline: Duration) {
        // A client may wait at an address that is not served yet.
        while !self.changes.is_empty() {
            self.apply_some(ch);
        }
        self.drains = true;
        for listener in self.rules.drain().flat_map(|(_, rule)| rule.listeners) {
            listener.drain(ch, why);
        }
        self.state.shared.worker_stopped_listening();
        let state = Rc::clone(&self.state);
        ch.call_later(deadline, move |map| {
            if state.open.get() > 0 {
                state.shared.cut_off.store(true, Ordering::Relaxed);
                end_all(map, &CloseReason::Drained);
            }
            Ok(())
        });
        self.state.draining.set(true);
        self.state.check();
    }
}

impl Listeners {
    /// Serves the rule on these sockets, and on those that there are.
    fn serve(
        &mut self,
        ch: &mut Channel<'_>,
        worker_rule: &Rc<WorkerRule>,
        sockets: Vec<socket2::Socket>,
    ) {
        resolver::resolve(ch, worker_rule);
        for listener in &self.listeners {
            listener.serve(ch, Rc::clone(worker_rule));
        }
        for socket in sockets {
            match ListenerHandle::start(ch, Rc::clone(worker_rule), socket) {
                Ok(listener) => self.listeners.push(listener),
                Err(error) => {
                    tracing::error!(rule = %worker_rule.rule.name, "cannot listen: {error}");
                }
            }
        }
    }
}

/// Ends every connection of this worker, and every client that waits for one.
pub(crate) fn end_all(map: &mut SocketMap, reason: &CloseReason) {
    let tokens: Vec<Token> = map.tokens().collect();
    for token in tokens {
        relay::end(map, token.cast(), reason.clone());
        preamble::end(map, token.cast());
        listener::end(map, token.cast());
        udp::end(map, token.cast(), reason.clone());
    }
}
