//! Readiness that a handler does not use must not make the loop spin, and spurious readiness must be
//! harmless.

mod util;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::Faults;
use asyncore::{Channel, Domain, LoopOptions, Result, SocketMap, Type};
use util::{Recorder, Seen, on_every_network};

fn does_nothing(_: &mut Channel<'_>) -> Result {
    Ok(())
}

#[test]
fn spurious_readiness_is_not_an_error() {
    let faults = Faults { would_block: 0.9, ..Faults::mild() };
    for seed in 0..20 {
        let net = asyncore::sim::Network::with_faults(seed, faults.clone());
        let mut map = SocketMap::simulated(&net);
        let listener = net.listen("127.0.0.1:1".parse().unwrap()).unwrap();
        let seen = Seen::default();
        let handler = Recorder::new(&seen).writable(|_| true).on("handle_write", |ch| {
            ch.send(b"")?;
            Ok(())
        });
        let token = map
            .add_with(|ch| {
                ch.create_socket(Domain::IPV4, Type::STREAM)?;
                ch.connect(listener.local_addr())?;
                Ok(handler)
            })
            .unwrap();
        util::run_until(&mut map, |_| seen.count("handle_connect") == 1);
        let peer = listener.accept().unwrap();
        for _ in 0..100 {
            peer.send(b"x");
            let _ = map.poll(Some(Duration::from_millis(1))).unwrap();
        }
        util::run_until(&mut map, |_| seen.received_len() == 100);
        // Traffic of other channels also ends a wait; the poller then reports spurious events.
        let reads = seen.count("handle_read");
        let other = net.connect(listener.local_addr());
        for _ in 0..100 {
            other.send(b"x");
            let _ = map.poll(Some(Duration::from_millis(1))).unwrap();
        }
        assert!(seen.count("handle_read") > reads, "no readiness was spurious: {}", seen.order());
        assert!(seen.errors().is_empty() && map.contains(token));
        assert!(peer.is_connected());
    }
}

#[test]
fn would_block_from_a_callback_is_not_an_error() {
    on_every_network(|world| {
        let seen = Seen::default();
        let would_block =
            |_: &mut Channel<'_>| Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        let handler = Recorder::new(&seen)
            .on("handle_connect", would_block)
            .on("handle_write", would_block)
            .on("handle_eof", would_block)
            .on("handle_read", |ch| {
                loop {
                    if ch.recv(&mut [0; 1])? == 0 {
                        return Ok(());
                    }
                }
            })
            .writable(|_| true);
        let (token, remote) = world.connect(handler);
        remote.send(b"some");
        remote.shutdown();
        world.run_until(|_| seen.count("handle_eof") == 1);
        world.settle();
        assert!(seen.count("handle_write") > 0 && seen.errors().is_empty());
        assert!(world.map.contains(token), "{}", seen.order());
    });
}

#[test]
fn writable_without_output_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, remote) = world.connect(Recorder::new(&seen).writable(|_| true));
        world.settle();
        let offered = seen.count("handle_write");
        assert!(offered > 0);
        // The channel still gets new events.
        remote.send(b"x");
        world.run_until(|_| seen.received() == b"x");
        world.settle();
        assert!(seen.count("handle_write") > offered, "something happened on it since");
    });
}

#[test]
fn a_handle_read_that_does_not_read_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", does_nothing);
        let (token, remote) = world.connect(handler);
        remote.send(b"x");
        world.run_until(|_| seen.count("handle_read") == 1);
        world.settle();
        assert_eq!(seen.count("handle_read"), 1);
        world.map.channel(token).unwrap().touch();
        world.run_until(|_| seen.count("handle_read") == 2);
    });
}

#[test]
fn a_channel_that_neither_reads_nor_writes_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", does_nothing).writable(|_| true);
        let (_, remote) = world.connect(handler);
        remote.send(b"x");
        world.run_until(|_| seen.count("handle_read") > 0);
        world.settle();
        let (passes, events) = (world.map.stats().passes, world.map.stats().events);
        let options = LoopOptions { timeout: Some(Duration::ZERO), count: Some(50) };
        world.map.run_with(options).unwrap();
        assert_eq!(world.map.stats().passes, passes + 50);
        assert_eq!(world.map.stats().events, events, "an idle channel is no event");
    });
}

#[test]
fn reading_into_an_empty_buffer_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", |ch| {
            ch.recv(&mut [])?;
            Ok(())
        });
        let (_, remote) = world.connect(handler);
        remote.send(b"x");
        world.run_until(|_| seen.count("handle_read") > 0);
        world.settle();
    });
}

#[test]
fn recv_from_at_the_end_of_a_stream_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", |ch| {
            ch.recv_from(&mut [0; 16])?;
            Ok(())
        });
        let (_, remote) = world.connect(handler);
        remote.send(b"x");
        remote.shutdown();
        world.run_until(|_| seen.count("handle_read") > 0);
        world.settle();
    });
}

#[test]
fn a_listener_whose_handle_accept_accepts_nothing_does_not_spin() {
    on_every_network(|world| {
        let accepting = Rc::new(Cell::new(0));
        let (_, addr) = world.listen(Idler(Rc::clone(&accepting)));
        let _visitor = world.visit(addr);
        world.run_until(|_| accepting.get() > 0);
        world.settle();
        assert_eq!(accepting.get(), 1);
    });
}

/// A listener whose `handle_accept` does nothing.
struct Idler(Rc<Cell<u32>>);

impl asyncore::Dispatcher for Idler {
    fn handle_accept(&mut self, _: &mut Channel<'_>) -> Result {
        self.0.set(self.0.get() + 1);
        Ok(())
    }
}

#[test]
fn predicates_are_reevaluated_after_handle_timeout() {
    on_every_network(|world| {
        let seen = Seen::default();
        let open = Rc::new(Cell::new(false));
        let (gate, key) = (Rc::clone(&open), Rc::clone(&open));
        let handler = Recorder::new(&seen)
            .readable(move |_| gate.get())
            .on("handle_connect", |ch| {
                ch.set_timeout(Duration::from_millis(1));
                Ok(())
            })
            .on("handle_timeout", move |_| {
                key.set(true);
                Ok(())
            });
        let (_, remote) = world.connect(handler);
        remote.send(b"late");
        world.run_until(|_| seen.received() == b"late");
        assert!(seen.count("handle_timeout") > 0);
    });
}
