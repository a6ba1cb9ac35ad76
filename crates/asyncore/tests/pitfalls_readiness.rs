//! What readiness means and does not mean: end, hang-up, urgent bytes, and callbacks that do
//! nothing about it.

mod util;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::Faults;
use asyncore::{Channel, Domain, LoopOptions, Result, SocketMap, Type};
use util::{Recorder, Remote, Seen, World, on_every_network, on_every_poller};

fn does_nothing(_: &mut Channel<'_>) -> Result {
    Ok(())
}

/// A channel whose half is shut and whose peer has sent `data` and closed: a hang-up.
fn hung_up(world: &mut World, handler: Recorder, data: &[u8]) {
    let (token, remote) = world.connect(handler);
    world.map.channel(token).unwrap().shutdown_write();
    world.run_until(|_| remote.saw_eof());
    remote.send(data);
    // Let it arrive before the channel looks again, so that data and end are there together.
    if let Some(net) = &world.net {
        while net.step() {}
    }
    remote.close();
    if let Some(net) = &world.net {
        while net.step() {}
    }
}

#[test]
fn what_arrived_before_a_hang_up_is_read_to_the_end() {
    on_every_network(|world| {
        let seen = Seen::default();
        hung_up(world, Recorder::new(&seen), &[7; 900]);
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), [7; 900]);
        assert!(seen.order().ends_with("handle_read handle_eof handle_close"), "{}", seen.order());
        assert_eq!((seen.count("handle_eof"), seen.count("handle_close")), (1, 1));
        assert_eq!(seen.cause(), None);
    });
}

/// The simulated network drops what was not read, as some systems do; Linux keeps it.
#[test]
#[cfg(target_os = "linux")]
fn what_arrived_before_a_reset_is_read_to_the_end() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let (ours, theirs) = util::tcp_pair();
        std::io::Write::write_all(&mut &theirs, &[7; 50_000]).unwrap();
        socket2::SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
        drop(theirs);
        map.add(Recorder::new(&seen), ours);
        util::run_until(&mut map, |_| seen.is_closed());
        assert_eq!(seen.received_len(), 50_000);
        assert_eq!((seen.count("handle_eof"), seen.count("handle_close")), (0, 1));
        assert!(seen.cause().unwrap().contains("reset"), "{:?}", seen.cause());
    });
}

#[test]
fn a_hang_up_that_nobody_waits_for_does_not_spin_and_loses_nothing() {
    on_every_network(|world| {
        let seen = Seen::default();
        let open = Rc::new(Cell::new(false));
        let gate = Rc::clone(&open);
        hung_up(world, Recorder::new(&seen).readable(move |_| gate.get()), b"last words");
        world.settle();
        assert_eq!(seen.count("handle_read"), 0);

        open.set(true);
        let token = world.map.tokens().next().unwrap();
        world.map.channel(token).unwrap().touch();
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), b"last words");
    });
}

#[test]
fn a_hang_up_on_a_channel_that_waits_for_urgent_data_only_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).readable(|_| false).on("handle_connect", |ch| {
            ch.set_priority(true);
            Ok(())
        });
        hung_up(world, handler, b"x");
        world.settle();
    });
}

#[test]
fn a_reset_after_the_end_of_the_stream_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_eof", does_nothing);
        let handler = handler.on("handle_connect", |ch| {
            ch.set_priority(true);
            Ok(())
        });
        let (_, remote) = world.connect(handler);
        remote.shutdown();
        world.run_until(|_| seen.count("handle_eof") == 1);
        world.settle();
        let reads = seen.count("handle_read");
        remote.reset();
        world.settle();
        assert_eq!(seen.count("handle_read"), reads, "there is nothing left to read");
    });
}

#[test]
fn spurious_readiness_is_no_error_and_closes_nothing() {
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
        assert!(seen.count("handle_read") > 100, "no readiness was spurious: {}", seen.order());
        assert!(seen.errors().is_empty() && map.contains(token));
        assert!(peer.is_connected());
    }
}

#[test]
fn would_block_out_of_a_callback_is_no_error() {
    on_every_network(|world| {
        let seen = Seen::default();
        let would_block = |_: &mut Channel<'_>| Err(std::io::ErrorKind::WouldBlock.into());
        let would_block = move |ch: &mut Channel<'_>| {
            would_block(ch).map_err(|kind: std::io::ErrorKind| std::io::Error::from(kind).into())
        };
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
fn writable_that_says_true_with_nothing_to_send_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, remote) = world.connect(Recorder::new(&seen).writable(|_| true));
        world.settle();
        let offered = seen.count("handle_write");
        assert!(offered > 0);
        // It still hears of what happens.
        remote.send(b"x");
        world.run_until(|_| seen.received() == b"x");
        world.settle();
        assert!(seen.count("handle_write") > offered, "something happened on it since");
    });
}

#[test]
fn handle_read_that_does_not_read_does_not_spin() {
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
fn a_channel_that_leaves_both_reading_and_writing_alone_does_not_spin() {
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
fn reading_into_no_room_does_not_spin() {
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

/// Is told of connections and does nothing about them.
struct Idler(Rc<Cell<u32>>);

impl asyncore::Dispatcher for Idler {
    fn handle_accept(&mut self, _: &mut Channel<'_>) -> Result {
        self.0.set(self.0.get() + 1);
        Ok(())
    }
}

fn urgent(world: &mut World, handler: Recorder) -> Remote {
    let (_, remote) = world.connect(handler);
    remote.send_urgent(b'!');
    remote.send(b"text");
    remote
}

#[test]
fn an_urgent_byte_that_nobody_asked_for_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let _remote = urgent(world, Recorder::new(&seen));
        world.run_until(|_| seen.received() == b"text");
        world.settle();
        assert_eq!(seen.count("handle_expt"), 0);
    });
}

#[test]
fn an_urgent_byte_that_handle_expt_leaves_alone_does_not_spin() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_connect", |ch| {
            ch.set_priority(true);
            Ok(())
        });
        let _remote = urgent(world, handler);
        world.run_until(|_| seen.received() == b"text" && seen.count("handle_expt") > 0);
        world.settle();
    });
}

#[test]
fn an_urgent_byte_is_received_where_it_was_asked_for() {
    on_every_network(|world| {
        let seen = Seen::default();
        let urgent_byte = Rc::new(Cell::new(0));
        let found = Rc::clone(&urgent_byte);
        let handler = Recorder::new(&seen).on("handle_connect", |ch| {
            ch.set_priority(true);
            Ok(())
        });
        let handler = handler.on("handle_expt", move |ch| {
            let mut byte = [0];
            ch.recv_oob(&mut byte)?;
            found.set(byte[0]);
            Ok(())
        });
        let _remote = urgent(world, handler);
        world.run_until(|_| seen.received() == b"text" && urgent_byte.get() == b'!');
        world.settle();
        assert_eq!(seen.count("handle_expt"), 1);
    });
}
