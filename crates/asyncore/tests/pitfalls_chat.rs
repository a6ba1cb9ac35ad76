//! Dialogues: bodies of length 0, input after the end, and failures in the middle of a read.

mod util;

use asyncore::{AsyncChat, Channel, Error, Result, Terminator, Token};
use util::{Recorder, Remote, Seen, World, on_every_network, on_every_poller};

/// The hook that a [`Dialogue`] runs on each message.
type OnMessage = Box<dyn FnMut(&[u8], &mut Channel<'_>) -> Result>;

/// Records each message and runs the test's hook on it.
struct Dialogue {
    seen: Seen,
    message: Vec<u8>,
    on_message: OnMessage,
    stays_open_on_errors: bool,
}

impl Dialogue {
    fn new(
        seen: &Seen,
        on_message: impl FnMut(&[u8], &mut Channel<'_>) -> Result + 'static,
    ) -> Self {
        Dialogue {
            seen: seen.clone(),
            message: Vec::new(),
            on_message: Box::new(on_message),
            stays_open_on_errors: false,
        }
    }
}

impl AsyncChat for Dialogue {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        assert!(!data.is_empty());
        self.message.extend_from_slice(data);
        Ok(())
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let message = std::mem::take(&mut self.message);
        self.seen.note(String::from_utf8_lossy(&message));
        (self.on_message)(&message, ch)
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        self.seen.note(format!("handle_error: {error}"));
        if !self.stays_open_on_errors {
            ch.close();
        }
    }

    fn handle_close(&mut self, _: &mut Channel<'_>) {
        self.seen.note("handle_close");
    }
}

fn dialogue(
    world: &mut World,
    terminator: impl Into<Terminator>,
    handler: Dialogue,
) -> (Token<Dialogue>, Remote) {
    world.connect_with(|ch| {
        ch.set_terminator(terminator);
        handler
    })
}

#[test]
fn a_body_of_length_zero_is_found_at_once() {
    on_every_network(|world| {
        let seen = Seen::default();
        // Each line holds the length of the body that follows it.
        let mut in_body = false;
        let handler = Dialogue::new(&seen, move |message, ch| {
            in_body = !in_body;
            if in_body {
                ch.set_terminator(String::from_utf8_lossy(message).parse::<usize>()?);
            } else {
                ch.set_terminator(b"\n");
            }
            Ok(())
        });
        let (_, remote) = dialogue(world, b"\n", handler);
        remote.send(b"3\nabc0\n2\nde0\n");
        world.run_until(|_| seen.calls().len() == 8);
        assert_eq!(seen.calls(), ["3", "abc", "0", "", "2", "de", "0", ""]);
    });
}

#[test]
fn a_first_message_of_length_zero_needs_no_input() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Dialogue::new(&seen, |_, ch| {
            ch.set_terminator(b"\n");
            Ok(())
        });
        let (_, remote) = dialogue(world, 0, handler);
        world.run_until(|_| seen.calls() == [""]);
        remote.send(b"line\n");
        world.run_until(|_| seen.calls() == ["", "line"]);
    });
}

/// Sends three messages in one piece; the second ends the dialogue as the test requires.
fn messages_after_the_end(end: impl Fn(&mut Channel<'_>) -> Result + Copy + 'static) {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Dialogue::new(&seen, move |message, ch| match message {
            b"two" => end(ch),
            _ => Ok(()),
        });
        let (_, remote) = dialogue(world, b"\n", handler);
        remote.send(b"one\ntwo\nthree\nfour\n");
        world.settle();
        remote.send(b"five\n");
        remote.shutdown();
        world.run_until(|_| seen.is_closed());
        let calls: Vec<_> =
            seen.calls().into_iter().filter(|call| !call.starts_with("handle_error")).collect();
        assert_eq!(calls, ["one", "two", "handle_close"]);
    });
}

#[test]
fn no_input_is_parsed_after_a_close() {
    messages_after_the_end(|ch| {
        ch.close();
        Ok(())
    });
}

#[test]
fn no_input_is_parsed_after_close_when_done() {
    messages_after_the_end(|ch| {
        ch.push(b"goodbye");
        ch.close_when_done();
        Ok(())
    });
}

#[test]
fn no_input_is_parsed_after_a_closing_error() {
    messages_after_the_end(|_| Err(Error::msg("on purpose")));
}

#[test]
fn no_input_is_parsed_after_a_closing_panic() {
    messages_after_the_end(|_| panic!("on purpose"));
}

#[test]
fn input_after_a_handled_failure_is_parsed() {
    on_every_network(|world| {
        let seen = Seen::default();
        let mut handler = Dialogue::new(&seen, |message, _| match message {
            b"two" => Err(Error::msg("an error")),
            b"three" => panic!("a panic"),
            _ => Ok(()),
        });
        handler.stays_open_on_errors = true;
        let (_, remote) = dialogue(world, b"\n", handler);
        let lines = util::log::complaints(|| {
            remote.send(b"one\ntwo\nthree\nfour\n");
            world.run_until(|_| seen.count("four") == 1);
        });
        let calls = seen.calls();
        let summaries: Vec<_> =
            calls.iter().map(|call| call.split(" at ").next().unwrap()).collect();
        let [one, two, an_error, three, a_panic, four] = &summaries[..] else {
            panic!("{summaries:#?}")
        };
        assert_eq!([*one, *two, *three, *four], ["one", "two", "three", "four"]);
        assert_eq!([*an_error, *a_panic], ["handle_error: an error", "handle_error: panicked"]);
        assert_eq!(lines, [""; 0]);
    });
}

#[test]
fn output_pushed_before_a_failure_is_sent() {
    // Real sockets only: their empty buffers take a short line whole.
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let handler = Dialogue::new(&seen, |_, ch| {
            ch.push(b"500 sorry\n");
            Err(Error::msg("on purpose"))
        });
        let (ours, mut theirs) = util::tcp_pair();
        let token = map.add(handler, ours);
        map.channel(token).unwrap().set_terminator(b"\n");
        std::io::Write::write_all(&mut theirs, b"question\n").unwrap();
        util::run_until(&mut map, |_| seen.is_closed());
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut theirs, &mut answer).unwrap();
        assert_eq!(answer, "500 sorry\n");
    });
}

#[test]
fn buffer_and_framer_survive_a_panic() {
    on_every_network(|world| {
        let (seen, other) = (Seen::default(), Seen::default());
        let mut handler = Dialogue::new(&seen, |message, _| match message {
            b"panic" => panic!("on purpose"),
            _ => Ok(()),
        });
        handler.stays_open_on_errors = true;
        let (_, remote) = dialogue(world, b"\r\n", handler);
        let (_, bystander) = dialogue(world, b"\n", Dialogue::new(&other, |_, _| Ok(())));
        for _ in 0..3 {
            // The terminator arrives in two pieces; the framer holds the first.
            remote.send(b"panic\r\npanic\r\nhalf a line\r");
            world.settle();
            remote.send(b"\n");
            bystander.send(b"fine\n");
            world.settle();
        }
        assert_eq!((seen.count("panic"), seen.count("half a line")), (6, 3));
        assert_eq!((seen.errors().len(), other.count("fine")), (6, 3));
    });
}

#[test]
fn a_missing_terminator_closes_the_channel_with_one_error() {
    struct Line {
        line: asyncore::Accumulator,
    }
    impl AsyncChat for Line {
        fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
            Ok(self.line.collect(data)?)
        }

        fn found_terminator(&mut self, _: &mut Channel<'_>) -> Result {
            panic!("a message over the limit was completed: {} bytes", self.line.len())
        }
    }
    on_every_network(|world| {
        let other = Seen::default();
        let lines = util::log::complaints(|| {
            let (token, remote) = world.connect_with(|ch| {
                ch.set_terminator(b"\r\n");
                Line { line: asyncore::Accumulator::with_limit(2000) }
            });
            let (_, bystander) = world.connect(Recorder::new(&other));
            remote.send(&[b'x'; 3000]);
            remote.send(b"\r\n");
            bystander.send(b"fine");
            world.run_until(|world| !world.map.contains(token));
            world.run_until(|_| other.received() == b"fine");
            world.run_until(|_| remote.saw_eof() || remote.was_reset());
        });
        let [line] = &lines[..] else { panic!("{lines:#?}") };
        assert!(line.starts_with("ERROR uncaptured error, closing channel <"), "{line}");
        assert!(line.contains("Line connected 127.0.0.1:"), "{line}");
        assert!(line.contains("incoming message is too long") && line.contains("2000"), "{line}");
        assert_eq!(world.map.len(), 1);
    });
}
