//! One loop, serving all rules, on one thread.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, SocketMap, Token};

use crate::capture::Captures;
use crate::health_check::Checks;
use crate::config::{Listen, Rule};
use crate::logging::AccessLog;
use crate::listening::Listening;
use crate::names;
use crate::policy::RuleState;
use crate::relay::{self, CloseReason, preamble, listener};
use crate::serving::Serving;
use crate::shared::{Drain, Shared};
use crate::udp;

/// A rule to be served, with this worker's own listening sockets if it is new.
pub(crate) struct Served {
    pub(crate) rule: Arc<Rule>,
    pub(crate) state: Arc<RuleState>,
    pub(crate) sockets: Vec<socket2::Socket>,
    /// Whether it is this worker that checks the targets.
    pub(crate) checks: bool,
}

/// A worker's own channel, without a socket: what holds its listeners, and what closures from
/// other threads reach by its token.
pub(crate) struct Worker {
    listeners: HashMap<Listen, Vec<Listening>>,
    /// The first worker's only.
    checks: Vec<Rc<Checks>>,
    load: Rc<Load>,
}

/// How much a worker has to do still.
pub(crate) struct Load {
    shared: Arc<Shared>,
    access_log: Rc<AccessLog>,
    open: Cell<usize>,
    draining: Cell<bool>,
}

impl Load {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Load { shared, access_log: Rc::default(), open: Cell::new(0), draining: Cell::new(false) }
    }

    pub(crate) fn captures(&self) -> Option<&Arc<Captures>> {
        self.shared.captures.get()
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
            let load = Rc::new(Load::new(shared));
            Ok(Worker { listeners: HashMap::new(), checks: Vec::new(), load })
        })
    }

    /// Serves exactly these rules from now on; what runs already is not touched.
    pub(crate) fn apply(&mut self, ch: &mut Channel<'_>, rules: Vec<Served>) {
        self.listeners.retain(|listen, listening| {
            let stays = rules.iter().any(|served| served.rule.listen == *listen);
            if !stays {
                listening.iter().for_each(|listening| listening.close(ch));
            }
            stays
        });
        // Those of rules that have gone or changed end with this.
        self.checks.clear();
        for Served { rule, state, sockets, checks } in rules {
            let listeners = self.listeners.entry(rule.listen.clone()).or_default();
            let serving = Rc::new(Serving::new(rule, state, Rc::clone(&self.load)));
            names::resolve(ch, &serving);
            if checks {
                self.checks.extend(Checks::start(ch, &serving));
            }
            for listening in &*listeners {
                listening.serve(ch, Rc::clone(&serving));
            }
            for socket in sockets {
                match Listening::start(ch, Rc::clone(&serving), socket) {
                    Ok(listening) => listeners.push(listening),
                    Err(error) => {
                        tracing::error!(rule = %serving.rule.name, "cannot listen: {error}");
                    }
                }
            }
        }
    }

    /// Stops accepting, and ends what is still open after `deadline`.
    pub(crate) fn drain(&mut self, ch: &mut Channel<'_>, why: Drain, deadline: Duration) {
        self.checks.clear();
        for listening in self.listeners.drain().flat_map(|(_, listening)| listening) {
            listening.drain(ch, why);
        }
        self.load.shared.worker_stopped_listening();
        let load = Rc::clone(&self.load);
        ch.call_later(deadline, move |map| {
            if load.open.get() > 0 {
                load.shared.cut_off.store(true, Ordering::Relaxed);
                end_all(map, &CloseReason::Drained);
            }
            Ok(())
        });
        self.load.draining.set(true);
        self.load.check();
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
