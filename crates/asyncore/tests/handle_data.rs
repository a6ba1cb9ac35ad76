//! `handle_data`: the loop receives, and passes the data to the handler.

mod util;

use std::os::unix::net::UnixDatagram;

use asyncore::{Channel, Dispatcher, Error, Result, Socket, Token};
use util::{Seen, assert_rests, on_every_network, on_every_poller, run_until};

type Hook = Box<dyn FnMut(&mut Channel<'_>, &[u8]) -> Result>;

/// Records the data and runs the test's hook.
struct Told {
    seen: Seen,
    size: usize,
    hook: Hook,
}

impl Told {
    fn new(seen: &Seen, hook: impl FnMut(&mut Channel<'_>, &[u8]) -> Result + 'static) -> Self {
        Told { seen: seen.clone(), size: 1000, hook: Box::new(hook) }
    }
}

impl Dispatcher for Told {
    fn ac_in_buffer_size(&self) -> usize {
        self.size
    }

    fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        self.seen.note("handle_data");
        (self.hook)(ch, data)
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        self.seen.note("handle_read");
        let mut buf = [0; 100];
        let n = ch.recv(&mut buf)?;
        (self.hook)(ch, &buf[..n])
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        self.seen.note("handle_eof");
        ch.close_when_done();
        Ok(())
    }

    fn handle_close(&mut self, _: &mut Channel<'_>) {
        self.seen.note("handle_close");
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        self.seen.note(format!("handle_error: {error}"));
        if error.to_string() != "kept" {
            ch.close();
        }
    }
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

#[test]
fn handle_data_receives_the_stream_in_order() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Told::new(&seen, |ch, data| {
            assert!(!data.is_empty() && data.len() <= 1000, "{} bytes at once", data.len());
            ch.push(data);
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        let sent = pattern(10_000);
        remote.send(&sent);
        remote.shutdown();
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(remote.received());
            received.len() >= sent.len()
        });
        remote.close();
        world.run_until(|world| !world.map.contains(token));
        assert!(received == sent, "the echo differs");
        assert_eq!(seen.order(), "handle_data handle_eof handle_close");
        assert_eq!(world.map.stats().bytes_in, 10_000);
    });
}

#[test]
fn a_channel_can_switch_between_handle_data_and_handle_read() {
    on_every_network(|world| {
        let seen = Seen::default();
        let mut received = 0;
        let (_, remote) = world.connect(Told::new(&seen, move |ch, data| {
            received += data.len();
            match received {
                3 => ch.set_in_buffer_size(0),
                6 => ch.set_in_buffer_size(1000),
                _ => {}
            }
            ch.push(data);
            Ok(())
        }));
        let mut echoed = Vec::new();
        for piece in [b"one", b"two", b"end"] {
            remote.send(piece);
            let until = echoed.len() + 3;
            world.run_until(|_| {
                echoed.extend(remote.received());
                echoed.len() == until
            });
        }
        assert_eq!(echoed, b"onetwoend");
        assert_eq!(seen.order(), "handle_data handle_read handle_data");
        world.settle();
    });
}

#[test]
fn a_handled_error_in_handle_data_does_not_stop_the_stream() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Told::new(&seen, |_, data| match data.first() {
            Some(b'k') => Err(Error::msg("kept")),
            Some(b'p') => panic!("at {data:?}"),
            _ => Ok(()),
        }));
        // Single bytes, because a longer piece could be split and joined with the next.
        for (piece, calls) in [("k", 2), ("f", 3), ("p", 6)] {
            remote.send(piece.as_bytes());
            world.run_until(|_| seen.calls().len() >= calls);
        }
        world.settle();
        assert!(!world.map.contains(token), "the panic should have closed it");
        assert_eq!(seen.errors()[0], "kept");
        assert!(seen.errors()[1].contains("at [112]"), "{:?}", seen.errors());
        // The lent buffer has been returned.
        let other = Seen::default();
        let (_, remote) = world.connect(Told::new(&other, |_, _| Ok(())));
        remote.send(b"more");
        world.run_until(|_| other.count("handle_data") > 0);
    });
}

#[test]
fn a_reset_ends_the_channel_without_data() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Told::new(&seen, |_, _| Ok(())));
        remote.reset();
        world.run_until(|world| !world.map.contains(token));
        assert_eq!(seen.order(), "handle_close");
    });
}

#[test]
fn each_datagram_is_delivered_separately_even_if_empty() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let seen = Seen::default();
        let calls = seen.clone();
        let handler = Told::new(&seen, move |ch, data| {
            calls.note(format!("{} bytes", data.len()));
            ch.push(data);
            Ok(())
        });
        map.add(handler, Socket::try_from(ours).unwrap());
        for size in [3, 0, 2000, 1] {
            theirs.send(&vec![7; size]).unwrap();
        }
        run_until(&mut map, |_| seen.count("handle_data") == 4);
        assert_rests(&mut map);
        let sizes: Vec<_> = seen.calls().into_iter().filter(|it| it.ends_with("bytes")).collect();
        // A datagram that exceeds the buffer is truncated.
        assert_eq!(sizes, ["3 bytes", "0 bytes", "1000 bytes", "1 bytes"]);
        let mut buf = [0; 2000];
        let echoed: Vec<_> = (0..4).map(|_| theirs.recv(&mut buf).unwrap()).collect();
        assert_eq!(echoed, [3, 0, 1000, 1]);
    });
}

#[test]
fn a_default_handler_logs_a_warning_and_does_not_spin() {
    struct Deaf;
    impl Dispatcher for Deaf {
        fn ac_in_buffer_size(&self) -> usize {
            100
        }
    }
    on_every_network(|world| {
        let (token, remote): (Token<Deaf>, _) = world.connect(Deaf);
        remote.send(b"lost on it");
        world.settle();
        assert_eq!(world.map.channel_stats(token).unwrap().bytes_in, 10);
    });
}
