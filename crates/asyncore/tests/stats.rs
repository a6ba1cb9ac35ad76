//! Counters, readable at any time.

mod util;

use std::time::Duration;

use asyncore::{Channel, ChannelStats, Dispatcher, Error, Result, SocketMap, Stats};
use util::{Recorder, Seen, on_every_network, on_every_poller, tcp_pair};

struct Echo;

impl Dispatcher for Echo {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 256];
        let n = ch.recv(&mut buf)?;
        ch.push(&buf[..n]);
        Ok(())
    }
}

#[test]
fn a_new_map_has_zero_counters() {
    on_every_poller(|builder| {
        let map = builder.build().unwrap();
        assert_eq!(map.stats(), Stats::default());
    });
}

#[test]
fn bytes_are_counted_for_the_map_and_for_each_channel() {
    on_every_network(|world| {
        let (echo, remote) = world.connect(Echo);
        let (silent, _silent_remote) = world.connect(Echo);
        remote.send(&[7; 1000]);
        let mut echoed = 0;
        world.run_until(|_| {
            echoed += remote.received().len();
            echoed == 1000
        });
        let stats = world.map.stats();
        assert_eq!((stats.bytes_in, stats.bytes_out), (1000, 1000));
        let stats = world.map.channel_stats(echo).unwrap();
        assert_eq!((stats.bytes_in, stats.bytes_out, stats.output_len), (1000, 1000, 0));
        let stats = world.map.channel_stats(silent).unwrap();
        assert_eq!((stats.bytes_in, stats.bytes_out), (0, 0));
    });
}

#[test]
fn a_callback_reads_the_counters_of_channel_and_map() {
    struct Reading(Seen);
    impl Dispatcher for Reading {
        fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
            let before = (ch.stats(), SocketMap::stats(ch));
            let n = ch.recv(&mut [0; 64])? as u64;
            ch.push(b"12345");
            let (stats, map_stats) = (ch.stats(), SocketMap::stats(ch));
            assert_eq!(stats.bytes_in, before.0.bytes_in + n);
            assert_eq!(map_stats.bytes_in, before.1.bytes_in + n);
            assert_eq!(stats.output_len, ch.output_len());
            assert!(stats.events > 0 && map_stats.passes > 0);
            self.0.note("read");
            Ok(())
        }
    }
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, remote) = world.connect(Reading(seen.clone()));
        remote.send(b"x");
        world.run_until(|_| seen.count("read") > 0);
        assert_eq!(world.map.stats().errors, 0);
    });
}

#[test]
fn channels_are_counted_as_they_open_and_close() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, addr) = world.listen(Recorder::new(&seen));
        let visitors: Vec<_> = (0..3).map(|_| world.visit(addr)).collect();
        world.run_until(|world| world.map.stats().accepted == 3);
        let stats = world.map.stats();
        assert_eq!((stats.opened, stats.closed, stats.accepted), (4, 0, 3));
        drop(visitors);
        world.run_until(|_| seen.count("handle_close") == 3);
        let stats = world.map.stats();
        assert_eq!((stats.opened, stats.closed, world.map.len()), (4, 3, 1));
    });
}

#[test]
fn errors_passes_timers_and_events_are_counted() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (socket, remote) = tcp_pair();
        let seen = Seen::default();
        let token =
            map.add(Recorder::new(&seen).on("handle_read", |_| Err(Error::msg("no"))), socket);
        let _ = map.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!(map.stats().passes, 1);
        drop(remote);
        map.call_later(Duration::ZERO, |_| Ok(()));
        map.run().unwrap();
        let stats = map.stats();
        assert_eq!((stats.events, stats.errors, stats.timers), (1, 1, 1));
        assert_eq!(map.channel_stats(token), None, "a channel's counters go with it");
    });
}

#[test]
fn output_len_counts_the_unsent_bytes() {
    on_every_network(|world| {
        let (token, remote) = world.connect(Echo);
        remote.pause_reading();
        world.map.channel(token).unwrap().push(vec![0; 100_000_000 / 2]);
        world.settle();
        let ChannelStats { bytes_out, output_len, .. } = world.map.channel_stats(token).unwrap();
        assert!(output_len > 0);
        assert_eq!(bytes_out + output_len as u64, 50_000_000);
    });
}

#[test]
fn out_of_band_data_is_counted() {
    on_every_network(|world| {
        let (token, _remote) = world.connect(Echo);
        world.map.channel(token).unwrap().send_oob(b"!").unwrap();
        assert_eq!(world.map.channel_stats(token).unwrap().bytes_out, 1);
        assert_eq!(world.map.stats().bytes_out, 1);
    });
}

#[test]
fn debug_of_a_map_shows_its_counters() {
    let map = SocketMap::new().unwrap();
    let shown = format!("{map:?}");
    assert!(shown.starts_with("SocketMap { channels: 0, timers: 0, stats: Stats {"), "{shown}");
}
