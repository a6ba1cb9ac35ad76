//! What a host's addresses being tried means for the rest of the map: nothing.

mod util;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use asyncore::SocketMap;
use asyncore::sim::{Faults, Network, Peer, PeerListener};
use util::{Recorder, Seen, run_until};

const SECOND: Duration = Duration::from_secs(1);

/// A map with one channel that connects to a host, whose only address takes a second to answer.
struct Slow {
    net: Network,
    map: SocketMap,
    seen: Seen,
    listener: PeerListener,
}

impl Slow {
    fn new() -> Slow {
        let faults = Faults { latency: SECOND / 2..SECOND / 2, ..Faults::none() };
        let net = Network::with_faults(1, faults);
        let addr: SocketAddr = "192.0.2.1:80".parse().unwrap();
        net.add_host("slow.example", [IpAddr::from(addr.ip())]);
        let listener = net.listen(addr).unwrap();
        let mut map = SocketMap::simulated(&net);
        let seen = Seen::default();
        map.add_with(|ch| {
            ch.connect_host("slow.example", 80)?;
            ch.push(b"last words");
            Ok(Recorder::new(&seen))
        })
        .unwrap();
        // The name is looked up, and the address tried, in the first passes.
        run_until(&mut map, |_| net.step());
        Slow { net, map, seen, listener }
    }
}

#[test]
fn addresses_being_tried_are_no_channels_of_the_map() {
    let slow = Slow::new();
    assert_eq!((slow.map.len(), slow.map.tokens().count()), (1, 1));
    assert_eq!((slow.map.stats().opened, slow.map.stats().closed), (1, 0));
}

#[test]
fn a_drain_lets_a_host_be_connected_to_and_sends_what_is_queued() {
    let Slow { net, mut map, seen, listener } = Slow::new();
    map.drain(60 * SECOND);
    let mut peer: Option<Peer> = None;
    run_until(&mut map, |map| {
        peer = peer.take().or_else(|| listener.accept());
        if peer.as_ref().is_some_and(Peer::saw_eof) {
            peer = None;
        }
        map.is_empty()
    });
    assert_eq!(seen.errors(), [""; 0]);
    assert!(net.elapsed() < 10 * SECOND, "it took {:?}", net.elapsed());
}
