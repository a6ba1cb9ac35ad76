//! The callbacks of a `Dispatcher`: when each is called, and its default.

mod util;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Channel, Dispatcher, Error, LogType, Panicked, Result, Socket};
use util::log::{captured, complaints};
use util::{Recorder, Seen, on_every_network};

/// A handler with all defaults.
struct Plain;

impl Dispatcher for Plain {}

/// A handler with all defaults that ignores no log type.
struct Talkative;

impl Dispatcher for Talkative {
    fn ignore_log_types(&self) -> &[LogType] {
        &[]
    }
}

#[test]
fn each_connection_event_has_its_callback() {
    on_every_network(|world| {
        let seen = Seen::default();
        let asked: Rc<Cell<bool>> = Rc::new(Cell::new(true));
        let asks = Rc::clone(&asked);
        let mut rest: &[u8] = b"from handle_write";
        let handler =
            Recorder::new(&seen).writable(move |_| asks.get()).on("handle_write", move |ch| {
                rest = &rest[ch.send(rest)?..];
                asked.set(!rest.is_empty());
                Ok(())
            });
        let (_, remote) = world.connect(handler);
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(remote.received());
            received == b"from handle_write"
        });
        remote.send(b"question");
        world.run_until(|_| seen.received() == b"question");
        remote.shutdown();
        world.run_until(|world| world.map.is_empty());
        // A spurious read event makes `recv` report that it would block.
        let mut calls = seen.calls();
        calls.retain(|call| call != "handle_read");
        calls.dedup();
        assert_eq!(calls, ["handle_connect", "handle_write", "handle_eof", "handle_close"]);
    });
}

#[test]
fn handle_accepted_follows_handle_accept_for_each_connection() {
    struct Listener(Seen);
    impl Dispatcher for Listener {
        fn handle_accept(&mut self, ch: &mut Channel<'_>) -> Result {
            self.0.note("handle_accept");
            while let Some((sock, peer)) = ch.accept()? {
                self.handle_accepted(ch, sock, peer)?;
            }
            Ok(())
        }

        fn handle_accepted(
            &mut self,
            _: &mut Channel<'_>,
            sock: Socket,
            peer: Option<SocketAddr>,
        ) -> Result {
            assert_eq!(sock.peer_addr().and_then(|it| it.inet()), peer);
            self.0.note("handle_accepted");
            Ok(())
        }
    }
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, addr) = world.listen(Listener(seen.clone()));
        let _visitors: Vec<_> = (0..3).map(|_| world.visit(addr)).collect();
        world.run_until(|_| seen.count("handle_accepted") == 3);
        assert_eq!(seen.calls()[..2], ["handle_accept", "handle_accepted"]);
    });
}

#[test]
fn unhandled_events_log_a_warning_that_is_ignored_by_default() {
    on_every_network(|world| {
        let (_, remote) = world.connect(Plain);
        remote.send(b"unread");
        assert_eq!(complaints(|| world.settle()), [""; 0]);

        let (token, remote) = world.connect(Talkative);
        remote.send(b"unread");
        let lines = complaints(|| world.settle());
        let channel = format!("{:?}", world.map.channel(token).unwrap());
        assert_eq!(lines, [format!("WARN unhandled read event on {channel}")]);
    });
}

#[test]
fn by_default_an_accepted_connection_is_closed_with_a_warning() {
    on_every_network(|world| {
        let (_, addr) = world.listen(Talkative);
        let visitor = world.visit(addr);
        let lines = complaints(|| world.run_until(|_| visitor.saw_eof()));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("WARN unhandled accepted event on <"), "{lines:?}");
        assert!(lines[0].contains(&format!(" listening {addr} ")), "{lines:?}");
    });
}

#[test]
fn an_error_logs_one_line_with_causes_and_closes_the_channel() {
    struct Failing;
    impl Dispatcher for Failing {
        fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
            ch.recv(&mut [0; 64])?;
            let number: i32 = "no number".parse().map_err(Refused)?;
            unreachable!("{number}")
        }
    }
    #[derive(Debug)]
    struct Refused(std::num::ParseIntError);
    impl std::fmt::Display for Refused {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the request\nwas refused")
        }
    }
    impl std::error::Error for Refused {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    on_every_network(|world| {
        let (token, remote) = world.connect(Failing);
        let channel = format!("{:?}", world.map.channel(token).unwrap());
        remote.send(b"x");
        let lines = complaints(|| world.run_until(|world| world.map.is_empty()));
        let expected = "the request was refused: invalid digit found in string";
        assert_eq!(
            lines,
            [format!("ERROR uncaptured error, closing channel {channel} ({expected})")]
        );
    });
}

#[test]
fn a_panic_is_reported_with_its_location_and_closes_one_channel() {
    on_every_network(|world| {
        let (seen, spared) = (Seen::default(), Seen::default());
        let handler = Recorder::new(&seen).on("handle_read", |_| panic!("out of {}", "luck"));
        let (_, remote) = world.connect(handler);
        let (other, other_remote) = world.connect(Recorder::new(&spared));
        remote.send(b"x");
        other_remote.send(b"y");
        world.run_until(|_| seen.is_closed() && spared.received() == b"y");
        let errors = seen.errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(&format!("panicked at {}:", file!())), "{errors:?}");
        assert!(errors[0].ends_with(": out of luck"), "{errors:?}");
        assert!(world.map.contains(other));
    });
}

#[test]
fn handle_error_can_inspect_the_error_and_keep_the_channel() {
    struct Forgiving(Seen);
    impl Dispatcher for Forgiving {
        fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
            let mut buf = [0; 1];
            match ch.recv(&mut buf)? {
                0 => Ok(()),
                _ if buf == *b"p" => panic!("as asked"),
                _ => Err(io::Error::new(io::ErrorKind::InvalidData, "no p").into()),
            }
        }

        fn handle_error(&mut self, _: &mut Channel<'_>, error: Error) {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            self.0.note(format!("{kind:?} {}", error.is::<Panicked>()));
        }
    }
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Forgiving(seen.clone()));
        remote.send(b"xp");
        world.run_until(|_| seen.calls().len() == 2);
        assert_eq!(seen.calls(), ["Some(InvalidData) false", "None true"]);
        assert!(world.map.contains(token));
        assert_eq!(world.map.stats().errors, 2);
    });
}

#[test]
fn a_failure_in_handle_error_is_logged_and_closes_the_channel() {
    struct Helpless;
    impl Dispatcher for Helpless {
        fn handle_read(&mut self, _: &mut Channel<'_>) -> Result {
            Err(Error::msg("the first"))
        }

        fn handle_error(&mut self, _: &mut Channel<'_>, _: Error) {
            panic!("the second");
        }
    }
    on_every_network(|world| {
        let (_, remote) = world.connect(Helpless);
        remote.send(b"x");
        let lines = complaints(|| world.run_until(|world| world.map.is_empty()));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].ends_with("(the first)"), "{lines:?}");
        assert!(lines[1].contains("(panicked at ") && lines[1].ends_with(": the second)"));
    });
}

#[test]
fn log_writes_hits_and_log_info_writes_by_type() {
    struct Logger;
    impl Dispatcher for Logger {
        fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
            self.log(ch, "GET /");
            self.log_info(ch, "started", LogType::Info);
            self.log_info(ch, "odd", LogType::Warning);
            self.log_info(ch, "wrong", LogType::Error);
            Ok(())
        }

        fn ignore_log_types(&self) -> &[LogType] {
            &[LogType::Info, LogType::Warning]
        }
    }
    on_every_network(|world| {
        let lines = captured(|| drop(world.connect(Logger)));
        let lines: Vec<_> = lines.iter().filter(|line| !line.contains("channel=")).collect();
        assert_eq!(lines, ["INFO GET /", "ERROR wrong"]);
    });
}

#[test]
fn an_overridden_log_info_receives_the_librarys_messages() {
    struct Quiet(Seen);
    impl Dispatcher for Quiet {
        fn handle_read(&mut self, _: &mut Channel<'_>) -> Result {
            Err(Error::msg("a bad request"))
        }

        fn log_info(&self, _: &Channel<'_>, message: &str, kind: LogType) {
            self.0.note(format!("{kind}: {message}"));
        }
    }
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Quiet(seen.clone()));
        world.map.channel(token).unwrap().set_timeout(Duration::from_secs(3600));
        remote.send(b"x");
        assert_eq!(complaints(|| world.run_until(|world| world.map.is_empty())), [""; 0]);
        let calls = seen.calls();
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert!(calls[0].starts_with("error: uncaptured error, closing channel <"), "{calls:?}");
        assert!(calls[0].ends_with("> (a bad request)"), "{calls:?}");
    });
}
