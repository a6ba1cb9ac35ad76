//! A rule as one worker serves it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::Rule;
use crate::policy::RuleState;
use crate::worker::Load;

/// A rule, what its workers share, and what this worker knows of its targets' names.
pub(crate) struct Serving {
    pub(crate) rule: Arc<Rule>,
    pub(crate) state: Arc<RuleState>,
    pub(crate) load: Rc<Load>,
    /// The addresses of each target, as they were looked up last; empty before the first answer.
    pub(crate) addresses: Vec<RefCell<Vec<SocketAddr>>>,
}

impl Serving {
    pub(crate) fn new(rule: Arc<Rule>, state: Arc<RuleState>, load: Rc<Load>) -> Self {
        let addresses = rule.targets.iter().map(|_| RefCell::new(Vec::new())).collect();
        Serving { rule, state, load, addresses }
    }
}
