use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{Endpoint, Listen, ProxyVersion, Rule};
use crate::policy::{HealthState, RuleState};
use crate::shared::Shared;
use crate::worker::WorkerState;

struct NoSocket;

impl Dispatcher for NoSocket {}

/// A loop on which one target is checked.
struct Checking {
    map: asyncore::EventLoop,
    state: Arc<RuleState>,
    checks: Option<Rc<Checks>>,
}

impl Checking {
    fn new(endpoint: Endpoint, expect: Option<&[u8]>, timeout: Duration) -> Self {
        Self::by(endpoint, expect, timeout, |_| {})
    }

    fn by(
        endpoint: Endpoint,
        expect: Option<&[u8]>,
        timeout: Duration,
        change: impl FnOnce(&mut Rule),
    ) -> Self {
        let listen = Listen::Tcp((Ipv4Addr::LOCALHOST, 1).into());
        let mut rule = Rule::new(listen, vec![endpoint.into()]);
        let expect = expect.map(<[u8]>::to_vec);
        rule.check_every = Some(Some(Duration::from_millis(1)));
        (rule.check_timeout, rule.check_expect) = (Some(timeout), expect);
        change(&mut rule);
        let shared = Shared::new(1, 1);
        let state = RuleState::new(&rule, Arc::clone(&shared.process), Instant::now());
        let state = Arc::new(state);
        let load = Rc::new(WorkerState::new(shared));
        let worker_rule = Rc::new(WorkerRule::new(Arc::new(rule), Arc::clone(&state), load));
        let mut map = SocketMap::new().unwrap();
        let mut checks = None;
        map.add_with(|ch| {
            checks = Checks::start(ch, &worker_rule);
            Ok(NoSocket)
        })
        .unwrap();
        Checking { map, state, checks }
    }

    fn until(&mut self, done: impl Fn(&TargetState) -> bool) {
        while !done(&self.state.targets()[0]) {
            let _ = self.map.poll(None).unwrap();
        }
    }

    fn until_down(&mut self) {
        self.until(is_down);
    }

    fn until_up(&mut self) {
        self.until(|target| target.health().state(Instant::now()) == HealthState::Up);
    }

    fn last_error(&self) -> String {
        self.state.targets()[0].last_error(Instant::now()).unwrap().text
    }
}

fn is_down(target: &TargetState) -> bool {
    target.health().state(Instant::now()) == HealthState::Down
}

const LONG: Duration = Duration::from_secs(60);

fn local() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = endpoint(listener.local_addr().unwrap());
    (listener, endpoint)
}

fn endpoint(addr: SocketAddr) -> Endpoint {
    Endpoint::Host(addr.ip().to_string(), addr.port())
}

/// Says the same to everybody who connects.
fn saying(what: &'static [u8]) -> Endpoint {
    let (listener, endpoint) = local();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let _ = client.unwrap().write_all(what);
        }
    });
    endpoint
}

#[test]
fn a_target_that_refuses_goes_down_and_comes_back_when_it_listens_again() {
    let (listener, endpoint) = local();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let mut checking = Checking::new(endpoint, None, LONG);
    checking.until_down();
    assert!(checking.last_error().contains("refused"), "{}", checking.last_error());
    let _again = TcpListener::bind(addr).unwrap();
    checking.until_up();
}

#[test]
fn a_target_has_to_begin_with_what_is_expected_and_may_go_on() {
    let mut checking = Checking::new(saying(b"220 ready\r\nmore"), Some(b"220 "), LONG);
    checking.state.targets()[0].health().check_failed();
    checking.state.targets()[0].health().check_failed();
    checking.until_up();
    assert!(checking.state.targets()[0].last_error(Instant::now()).is_none());
}

#[test]
fn a_target_that_says_something_else_goes_down() {
    let mut checking = Checking::new(saying(b"554 no"), Some(b"220 "), LONG);
    checking.until_down();
    assert_eq!(checking.last_error(), "it said \"554 no\" instead of \"220 \"");
}

#[test]
fn a_target_that_ends_before_it_said_enough_goes_down() {
    let mut checking = Checking::new(saying(b"22"), Some(b"220 "), LONG);
    checking.until_down();
    assert!(checking.last_error().contains("closed the connection"), "{}", checking.last_error());
}

#[test]
fn a_target_that_says_nothing_goes_down_when_its_time_is_over() {
    let (_listener, endpoint) = local();
    let mut checking = Checking::new(endpoint, Some(b"220 "), Duration::from_millis(2));
    checking.until_down();
    assert!(checking.last_error().contains("no answer in 2ms"), "{}", checking.last_error());
}

#[test]
fn a_unix_socket_is_checked_too() {
    let folder = std::env::temp_dir().join(format!("forwarder-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("target.sock");
    let mut checking = Checking::new(Endpoint::Unix(path.clone()), None, LONG);
    checking.until_down();
    let _listener = UnixListener::bind(&path).unwrap();
    checking.until_up();
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_check_begins_with_the_proxy_header_that_the_rule_sends() {
    for (version, header) in [
        (ProxyVersion::V1, &b"PROXY UNKNOWN\r\n"[..]),
        (ProxyVersion::V2, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
    ] {
        for expect in [None, Some(&b"220 "[..])] {
            let (listener, endpoint) = local();
            let send = |rule: &mut Rule| rule.proxy_send = Some(version);
            let mut checking = Checking::by(endpoint, expect, LONG, send);
            let (sender, received) = std::sync::mpsc::channel();
            // Every check is answered, or those after the first would have the target down.
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    let (mut client, mut received) = (client.unwrap(), vec![0; header.len()]);
                    let _ = client.read_exact(&mut received);
                    let _ = sender.send(received);
                    let _ = client.write_all(b"220 ready");
                }
            });
            checking.until_up();
            assert_eq!(received.recv().unwrap(), header, "{version:?} {expect:?}");
        }
    }
}

#[test]
fn a_unix_socket_whose_backlog_is_full_is_asked_again_until_the_time_is_over() {
    let folder = std::env::temp_dir().join(format!("forwarder-busy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("target.sock");
    let listener =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let mut checking = Checking::new(Endpoint::Unix(path), None, LONG);
    for _ in 0..20 {
        let _ = checking.map.poll(Some(Duration::from_millis(1))).unwrap();
    }
    assert!(checking.state.targets()[0].last_error(Instant::now()).is_none());
    listener.accept().unwrap();
    checking.until_up();
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn checks_end_when_nobody_holds_them() {
    let (_listener, endpoint) = local();
    let mut checking = Checking::new(endpoint, None, LONG);
    checking.state.targets()[0].health().check_failed();
    checking.state.targets()[0].health().check_failed();
    checking.until_up();
    checking.checks = None;
    checking.map.close_all();
    // Only timers are left, and none of them sets another: the loop has an end.
    let opened = checking.map.stats().opened;
    while !checking.map.is_empty() {
        let _ = checking.map.poll(Some(Duration::ZERO)).unwrap();
    }
    for _ in 0..100 {
        let _ = checking.map.poll(Some(Duration::from_millis(1))).unwrap();
    }
    assert_eq!(checking.map.stats().opened, opened);
}
