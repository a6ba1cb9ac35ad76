//! Handlers and sockets that change hands in mid-stream, with and without a layer.

use std::cell::RefCell;
use std::rc::Rc;

use asyncore::{Accumulator, AsyncChat, Channel, Dispatcher, Result, SimpleProducer, Socket};

use crate::cipher::{Cipher, CipherEnd};
use crate::ends::raw_server;
use crate::engine::Side;
use crate::util::{Recorder, Remote, Seen, World, on_every_network};

type Hook = Box<dyn FnMut(&mut Channel<'_>, &[u8])>;

/// A dialogue of lines that a hook is told of: each piece of a line, or each whole line.
struct Lines {
    line: Accumulator,
    by_piece: bool,
    hook: Hook,
}

impl Lines {
    fn new(by_piece: bool, hook: impl FnMut(&mut Channel<'_>, &[u8]) + 'static) -> Self {
        Lines { line: Accumulator::new(), by_piece, hook: Box::new(hook) }
    }
}

impl AsyncChat for Lines {
    fn collect_incoming_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
        self.line.collect(data)?;
        if self.by_piece {
            (self.hook)(ch, data);
        }
        Ok(())
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let line = self.line.take();
        if !self.by_piece {
            (self.hook)(ch, &line);
        }
        Ok(())
    }
}

/// The test's own end, with the cipher or without.
enum End {
    Plain(Remote, Vec<u8>),
    Cipher(CipherEnd),
}

impl End {
    fn send(&mut self, bytes: &[u8]) {
        match self {
            End::Plain(remote, _) => remote.send(bytes),
            End::Cipher(end) => end.send(bytes),
        }
    }

    fn received(&mut self) -> Vec<u8> {
        match self {
            End::Plain(remote, received) => {
                received.extend_from_slice(&remote.received());
                received.clone()
            }
            End::Cipher(end) => end.received().to_vec(),
        }
    }
}

/// Runs `test` with a channel that `make` makes, in plain and through the cipher.
fn on_both<T: Dispatcher>(
    make: impl Fn(&mut Channel<'_>) -> T,
    test: impl Fn(&mut World, asyncore::Token<T>, &mut End),
) {
    on_every_network(|world| {
        let (token, remote) = world.connect_with(|ch| make(ch));
        test(world, token, &mut End::Plain(remote, Vec::new()));
        let (token, remote) = raw_server(world, 1000, |ch| make(ch));
        let mut end = CipherEnd::new(remote, Side::Client, 1000);
        world.run_until(|_| end.is_ready());
        test(world, token, &mut End::Cipher(end));
    });
}

fn lines(ch: &mut Channel<'_>, handler: Lines) -> Lines {
    ch.set_terminator(b"\n");
    handler
}

#[test]
fn a_raw_handler_takes_over_what_a_dialogue_has_not_parsed() {
    let seen = Seen::default();
    let make = |ch: &mut Channel<'_>| {
        let seen = seen.clone();
        let switch = Lines::new(false, move |ch, line| {
            ch.push([b"switching after ", line].concat());
            ch.push_with_producer(SimpleProducer::new(b"; ".to_vec()));
            let raw = Recorder::new(&seen);
            let (before, token) = (ch.token::<Recorder>(), ch.replace_handler(raw));
            assert_eq!(token, before);
            ch.push(b"raw");
        });
        lines(ch, switch)
    };
    on_both(make, |world, token, end| {
        let before = seen.received_len();
        end.send(b"CONNECT\n\n\x00binary\n");
        world.run_until(|_| seen.received_len() == before + 9);
        end.send(b"more");
        world.run_until(|_| seen.received_len() == before + 13);
        assert!(seen.received().ends_with(b"\n\x00binary\nmore"));
        world.run_until(|_| end.received() == b"switching after CONNECT; raw");
        assert!(world.map.get(token).is_none(), "the old type is gone");
        let stats = world.map.channel_stats(token).unwrap();
        assert_eq!(stats.bytes_in, 21, "no byte is counted twice");
    });
}

#[test]
fn a_dialogue_takes_over_from_a_raw_handler() {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let make = |_: &mut Channel<'_>| {
        let heard = Rc::clone(&heard);
        Recorder::default().on("handle_read", move |ch| {
            let mut preface = [0; 4];
            let n = ch.recv(&mut preface)?;
            heard.borrow_mut().push(preface[..n].to_vec());
            let read = heard.borrow().concat().len();
            if read >= 4 {
                let heard = Rc::clone(&heard);
                ch.set_terminator(b"\n");
                ch.replace_handler(Lines::new(false, move |_, line| {
                    heard.borrow_mut().push([line, b"|"].concat());
                }));
            }
            Ok(())
        })
    };
    on_both(make, |world, _, end| {
        heard.borrow_mut().clear();
        end.send(b"PREFone\ntwo\n");
        world.run_until(|_| heard.borrow().concat().ends_with(b"two|"));
        // Reads of fewer bytes than four can take more.
        assert_eq!(heard.borrow().concat().iter().filter(|it| **it != b'|').count(), 10);
    });
}

#[test]
fn a_socket_that_a_dialogue_gives_away_carries_what_it_has_not_parsed() {
    for by_piece in [false, true] {
        let taken: Rc<RefCell<Option<Socket>>> = Rc::default();
        let make = |ch: &mut Channel<'_>| {
            let taken = Rc::clone(&taken);
            let give = Lines::new(by_piece, move |ch, data| {
                if taken.borrow().is_none() && data.ends_with(b"T") {
                    ch.push(b"unsent");
                    *taken.borrow_mut() = ch.take_socket();
                    ch.push(b"nowhere");
                }
            });
            lines(ch, give)
        };
        on_both(make, |world, token, end| {
            end.send(b"GET\nrest\nof it");
            world.run_until(|_| taken.borrow().is_some());
            world.run_until(|world| !world.map.contains(token));
            let socket = taken.borrow_mut().take().unwrap();
            let (unread, seen) = (socket.unread().len(), Seen::default());
            let successor = world.map.add(Recorder::new(&seen), socket);
            end.send(b"!");
            let rest = if by_piece { &b"\nrest\nof it!"[..] } else { b"rest\nof it!" };
            world.run_until(|_| seen.received() == rest);
            assert!(unread <= rest.len());
            world.map.channel(successor).unwrap().push(b"heir");
            world.run_until(|_| end.received() == b"heir");
        });
    }
}

#[test]
fn a_socket_that_moves_to_another_map_is_read_on_there() {
    // A simulated socket stays on its network.
    crate::util::on_every_poller(|builder| {
        let (mut first, mut second) = (builder.clone().build().unwrap(), builder.build().unwrap());
        let (ours, mut theirs) = crate::util::tcp_pair();
        let taken: Rc<RefCell<Option<Socket>>> = Rc::default();
        let given = Rc::clone(&taken);
        first
            .add_with(|ch| {
                ch.set_socket(ours);
                let give = Lines::new(false, move |ch, _| *given.borrow_mut() = ch.take_socket());
                Ok(lines(ch, give))
            })
            .unwrap();
        std::io::Write::write_all(&mut theirs, b"GIVE\nrest").unwrap();
        crate::util::run_until(&mut first, |_| taken.borrow().is_some());
        let socket = taken.borrow_mut().take().unwrap();
        assert_eq!(socket.unread(), b"rest");
        let seen = Seen::default();
        second.add(Recorder::new(&seen), socket);
        crate::util::run_until(&mut second, |_| seen.received() == b"rest");
        std::io::Write::write_all(&mut theirs, b"more").unwrap();
        crate::util::run_until(&mut second, |_| seen.received() == b"restmore");
        drop(theirs);
        crate::util::run_until(&mut second, |_| seen.is_closed());
    });
}

#[test]
fn a_socket_given_away_during_the_handshake_finishes_it_elsewhere() {
    on_every_network(|world| {
        let (token, remote) = raw_server(world, 100, |_| Recorder::default());
        let socket = world.map.channel(token).unwrap().take_socket().unwrap();
        let seen = Seen::default();
        let heir = world.map.add(Recorder::new(&seen), socket);
        let mut end = CipherEnd::new(remote, Side::Client, 100);
        end_and_handler_are_ready(world, &mut end, &seen);
        assert!(world.map.channel(heir).unwrap().layer::<Cipher>().is_some());
    });
}

fn end_and_handler_are_ready(world: &mut World, end: &mut CipherEnd, seen: &Seen) {
    world.run_until(|_| end.is_ready() && seen.count("handle_connect") == 1);
}

#[test]
fn a_handshake_is_limited_in_the_channel_that_gets_its_socket() {
    on_every_network(|world| {
        let (token, _remote) = raw_server(world, 100, |_| Recorder::default());
        let socket = world.map.channel(token).unwrap().take_socket().unwrap();
        let seen = Seen::default();
        let handler = Recorder::new(&seen);
        world
            .map
            .add_with(|ch| {
                ch.set_handshake_timeout(std::time::Duration::from_millis(20));
                ch.set_socket(socket);
                Ok(handler)
            })
            .unwrap();
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.count("handle_error: the handshake failed: not done in"), 1);
    });
}

#[test]
fn take_output_in_handle_close_is_what_was_not_sent() {
    on_every_network(|world| {
        let left: Rc<RefCell<Vec<u8>>> = Rc::default();
        let kept = Rc::clone(&left);
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_close", move |ch| {
            *kept.borrow_mut() = ch.take_output();
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        remote.pause_reading();
        let flood = world.flood;
        let message = (0..flood).map(|index| (index % 251) as u8).collect::<Vec<_>>();
        world.map.channel(token).unwrap().push(&message);
        world.settle();
        world.map.channel(token).unwrap().close();
        remote.resume_reading();
        let mut sent = Vec::new();
        world.run_until(|_| {
            sent.extend_from_slice(&remote.received());
            seen.is_closed() && (remote.saw_eof() || remote.was_reset())
        });
        assert!(!left.borrow().is_empty());
        assert!([&sent[..], &left.borrow()].concat() == message);
    });
}

#[test]
fn nothing_counts_as_queued_when_the_transport_below_a_layer_is_gone() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_error", |_| Ok(()));
        let (token, remote) = world.connect(handler);
        remote.pause_reading();
        let flood = world.flood;
        let mut ch = world.map.channel(token).unwrap();
        ch.push(vec![0; flood]);
        ch.insert_layer(Cipher::new(Side::Server, 10), &[]).unwrap();
        assert!(ch.is_connecting());
        world.settle();
        assert!(world.map.channel(token).unwrap().output_len() > 0);
        remote.send(b"no hello");
        world.run_until(|_| seen.errors().len() == 1);
        let ch = world.map.channel(token).unwrap();
        assert_eq!((ch.output_len(), ch.has_output()), (0, false));
    });
}
