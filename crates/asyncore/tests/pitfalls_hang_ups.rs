//! Hang-ups and resets: earlier input is read, and they neither spin nor go unnoticed.

mod util;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Dispatcher, EventLoop, Producer};
use util::{Recorder, Seen, World, on_every_network, on_every_poller};

/// Adds a channel that has shut down its half and whose peer sent `data` and closed: a hang-up.
fn hung_up(world: &mut World, handler: Recorder, data: &[u8]) {
    let (token, remote) = world.connect(handler);
    world.map.channel(token).unwrap().shutdown_write();
    world.run_until(|_| remote.saw_eof());
    remote.send(data);
    // Wait until both the data and the end have arrived, so that one event reports them.
    if let Some(net) = &world.net {
        while net.step() {}
    }
    remote.close();
    if let Some(net) = &world.net {
        while net.step() {}
    }
}

#[test]
fn input_before_a_hang_up_is_read() {
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

/// Linux keeps unread input on a reset; the simulated network drops it, as some systems do.
#[test]
#[cfg(target_os = "linux")]
fn input_before_a_reset_is_read() {
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
fn input_before_a_unix_peer_closed_is_read() {
    // A hang-up on this kind of socket arrives together with the data.
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut theirs, &[7; 50_000]).unwrap();
        drop(theirs);
        let seen = Seen::default();
        map.add(Recorder::new(&seen), asyncore::Socket::try_from(ours).unwrap());
        util::run_until(&mut map, |map| map.is_empty());
        assert_eq!((seen.received_len(), seen.cause()), (50_000, None));
        assert_eq!(seen.order(), "handle_read handle_eof handle_close");
    });
}

#[test]
fn a_hang_up_on_an_unread_channel_does_not_spin() {
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
fn a_hang_up_behind_a_full_sink_loses_nothing() {
    on_every_network(|world| {
        let (sink, sink_remote) = world.connect(Recorder::new(&Seen::default()));
        sink_remote.pause_reading();
        let flood = world.flood;
        world.map.channel(sink).unwrap().set_high_water(1);
        world.map.channel(sink).unwrap().push(vec![1; flood]);
        world.settle();
        assert!(world.map.channel(sink).unwrap().output_len() > 0);
        let seen = Seen::default();
        let relay = Recorder::new(&seen).on("handle_read", move |ch| {
            let mut buf = [0; 1000];
            let n = ch.recv(&mut buf)?;
            ch.channel(sink).unwrap().push(&buf[..n]);
            Ok(())
        });
        let (source, source_remote) = world.connect(relay);
        world.map.channel(source).unwrap().set_sink(sink);
        world.map.channel(source).unwrap().shutdown_write();
        source_remote.send(&[2; 500]);
        source_remote.shutdown();
        world.settle();
        assert!(source_remote.saw_eof());
        assert_eq!((seen.count("handle_read"), seen.count("handle_close")), (0, 0));
        sink_remote.resume_reading();
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(sink_remote.received());
            received.len() == flood + 500 && seen.is_closed()
        });
        assert!(received.ends_with(&[2; 500]));
    });
}

/// A producer that never has anything.
struct Nothing;

impl Producer for Nothing {
    fn more(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[test]
fn a_reset_ends_a_closing_channel_whose_producer_has_nothing() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        world.map.channel(token).unwrap().push_with_producer(Nothing);
        remote.shutdown();
        world.run_until(|_| seen.count("handle_eof") == 1);
        world.settle();
        assert!(!seen.is_closed());
        remote.reset();
        world.run_until(|_| seen.is_closed());
    });
}

#[test]
fn a_hang_up_while_waiting_for_urgent_data_does_not_spin() {
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
        let handler = Recorder::new(&seen).on("handle_eof", |_| Ok(()));
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

/// Adds a channel whose peer has reset the connection while `tail` is unread.
///
/// Real sockets only: the simulated network drops unread input on a reset.
#[cfg(target_os = "linux")]
fn reset_with_a_tail(map: &mut EventLoop, handler: impl Dispatcher, tail: &[u8]) {
    let (ours, theirs) = util::tcp_pair();
    std::io::Write::write_all(&mut &theirs, tail).unwrap();
    socket2::SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
    drop(theirs);
    map.add(handler, ours);
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_send_does_not_cost_what_was_received_before() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        reset_with_a_tail(&mut map, Recorder::new(&seen), &[7; 50_000]);
        let token = map.tokens().next().unwrap();
        map.channel(token).unwrap().push(b"into the void");
        util::run_until(&mut map, |_| seen.is_closed());
        assert_eq!(seen.received_len(), 50_000);
        assert_eq!((seen.count("handle_eof"), seen.count("handle_close")), (0, 1));
        assert!(seen.errors().is_empty(), "a connection that is gone is an end, not a failure");
        assert!(seen.cause().is_some());
    });
}

#[test]
#[cfg(target_os = "linux")]
fn an_unreadable_channel_is_read_after_a_failed_send() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let handler = Recorder::new(&seen).readable(|_| false).writable(|_| true);
        let handler = handler.on("handle_write", |ch| {
            ch.send(b"into the void")?;
            Ok(())
        });
        reset_with_a_tail(&mut map, handler, &[7; 50_000]);
        util::run_until(&mut map, |_| seen.is_closed());
        assert_eq!(seen.received_len(), 50_000);
        assert_eq!(seen.count("handle_close"), 1);
    });
}

#[test]
fn a_send_only_channel_closes_after_a_reset() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", |_| Ok(()));
        let (token, remote) = world.connect(handler);
        remote.reset();
        world.settle();
        for _ in 0..3 {
            if let Some(mut channel) = world.map.channel(token) {
                channel.push(b"news");
            }
            world.settle();
        }
        assert!(seen.is_closed(), "{}", seen.order());
    });
}

#[test]
fn a_reset_by_a_stalled_reader_closes_the_channel() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        remote.pause_reading();
        world.map.channel(token).unwrap().push(vec![9; world.flood]);
        world.settle();
        assert!(world.map.channel(token).unwrap().has_output());
        remote.reset();
        world.run_until(|_| seen.is_closed());
        world.settle();
        assert!(world.map.is_empty() && seen.errors().is_empty());
        assert!(seen.cause().is_some());
    });
}

#[test]
fn a_connection_that_was_reset_before_it_was_added_ends() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        socket2::SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
        drop(theirs);
        let seen = Seen::default();
        map.add(Recorder::new(&seen), asyncore::Socket::try_from(ours).unwrap());
        util::run_until(&mut map, |map| map.is_empty());
        assert_eq!(seen.count("handle_close"), 1);
    });
}
