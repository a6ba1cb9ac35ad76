//! The settings of a map, and the choice of its poller.

mod util;

use std::time::Duration;

use asyncore::sim::{Faults, Network, Peer};
use asyncore::{Domain, MapBuilder, PollerKind, SocketMap, Type};
use util::{Recorder, Seen, run_until};

const SECOND: Duration = Duration::from_secs(1);

/// Connects a channel of a map built by `builder` to a peer, sends 1 MB and closes; returns the time
/// until the channel closes, and the cause.
fn time_to_close(builder: MapBuilder, prepare: impl Fn(&Peer)) -> (Duration, Option<String>) {
    let net = Network::with_faults(1, Faults::none());
    let mut map = builder.build_simulated(&net);
    let listener = net.listen("127.0.0.1:7".parse().unwrap()).unwrap();
    let seen = Seen::default();
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(listener.local_addr())?;
        Ok(Recorder::new(&seen))
    });
    let token = added.unwrap();
    run_until(&mut map, |_| seen.count("handle_connect") == 1);
    let peer = listener.accept().unwrap();
    prepare(&peer);
    let mut channel = map.channel(token).unwrap();
    channel.push(vec![0; 1_000_000]);
    channel.close_when_done();
    let start = net.elapsed();
    map.run().unwrap();
    assert!(seen.is_closed());
    (net.elapsed() - start, seen.cause())
}

#[test]
fn a_closing_channel_waits_for_its_peer_up_to_the_linger_time() {
    for (builder, linger) in [
        (SocketMap::builder(), 2 * SECOND),
        (SocketMap::builder().linger(60 * SECOND), 60 * SECOND),
        (SocketMap::builder().linger(Duration::ZERO), Duration::ZERO),
    ] {
        let (took, cause) = time_to_close(builder, |_| ());
        // Includes the time for sending, which is short without latency.
        assert!(took >= linger && took < linger + SECOND, "{took:?} instead of {linger:?}");
        assert_eq!(cause, None, "an end in good order");
    }
}

#[test]
fn a_stalled_peer_is_dropped_after_the_send_timeout() {
    for (builder, limit) in [
        (SocketMap::builder(), 30 * SECOND),
        (SocketMap::builder().send_timeout(5 * SECOND), 5 * SECOND),
    ] {
        let (took, cause) = time_to_close(builder, Peer::pause_reading);
        // The peer's window takes the first bytes at once, which restarts the timeout.
        assert!(took >= limit && took <= 2 * limit + SECOND, "{took:?} for {limit:?}");
        let cause = cause.unwrap();
        let expected = "the peer took none of the last ";
        assert!(
            cause.starts_with(expected) && cause.ends_with(&format!("in {limit:?}")),
            "{cause}"
        );
    }
}

#[test]
fn connecting_fails_after_the_maps_connect_timeout() {
    for (builder, limit) in [
        (SocketMap::builder(), 30 * SECOND),
        (SocketMap::builder().connect_timeout(3 * SECOND), 3 * SECOND),
    ] {
        let net = Network::with_faults(1, Faults::none());
        let mut map = builder.build_simulated(&net);
        net.add_host("silent.example", ["192.0.2.1".parse().unwrap()]);
        net.blackhole("192.0.2.1:80".parse().unwrap());
        let seen = Seen::default();
        let added = map.add_with(|ch| {
            ch.connect_host("silent.example", 80)?;
            Ok(Recorder::new(&seen))
        });
        added.unwrap();
        map.run().unwrap();
        assert_eq!(net.elapsed(), limit);
        let expected = format!("cannot connect to silent.example:80: no answer in {limit:?}");
        assert_eq!(seen.errors(), [expected]);
    }
}

#[test]
fn every_poller_kind_parses_from_its_name() {
    for kind in PollerKind::ALL {
        assert_eq!(kind.to_string().parse::<PollerKind>(), Ok(*kind));
    }
    assert_eq!(PollerKind::ALL[0], PollerKind::default());
    let names: Vec<String> = PollerKind::ALL.iter().map(PollerKind::to_string).collect();
    let unknown = "best".parse::<PollerKind>().unwrap_err().to_string();
    let expected = format!(
        "there is no poller named \"best\" in this build; choose one of: {}",
        names.join(", ")
    );
    assert_eq!(unknown, expected);
}
