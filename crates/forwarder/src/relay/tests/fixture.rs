//! A rule on the simulated network, for the tests of this folder.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Network, Peer, PeerListener};
use asyncore::{EventLoop, SocketMap, Token};

use crate::config::{Endpoint, Listen, Rule};
use crate::policy::EndReason;
use crate::relay::half::HIGH_WATER;
use crate::relay::{Half, Listener, Side};
use crate::worker_rule::WorkerRule;

/// Where the rule listens.
pub(crate) const LISTEN: &str = "192.0.2.1:80";
/// The target that answers; others come before it.
const TARGET: &str = "192.0.2.9:80";

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A rule, its listener and its last target; clients are up to the test.
pub(crate) struct Scene {
    pub(crate) network: Network,
    pub(crate) map: EventLoop,
    pub(crate) worker_rule: Rc<WorkerRule>,
    pub(crate) listener: Token<Listener>,
    pub(crate) target: PeerListener,
}

impl Scene {
    /// A rule with one target.
    pub(crate) fn new(network: &Network, change: impl FnOnce(&mut Rule)) -> Self {
        let target = network.listen(addr(TARGET)).unwrap();
        let mut rule = Rule::new(Listen::Tcp(addr(LISTEN)), vec![endpoint(TARGET).into()]);
        change(&mut rule);
        let mut map = SocketMap::simulated(network);
        let worker_rule = WorkerRule::alone(rule, map.now());
        let listener = Listener::simulated(&mut map, &worker_rule);
        Scene { network: network.clone(), map, worker_rule, listener, target }
    }

    pub(crate) fn connect(&self) -> Peer {
        self.network.connect(addr(LISTEN))
    }

    pub(crate) fn pass(&mut self) {
        let _ = self.map.poll(Some(Duration::from_millis(1))).unwrap();
    }

    /// Passes often enough for everything that is going to happen.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100 {
            self.pass();
        }
    }

    /// Passes until there is `what`.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Scene) -> Option<T>) -> T {
        for _ in 0..10_000 {
            if let Some(found) = look(self) {
                return found;
            }
            self.pass();
        }
        panic!("never: {what}");
    }

    /// The target's end of the next connection.
    #[track_caller]
    pub(crate) fn accepted(&mut self) -> Peer {
        self.until("a connection to the target", |scene| scene.target.accept())
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.worker_rule.state.counts().open()
    }
}

pub(crate) fn endpoint(target: &str) -> Endpoint {
    let addr = addr(target);
    Endpoint::Host(addr.ip().to_string(), addr.port())
}

/// More than all windows and queues on the way hold.
pub(crate) const STREAM: usize = 600 * 1024;

impl Scene {
    /// Bytes that wait to be sent to a side.
    fn queued(&self, side: Side) -> usize {
        let halves = self.map.tokens().map(Token::cast::<Half>);
        let of = halves.filter(|it| self.map.get(*it).is_some_and(|half| half.side == side));
        of.filter_map(|half| self.map.channel_stats(half)).map(|stats| stats.output_len).sum()
    }

    /// Passes until the queue to `side` is full, so that the other side is no longer read.
    #[track_caller]
    pub(crate) fn fill(&mut self, side: Side) {
        self.until("a full queue", |scene| (scene.queued(side) >= HIGH_WATER).then_some(()));
        self.settle();
    }

    /// Passes until a side has something to be sent to it.
    #[track_caller]
    pub(crate) fn until_queued(&mut self, side: Side) {
        self.until("a queue", |scene| (scene.queued(side) > 0).then_some(()));
    }

    /// Lets `time` go by, in steps that are short beside the times that tests set.
    pub(crate) fn let_pass(&mut self, time: Duration) {
        let until = self.network.now() + time;
        while self.network.now() < until {
            self.network.advance((until - self.network.now()).min(Duration::from_millis(100)));
            self.pass();
        }
    }

    /// Passes until nothing is left of any connection: neither channels nor permits.
    #[track_caller]
    pub(crate) fn until_nothing_is_left(&mut self) {
        self.until("the end", |scene| (scene.map.len() == 1).then_some(()));
        let state = &self.worker_rule.state;
        assert_eq!((state.counts().open(), state.counts().process().open()), (0, 0));
        assert!(state.targets().iter().all(|target| target.active() == 0));
    }

    /// Connections that ended for this reason.
    pub(crate) fn ended(&self, reason: EndReason) -> u64 {
        self.worker_rule.state.counts().ended(reason)
    }
}
