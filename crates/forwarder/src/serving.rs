//! A rule as one worker serves it.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use asyncore::{Channel, Domain, Type};

use crate::config::{Endpoint, Rule};
use crate::policy::{NetSet, RuleState};
use crate::worker::Load;

/// A rule, what its workers share, and what this worker knows of its targets' names.
pub(crate) struct Serving {
    pub(crate) rule: Arc<Rule>,
    pub(crate) state: Arc<RuleState>,
    pub(crate) load: Rc<Load>,
    /// Who begins with a PROXY header.
    pub(crate) proxies: NetSet,
    /// The addresses of each target, as they were looked up last; `None` before the first answer,
    /// and empty where all lead back to the rule itself.
    pub(crate) addresses: Vec<RefCell<Option<Vec<SocketAddr>>>>,
}

impl Serving {
    pub(crate) fn new(rule: Arc<Rule>, state: Arc<RuleState>, load: Rc<Load>) -> Self {
        let addresses = rule.targets.iter().map(|_| RefCell::new(None)).collect();
        let proxies = NetSet::new(&rule.proxy_accept_from);
        Serving { rule, state, load, proxies, addresses }
    }

    /// A rule that is served by nobody else, for tests; targets that are names have no address.
    #[cfg(test)]
    pub(crate) fn alone(rule: Rule, now: std::time::Instant) -> Rc<Self> {
        let shared = crate::shared::Shared::new(usize::MAX, 1);
        let state = RuleState::new(&rule, Arc::clone(&shared.process), now);
        let serving = Serving::new(Arc::new(rule), Arc::new(state), Rc::new(Load::new(shared)));
        for (target, addresses) in serving.rule.targets.iter().zip(&serving.addresses) {
            if let Endpoint::Host(host, port) = &target.endpoint {
                let known = host.parse().map(|ip| vec![SocketAddr::new(ip, *port)]);
                *addresses.borrow_mut() = known.ok();
            }
        }
        Rc::new(serving)
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
