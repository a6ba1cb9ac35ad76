//! A rule as one worker serves it.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use asyncore::{Channel, Domain, Type};

use crate::config::{Endpoint, Rule};
use crate::policy::{NetSet, RuleState};
use crate::worker::WorkerState;

/// A rule, what its workers share, and what this worker knows of its targets' names.
pub(crate) struct WorkerRule {
    pub(crate) rule: Arc<Rule>,
    pub(crate) state: Arc<RuleState>,
    pub(crate) worker: Rc<WorkerState>,
    /// Who begins with a PROXY header.
    pub(crate) proxies: NetSet,
    /// The addresses of each target, as they were looked up last; `None` before the first answer,
    /// and empty where all lead back to the rule itself.
    pub(crate) addresses: Vec<RefCell<Option<Vec<SocketAddr>>>>,
}

impl WorkerRule {
    pub(crate) fn new(rule: Arc<Rule>, state: Arc<RuleState>, worker: Rc<WorkerState>) -> Self {
        let addresses = rule.targets.iter().map(|_| RefCell::new(None)).collect();
        let proxies = NetSet::new(&rule.proxy_accept_from);
        WorkerRule { rule, state, worker, proxies, addresses }
    }

    /// A rule that is served by nobody else, for tests; targets that are names have no address.
    #[cfg(test)]
    pub(crate) fn alone(rule: Rule, now: std::time::Instant) -> Rc<Self> {
        let shared = crate::shared::Shared::new(usize::MAX, 1);
        let state = RuleState::new(&rule, Arc::clone(&shared.process), now);
        let worker_rule =
            WorkerRule::new(Arc::new(rule), Arc::new(state), Rc::new(WorkerState::new(shared)));
        for (target, addresses) in worker_rule.rule.targets.iter().zip(&worker_rule.addresses) {
            if let Endpoint::Host(host, port) = &target.endpoint {
                let known = host.parse().map(|ip| vec![SocketAddr::new(ip, *port)]);
                *addresses.borrow_mut() = known.ok();
            }
        }
        Rc::new(worker_rule)
    }

    /// Begins to connect the channel to a target, by the addresses that were looked up for it.
    ///
    /// # Errors
    /// What the system refuses at once.
    pub(crate) fn connect(&self, ch: &mut Channel<'_>, target: usize) -> io::Result<()> {
        match &self.rule.targets[target].endpoint {
            Endpoint::Unix(path) => {
                ch.create_socket(Domain::UNIX, Type::STREAM)?;
                ch.connect(path.as_path())
            }
            Endpoint::Host(host, port) => {
                let known = self.addresses[target].borrow();
                match known.as_deref() {
                    None => ch.connect_host(host, *port),
                    Some([]) => Err(io::Error::other(format!(
                        "every address of {host} is where this rule itself listens"
                    ))),
                    Some([addr]) => {
                        ch.create_socket(Domain::for_address(*addr), Type::STREAM)?;
                        ch.connect(*addr)
                    }
                    Some(addrs) => ch.connect_any(&format!("{host}:{port}"), addrs.to_vec()),
                }
            }
        }
    }
}
