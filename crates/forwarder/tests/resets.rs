//! A side that resets: the other one is reset at once, and descriptors and places come back.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use util::scene::{Scene, exchange};
use util::stall::{fill, read_rest, reset, sockets, wait_for_sockets};
use util::{Forwarder, connect, ending, free_port, pair, read_to_end};

/// A stream of this much is spliced before it is at its end.
const STREAM: usize = 16 << 20;

/// A rule that may have one connection, and that connection.
struct Pair {
    scene: Scene,
    /// Sockets before there was a connection.
    sockets: usize,
    /// The client first.
    ends: [Option<TcpStream>; 2],
}

const CLIENT: usize = 0;
const TARGET: usize = 1;

impl Pair {
    fn new(more: &[&str]) -> Pair {
        let scene = Scene::new(&[&["--max-connections", "1"], more].concat());
        let sockets = sockets(scene.forwarder.pid());
        let (mut client, mut server) = scene.open();
        // From then on the forwarder knows that it is connected.
        exchange(&mut client, &mut server, 1, 1);
        Pair { scene, sockets, ends: [Some(client), Some(server)] }
    }

    fn end(&self, end: usize) -> &TcpStream {
        self.ends[end].as_ref().expect("an end that is open")
    }

    /// Has a stream go from one end, which is spliced from then on.
    fn stream_from(&self, end: usize) {
        let (mut from, mut to) = (self.end(end), self.end(1 - end));
        thread::scope(|scope| {
            scope.spawn(move || from.write_all(&vec![b's'; STREAM]).expect("sent"));
            to.read_exact(&mut vec![0; STREAM]).expect("received");
        });
    }

    /// One end resets after `sent` bytes to it or from it have not been read.
    #[track_caller]
    fn reset_by(mut self, end: usize, sent: usize) {
        reset(self.ends[end].take().expect("an end that is open"));
        let name = ["client", "target"][end];
        self.scene.forwarder.wait_for(&format!("ending=reset by the {name}"));
        let mut other = self.ends[1 - end].take().expect("an end that is open");
        let (read, failure) = read_rest(&mut other);
        assert_eq!(failure, Some(ErrorKind::ConnectionReset), "the end after {read} bytes");
        assert!(sent == 0 || read < sent, "all {read} bytes were sent on after the reset");
        wait_for_sockets(self.scene.forwarder.pid(), self.sockets);
        let (mut client, mut server) = self.scene.open();
        exchange(&mut client, &mut server, 10_000, 10_000);
        let report = self.scene.wait_until(|report| report["open"] == 1);
        let target = &report["rules"][0]["targets"][0];
        assert_eq!((&target["active"], &target["total"]), (&1.into(), &2.into()));
    }
}

#[test]
fn a_sender_whose_peer_stalls_resets() {
    for (end, spliced) in [(CLIENT, false), (TARGET, false), (CLIENT, true), (TARGET, true)] {
        let pair = Pair::new(&[]);
        if spliced {
            pair.stream_from(end);
        }
        let sent = fill(&pair.scene, pair.end(end));
        pair.reset_by(end, sent);
    }
}

#[test]
fn a_reader_that_stalls_resets() {
    for (end, spliced) in [(CLIENT, false), (TARGET, false), (CLIENT, true), (TARGET, true)] {
        let pair = Pair::new(&[]);
        if spliced {
            pair.stream_from(1 - end);
        }
        fill(&pair.scene, pair.end(1 - end));
        pair.reset_by(end, 0);
    }
}

#[test]
fn a_side_resets_after_it_has_ended_its_half_behind_a_stream_that_stalls() {
    for (end, spliced) in [(CLIENT, false), (TARGET, false), (CLIENT, true), (TARGET, true)] {
        let pair = Pair::new(&[]);
        if spliced {
            pair.stream_from(end);
        }
        let sent = fill(&pair.scene, pair.end(end));
        pair.end(end).shutdown(Shutdown::Write).expect("an end");
        pair.reset_by(end, sent);
    }
}

#[test]
fn a_side_resets_after_its_end_was_passed_on() {
    for end in [CLIENT, TARGET] {
        let pair = Pair::new(&[]);
        pair.end(end).write_all(b"x").expect("sent");
        pair.end(end).shutdown(Shutdown::Write).expect("an end");
        assert_eq!(read_rest(&mut pair.end(1 - end).try_clone().expect("a copy")), (1, None));
        // An end that was passed on is not taken back: the other side finds out when it sends.
        let Pair { scene, sockets, ends: [client, server] } = pair;
        let mut ends = [client, server].map(|end| end.expect("an end that is open"));
        ends.rotate_left(end);
        let [one, other] = ends;
        reset(one);
        scene.forwarder.wait_for("ending=reset by the");
        wait_for_sockets(scene.forwarder.pid(), sockets);
        drop(other);
        let (mut client, mut server) = scene.open();
        exchange(&mut client, &mut server, 10, 10);
    }
}

#[test]
fn a_reader_that_has_ended_its_own_half_stalls_and_resets() {
    for (end, spliced) in [(CLIENT, false), (TARGET, false), (CLIENT, true), (TARGET, true)] {
        let pair = Pair::new(&[]);
        pair.end(end).write_all(b"x").expect("sent");
        pair.end(end).shutdown(Shutdown::Write).expect("an end");
        assert_eq!(read_rest(&mut pair.end(1 - end).try_clone().expect("a copy")), (1, None));
        if spliced {
            pair.stream_from(1 - end);
        }
        fill(&pair.scene, pair.end(1 - end));
        let Pair { scene, sockets, mut ends } = pair;
        reset(ends[end].take().expect("an end that is open"));
        scene.forwarder.wait_for("ending=reset by the");
        wait_for_sockets(scene.forwarder.pid(), sockets);
        let sender = ends[1 - end].take().expect("an end that is open");
        // It has read an end, so that its own sending is what fails.
        let failure = loop {
            if let Err(error) = (&mut &sender).write(b"more") {
                break error.kind();
            }
        };
        assert!(matches!(failure, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{failure}");
        let (mut client, mut server) = scene.open();
        exchange(&mut client, &mut server, 10, 10);
    }
}

#[test]
fn a_side_resets_while_the_limit_on_bytes_holds_it_up() {
    for end in [CLIENT, TARGET] {
        for limit in ["--rate", "--rate-per-connection"] {
            let pair = Pair::new(&[limit, "64KiB"]);
            let mut sender = pair.end(end);
            sender.set_nonblocking(true).expect("an option");
            let sent = std::iter::from_fn(|| sender.write(&[b'x'; 65536]).ok()).sum();
            pair.reset_by(end, sent);
        }
    }
}

#[test]
fn a_client_that_resets_while_its_target_does_not_answer_is_forgotten() {
    // The system drops what would connect to a listener whose queue is full.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    full.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into())
        .expect("a port");
    full.listen(0).expect("a listener");
    let addr = full.local_addr().expect("bound").as_socket().expect("an address");
    let _queued = TcpStream::connect(addr).expect("the one that the queue holds");
    let (page, port) = (free_port(), free_port());
    let rule = format!("{port}={addr}");
    let args = ["--rule", &rule, "--status", &page.to_string(), "--connect-timeout", "1h"];
    let forwarder = Forwarder::start(&args);
    let before = sockets(forwarder.pid());
    for request in [&b""[..], b"a request"] {
        let mut client = connect(port);
        client.write_all(request).expect("sent");
        wait_for_sockets(forwarder.pid(), before + 2);
        reset(client);
        forwarder.wait_for("ending=reset by the client");
        wait_for_sockets(forwarder.pid(), before);
    }
}

#[test]
fn a_proxy_that_resets_within_its_header_gives_its_place_back() {
    let scene = Scene::new(&["--max-connections", "1", "--proxy-accept-from", "127.0.0.1"]);
    let before = sockets(scene.forwarder.pid());
    for sent in [&b""[..], b"PROXY TCP4 192.0.2"] {
        let mut proxy = connect(scene.port);
        proxy.write_all(sent).expect("sent");
        wait_for_sockets(scene.forwarder.pid(), before + 1);
        reset(proxy);
        wait_for_sockets(scene.forwarder.pid(), before);
    }
    let mut client = connect(scene.port);
    client.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\nx").expect("sent");
    util::accept(&scene.listener).read_exact(&mut [0]).expect("passed on");
}

#[test]
fn a_second_signal_resets_what_is_open_so_that_no_part_of_an_answer_looks_whole() {
    let (forwarder, mut client, mut server) = pair(&[]);
    client.write_all(b"question").expect("sent");
    client.shutdown(Shutdown::Write).expect("ended");
    assert_eq!(read_to_end(&mut server), b"question");
    server.write_all(b"a part").expect("sent");
    client.read_exact(&mut [0; 6]).expect("received");
    forwarder.signal(Signal::TERM);
    forwarder.wait_for("draining");
    forwarder.signal(Signal::TERM);
    assert_eq!(ending(&mut client), Err(ErrorKind::ConnectionReset));
    forwarder.wait_for("ending=still open at the end of the drain");
    assert_eq!(forwarder.exit_status().code(), Some(3));
}
