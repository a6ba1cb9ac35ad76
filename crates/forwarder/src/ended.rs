//! What the log tells of connections that have ended.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use asyncore::Channel;

use crate::config::Rule;
use crate::logging;
use crate::policy::TargetState;
use crate::relay::Ending;

/// How long a line waits for others: many made one after the other cost less, since what makes them
/// is at hand after the first.
const WAIT: Duration = Duration::from_millis(10);
/// How many wait at the most.
const MOST: usize = 1024;

/// A connection that has ended.
pub(crate) struct Ended {
    pub(crate) rule: Arc<Rule>,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) target: Option<Arc<TargetState>>,
    /// From the client, and from the target.
    pub(crate) bytes: (u64, u64),
    pub(crate) lasted: Duration,
    pub(crate) ending: Option<Ending>,
}

impl Ended {
    fn log(&self) {
        tracing::info!(
            rule = %self.rule.name,
            client = self.client.as_ref().map(tracing::field::display),
            target = self.target.as_ref().map(|target| tracing::field::display(target.name())),
            bytes_up = self.bytes.0,
            bytes_down = self.bytes.1,
            seconds = self.lasted.as_secs_f64(),
            ending = self.ending.as_ref().map(tracing::field::display),
            "connection"
        );
    }
}

/// A worker's connections that have ended and are not logged yet.
#[derive(Default)]
pub(crate) struct EndedLog(RefCell<Vec<Ended>>);

impl EndedLog {
    /// Logs a connection, soon.
    pub(crate) fn add(self: &Rc<Self>, ch: &mut Channel<'_>, ended: Ended) {
        let waiting = {
            let mut waiting = self.0.borrow_mut();
            waiting.push(ended);
            waiting.len()
        };
        if waiting == MOST {
            self.write();
        } else if waiting == 1 {
            let log = Rc::clone(self);
            ch.call_later(WAIT, move |_map| {
                log.write();
                Ok(())
            });
        }
    }

    fn write(&self) {
        let waiting = self.0.take();
        if !waiting.is_empty() {
            logging::together(|| waiting.iter().for_each(Ended::log));
        }
    }
}

impl Drop for EndedLog {
    fn drop(&mut self) {
        self.write();
    }
}

#[cfg(test)]
mod tests {
    use asyncore::sim::Network;
    use asyncore::{Dispatcher, SocketMap};

    use super::*;
    use crate::config::{Endpoint, Listen};

    struct Worker;
    impl Dispatcher for Worker {}

    fn ended() -> Ended {
        let listen = Listen::Tcp("192.0.2.1:80".parse().unwrap());
        let rule = Rule::new(listen, vec![Endpoint::Host("192.0.2.9".to_owned(), 80).into()]);
        let rule = Arc::new(rule);
        Ended { rule, client: None, target: None, bytes: (0, 0), lasted: WAIT, ending: None }
    }

    #[test]
    fn what_waits_is_bounded_and_waits_no_longer_than_its_time() {
        let network = Network::new(1);
        let mut map = SocketMap::simulated(&network);
        let log = Rc::new(EndedLog::default());
        let waiting = || log.0.borrow().len();
        let worker = map.add_with(|_| Ok(Worker)).unwrap();
        map.with(worker, |_, ch| {
            for count in 1..2 * MOST {
                log.add(ch, ended());
                assert_eq!(waiting(), count % MOST);
            }
        });
        network.advance(WAIT);
        let _ = map.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!(waiting(), 0);
    }
}
