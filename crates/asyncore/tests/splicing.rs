//! Splicing: streams between channels without a copy through the program.
#![cfg(target_os = "linux")]

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use asyncore::sim::Network;
use asyncore::{Channel, Dispatcher, Domain, EventLoop, Result, SocketMap, Token, Type};
use util::{Recorder, Seen, on_every_poller, run_until, tcp_pair};

/// One half of a relay; splices to the other half while that has little queued.
struct Half {
    to: Option<Token<Half>>,
    /// Number of times that all pipes were in use and the relay copied instead.
    copies: usize,
}

impl Dispatcher for Half {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        self.to.is_none_or(|to| ch.output_len_of(to) < 64 * 1024)
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let Some(to) = self.to else { return Ok(()) };
        match ch.splice_to(to, 100_000) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let mut buf = [0; 10_000];
                let n = ch.recv(&mut buf)?;
                self.copies += 1;
                if let Some(mut to) = ch.channel(to) {
                    to.push(&buf[..n]);
                }
                Ok(())
            }
            moved => Ok(moved.map(drop)?),
        }
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if let Some(mut to) = self.to.and_then(|to| ch.channel(to)) {
            to.shutdown_write();
        }
        Ok(())
    }
}

/// Adds a relay between two connections; returns their remote ends.
fn relay(map: &mut EventLoop) -> ([Token<Half>; 2], [TcpStream; 2]) {
    let ((left, left_end), (right, right_end)) = (tcp_pair(), tcp_pair());
    let left = map.add(Half { to: None, copies: 0 }, left);
    let right = map.add(Half { to: Some(left), copies: 0 }, right);
    map.get_mut(left).unwrap().to = Some(right);
    ([left, right], [left_end, right_end])
}

/// Sends `size` bytes each way through a relay and checks that they arrive.
fn relays(map: &mut EventLoop, ends: [TcpStream; 2], size: usize) {
    let contents: Vec<u8> = (0..250_u8).collect::<Vec<u8>>().repeat(size / 250);
    let threads: Vec<_> = ends
        .into_iter()
        .flat_map(|end| {
            let (sent, expected) = (contents.clone(), contents.clone());
            let (mut writer, mut reader) = (end.try_clone().unwrap(), end);
            [
                thread::spawn(move || {
                    writer.write_all(&sent).unwrap();
                    writer.shutdown(Shutdown::Write).unwrap();
                }),
                thread::spawn(move || {
                    let mut received = Vec::new();
                    reader.read_to_end(&mut received).unwrap();
                    assert!(received == expected, "{} bytes came", received.len());
                }),
            ]
        })
        .collect();
    map.run().unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
    let stats = map.stats();
    assert_eq!((stats.bytes_in, stats.bytes_out), (2 * size as u64, 2 * size as u64));
    assert_eq!(stats.errors, 0);
}

#[test]
fn a_spliced_relay_loses_no_bytes() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (_, ends) = relay(&mut map);
        relays(&mut map, ends, 5_000_000);
    });
}

#[test]
fn without_a_free_pipe_a_relay_can_copy_instead() {
    for pipes in [0, 1] {
        on_every_poller(|builder| {
            let mut map = builder.max_pipes(pipes).build().unwrap();
            let (tokens, ends) = relay(&mut map);
            assert_eq!(tokens.map(|token| map.get(token).unwrap().copies), [0, 0]);
            relays(&mut map, ends, 2_000_000);
        });
    }
}

#[test]
fn pushed_and_spliced_bytes_keep_their_order() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let ((source, mut source_end), (sink, mut sink_end)) = (tcp_pair(), tcp_pair());
        let sink = map.add(Recorder::new(&Seen::default()), sink);
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", move |ch| {
            ch.channel(sink).unwrap().push(b"before ");
            assert_eq!(ch.splice_to(sink, 3)?, 3, "no more than the limit");
            ch.channel(sink).unwrap().push(b" between ");
            assert_eq!(ch.splice_to(sink, 100)?, 3);
            ch.channel(sink).unwrap().push(b" after");
            ch.channel(sink).unwrap().close_when_done();
            let nothing = ch.splice_to(sink, 100).unwrap_err();
            assert_eq!(nothing.kind(), ErrorKind::Unsupported, "the sink is closing");
            Ok(())
        });
        map.add(handler, source);
        source_end.write_all(b"onetwo").unwrap();
        run_until(&mut map, |_| seen.count("handle_read") == 1);
        let reader = thread::spawn(move || {
            let mut received = String::new();
            sink_end.read_to_string(&mut received).unwrap();
            received
        });
        run_until(&mut map, |map| !map.contains(sink));
        assert_eq!(reader.join().unwrap(), "before one between two after");
        assert_eq!(seen.errors(), [""; 0]);
    });
}

#[test]
fn a_splice_distinguishes_no_input_end_and_no_room() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let ((source, mut source_end), (sink, _sink_end)) = (tcp_pair(), tcp_pair());
        let seen = Seen::default();
        let sink = map.add(Recorder::new(&Seen::default()), sink);
        let source = map.add(Recorder::new(&seen), source);
        let mut channel = map.channel(source).unwrap();
        assert_eq!(channel.splice_to(sink, 10).unwrap_err().kind(), ErrorKind::WouldBlock);
        source_end.write_all(b"x").unwrap();
        assert_eq!(channel.splice_to(sink, 0).unwrap(), 0, "as asked");
        run_until(&mut map, |_| seen.received() == b"x");
        drop(source_end);
        run_until(&mut map, |_| seen.count("handle_close") == 1);
        assert_eq!(seen.order(), "handle_read handle_eof handle_close");
    });
}

#[test]
fn a_channel_can_splice_to_itself() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (socket, mut end) = tcp_pair();
        let seen = Seen::default();
        let echo = Recorder::new(&seen).on("handle_read", |ch| {
            let own = ch.token::<Recorder>();
            ch.splice_to(own, 1000)?;
            Ok(())
        });
        map.add(echo, socket);
        end.write_all(b"echo").unwrap();
        end.shutdown(Shutdown::Write).unwrap();
        map.run().unwrap();
        let mut answer = String::new();
        end.read_to_string(&mut answer).unwrap();
        assert_eq!((answer.as_str(), seen.errors().len()), ("echo", 0));
    });
}

#[test]
fn an_impossible_splice_gives_an_error_with_the_reason() {
    let mut map = SocketMap::new().unwrap();
    let (socket, _end) = tcp_pair();
    let connected = map.add(Recorder::new(&Seen::default()), socket);
    let created = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        Ok(Recorder::new(&Seen::default()))
    });
    let created = created.unwrap();
    let error = map.channel(created).unwrap().splice_to(connected, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "cannot splice: the channel has no stream to splice from");
    map.channel(created).unwrap().close();
    let error = map.channel(connected).unwrap().splice_to(created, 10).unwrap_err();
    assert_eq!(error.to_string(), "cannot splice: the receiving channel accepts no more output");

    let net = Network::new(1);
    let mut map = SocketMap::simulated(&net);
    let listener = net.listen("127.0.0.1:7".parse().unwrap()).unwrap();
    let seen = Seen::default();
    let added = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(listener.local_addr())?;
        Ok(Recorder::new(&seen))
    });
    let token = added.unwrap();
    run_until(&mut map, |_| seen.count("handle_connect") == 1);
    let error = map.channel(token).unwrap().splice_to(token, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
