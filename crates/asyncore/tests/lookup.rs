//! Look-ups without connecting, and connecting to known addresses.

mod util;

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Faults, Network};
use asyncore::{Channel, Dispatcher, Error, EventLoop, SocketMap};
use util::{Recorder, Seen, on_every_network, on_every_poller, run_until};

/// Records the error and its kind.
struct Failing(Seen);

impl Dispatcher for Failing {
    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        self.0.note(error.to_string());
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        self.0.note(format!("{kind:?}"));
        ch.close();
    }
}

/// Runs a look-up and returns its result as text.
fn looked_up(map: &mut EventLoop, host: &str, port: u16) -> Result<Vec<String>, String> {
    let answer = Rc::new(RefCell::new(None));
    let answered = Rc::clone(&answer);
    let begun = map.lookup_host(host, port, move |_, outcome| {
        let outcome = outcome.map(|addrs| addrs.iter().map(ToString::to_string).collect());
        let again = answered.borrow_mut().replace(outcome.map_err(|error| error.to_string()));
        assert!(again.is_none(), "answered twice");
    });
    begun.unwrap();
    assert!(answer.borrow().is_none(), "answered before the loop ran");
    map.run().unwrap();
    answer.take().unwrap()
}

#[test]
fn a_pending_lookup_keeps_the_loop_running() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let addrs = looked_up(&mut map, "localhost", 80).unwrap();
        assert!(addrs.contains(&"127.0.0.1:80".to_owned()), "{addrs:?}");
        assert_eq!(looked_up(&mut map, "192.0.2.1", 7).unwrap(), ["192.0.2.1:7"]);
        let name = "x".repeat(70);
        let error = looked_up(&mut map, &name, 80).unwrap_err();
        assert!(error.starts_with(&format!("cannot resolve host {name:?}: ")), "{error}");
    });
}

#[test]
fn simulated_lookups_alternate_address_families() {
    let net = Network::new(1);
    let addrs = ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|addr| addr.parse().unwrap());
    net.add_host("many.example", addrs);
    let mut map = SocketMap::simulated(&net);
    let answer = looked_up(&mut map, "Many.Example", 80).unwrap();
    assert_eq!(answer, ["[2001:db8::1]:80", "192.0.2.1:80", "[2001:db8::2]:80"]);
    let error = looked_up(&mut map, "nowhere.example", 80).unwrap_err();
    assert!(error.starts_with("cannot resolve host \"nowhere.example\": "), "{error}");
}

#[test]
fn an_unknown_host_is_not_found_on_every_network() {
    on_every_network(|world| {
        // Neither needs a name server: the label is too long, and `.invalid` never resolves.
        for name in ["nosuch.invalid", "x".repeat(70).as_str()] {
            let seen = Seen::default();
            let added = world.map.add_with(|ch| {
                ch.connect_host(name, 80)?;
                Ok(Failing(seen.clone()))
            });
            added.unwrap();
            world.map.run().unwrap();
            let calls = seen.calls();
            let named = format!("cannot resolve host {name:?}: ");
            assert!(calls.len() == 2 && calls[0].starts_with(&named), "{calls:?}");
            assert_eq!(calls[1], "Some(NotFound)");
        }
    });
}

#[test]
fn a_panicking_lookup_callback_is_logged_and_the_loop_continues() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        map.lookup_host("localhost", 80, |_, _| panic!("no use for it")).unwrap();
        map.run().unwrap();
        assert_eq!(map.stats().errors, 1);
        assert!(looked_up(&mut map, "localhost", 80).is_ok());
    });
}

#[test]
fn the_first_address_that_answers_is_used() {
    let net = Network::with_faults(1, Faults::none());
    let mut map = SocketMap::simulated(&net);
    let addrs: Vec<SocketAddr> =
        ["192.0.2.1:80", "192.0.2.2:81", "192.0.2.3:82"].map(|it| it.parse().unwrap()).into();
    net.blackhole(addrs[0]);
    let _listeners = [net.listen(addrs[1]).unwrap(), net.listen(addrs[2]).unwrap()];
    let seen = Seen::default();
    let added = map.add_with(|ch| {
        ch.connect_any("backend", addrs.clone())?;
        Ok(Recorder::new(&seen))
    });
    let token = added.unwrap();
    run_until(&mut map, |_| seen.count("handle_connect") == 1);
    assert_eq!(map.channel(token).unwrap().addr().unwrap().inet(), Some(addrs[1]));
    assert!(net.elapsed() >= Duration::from_millis(250));
    assert_eq!(map.len(), 1);
}

#[test]
fn the_error_names_the_peer_when_no_address_answers() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let seen = Seen::default();
        let added = map.add_with(|ch| {
            ch.connect_any("backend", vec![free(), free()])?;
            Ok(Failing(seen.clone()))
        });
        added.unwrap();
        map.run().unwrap();
        let calls = seen.calls();
        let expected = "cannot connect to backend: all 2 addresses failed, last error: ";
        assert!(calls.len() == 2 && calls[0].starts_with(expected), "{calls:?}");
        assert_eq!(calls[1], "Some(ConnectionRefused)", "the kind is that of the last");
    });
}

#[test]
fn connecting_to_no_addresses_fails_at_once() {
    let mut map = SocketMap::new().unwrap();
    let added = map.add_with(|ch| {
        ch.connect_any("backend", Vec::new())?;
        Ok(Recorder::new(&Seen::default()))
    });
    let error = added.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "cannot connect to backend: it has no address");
}
