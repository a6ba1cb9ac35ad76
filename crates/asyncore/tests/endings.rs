//! `handle_close` is the last callback, and is called exactly once, however a channel ends.

mod util;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::Network;
use asyncore::{
    Channel, Dispatcher, Domain, Error, ReaderProducer, Result, SocketMap, Token, Type,
};
use util::log::complaints;
use util::{Recorder, Remote, Seen, World, on_every_network};

type Connected = Token<Recorder>;

/// Connects a channel whose handler `prepare` sets up, ends it with `act`, and checks that
/// `handle_close` is called once, after all other callbacks.
#[track_caller]
fn ends_once(
    prepare: impl Fn(Recorder) -> Recorder,
    act: impl Fn(&mut World, Connected, Remote) -> Option<Remote>,
) {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(prepare(Recorder::new(&seen)));
        let _remote = act(world, token, remote);
        world.run_until(|world| world.map.is_empty());
        world.settle();
        assert_eq!(seen.count("handle_close"), 1, "{:?}", seen.calls());
        assert_eq!(seen.calls().last().unwrap(), "handle_close");
        let stats = world.map.stats();
        assert_eq!((stats.opened, stats.closed), (1, 1));
    });
}

fn unchanged(handler: Recorder) -> Recorder {
    handler
}

/// Returns a function that sets the handler's `handle_read` to `hook`.
fn reading(hook: fn(&mut Channel<'_>) -> Result) -> impl Fn(Recorder) -> Recorder {
    move |handler| handler.on("handle_read", hook)
}

/// Sends one byte from the remote end and keeps it open.
fn send_a_byte(_: &mut World, _: Connected, remote: Remote) -> Option<Remote> {
    remote.send(b"x");
    Some(remote)
}

#[test]
fn closing_from_outside() {
    ends_once(unchanged, |world, token, remote| {
        let mut channel = world.map.channel(token).unwrap();
        channel.close();
        channel.close();
        assert!(channel.is_closing() && !channel.is_connected());
        Some(remote)
    });
}

#[test]
fn closing_in_a_callback_and_then_failing() {
    ends_once(
        reading(|ch| {
            ch.close();
            ch.close_when_done();
            ch.abort();
            Err(Error::msg("and an error besides"))
        }),
        send_a_byte,
    );
}

#[test]
fn closing_again_in_handle_close() {
    ends_once(
        |handler| {
            handler.on("handle_close", |ch| {
                ch.close();
                ch.push(b"too late");
                ch.close_when_done();
                Ok(())
            })
        },
        |_, _, remote| {
            remote.close();
            None
        },
    );
}

#[test]
fn closing_when_done() {
    ends_once(unchanged, |world, token, remote| {
        let mut channel = world.map.channel(token).unwrap();
        channel.push(b"the last");
        channel.close_when_done();
        channel.close_when_done();
        world.run_until(|_| remote.saw_eof());
        assert_eq!(remote.received(), b"the last");
        remote.close();
        None
    });
}

#[test]
fn aborting() {
    ends_once(unchanged, |world, token, remote| {
        world.map.channel(token).unwrap().abort();
        world.run_until(|_| remote.was_reset());
        Some(remote)
    });
}

#[test]
fn taking_the_socket() {
    ends_once(unchanged, |world, token, remote| {
        let socket = world.map.channel(token).unwrap().take_socket();
        world.settle();
        assert!(!remote.saw_eof() && !remote.was_reset());
        drop(socket);
        world.run_until(|_| remote.saw_eof());
        None
    });
}

#[test]
fn the_peers_end_of_stream() {
    ends_once(unchanged, |_, _, remote| {
        remote.shutdown();
        Some(remote)
    });
}

#[test]
fn the_peers_close() {
    ends_once(unchanged, |_, _, remote| {
        remote.close();
        None
    });
}

#[test]
fn the_peers_reset() {
    ends_once(unchanged, |_, _, remote| {
        remote.reset();
        None
    });
}

#[test]
fn the_peers_reset_while_output_is_queued() {
    ends_once(unchanged, |world, token, remote| {
        remote.pause_reading();
        world.map.channel(token).unwrap().push(vec![0; 16_000_000]);
        world.settle();
        remote.reset();
        None
    });
}

#[test]
fn an_error_in_a_callback() {
    ends_once(reading(|_| Err(io::Error::other("no").into())), send_a_byte);
}

#[test]
fn a_panic_in_a_callback() {
    ends_once(reading(|_| panic!("no")), send_a_byte);
}

#[test]
fn a_producer_that_fails() {
    struct Failing;
    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    ends_once(unchanged, |world, token, remote| {
        world.map.channel(token).unwrap().push_with_producer(ReaderProducer::new(Failing));
        Some(remote)
    });
}

#[test]
fn an_idle_timeout() {
    ends_once(unchanged, |world, token, remote| {
        world.map.channel(token).unwrap().set_timeout(Duration::from_millis(1));
        Some(remote)
    });
}

#[test]
fn closing_all() {
    ends_once(unchanged, |world, _, remote| {
        world.map.close_all();
        assert!(world.map.is_empty(), "close_all calls handle_close before it returns");
        Some(remote)
    });
}

#[test]
fn draining() {
    ends_once(unchanged, |world, _, remote| {
        world.map.drain(Duration::from_secs(3600));
        world.run_until(|_| remote.saw_eof());
        remote.close();
        None
    });
}

#[test]
fn an_error_in_handle_eof() {
    ends_once(
        |handler| handler.on("handle_eof", |_| Err(Error::msg("no"))),
        |_, _, remote| {
            remote.shutdown();
            Some(remote)
        },
    );
}

#[test]
fn a_panic_in_handle_close_is_logged_and_removes_the_channel() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_close", |_| panic!("no"));
        let (token, _remote) = world.connect(handler);
        world.map.channel(token).unwrap().close();
        let lines = complaints(|| world.run_until(|world| world.map.is_empty()));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("uncaptured error in channel <"), "{lines:?}");
        assert_eq!(seen.count("handle_close"), 1);
    });
}

#[test]
fn a_handler_whose_drop_panics_is_dropped_after_handle_close() {
    struct Dropped(Rc<Cell<&'static str>>);
    impl Dispatcher for Dropped {
        fn handle_close(&mut self, _: &mut Channel<'_>) {
            assert_eq!(self.0.replace("closed"), "");
        }
    }
    impl Drop for Dropped {
        fn drop(&mut self) {
            assert_eq!(self.0.replace("dropped"), "closed");
            panic!("in a drop");
        }
    }
    on_every_network(|world| {
        let state: Rc<Cell<&'static str>> = Rc::default();
        let (token, _remote) = world.connect(Dropped(Rc::clone(&state)));
        world.map.channel(token).unwrap().close();
        let lines = complaints(|| world.run_until(|world| world.map.is_empty()));
        assert_eq!(state.get(), "dropped");
        assert!(lines.len() == 1 && lines[0].ends_with(": in a drop)"), "{lines:?}");
    });
}

#[test]
fn a_refused_connection_gives_an_error_and_a_close() {
    let net = Network::new(1);
    let mut map = SocketMap::simulated(&net);
    let seen = Seen::default();
    let addr: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let connecting = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(addr)?;
        Ok(Recorder::new(&seen))
    });
    connecting.unwrap();
    map.run().unwrap();
    let calls = seen.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[0].starts_with("handle_error: cannot connect to 127.0.0.1:9: "), "{calls:?}");
    assert_eq!(calls[1], "handle_close");
}

#[test]
fn a_failed_add_with_calls_no_callback() {
    let mut map = SocketMap::new().unwrap();
    let made: io::Result<Token<Recorder>> = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        Err(io::Error::other("no handler for it"))
    });
    assert_eq!(made.unwrap_err().to_string(), "no handler for it");
    assert!(map.is_empty());
    map.run().unwrap();
}
