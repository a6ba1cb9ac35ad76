//! Dialogues over connections: terminators, buffer sizes and unparsed input.

mod util;

use std::io::Write;

use asyncore::{
    Accumulator, AsyncChat, Channel, Dispatcher, Error, ExitNow, Panicked, Result, SimpleProducer,
    Terminator, TooLong,
};
use util::log::complaints;
use util::{Seen, on_every_network, on_every_poller, run_until, tcp_pair};

/// Records each message and executes it as a command.
struct Dialogue {
    seen: Seen,
    message: Accumulator,
    in_size: usize,
    out_size: usize,
    forgives: bool,
}

impl Dialogue {
    fn new(seen: &Seen) -> Self {
        let message = Accumulator::new();
        Dialogue { seen: seen.clone(), message, in_size: 4096, out_size: 4096, forgives: false }
    }
}

impl AsyncChat for Dialogue {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        assert!(!data.is_empty() && data.len() <= self.in_size);
        Ok(self.message.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let message = String::from_utf8(self.message.take())?;
        self.seen.note(&message);
        match message.split_once(' ') {
            Some(("length", length)) => ch.set_terminator(length.parse::<usize>()?),
            Some(("until", bytes)) => ch.set_terminator(bytes.as_bytes().to_vec()),
            Some(("fail", _)) => return Err(Error::msg("as asked")),
            Some(("panic", _)) => panic!("as asked"),
            Some(("close", _)) => ch.close_when_done(),
            Some(("discard", _)) => ch.discard_buffers(),
            Some(("exit", _)) => return Err(ExitNow.into()),
            _ => ch.set_terminator(b"\r\n"),
        }
        Ok(())
    }

    fn ac_in_buffer_size(&self) -> usize {
        self.in_size
    }

    fn ac_out_buffer_size(&self) -> usize {
        self.out_size
    }

    fn handle_connect(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.set_terminator(b"\r\n");
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        self.seen.note(match error {
            error if error.is::<TooLong>() => "handle_error: too long".to_owned(),
            error if error.is::<Panicked>() => "handle_error: panicked".to_owned(),
            error => format!("handle_error: {error}"),
        });
        if !self.forgives {
            ch.close();
        }
    }

    fn handle_close(&mut self, _: &mut Channel<'_>) {
        self.seen.note("handle_close");
    }
}

/// Sends `input` to a dialogue and checks that it makes exactly the calls `calls`.
#[track_caller]
fn assert_calls(make: impl Fn(Dialogue) -> Dialogue, input: &[u8], calls: &[&str]) {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, remote) = world.connect(make(Dialogue::new(&seen)));
        remote.send(input);
        world.run_until(|_| seen.calls().len() >= calls.len());
        world.settle();
        assert_eq!(seen.calls(), calls);
    });
}

#[test]
fn each_message_ends_at_the_current_terminator() {
    assert_calls(
        |dialogue| dialogue,
        b"hello\r\nlength 5\r\n12\r\n5until END\r\nany\r\nthing ENENDlast\r\n",
        &["hello", "length 5", "12\r\n5", "until END", "any\r\nthing EN", "last"],
    );
}

#[test]
fn a_length_of_zero_is_found_at_once() {
    assert_calls(|dialogue| dialogue, b"length 0\r\nnext\r\n", &["length 0", "", "next"]);
}

#[test]
fn a_message_over_the_accumulator_limit_closes_the_channel() {
    assert_calls(
        |dialogue| Dialogue { message: Accumulator::with_limit(8), ..dialogue },
        b"as long as it may not be, and no end in sight",
        &["handle_error: too long", "handle_close"],
    );
}

#[test]
fn unparsed_input_survives_a_handled_error() {
    assert_calls(
        |dialogue| Dialogue { forgives: true, ..dialogue },
        b"one\r\nfail now\r\ntwo\r\npanic now\r\nthree\r\n",
        &[
            "one",
            "fail now",
            "handle_error: as asked",
            "two",
            "panic now",
            "handle_error: panicked",
            "three",
        ],
    );
}

#[test]
fn no_input_is_parsed_after_an_error_closes_the_channel() {
    assert_calls(
        |dialogue| dialogue,
        b"one\r\nfail now\r\ntwo\r\nfail again\r\n",
        &["one", "fail now", "handle_error: as asked", "handle_close"],
    );
}

#[test]
fn no_input_is_parsed_after_close_when_done() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, remote) = world.connect(Dialogue::new(&seen));
        remote.send(b"one\r\nclose now\r\ntwo\r\n");
        world.run_until(|_| remote.saw_eof());
        remote.close();
        world.run_until(|world| world.map.is_empty());
        assert_eq!(seen.calls(), ["one", "close now", "handle_close"]);
    });
}

#[test]
fn discarding_drops_output_and_input_held_for_a_terminator() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Dialogue::new(&seen));
        remote.send(b"begun\r");
        world.run_until(|world| world.map.stats().bytes_in == 6);
        remote.pause_reading();
        let mut channel = world.map.channel(token).unwrap();
        channel.push_with_producer(SimpleProducer::new(vec![0; 100]));
        channel.push(b"never sent");
        assert!(channel.has_output());
        channel.discard_buffers();
        assert!(!channel.has_output() && channel.output_len() == 0);
        channel.push(b"sent");
        remote.send(b"\n, and ended\r\n");
        remote.resume_reading();
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(remote.received());
            received.len() >= 4 && !seen.calls().is_empty()
        });
        // The framer held the carriage return, and dropped it with the other input.
        assert_eq!(seen.calls(), ["begun\n, and ended"]);
        assert_eq!(received, b"sent");
    });
}

#[test]
fn discarding_in_a_callback_drops_the_rest_of_the_read() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, mut theirs) = tcp_pair();
        let seen = Seen::default();
        let token = map.add(Dialogue::new(&seen), ours);
        map.channel(token).unwrap().set_terminator(b"\r\n");
        theirs.write_all(b"discard now\r\nlost\r\nlost too").unwrap();
        run_until(&mut map, |_| !seen.calls().is_empty());
        theirs.write_all(b"next\r\n").unwrap();
        run_until(&mut map, |_| seen.calls().len() > 1);
        assert_eq!(seen.calls(), ["discard now", "next"]);
    });
}

#[test]
fn a_terminator_set_by_another_channel_applies_to_received_input() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Dialogue::new(&seen));
        remote.send(b"held\r");
        world.run_until(|world| world.map.stats().bytes_in == 5);
        let mut channel = world.map.channel(token).unwrap();
        assert_eq!(channel.terminator(), Terminator::from("\r\n"));
        channel.set_terminator(b"\r");
        assert_eq!(channel.terminator(), Terminator::from("\r"));
        world.run_until(|_| seen.calls() == ["held"]);
    });
}

#[test]
fn a_length_terminator_counts_the_remaining_bytes() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Dialogue::new(&seen));
        world.map.channel(token).unwrap().set_terminator(10);
        remote.send(b"1234");
        world.run_until(|world| world.map.stats().bytes_in == 4);
        assert_eq!(world.map.channel(token).unwrap().terminator(), Terminator::Length(6));
        remote.send(b"567890");
        world.run_until(|_| seen.calls() == ["1234567890"]);
    });
}

#[test]
fn one_event_reads_at_most_ac_in_buffer_size() {
    on_every_network(|world| {
        let seen = Seen::default();
        let dialogue = Dialogue { in_size: 10, ..Dialogue::new(&seen) };
        let (token, remote) = world.connect(dialogue);
        remote.send(&[b'x'; 500]);
        // The dialogue fails if a piece exceeds its buffer of ten bytes.
        world.run_until(|world| world.map.stats().bytes_in == 500);
        let events = world.map.channel_stats(token).unwrap().events;
        assert!(events >= 50, "{events} events");
        assert!(world.map.contains(token));
    });
}

#[test]
fn one_system_call_sends_at_most_ac_out_buffer_size() {
    on_every_network(|world| {
        let dialogue = Dialogue { out_size: 10, ..Dialogue::new(&Seen::default()) };
        let (token, remote) = world.connect(dialogue);
        world.settle();
        world.map.channel(token).unwrap().push(vec![7; 500]);
        // A pass makes up to sixteen send calls.
        let _ = world.pass(util::PASS);
        let sent = world.map.stats().bytes_out;
        assert!(sent <= 320 && (world.net.is_some() || sent >= 160), "{sent} bytes in a pass");
        let mut received = 0;
        world.run_until(|_| {
            received += remote.received().len();
            received == 500
        });
    });
}

#[test]
fn exit_now_keeps_the_channel_in_the_map() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Dialogue::new(&seen));
        remote.send(b"exit now\r\n");
        world.map.run().unwrap();
        assert_eq!(seen.calls(), ["exit now"]);
        assert!(world.map.contains(token));
        remote.send(b"again\r\nexit now\r\n");
        world.map.run().unwrap();
        assert_eq!(seen.calls(), ["exit now", "again", "exit now"]);
    });
}

/// Overrides the methods that a dialogue shares with a dispatcher.
struct Overridden(Seen);

impl AsyncChat for Overridden {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, _: &[u8]) -> Result {
        Err(Error::msg("collected"))
    }

    fn found_terminator(&mut self, _: &mut Channel<'_>) -> Result {
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: Error) {
        // Must compile unambiguously although both traits are in scope.
        self.log(ch, "noted");
        self.0.note(format!("handle_error {error}"));
        ch.close();
    }

    fn handle_connect(&mut self, _: &mut Channel<'_>) -> Result {
        self.0.note("handle_connect");
        Ok(())
    }

    fn handle_close(&mut self, _: &mut Channel<'_>) {
        self.0.note("handle_close");
    }
}

#[test]
fn the_loop_calls_the_methods_that_a_dialogue_overrides() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, remote) = world.connect(Overridden(seen.clone()));
        remote.send(b"x");
        let lines = complaints(|| world.run_until(|world| world.map.is_empty()));
        assert_eq!(lines, [""; 0]);
        assert_eq!(seen.calls(), ["handle_connect", "handle_error collected", "handle_close"]);
    });
}
