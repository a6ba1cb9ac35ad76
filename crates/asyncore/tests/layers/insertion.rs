//! Layers that come into a live channel and leave it again: STARTTLS, and its end.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;

use asyncore::{Accumulator, AsyncChat, Channel, Domain, Result, SimpleProducer, Type};

use crate::cipher::{Cipher, CipherEnd};
use crate::ends::raw_server;
use crate::engine::{Engine, Side};
use crate::util::{Recorder, Remote, Seen, World, on_every_network};

const GO: &[u8] = b"220 go\r\n";

/// A dialogue that can be encrypted, and be plain again.
struct Commands {
    line: Accumulator,
    seen: Rc<RefCell<Vec<String>>>,
}

impl AsyncChat for Commands {
    fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
        Ok(self.line.collect(data)?)
    }

    fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
        let line = String::from_utf8_lossy(&self.line.take()).into_owned();
        self.seen.borrow_mut().push(line.clone());
        match &line[..] {
            "STARTTLS" => {
                ch.push(GO);
                ch.insert_layer(Cipher::stopping(Side::Server, 7), &[])?;
            }
            "PLAIN" => {
                ch.push(b"stopping\r\n");
                assert!(ch.remove_layer()?.is_some());
                ch.push(b"plain\r\n");
            }
            _ => ch.push(format!("ok {line}\r\n").into_bytes()),
        }
        Ok(())
    }

    fn handle_error(&mut self, ch: &mut Channel<'_>, error: asyncore::Error) {
        self.seen.borrow_mut().push(error.to_string());
        ch.close();
    }

    fn handle_connect(&mut self, _: &mut Channel<'_>) -> Result {
        self.seen.borrow_mut().push("(connected)".to_owned());
        Ok(())
    }
}

type Lines = Rc<RefCell<Vec<String>>>;

/// A dialogue with a client that is the test's own.
fn dialogue(world: &mut World) -> (Lines, Remote) {
    let seen = Lines::default();
    let handler = Commands { line: Accumulator::new(), seen: Rc::clone(&seen) };
    let (_, remote) = world.connect_with(|ch| {
        ch.set_terminator(b"\r\n");
        handler
    });
    (seen, remote)
}

/// A client's engine, and the first message of its handshake.
fn client() -> (Engine, Vec<u8>) {
    let (mut engine, mut hello) = (Engine::new(Side::Client, 3, 1000), Vec::new());
    engine.start(&mut hello);
    (engine, hello)
}

/// Reads the plain answers up to the one that begins the handshake; what follows is encrypted.
fn after_go(world: &mut World, remote: Remote, engine: Engine, plain: &[u8]) -> CipherEnd {
    let (mut received, until) = (Vec::new(), [plain, GO].concat());
    world.run_until(|_| {
        received.extend_from_slice(&remote.received());
        received.len() >= until.len()
    });
    let rest = received.split_off(until.len());
    assert_eq!(received, until);
    let mut end = CipherEnd::silent(remote, engine);
    end.feed(&rest);
    world.run_until(|_| end.is_ready());
    end
}

#[test]
fn a_handshake_in_the_segment_of_the_command_is_read_through_the_layer() {
    on_every_network(|world| {
        let (seen, remote) = dialogue(world);
        let (engine, hello) = client();
        remote.send(&[b"EHLO\r\nSTARTTLS\r\n", &hello[..]].concat());
        let mut end = after_go(world, remote, engine, b"ok EHLO\r\n");
        end.send(b"EHLO 2\r\nNOOP\r\n");
        world.run_until(|_| end.received() == b"ok EHLO 2\r\nok NOOP\r\n");
        let expected = ["(connected)", "EHLO", "STARTTLS", "(connected)", "EHLO 2", "NOOP"];
        assert_eq!(*seen.borrow(), expected);
    });
}

#[test]
fn a_plain_command_after_starttls_is_never_seen_as_a_command() {
    on_every_network(|world| {
        for pieces in [&[&b"STARTTLS\r\nRSET\r\n"[..]][..], &[b"STARTTLS\r", b"\nRSET\r\n"]] {
            let (seen, remote) = dialogue(world);
            for piece in pieces {
                remote.send(piece);
            }
            world.run_until(|world| world.map.is_empty());
            let expected = ["(connected)", "STARTTLS", "the handshake failed: a malformed hello"];
            let seen = seen.borrow();
            assert_eq!(seen[..2], expected[..2]);
            assert!(seen.len() == 3 && expected[2].ends_with(&seen[2]), "{seen:?}");
        }
    });
}

#[test]
fn a_plain_command_before_the_hello_of_the_client_is_not_encrypted_input() {
    on_every_network(|world| {
        let (seen, remote) = dialogue(world);
        let (_, hello) = client();
        remote.send(&[b"STARTTLS\r\nRSET\r\n", &hello[..]].concat());
        world.run_until(|world| world.map.is_empty());
        assert!(!seen.borrow().iter().any(|line| line.contains("RSET")), "{:?}", seen.borrow());
    });
}

#[test]
fn a_layer_that_is_removed_ends_what_it_carried_and_the_rest_is_plain() {
    on_every_network(|world| {
        let (seen, remote) = dialogue(world);
        let (engine, hello) = client();
        remote.send(&[b"STARTTLS\r\n", &hello[..]].concat());
        let mut end = after_go(world, remote, engine, b"");
        end.send(b"NOOP\r\nPLAIN\r\n");
        world.run_until(|_| end.received() == b"ok NOOP\r\nstopping\r\nplain\r\n");
        assert!(end.engine.closed, "the closing message came after `stopping`");
        end.remote.send(b"NOOP in plain\r\n");
        world.run_until(|_| end.received().ends_with(b"ok NOOP in plain\r\n"));
        assert_eq!(seen.borrow().last().unwrap(), "NOOP in plain");
    });
}

#[test]
fn a_layer_that_the_peer_ends_leaves_the_rest_of_the_segment_in_plain() {
    on_every_network(|world| {
        let (seen, remote) = dialogue(world);
        let (engine, hello) = client();
        remote.send(&[b"STARTTLS\r\n", &hello[..]].concat());
        let mut end = after_go(world, remote, engine, b"");
        let last = [end.encrypted(b"NOOP\r\nNO"), end.closing_message(), b"OP 2\r\n".to_vec()];
        end.remote.send(&last.concat());
        world.run_until(|_| seen.borrow().last().is_some_and(|line| line == "NOOP 2"));
        let token = world.map.tokens().next().expect("the dialogue");
        assert!(world.map.channel(token).unwrap().layer::<Cipher>().is_none());
    });
}

#[test]
fn what_was_pushed_before_a_layer_goes_out_in_plain_however_long_it_waits() {
    on_every_network(|world| {
        let (token, remote) = world.connect(Recorder::default());
        remote.pause_reading();
        // The time for the handshake begins now, and a slow network needs it.
        let len = if world.net.is_some() { 3_000 } else { 300_000 };
        let mut ch = world.map.channel(token).unwrap();
        ch.push(vec![b'p'; len]);
        ch.insert_layer(Cipher::new(Side::Server, 100), &[]).unwrap();
        ch.push(b"secret");
        let (engine, hello) = client();
        remote.send(&hello);
        remote.resume_reading();
        let mut plain = Vec::new();
        world.run_until(|_| {
            plain.extend_from_slice(&remote.received());
            plain.len() >= len
        });
        let rest = plain.split_off(len);
        assert!(plain.iter().all(|byte| *byte == b'p'));
        let mut end = CipherEnd::silent(remote, engine);
        end.feed(&rest);
        world.run_until(|_| end.received() == b"secret");
    });
}

#[test]
fn layers_are_not_changed_where_it_is_not_known_what_they_transform() {
    on_every_network(|world| {
        let cipher = || Cipher::new(Side::Server, 100);
        let (token, _remote) = world.connect(Recorder::default());
        let mut ch = world.map.channel(token).unwrap();
        ch.push_with_producer(SimpleProducer::new(vec![1; 10]));
        let refused = ch.insert_layer(cipher(), &[]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        let (listener, _) = world.listen(Recorder::default());
        let refused = world.map.channel(listener).unwrap().insert_layer(cipher(), &[]);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
        let refused = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::DGRAM)?;
            ch.insert_layer(cipher(), &[])?;
            Ok(Recorder::default())
        });
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
        let refused = world.map.add_with(|ch| {
            ch.close();
            ch.insert_layer(cipher(), &[])?;
            Ok(Recorder::default())
        });
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn output_that_waits_for_a_handshake_keeps_its_layer() {
    on_every_network(|world| {
        let (token, remote) = raw_server(world, 100, |_| Recorder::default());
        let mut ch = world.map.channel(token).unwrap();
        ch.push(b"secret");
        assert_eq!(ch.remove_layer().err().unwrap().kind(), ErrorKind::Unsupported);
        let another = ch.insert_layer(Cipher::new(Side::Server, 9), &[]);
        assert_eq!(another.unwrap_err().kind(), ErrorKind::Unsupported);
        let mut end = CipherEnd::new(remote, Side::Client, 100);
        world.run_until(|_| end.received() == b"secret");
    });
}

#[test]
fn a_channel_whose_unready_layer_is_removed_is_connected() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = raw_server(world, 100, |_| Recorder::new(&seen));
        assert!(world.map.channel(token).unwrap().remove_layer().unwrap().is_some());
        world.run_until(|_| seen.count("handle_connect") == 1);
        remote.send(b"plain");
        world.run_until(|_| seen.received() == b"plain");
        assert!(world.map.channel(token).unwrap().remove_layer().unwrap().is_none());
    });
}

#[test]
fn a_layer_that_is_inserted_before_connect_starts_when_connected() {
    on_every_network(|world| {
        let (server, client) = (Seen::default(), Seen::default());
        let served = server.clone();
        let (_, addr) = world.listen(crate::ends::Accept(move |ch: &mut Channel<'_>| {
            ch.insert_layer(Cipher::new(Side::Server, 5), &[]).unwrap();
            Recorder::new(&served)
        }));
        let token = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.insert_layer(Cipher::new(Side::Client, 5), &[])?;
            Ok(Recorder::new(&client))
        });
        let token = token.unwrap();
        world.settle();
        assert!(client.calls().is_empty());
        let mut ch = world.map.channel(token).unwrap();
        ch.connect(addr).unwrap();
        ch.push(b"hello");
        world.run_until(|_| server.received() == b"hello");
        assert!(client.order().starts_with("handle_connect"), "{}", client.order());
        assert_eq!((client.count("handle_connect"), server.count("handle_connect")), (1, 1));
    });
}

#[test]
fn nothing_that_is_pushed_before_a_host_is_connected_passes_its_layer_by() {
    on_every_network(|world| {
        let served = Seen::default();
        let seen = served.clone();
        let (_, addr) = world.listen(crate::ends::Accept(move |ch: &mut Channel<'_>| {
            ch.insert_layer(Cipher::new(Side::Server, 5), &[]).unwrap();
            Recorder::new(&seen)
        }));
        let client = Seen::default();
        let handler = Recorder::new(&client);
        let token = world.map.add_with(|ch| {
            ch.connect_host("localhost", addr.port())?;
            ch.insert_layer(Cipher::new(Side::Client, 5), &[])?;
            ch.push(b"secret ");
            ch.push_with_producer(SimpleProducer::new(b"and more".to_vec()));
            Ok(handler)
        });
        token.unwrap();
        world.run_until(|_| served.received() == b"secret and more");
        assert_eq!((client.count("handle_connect"), client.errors().len()), (1, 0));
    });
}

#[test]
fn output_below_a_layer_is_not_lost_by_connecting_to_a_host() {
    on_every_network(|world| {
        let refused = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.push(b"plain text");
            ch.insert_layer(Cipher::new(Side::Client, 5), &[])?;
            ch.connect_host("localhost", 9)?;
            Ok(Recorder::new(&Seen::default()))
        });
        let error = refused.expect_err("the host could not get the output");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("connect first"), "{error}");
    });
}
