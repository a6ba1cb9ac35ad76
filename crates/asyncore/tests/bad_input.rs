//! Failures caused by networks and peers: each gives one clear line and affects one channel.
//!
//! `panics.rs` tests panics in handlers, `pitfalls_chat.rs` a missing terminator, `descriptors.rs` and
//! `pitfalls_accept.rs` a full descriptor table.

mod util;

use std::net::{SocketAddr, TcpListener};

use asyncore::sim::{Faults, Network};
use asyncore::{
    Accumulator, AsyncChat, Channel, Dispatcher, Domain, EventLoop, Result, SocketMap, Terminator,
    Type,
};
use util::{Recorder, Seen, on_every_network, on_every_poller, run_until};

/// Answers each line with its length and stores all lines.
#[derive(Default)]
struct Lines {
    line: Accumulator,
    seen: Seen,
}

impl AsyncChat for Lines {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.line.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let line = self.line.take();
        ch.push(format!("{}\n", line.len()).into_bytes());
        self.seen.note(String::from_utf8_lossy(&line));
        Ok(())
    }

    fn handle_close(&mut self, _: &mut Channel<'_>) {
        self.seen.note("handle_close");
    }
}

fn listener_of(map: &mut EventLoop, addr: SocketAddr, seen: &Seen) {
    struct Server(Seen);
    impl Dispatcher for Server {
        fn handle_accepted(
            &mut self,
            ch: &mut Channel<'_>,
            sock: asyncore::Socket,
            _: Option<SocketAddr>,
        ) -> Result {
            let token = ch.add(Lines { seen: self.0.clone(), ..Lines::default() }, sock);
            if let Some(mut channel) = ch.channel(token) {
                channel.set_terminator(Terminator::from(b"\r\n"));
            }
            Ok(())
        }
    }
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind(addr)?;
        ch.listen(16)?;
        Ok(Server(seen.clone()))
    });
    added.unwrap();
}

#[test]
fn a_reset_at_any_byte_ends_only_that_dialogue() {
    const TEXT: &[u8] = b"one\r\ntwo\r\n\r\nthree";
    let addr: SocketAddr = "127.0.0.1:7".parse().unwrap();
    for offset in 0..=TEXT.len() {
        for (seed, faults) in
            [Faults::none(), Faults::mild(), Faults::mild()].into_iter().enumerate()
        {
            let net = Network::with_faults(seed as u64, faults);
            let mut map = SocketMap::simulated(&net);
            let seen = Seen::default();
            listener_of(&mut map, addr, &seen);
            let lines = util::log::complaints(|| {
                let (victim, bystander) = (net.connect(addr), net.connect(addr));
                victim.send(&TEXT[..offset]);
                run_until(&mut map, |map| {
                    map.stats().bytes_in == offset as u64 && map.stats().accepted == 2
                });
                victim.reset();
                run_until(&mut map, |_| seen.is_closed());
                bystander.send(b"still here\r\n");
                run_until(&mut map, |_| seen.count("still here") == 1);
                assert_eq!((map.len(), seen.count("handle_close")), (2, 1));
                bystander.shutdown();
                run_until(&mut map, |map| map.len() == 1);
            });
            let complete = TEXT[..offset].windows(2).filter(|pair| pair == b"\r\n").count();
            assert_eq!(seen.calls().len(), complete + 3, "offset {offset}: {:?}", seen.calls());
            // A peer that goes away is not an error: the channel only gets handle_close.
            assert_eq!(lines, [""; 0]);
        }
    }
}

#[test]
fn a_reset_during_the_answer_closes_without_an_error() {
    on_every_network(|world| {
        for received in [0, 1, 500, 2000] {
            let (seen, flood) = (Seen::default(), world.flood);
            let lines = util::log::complaints(|| {
                let (token, remote) = world.connect(Recorder::new(&seen));
                world.map.channel(token).unwrap().push(vec![9; flood]);
                let mut heard = 0;
                world.run_until(|_| {
                    heard += remote.received().len();
                    heard >= received
                });
                remote.reset();
                world.run_until(|_| seen.is_closed());
            });
            assert_eq!((seen.count("handle_close"), seen.errors().len(), lines.len()), (1, 0, 0));
            assert!(seen.cause().is_some(), "an end that was not in order has a cause");
            assert!(world.map.is_empty());
        }
    });
}

#[test]
fn an_address_in_use_error_names_the_address() {
    on_every_network(|world| {
        let (_, addr) = world.listen(Recorder::default());
        let taken = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(addr)?;
            ch.listen(5)?;
            Ok(Recorder::default())
        });
        let error = taken.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        let line = error.to_string();
        assert!(line.starts_with(&format!("cannot bind to {addr}: ")), "{line}");
        assert_eq!((line.lines().count(), world.map.len()), (1, 1));
        world.settle();
    });
}

/// Checks that a failed connection logs one line that names the channel and the reason, and does
/// not affect another channel.
fn assert_failure_line(
    connect: impl Fn(&mut Channel<'_>) -> std::io::Result<()> + Copy,
    simulate: impl Fn(&Network),
    check: impl Fn(&str),
) {
    struct Client;
    impl Dispatcher for Client {}
    on_every_network(|world| {
        if let Some(net) = &world.net {
            simulate(net);
        }
        let other = Seen::default();
        let (_, bystander) = world.connect(Recorder::new(&other));
        let lines = util::log::complaints(|| {
            let added = world.map.add_with(|ch| connect(ch).map(|()| Client));
            let token = added.expect("what fails, fails later");
            world.run_until(|world| !world.map.contains(token));
        });
        let [line] = &lines[..] else { panic!("{lines:#?}") };
        assert!(line.starts_with("ERROR uncaptured error, closing channel <"), "{line}");
        assert!(line.contains("Client"), "{line}");
        check(line);
        bystander.send(b"fine");
        world.run_until(|_| other.received() == b"fine");
        assert_eq!(world.map.len(), 1);
        world.settle();
    });
}

#[test]
fn a_lookup_error_names_the_host() {
    // A label of 64 letters is invalid, so the look-up fails without a name server.
    let host = "x".repeat(64) + ".invalid";
    assert_failure_line(
        |ch| ch.connect_host(&("x".repeat(64) + ".invalid"), 80),
        |_| (),
        |line| assert!(line.contains(&format!("cannot resolve host {host:?}: ")), "{line}"),
    );
}

#[test]
fn a_refused_connection_names_the_address() {
    // Bound without listening: no other program can take the port, and connecting is refused.
    let taken = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    taken.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let addr = taken.local_addr().unwrap().as_socket().unwrap();
    assert_failure_line(
        |ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.connect(addr)
        },
        |net| net.refuse(addr),
        |line| {
            assert!(line.contains(&format!("(cannot connect to {addr}: ")), "{line}");
            assert!(line.to_lowercase().contains("refused"), "{line}");
        },
    );
}

#[test]
fn an_unreachable_host_error_names_the_host() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    assert_failure_line(
        |ch| ch.connect_host("localhost", port),
        |_| (),
        |line| assert!(line.contains(&format!("cannot connect to localhost:{port}: ")), "{line}"),
    );
}

#[test]
fn a_connect_timeout_names_the_address_and_the_time() {
    let addr: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let net = Network::with_faults(1, Faults::none());
    net.blackhole(addr);
    let mut map = SocketMap::simulated(&net);
    let seen = Seen::default();
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(addr)?;
        Ok(Recorder::new(&seen))
    });
    added.unwrap();
    while !map.is_empty() {
        let _ = map.poll(None).unwrap();
    }
    assert_eq!(seen.errors(), ["cannot connect to 192.0.2.1:80: no answer in 30s"]);
    assert_eq!(seen.count("handle_close"), 1);
}

#[test]
fn multi_line_errors_are_logged_on_one_line() {
    on_every_poller(|builder| {
        struct Talkative;
        impl Dispatcher for Talkative {
            fn handle_read(&mut self, _: &mut Channel<'_>) -> Result {
                Err(asyncore::Error::msg("first line\r\nsecond line\nthird"))
            }
        }
        let mut map = builder.build().unwrap();
        let (ours, mut theirs) = util::tcp_pair();
        map.add(Talkative, ours);
        let lines = util::log::complaints(|| {
            std::io::Write::write_all(&mut theirs, b"x").unwrap();
            run_until(&mut map, |map| map.is_empty());
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].lines().count(), 1, "{lines:#?}");
    });
}
