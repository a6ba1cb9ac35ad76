//! Data both ways: whole, in order, within bounds, on bad networks too.

use std::sync::Arc;

use asyncore::SocketMap;
use asyncore::sim::{Faults, Network};

use crate::ends::{Role, TlsEnd, channel, connected};
use crate::identities::{self, BOTH_VERSIONS};
use crate::util::{Recorder, Seen, World, on_every_network};

fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

#[test]
fn more_than_any_buffer_holds_arrives_whole_both_ways_at_once() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, mut client) = connected(world, &seen, Recorder::new(&seen));
        // A pass of a simulated network carries some bytes only.
        let len = if world.net.is_some() { 60_000 } else { 1_000_000 };
        let (down, up) = (pattern(len, 1), pattern(len, 2));
        world.map.channel(token).expect("open").push(&down);
        client.send(&up);
        world.run_until(|_| {
            client.received().len() == down.len() && seen.received_len() == up.len()
        });
        assert!(client.received() == down && seen.received() == up);
    });
}

#[test]
fn output_waits_in_the_queue_until_the_handshake_is_complete() {
    on_every_network(|world| {
        let seen = Seen::default();
        let role = Role::Server(Arc::new(identities::server(&BOTH_VERSIONS, false)));
        let (token, remote) = channel(world, &role, |_| Recorder::new(&seen));
        let early = pattern(80_000, 3);
        world.map.channel(token).expect("open").push(&early);
        let mut client = TlsEnd::client(remote, Arc::new(identities::client(false)));
        world.run_until(|_| client.received().len() == early.len());
        assert!(client.received() == early);
    });
}

#[test]
fn what_a_reader_that_stalls_has_not_read_stays_in_the_queue_and_counts() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, client) = connected(world, &seen, Recorder::new(&seen));
        client.remote.pause_reading();
        let (mut pushed, piece) = (0, vec![b'x'; 16 * 1024]);
        for _ in 0..world.flood / piece.len() + 64 {
            let mut ch = world.map.channel(token).expect("open");
            if ch.output_len() < ch.high_water() {
                ch.push(&piece);
                pushed += piece.len();
            }
            world.pass(Some(std::time::Duration::ZERO));
        }
        let waiting = world.map.channel(token).expect("open").output_len();
        // The mark and one more piece above TLS; below it, one chunk with its overhead.
        assert!((1..=128 * 1024).contains(&waiting), "{waiting} of {pushed} bytes");
        client.remote.resume_reading();
        let mut client = client;
        world.run_until(|_| client.received().len() == pushed);
    });
}

#[test]
fn random_traffic_survives_harsh_networks() {
    for seed in 0..40 {
        let faults = Faults { reset: 0.0, ..Faults::harsh() };
        let net = Network::with_faults(seed, faults);
        let map = SocketMap::builder().panic_hook(true).build_simulated(&net);
        let mut world = World::on(map);
        world.net = Some(net);
        let seen = Seen::default();
        let (token, mut client) = connected(&mut world, &seen, Recorder::new(&seen));
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for round in 0..20 {
            let piece = pattern(rng.usize(1..3000), seed * 100 + round);
            if rng.bool() {
                world.map.channel(token).expect("open").push(&piece);
                down.extend(piece);
            } else {
                client.send(&piece);
                up.extend(piece);
            }
            world.pass(Some(std::time::Duration::ZERO));
        }
        world.run_until(|_| {
            client.received().len() == down.len() && seen.received_len() == up.len()
        });
        assert!(client.received() == down && seen.received() == up, "seed {seed}");
    }
}
