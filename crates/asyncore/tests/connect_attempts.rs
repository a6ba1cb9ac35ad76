//! Pending connection attempts do not affect the rest of the map.

mod util;

use std::net::SocketAddr;
use std::time::Duration;

use asyncore::sim::{Faults, Network, Peer, PeerListener};
use asyncore::{Domain, EventLoop, SocketMap, Type};
use util::{Recorder, Seen, run_until};

const SECOND: Duration = Duration::from_secs(1);

/// Returns a map with one channel that connects to a host whose only address answers after 1 s.
struct Slow {
    net: Network,
    map: EventLoop,
    seen: Seen,
    listener: PeerListener,
}

impl Slow {
    fn new() -> Slow {
        let faults = Faults { latency: SECOND / 2..SECOND / 2, ..Faults::none() };
        let net = Network::with_faults(1, faults);
        let addr: SocketAddr = "192.0.2.1:80".parse().unwrap();
        net.add_host("slow.example", [addr.ip()]);
        let listener = net.listen(addr).unwrap();
        let mut map = SocketMap::simulated(&net);
        let seen = Seen::default();
        map.add_with(|ch| {
            ch.connect_host("slow.example", 80)?;
            ch.push(b"last words");
            Ok(Recorder::new(&seen))
        })
        .unwrap();
        // The first passes look the name up and try the address.
        run_until(&mut map, |_| net.step());
        Slow { net, map, seen, listener }
    }
}

#[test]
fn connection_attempts_do_not_count_as_channels() {
    let slow = Slow::new();
    assert_eq!((slow.map.len(), slow.map.tokens().count()), (1, 1));
    assert_eq!((slow.map.stats().opened, slow.map.stats().closed), (1, 0));
}

#[test]
fn a_drain_completes_a_pending_connection_and_sends_its_queue() {
    let Slow { net, mut map, seen, listener } = Slow::new();
    map.drain(60 * SECOND);
    let mut peer: Option<Peer> = None;
    let mut received = Vec::new();
    run_until(&mut map, |map| {
        peer = peer.take().or_else(|| listener.accept());
        received.extend(peer.iter().flat_map(Peer::received));
        // The peer closes in response to the end of the stream.
        peer = peer.take().filter(|peer| !peer.saw_eof());
        map.is_empty()
    });
    assert_eq!(received, b"last words");
    assert_eq!(seen.errors(), [""; 0]);
    assert!(net.elapsed() < 10 * SECOND, "it took {:?}", net.elapsed());
}

#[test]
fn a_connection_reported_late_is_not_a_timeout() {
    // Each wait reports only some of the ready channels, while the deadlines of the others pass.
    let faults = Faults { subset: 1.0, ..Faults::none() };
    for seed in 0..20 {
        let net = Network::with_faults(seed, faults.clone());
        let addr: SocketAddr = "192.0.2.1:80".parse().unwrap();
        net.add_host("prompt.example", [addr.ip()]);
        let _listener = net.listen(addr).unwrap();
        let mut map = SocketMap::simulated(&net);
        let seen = Seen::default();
        for _ in 0..10 {
            map.add_with(|ch| {
                ch.create_socket(Domain::IPV4, Type::STREAM)?;
                ch.connect(addr)?;
                Ok(Recorder::new(&seen))
            })
            .unwrap();
            map.add_with(|ch| {
                ch.connect_host("prompt.example", 80)?;
                Ok(Recorder::new(&seen))
            })
            .unwrap();
        }
        assert!(!map.poll(Some(Duration::ZERO)).unwrap().exit);
        net.advance(60 * SECOND);
        run_until(&mut map, |_| seen.calls().len() >= 20);
        assert_eq!(seen.calls(), ["handle_connect"; 20], "with seed {seed}");
    }
}
