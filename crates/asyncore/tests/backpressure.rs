//! A peer that sends without reading, or reads slowly, cannot fill the memory.

mod util;

use std::io::{Read, Write};
use std::thread;

use asyncore::{Channel, Dispatcher, Error, EventLoop, Result, SimpleProducer, Socket, Token};
use util::{Recorder, Seen, on_every_network, on_every_poller, run_until, tcp_pair};

/// Number of bytes that an `Echo` reads at once.
const ECHOED: usize = 32 * 1024;

/// Echoes its input and checks the length of its queue.
struct Echo {
    longest: usize,
}

impl Dispatcher for Echo {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; ECHOED];
        let n = ch.recv(&mut buf)?;
        ch.push(&buf[..n]);
        self.longest = self.longest.max(ch.output_len());
        Ok(())
    }
}

#[test]
fn reading_stops_at_the_high_water_mark_and_resumes_below_it() {
    on_every_network(|world| {
        let (token, remote) = world.connect(Echo { longest: 0 });
        world.map.channel(token).unwrap().set_high_water(700);
        assert_eq!(world.map.channel(token).unwrap().high_water(), 700);
        remote.pause_reading();
        // Exceeds the capacity of two sockets' buffers and the queue.
        let size = if world.net.is_some() { 4_000 } else { 32_000_000 };
        let pattern: Vec<u8> = (0..1_000).map(|at| (at % 251) as u8).collect();
        let sent = pattern.repeat(size / pattern.len());
        remote.send(&sent);
        world.settle();
        if world.net.is_none() {
            let read = world.map.stats().bytes_in;
            assert!(read < size as u64, "all {read} bytes were read");
            assert!(world.map.channel(token).unwrap().output_len() >= 700);
        }
        remote.resume_reading();
        let mut received = Vec::new();
        world.run_until(|_| {
            received.extend(remote.received());
            received.len() == size
        });
        assert!(received == sent, "the echo differs");
        let longest = world.map.get(token).unwrap().longest;
        assert!(longest < 700 + ECHOED, "{longest} bytes were queued");
    });
}

#[test]
fn a_high_water_mark_of_0_counts_as_1() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        world.map.channel(token).unwrap().set_high_water(0);
        assert_eq!(world.map.channel(token).unwrap().high_water(), 1);
        remote.send(b"x");
        world.run_until(|_| seen.received() == b"x");
    });
}

#[test]
fn a_paused_channel_reads_nothing_until_it_is_resumed() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        world.map.channel(token).unwrap().pause_reading();
        remote.send(b"x");
        world.settle();
        assert_eq!(seen.count("handle_read"), 0);
        world.map.channel(token).unwrap().resume_reading();
        world.run_until(|_| seen.received() == b"x");
    });
}

#[test]
fn a_paused_channel_closes_when_its_connection_is_reset() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        world.map.channel(token).unwrap().pause_reading();
        remote.send(&vec![7; world.flood / 10]);
        world.settle();
        remote.reset();
        world.run_until(|_| seen.is_closed());
        assert!(seen.cause().is_some(), "a reset is no end in good order");
        assert_eq!(seen.received_len(), 0);
    });
}

#[test]
fn a_paused_channel_keeps_input_received_before_the_peer_closed() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, remote) = world.connect(Recorder::new(&seen));
        world.map.channel(token).unwrap().pause_reading();
        world.map.channel(token).unwrap().shutdown_write();
        remote.send(b"the last words");
        remote.shutdown();
        world.settle();
        assert!(!seen.is_closed());
        world.map.channel(token).unwrap().resume_reading();
        world.run_until(|_| seen.is_closed());
        assert_eq!((seen.received(), seen.cause()), (b"the last words".to_vec(), None));
    });
}

#[test]
fn a_push_over_the_limit_gives_an_actionable_error() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, _remote) = world.connect(Recorder::new(&seen).on("handle_error", |_| Ok(())));
        let mut channel = world.map.channel(token).unwrap();
        channel.set_output_limit(1000);
        channel.push(vec![0; 600]);
        assert_eq!(channel.output_len(), 600);
        channel.push(vec![0; 600]);
        assert_eq!(channel.output_len(), 0, "the queue is dropped");
        world.settle();
        assert_eq!(
            seen.errors(),
            ["the output queue would hold 1200 bytes, over its limit of 1000; push less while \
              output_len() is over the high-water mark, or raise set_output_limit()"]
        );
        let mut channel = world.map.channel(token).unwrap();
        channel.push(vec![0; 1000]);
        assert_eq!(channel.output_len(), 1000, "a channel that is kept can go on");
    });
}

/// Answers each byte with a producer of `size` bytes.
struct Produces {
    size: usize,
    made: usize,
}

impl Dispatcher for Produces {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let n = ch.recv(&mut [0; 1])?;
        for _ in 0..n {
            ch.push_with_producer(SimpleProducer::new(vec![7; self.size]));
            self.made += 1;
        }
        Ok(())
    }
}

#[test]
fn few_producers_are_queued_for_a_peer_that_does_not_read() {
    on_every_network(|world| {
        let size = world.flood / 60;
        let (token, remote) = world.connect(Produces { size, made: 0 });
        remote.pause_reading();
        remote.send(&[1; 120]);
        world.settle();
        let made = world.map.get(token).unwrap().made;
        // 64 producers are queued; those before them fit into the sockets' buffers.
        assert!((64..120).contains(&made), "{made} producers were made");
        remote.resume_reading();
        let mut received = 0;
        world.run_until(|_| {
            received += remote.received().len();
            received == 120 * size
        });
    });
}

/// One half of a relay, which pushes its input to the other half.
struct Half {
    other: Option<Token<Half>>,
    longest: usize,
}

const MARK: usize = 64 * 1024;

impl Dispatcher for Half {
    fn readable(&self, ch: &Channel<'_>) -> bool {
        self.other.is_none_or(|other| ch.output_len_of(other) < MARK)
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = vec![0; 32 * 1024];
        let n = ch.recv(&mut buf)?;
        let other = self.other.and_then(|other| ch.channel(other));
        let mut other = other.ok_or_else(|| Error::msg("the other half is gone"))?;
        other.push(&buf[..n]);
        self.longest = self.longest.max(other.output_len());
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
        if let Some(mut other) = self.other.and_then(|other| ch.channel(other)) {
            other.shutdown_write();
        }
        Ok(())
    }
}

fn relay(map: &mut EventLoop, left: Socket, right: Socket) -> (Token<Half>, Token<Half>) {
    let left = map.add(Half { other: None, longest: 0 }, left);
    let right = map.add(Half { other: Some(left), longest: 0 }, right);
    map.get_mut(left).unwrap().other = Some(right);
    (left, right)
}

#[test]
fn a_relay_to_a_slow_reader_keeps_its_queue_short() {
    const SIZE: usize = 50_000_000;
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let ((left, mut source), (right, mut sink)) = (tcp_pair(), tcp_pair());
        let (left, right) = relay(&mut map, left, right);
        let pattern: Vec<u8> = (0..1_000_000).map(|at| (at % 250) as u8).collect();
        let expected = pattern.clone();
        let sender = thread::spawn(move || {
            for _ in 0..SIZE / pattern.len() {
                source.write_all(&pattern).unwrap();
            }
            source
        });
        let reader = thread::spawn(move || {
            // Reading small pieces and comparing each makes the reader slower than the sender.
            let (mut total, mut buf) = (0, [0; 16 * 1024]);
            while total < SIZE {
                let n = sink.read(&mut buf).unwrap();
                assert!(n > 0, "the stream ended after {total} bytes");
                let start = total % 250;
                assert!(buf[..n] == expected[start..start + n], "the stream differs at {total}");
                total += n;
            }
            sink
        });
        run_until(&mut map, |map| map.channel_stats(right).unwrap().bytes_out == SIZE as u64);
        let longest = map.get(left).unwrap().longest;
        assert!(longest < MARK + 32 * 1024, "{longest} bytes were queued");
        drop(reader.join().unwrap());
        drop(sender.join().unwrap());
    });
}

#[test]
fn a_relay_half_closes_without_losing_bytes() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let ((left, mut client), (right, mut server)) = (tcp_pair(), tcp_pair());
        relay(&mut map, left, right);
        client.write_all(b"question").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let server = thread::spawn(move || {
            let mut question = Vec::new();
            server.read_to_end(&mut question).unwrap();
            server.write_all(b"the answer to ").unwrap();
            server.write_all(&question).unwrap();
        });
        run_until(&mut map, |map| map.is_empty());
        server.join().unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "the answer to question");
    });
}

#[test]
fn a_closed_source_is_read_to_the_end_after_its_sink_drains() {
    on_every_network(|world| {
        let (seen, seen_sink) = (Seen::default(), Seen::default());
        let (sink, reader) = world.connect(Recorder::new(&seen_sink));
        reader.pause_reading();
        let (source, writer) = world.connect(Recorder::new(&seen));
        world.map.channel(sink).unwrap().set_high_water(1);
        world.map.channel(sink).unwrap().push(vec![7; world.flood]);
        let mut channel = world.map.channel(source).unwrap();
        channel.set_sink(sink);
        // Both directions have ended, so the poller reports a hang-up before the first read.
        channel.shutdown_write();
        writer.send(b"the last words");
        writer.shutdown();
        world.settle();
        assert_eq!(seen.received_len(), 0, "the sink is full");
        reader.resume_reading();
        world.run_until(|_| {
            reader.received();
            seen.is_closed()
        });
        assert_eq!((seen.received(), seen.cause()), (b"the last words".to_vec(), None));
    });
}
