//! Handlers that know nothing of layers run over them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use asyncore::{Accumulator, AsyncChat, Channel, Dispatcher, Result, SimpleProducer};

use crate::cipher::Cipher;
use crate::ends::{Accept, STACKS, Stack, connect, server_with_cipher};
use crate::engine::Side;
use crate::util::{Recorder, Seen, World, on_every_network};

/// Echoes what it reads, or with `by_loop` what the loop reads for it.
struct Echo {
    by_loop: bool,
}

impl Dispatcher for Echo {
    fn ac_in_buffer_size(&self) -> usize {
        if self.by_loop { 1000 } else { 0 }
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 700];
        let n = ch.recv(&mut buf)?;
        ch.push(&buf[..n]);
        Ok(())
    }

    fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        ch.push(data);
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.close_when_done();
        Ok(())
    }
}

/// Answers each line with its length, and the line itself by a producer.
struct Lines(Accumulator);

impl AsyncChat for Lines {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.0.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let line = self.0.take();
        ch.push(format!("{} ", line.len()).into_bytes());
        ch.push_with_producer(SimpleProducer::new(line));
        ch.push(b"\n");
        Ok(())
    }
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|index| b'a' + (index % 23) as u8).collect()
}

fn on_every_stack(test: impl Fn(&mut World, Stack)) {
    for stack in STACKS {
        on_every_network(|world| test(world, stack));
    }
}

/// Sends `question` over a stack of layers to a handler that `make` makes; returns what its sender
/// has seen when it was answered.
fn ask<T: Dispatcher>(
    world: &mut World,
    stack: Stack,
    question: &[u8],
    make: impl Fn(&mut Channel<'_>) -> T + 'static,
) -> Seen {
    let (seen, sources) = (Seen::default(), Rc::new(RefCell::new(Vec::new())));
    let told = Rc::clone(&sources);
    let (listener, addr) = world.listen(Accept(move |ch: &mut Channel<'_>| {
        told.borrow_mut().push(stack.insert(ch, Side::Server));
        make(ch)
    }));
    let client = Recorder::new(&seen).readable(|_| true);
    let token = connect(world, addr, |ch| {
        stack.insert(ch, Side::Client);
        ch.push(question);
        client
    });
    world.run_until(|world| world.map.channel(token).is_none_or(|ch| ch.is_connected()));
    world.map.channel(token).expect("connected").shutdown_write();
    world.run_until(|_| seen.is_closed());
    assert_eq!(seen.count("handle_connect"), 1);
    assert_eq!(seen.calls()[0], "handle_connect");
    assert_eq!(seen.calls()[seen.calls().len() - 2..], ["handle_eof", "handle_close"]);
    assert!(seen.errors().is_empty() && seen.cause().is_none(), "{:?}", seen.calls());
    if stack.proxy {
        assert_eq!(sources.borrow()[0].get().map(String::as_str), Some("192.0.2.1:56324"));
    }
    world.map.channel(listener).expect("open").close();
    world.run_until(|world| world.map.is_empty());
    seen
}

#[test]
fn an_echo_that_receives_by_itself_runs_over_layers() {
    on_every_stack(|world, stack| {
        let question = text(4_000);
        let seen = ask(world, stack, &question, |_| Echo { by_loop: false });
        assert!(seen.received() == question);
    });
}

#[test]
fn an_echo_of_handle_data_runs_over_layers() {
    on_every_stack(|world, stack| {
        let question = text(4_000);
        let seen = ask(world, stack, &question, |_| Echo { by_loop: true });
        assert!(seen.received() == question);
    });
}

#[test]
fn a_dialogue_and_its_producers_run_over_layers() {
    on_every_stack(|world, stack| {
        let (mut question, mut answer) = (Vec::new(), Vec::new());
        for len in [0, 1, 2_000, 3, 127] {
            let line = text(len);
            question.extend_from_slice(&[&line[..], b"\n"].concat());
            answer.extend_from_slice(&[format!("{len} ").as_bytes(), &line, b"\n"].concat());
        }
        let seen = ask(world, stack, &question, |ch| {
            ch.set_terminator(b"\n");
            Lines(Accumulator::new())
        });
        assert_eq!(seen.received(), answer);
    });
}

#[test]
fn tokens_timers_and_the_layer_itself_are_found_by_the_handler() {
    on_every_network(|world| {
        let seen = Seen::default();
        let timed = seen.clone();
        let handler = Recorder::new(&seen).on("handle_connect", move |ch| {
            let this = ch.token::<Recorder>();
            let timed = timed.clone();
            assert!(ch.layer::<Cipher>().is_some_and(|it| it.engine.is_ready()));
            assert!(ch.layer_mut::<Cipher>().is_some());
            ch.call_later(Duration::from_millis(1), move |map| {
                let pushed = map.with(this, |_, ch| ch.push(b"late"));
                timed.note(if pushed.is_some() { "timer" } else { "gone" });
                Ok(())
            });
            Ok(())
        });
        let (token, mut peer) = server_with_cipher(world, 10, |_| handler);
        world.run_until(|_| peer.received() == b"late");
        assert!(seen.order().starts_with("handle_connect timer"), "{}", seen.order());
        assert!(world.map.get(token).is_some());
    });
}

#[test]
fn what_is_pushed_before_the_handshake_is_done_follows_it_in_order() {
    on_every_network(|world| {
        let (token, mut peer) = server_with_cipher(world, 1000, |_| Recorder::default());
        let mut ch = world.map.channel(token).expect("open");
        ch.push(text(1500));
        ch.push_with_producer(SimpleProducer::new(b"producer".to_vec()));
        ch.push(b"end");
        assert!(ch.is_connecting() && ch.output_len() >= 1500);
        assert_eq!(ch.send(b"too early").ok(), Some(0));
        let all = [&text(1500)[..], b"producer", b"end"].concat();
        world.run_until(|_| peer.received() == all);
    });
}
