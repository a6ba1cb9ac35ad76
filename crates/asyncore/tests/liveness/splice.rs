//! The same property for a relay that splices, on real sockets with every poller.
//!
//! One thread drives both ends, so that nothing depends on scheduling. The reader reads in bursts
//! that are smaller than the third of the send buffer from which on the kernel reports the socket
//! writable: `send` and `splice` take bytes again long before that.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use asyncore::{Channel, Dispatcher, EventLoop, PollerKind, Socket, SocketMap, Token};
use socket2::{Domain, SockRef, Type};

/// Sizes of the socket buffers; the kernel doubles them. A receiver announces room by half of its
/// buffer, which is less than a third of the sender's: so some is free before it is writable.
const RECEIVE_BUFFER: usize = 8 * 1024;
const SEND_BUFFER: usize = 64 * 1024;

/// Maximum number of passes for which no byte arrives although there are some.
///
/// Without loss a byte needs a few. The kernel can hold the announcement of room back until its
/// timer probes for it, after 200 ms at first: 100 passes that find nothing.
const MAX_IDLE_PASSES: usize = 500;

/// How long a pass waits after one that moved nothing.
const WAIT: Duration = Duration::from_millis(2);

/// One side of a relay.
struct Half {
    other: Option<Token<Half>>,
    /// Pauses its source itself while this much is queued, instead of by `set_sink`. It stalls.
    by_hand: Option<usize>,
}

impl Dispatcher for Half {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> asyncore::Result {
        let Some(to) = self.other else { return Ok(()) };
        if self.by_hand.is_some_and(|mark| ch.output_len_of(to) >= mark) {
            ch.pause_reading();
        }
        match ch.splice_to(to, 256 * 1024) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let mut buf = [0; 10_000];
                let n = ch.recv(&mut buf)?;
                if let Some(mut to) = ch.channel(to) {
                    to.push(&buf[..n]);
                }
                Ok(())
            }
            moved => Ok(moved.map(drop)?),
        }
    }

    fn handle_write(&mut self, ch: &mut Channel<'_>) -> asyncore::Result {
        if let Some(mut source) = self.other.and_then(|other| ch.channel(other)) {
            source.resume_reading();
        }
        Ok(())
    }

    fn handle_eof(&mut self, ch: &mut Channel<'_>) -> asyncore::Result {
        if let Some(mut to) = self.other.and_then(|to| ch.channel(to)) {
            to.shutdown_write();
        }
        Ok(())
    }
}

struct Scene {
    map: EventLoop,
    sink: Token<Half>,
    writer: TcpStream,
    reader: TcpStream,
    sent: usize,
    received: usize,
}

impl Scene {
    /// Relays between two connections; a sink is full at `high_water` bytes.
    fn new(mut map: EventLoop, high_water: usize, by_hand: bool) -> Scene {
        let ((source, writer), (sink, reader)) = (pair(), pair());
        let by_hand = by_hand.then_some(high_water);
        let source = map.add(Half { other: None, by_hand }, source);
        let sink = map.add(Half { other: Some(source), by_hand }, sink);
        map.get_mut(source).unwrap().other = Some(sink);
        for (from, to) in [(source, sink), (sink, source)] {
            let mut ch = map.channel(from).unwrap();
            if by_hand.is_none() {
                ch.set_high_water(high_water);
                ch.set_sink(to);
            }
        }
        Scene { map, sink, writer, reader, sent: 0, received: 0 }
    }

    fn pass(&mut self, wait: Duration) {
        let _ = self.map.poll(Some(wait)).expect("a pass");
    }

    /// Writes up to `size` bytes; the number of those that the socket took.
    fn write(&mut self, size: usize) -> usize {
        let bytes: Vec<u8> = (self.sent..self.sent + size).map(content).collect();
        let n = or_nothing(self.writer.write(&bytes));
        self.sent += n;
        n
    }

    /// Reads up to `size` bytes.
    fn read(&mut self, size: usize) -> usize {
        let mut buf = vec![0; size];
        let n = or_nothing(self.reader.read(&mut buf));
        for (byte, at) in buf[..n].iter().zip(self.received..) {
            assert_eq!(*byte, content(at), "at byte {at}");
        }
        self.received += n;
        n
    }

    /// Writes pieces until some of one is queued for the reader, or nothing more fits.
    fn fill(&mut self, piece: usize) {
        let mut idle = 0;
        while idle < 5 && self.map.channel(self.sink).unwrap().output_len() == 0 {
            idle = if self.write(piece) > 0 { 0 } else { idle + 1 };
            self.pass(Duration::ZERO);
        }
    }

    /// Reads a burst, then writes a piece, a few times.
    fn trickle(&mut self, burst: usize, piece: usize) {
        for _ in 0..4 {
            self.read(burst);
            self.pass(Duration::ZERO);
            self.write(piece);
            self.pass(Duration::ZERO);
        }
    }

    /// Reads all that was sent, which keeps arriving.
    fn drain(&mut self) -> Result<(), String> {
        let mut idle = 0;
        while self.received < self.sent {
            idle = if self.read(SEND_BUFFER) > 0 { 0 } else { idle + 1 };
            if idle > MAX_IDLE_PASSES {
                let Scene { map, sent, received, .. } = self;
                return Err(format!("{received} of {sent} bytes in {idle} passes: {map:?}"));
            }
            self.pass(if idle > 1 { WAIT } else { Duration::ZERO });
        }
        Ok(())
    }

    fn play(&mut self) -> Result<(), String> {
        for piece in [100, 1_000, 10_000, SEND_BUFFER] {
            for burst in [1, RECEIVE_BUFFER, 2 * RECEIVE_BUFFER, SEND_BUFFER] {
                self.fill(piece);
                self.trickle(burst, piece);
                self.drain()?;
            }
        }
        Ok(())
    }
}

fn content(at: usize) -> u8 {
    (at % 251) as u8
}

fn or_nothing(outcome: std::io::Result<usize>) -> usize {
    match outcome {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        outcome => outcome.expect("a connection"),
    }
}

/// Both ends of a connection with small buffers: one for the map, one for the test.
fn pair() -> (Socket, TcpStream) {
    let open = || {
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // Before it connects, or it announces a larger window.
        shrink(SockRef::from(&socket));
        socket
    };
    let (listener, theirs) = (open(), open());
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    listener.listen(1).expect("listening");
    theirs.connect(&listener.local_addr().expect("bound")).expect("connected");
    let (ours, _) = listener.accept().expect("a connection");
    shrink(SockRef::from(&ours));
    theirs.set_nonblocking(true).expect("a socket");
    let ours = Socket::try_from(TcpStream::from(ours)).expect("a socket");
    (ours, theirs.into())
}

fn shrink(socket: SockRef<'_>) {
    socket.set_send_buffer_size(SEND_BUFFER).expect("a size");
    socket.set_recv_buffer_size(RECEIVE_BUFFER).expect("a size");
}

#[test]
fn a_spliced_relay_moves_bytes_for_a_reader_that_reads_in_bursts() {
    for &kind in PollerKind::ALL {
        // Below, near and above what the sockets hold; with pipes, and without.
        for (high_water, pipes) in [(1, 64), (1_000, 64), (64 * 1024, 64), (256 * 1024, 64), (1, 0)]
        {
            let builder = SocketMap::builder().poller(kind).max_pipes(pipes);
            let mut scene = Scene::new(builder.build().unwrap(), high_water, false);
            if let Err(what) = scene.play() {
                panic!("{kind}, full at {high_water}, {pipes} pipes: {what}");
            }
            scene.writer.shutdown(Shutdown::Write).unwrap();
            scene.reader.shutdown(Shutdown::Write).unwrap();
            for _ in 0..MAX_IDLE_PASSES {
                if !scene.map.is_empty() {
                    scene.pass(WAIT);
                }
            }
            assert!(scene.map.is_empty(), "{kind}: {:?}", scene.map);
        }
    }
}

#[test]
fn a_spliced_relay_that_pauses_and_resumes_by_hand_is_found() {
    for &kind in PollerKind::ALL {
        let builder = SocketMap::builder().poller(kind);
        let mut scene = Scene::new(builder.build().unwrap(), 1, true);
        let what = scene.play().expect_err("it stalls");
        println!("{kind}: {what}");
    }
}
