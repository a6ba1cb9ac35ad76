use asyncore::sim::Network;
use asyncore::{Dispatcher, SocketMap};

use super::*;
use crate::config::{Endpoint, Listen};

struct Worker;
impl Dispatcher for Worker {}

fn entry() -> Entry {
    let listen = Listen::Tcp("192.0.2.1:80".parse().unwrap());
    let rule = Rule::new(listen, vec![Endpoint::Host("192.0.2.9".to_owned(), 80).into()]);
    let rule = Arc::new(rule);
    Entry { rule, client: None, target: None, bytes: (0, 0), lasted: MAX_DELAY, reason: None }
}

#[test]
fn what_waits_is_bounded_and_waits_no_longer_than_its_time() {
    let network = Network::new(1);
    let mut map = SocketMap::simulated(&network);
    let log = Rc::new(AccessLog::default());
    let waiting = || log.0.borrow().len();
    let worker = map.add_with(|_| Ok(Worker)).unwrap();
    map.with(worker, |_, ch| {
        for count in 1..2 * MAX_WAITING {
            log.add(ch, entry());
            assert_eq!(waiting(), count % MAX_WAITING);
        }
    });
    network.advance(MAX_DELAY);
    let _ = map.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(waiting(), 0);
}
