//! Recipes: short answers to "how do I …", each with an example that compiles.
//!
//! - [Shared state](#shared-state)
//! - [Backpressure of a relay](#backpressure-of-a-relay)
//! - [Layers](#layers)
//! - [A UDP server](#a-udp-server)
//! - [A pool of worker threads](#a-pool-of-worker-threads)
//! - [One loop per thread](#one-loop-per-thread)
//! - [Descriptors of other libraries](#descriptors-of-other-libraries)
//! - [Inside another event loop](#inside-another-event-loop)
//! - [Draining on SIGTERM](#draining-on-sigterm)
//! - [Switching protocols](#switching-protocols)
//! - [Testing on the simulated network](#testing-on-the-simulated-network)
//!
//! # Shared state
//!
//! A value that many channels use (a table of users, a configuration, counters) is put into the map
//! once and found by its type. No `Rc<RefCell<…>>` is needed, because only one callback runs at a
//! time. Wrap a common type such as `HashMap` in a struct of its own, so that no other part of the
//! program uses the same slot. A callback that needs the value and its channel at once takes what it
//! needs out of the value first, or removes the value and inserts it again.
//!
//! ```
//! use asyncore::{Channel, Dispatcher, Result, Socket, SocketMap};
//! use std::net::SocketAddr;
//!
//! #[derive(Default)]
//! struct Visitors(u64);
//!
//! struct Server;
//!
//! impl Dispatcher for Server {
//!     fn handle_accepted(&mut self, ch: &mut Channel<'_>, sock: Socket, _: Option<SocketAddr>) -> Result {
//!         if let Some(visitors) = ch.state_mut::<Visitors>() {
//!             visitors.0 += 1;
//!         }
//!         ch.add(Page, sock);
//!         Ok(())
//!     }
//! }
//!
//! struct Page;
//!
//! impl Dispatcher for Page {
//!     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
//!         if ch.recv(&mut [0; 1024])? == 0 {
//!             return Ok(()); // the end of the stream, which `handle_eof` is called for
//!         }
//!         let count = ch.state::<Visitors>().map_or(0, |visitors| visitors.0);
//!         ch.push(format!("you are visitor {count}\n").into_bytes());
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let mut event_loop = SocketMap::new()?;
//! event_loop.insert_state(Visitors::default());
//! # Ok(())
//! # }
//! ```
//!
//! # Backpressure of a relay
//!
//! A relay must read from one side only as fast as the other side takes the bytes.
//! [`set_sink`](Channel::set_sink) declares that: a channel is read only while the output of its
//! sink is below the [high-water mark](Channel::set_high_water). An end of the stream is passed on
//! as a half-close, and an end that was not in order as a reset, so that a part of a stream never
//! looks complete.
//!
//! ```
//! use asyncore::{Channel, Dispatcher, Result, Socket, Token};
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! /// Accepts clients, and connects a channel to the target for each.
//! struct Relay {
//!     target: (String, u16),
//! }
//!
//! /// One side of a relayed connection.
//! struct Half {
//!     other: Option<Token<Half>>,
//! }
//!
//! impl Dispatcher for Relay {
//!     fn handle_accepted(&mut self, ch: &mut Channel<'_>, sock: Socket, _: Option<SocketAddr>) -> Result {
//!         let client = ch.add(Half { other: None }, sock);
//!         let (host, port) = &self.target;
//!         let target = ch.add_with(|ch| {
//!             ch.connect_host(host, *port)?;
//!             ch.set_sink(client);
//!             Ok(Half { other: Some(client) })
//!         });
//!         ch.with(client, |half, ch| match target {
//!             Ok(target) => {
//!                 half.other = Some(target);
//!                 ch.set_sink(target);
//!                 // A client that takes nothing for a minute is given up.
//!                 ch.set_send_timeout(Duration::from_secs(60));
//!             }
//!             Err(_) => ch.abort(),
//!         });
//!         Ok(())
//!     }
//! }
//!
//! impl Half {
//!     fn other<'c>(&self, ch: &'c mut Channel<'_>) -> Option<Channel<'c>> {
//!         ch.channel(self.other?)
//!     }
//! }
//!
//! impl Dispatcher for Half {
//!     fn ac_in_buffer_size(&self) -> usize {
//!         64 * 1024
//!     }
//!
//!     fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
//!         if let Some(mut other) = self.other(ch) {
//!             other.push(data);
//!         }
//!         Ok(())
//!     }
//!
//!     fn handle_eof(&mut self, ch: &mut Channel<'_>) -> Result {
//!         if let Some(mut other) = self.other(ch) {
//!             other.shutdown_write();
//!         }
//!         Ok(())
//!     }
//!
//!     fn handle_error(&mut self, ch: &mut Channel<'_>, _: asyncore::Error) {
//!         if let Some(mut other) = self.other(ch) {
//!             other.abort();
//!         }
//!         ch.abort();
//!     }
//!
//!     fn handle_close(&mut self, ch: &mut Channel<'_>) {
//!         let cut_off = ch.close_cause().is_some();
//!         if let Some(mut other) = self.other(ch) {
//!             if cut_off { other.abort() } else { other.close_when_done() }
//!         }
//!     }
//! }
//! #
//! # use asyncore::{sim::Network, Domain, SocketMap, Type};
//! # fn main() -> std::io::Result<()> {
//! # let net = Network::new(1);
//! # let target = net.listen("192.0.2.1:80".parse().unwrap())?;
//! # let addr: SocketAddr = "192.0.2.2:80".parse().unwrap();
//! # let mut map = SocketMap::simulated(&net);
//! # map.add_with(|ch| {
//! #     ch.create_socket(Domain::IPV4, Type::STREAM)?;
//! #     ch.bind(addr)?;
//! #     ch.listen(10)?;
//! #     Ok(Relay { target: ("192.0.2.1".into(), 80) })
//! # })?;
//! # let client = net.connect(addr);
//! # client.send(&[7; 300_000]);
//! # client.shutdown();
//! # let mut pass = || for _ in 0..3_000 { map.poll(Some(Duration::from_millis(1))).unwrap(); };
//! # pass();
//! # let target = target.accept().unwrap();
//! # pass();
//! # assert_eq!(target.received().len(), 300_000);
//! # assert!(target.saw_eof());
//! # target.send(b"thanks");
//! # target.close();
//! # pass();
//! # assert_eq!(client.received(), b"thanks");
//! # assert!(client.saw_eof() && !client.was_reset());
//! # assert_eq!(map.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! On Linux, [`splice_to`](Channel::splice_to) moves the bytes inside the kernel. The program
//! `forwarder` in this repository is a complete relay.
//!
//! # Layers
//!
//! A [`Layer`](crate::Layer) transforms the bytes of a stream, and the handler does not change. It
//! makes no system calls, so it is tested by calling its methods. One that reads a header at the
//! beginning of the stream and then removes itself is a layer too, as here for PROXY protocol
//! version 1: the connection counts as [connecting](Channel::is_connecting) until the header is
//! complete, and `handle_connect` is called then.
//!
//! ```
//! use asyncore::{Channel, Dispatcher, Layer, LayerIo, Result, Socket};
//! use std::io;
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! /// Longest header that the protocol allows.
//! const MAX_HEADER: usize = 107;
//!
//! #[derive(Default)]
//! struct ProxyHeader {
//!     header: Vec<u8>,
//!     is_complete: bool,
//! }
//!
//! impl Layer for ProxyHeader {
//!     fn is_ready(&self) -> bool {
//!         self.is_complete
//!     }
//!
//!     fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
//!         self.header.extend_from_slice(input);
//!         let Some(end) = self.header.windows(2).position(|pair| pair == b"\r\n") else {
//!             if self.header.len() > MAX_HEADER {
//!                 return Err(io::Error::new(io::ErrorKind::InvalidData, "the PROXY header does not end"));
//!             }
//!             return Ok(());
//!         };
//!         if !self.header.starts_with(b"PROXY ") {
//!             return Err(io::Error::new(io::ErrorKind::InvalidData, "there is no PROXY header"));
//!         }
//!         io.deliver(&self.header.split_off(end + 2));
//!         self.is_complete = true;
//!         io.remove_layer();
//!         Ok(())
//!     }
//!
//!     fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> io::Result<()> {
//!         io.transmit(output);
//!         Ok(())
//!     }
//! }
//!
//! struct Echo;
//!
//! impl Dispatcher for Echo {
//!     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
//!         let mut buf = [0; 8192];
//!         let n = ch.recv(&mut buf)?;
//!         ch.push(&buf[..n]);
//!         Ok(())
//!     }
//! }
//!
//! struct Server;
//!
//! impl Dispatcher for Server {
//!     fn handle_accepted(&mut self, ch: &mut Channel<'_>, sock: Socket, _: Option<SocketAddr>) -> Result {
//!         ch.add_with(|ch| {
//!             ch.set_socket(sock);
//!             ch.set_handshake_timeout(Duration::from_secs(3));
//!             ch.insert_layer(ProxyHeader::default(), &[])?;
//!             Ok(Echo)
//!         })?;
//!         Ok(())
//!     }
//! }
//! #
//! # use asyncore::{sim::Network, Domain, SocketMap, Type};
//! # fn main() -> std::io::Result<()> {
//! # let net = Network::new(1);
//! # let addr: SocketAddr = "192.0.2.2:80".parse().unwrap();
//! # let mut map = SocketMap::simulated(&net);
//! # map.add_with(|ch| {
//! #     ch.create_socket(Domain::IPV4, Type::STREAM)?;
//! #     ch.bind(addr)?;
//! #     ch.listen(10)?;
//! #     Ok(Server)
//! # })?;
//! # let client = net.connect(addr);
//! # client.send(b"PROXY TCP4 192.0.2.7 192.0.2.2 5000 80\r\nhello");
//! # for _ in 0..200 { map.poll(Some(Duration::from_millis(1)))?; }
//! # assert_eq!(client.received(), b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # A UDP server
//!
//! One channel serves all peers with [`recv_from`](Channel::recv_from) and
//! [`send_to`](Channel::send_to). Datagrams are not queued: when the socket takes none, the answer
//! is lost, as the network may lose it too. A datagram that the peer refuses is an error that
//! `handle_error` logs; the channel stays open. A callback that reads several datagrams saves
//! passes, and needs a bound so that other channels get their turn.
//!
//! ```
//! use asyncore::{Channel, Dispatcher, Domain, Result, SocketMap, Token, Type};
//! use std::io;
//! use std::net::SocketAddr;
//!
//! struct Echo;
//!
//! impl Dispatcher for Echo {
//!     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
//!         // The longest datagram; the rest of one that does not fit would be lost.
//!         ch.with_buffer(65_535, |ch, buf| {
//!             for _ in 0..16 {
//!                 let (n, from) = ch.recv_from(buf)?; // `WouldBlock` ends the loop
//!                 match ch.send_to(&buf[..n], &from) {
//!                     Err(error) if error.kind() == io::ErrorKind::WouldBlock => {} // lost
//!                     sent => drop(sent?),
//!                 }
//!             }
//!             Ok(())
//!         })
//!     }
//! }
//!
//! fn serve(map: &mut SocketMap, addr: SocketAddr) -> io::Result<Token<Echo>> {
//!     map.add_with(|ch| {
//!         ch.create_socket(Domain::for_address(addr), Type::DGRAM)?;
//!         ch.bind(addr)?;
//!         Ok(Echo)
//!     })
//! }
//! ```
//!
//! # A pool of worker threads
//!
//! A callback must not block: while it runs, no other channel is served. Long computations,
//! databases and file systems go to threads. A job carries the [`Token`](crate::Token) of the
//! channel that wants the answer, and a [`Trigger`](crate::Trigger) brings the answer back; the
//! channel may be gone by then. The queue of jobs is bounded, and a full one is answered at once.
//! [`hold_open`](Channel::hold_open) makes a [drain](crate::SocketMap::drain) wait for the answer.
//!
//! ```
//! use asyncore::{Accumulator, AsyncChat, Channel, Result, Token, Trigger};
//! use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
//! use std::sync::{Arc, Mutex};
//! use std::thread;
//!
//! struct Job {
//!     number: u64,
//!     asker: Token<Session>,
//! }
//!
//! /// Starts the threads, which end when the last sender of jobs is dropped.
//! fn start_workers(count: usize, trigger: &Trigger) -> SyncSender<Job> {
//!     let (sender, jobs) = sync_channel(1024);
//!     let jobs = Arc::new(Mutex::new(jobs));
//!     for _ in 0..count {
//!         let (jobs, trigger) = (Arc::clone(&jobs), trigger.clone());
//!         thread::spawn(move || work(&jobs, &trigger));
//!     }
//!     sender
//! }
//!
//! fn work(jobs: &Mutex<Receiver<Job>>, trigger: &Trigger) {
//!     loop {
//!         let job = jobs.lock().unwrap().recv();
//!         let Ok(Job { number, asker }) = job else { return };
//!         let sum: u64 = (0..=number).sum(); // what takes long
//!         let mut answer = trigger.pull_trigger(move |map| {
//!             if let Some(mut ch) = map.channel(asker) {
//!                 ch.push(format!("{sum}\n").into_bytes());
//!                 ch.release();
//!             }
//!             Ok(())
//!         });
//!         // The loop is behind: try again with the closure that came back.
//!         while let Err(error @ asyncore::TriggerError::Full(_)) = answer {
//!             thread::yield_now();
//!             answer = trigger.pull_trigger(error.into_call());
//!         }
//!     }
//! }
//!
//! struct Session {
//!     line: Accumulator,
//!     jobs: SyncSender<Job>,
//! }
//!
//! impl AsyncChat for Session {
//!     fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
//!         Ok(self.line.collect(data)?)
//!     }
//!
//!     fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
//!         let line = String::from_utf8(self.line.take())?;
//!         let job = Job { number: line.trim().parse()?, asker: ch.token() };
//!         match self.jobs.try_send(job) {
//!             Ok(()) => ch.hold_open(),
//!             Err(_) => ch.push(b"busy\n"),
//!         }
//!         Ok(())
//!     }
//! }
//! #
//! # use std::io::{Read, Write};
//! # use std::os::unix::net::UnixStream;
//! # fn main() -> std::io::Result<()> {
//! # let mut map = asyncore::SocketMap::new()?;
//! # let trigger = map.trigger()?;
//! # let jobs = start_workers(2, &trigger);
//! # drop(trigger);
//! # let (ours, mut theirs) = UnixStream::pair()?;
//! # let session = map.add_with(|ch| {
//! #     ch.set_socket(ours.try_into()?);
//! #     ch.set_terminator(b"\n");
//! #     Ok(Session { line: Accumulator::new(), jobs })
//! # })?;
//! # theirs.write_all(b"10\n")?;
//! # let client = thread::spawn(move || {
//! #     let mut answer = [0; 3];
//! #     theirs.read_exact(&mut answer).unwrap();
//! #     answer
//! # });
//! # map.run()?;
//! # assert_eq!(&client.join().unwrap(), b"55\n");
//! # Ok(())
//! # }
//! ```
//!
//! # One loop per thread
//!
//! A map belongs to one thread. To use several cores, run one loop on each of several threads.
//! Either each has its own listener on the same port ([`set_reuse_port`](Channel::set_reuse_port))
//! and the kernel spreads the connections, or one loop accepts and hands the sockets to the others
//! through their triggers, as here. Either way a connection stays on its loop.
//!
//! An open connection moves the same way: [`take_socket`](Channel::take_socket) takes the socket
//! out of its channel, with its layers and the input that no handler has read; the state of the
//! handler has to be sent along.
//!
//! ```
//! use asyncore::{Channel, Dispatcher, Result, Socket, SocketMap, Trigger};
//! use std::net::SocketAddr;
//! use std::sync::mpsc::channel;
//! use std::{io, thread};
//!
//! struct Echo;
//!
//! impl Dispatcher for Echo {
//!     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
//!         let mut buf = [0; 8192];
//!         let n = ch.recv(&mut buf)?;
//!         ch.push(&buf[..n]);
//!         Ok(())
//!     }
//! }
//!
//! /// Accepts on its own loop, and hands the connections to the others in turn.
//! struct Acceptor {
//!     loops: Vec<Trigger>,
//!     next: usize,
//! }
//!
//! impl Dispatcher for Acceptor {
//!     fn handle_accepted(&mut self, _: &mut Channel<'_>, sock: Socket, _: Option<SocketAddr>) -> Result {
//!         self.next = (self.next + 1) % self.loops.len();
//!         let handed_over = self.loops[self.next].pull_trigger(move |map| {
//!             map.add(Echo, sock);
//!             Ok(())
//!         });
//!         // A loop with 1,024 waiting calls refuses; the connection closes with the closure.
//!         Ok(handed_over.map_err(|error| io::Error::other(error.to_string()))?)
//!     }
//! }
//!
//! /// Starts a loop on a thread of its own; it runs for as long as the trigger is held, and until
//! /// its last channel has ended.
//! fn start_loop() -> io::Result<Trigger> {
//!     let (sender, triggers) = channel();
//!     thread::Builder::new().name("loop".into()).spawn(move || -> io::Result<()> {
//!         let mut event_loop = SocketMap::new()?;
//!         let _ = sender.send(event_loop.trigger()?);
//!         drop(sender);
//!         event_loop.run()
//!     })?;
//!     triggers.recv().map_err(|_| io::Error::other("the loop did not start"))
//! }
//!
//! # fn main() -> io::Result<()> {
//! let loops = (0..4).map(|_| start_loop()).collect::<io::Result<Vec<_>>>()?;
//! let acceptor = Acceptor { loops, next: 0 };
//! # drop(acceptor);
//! # Ok(())
//! # }
//! ```
//!
//! # Descriptors of other libraries
//!
//! Any descriptor that a poller can wait for becomes a channel: a timer, an inotify instance, the
//! connection of a database library. [`try_io`](Channel::try_io) makes a system call of the
//! program's own on it and keeps the loop's accounts right. Where a library reads its descriptor by
//! itself, the callback calls the library and then [`touch`](Channel::touch): it is called again
//! while the descriptor is ready.
//!
//! ```
//! use asyncore::{Channel, Dispatcher, FileWrapper, Result, SocketMap};
//!
//! /// Counts the expirations of a timerfd, and closes after the third.
//! struct Ticks(u64);
//!
//! impl Dispatcher for Ticks {
//!     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
//!         let mut count = [0; 8];
//!         ch.try_io(|fd| Ok(rustix::io::read(fd, &mut count)?))?;
//!         self.0 += u64::from_ne_bytes(count);
//!         if self.0 >= 3 {
//!             ch.close();
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # #[cfg(target_os = "linux")]
//! # fn main() -> std::io::Result<()> {
//! use rustix::time::{
//!     Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
//!     timerfd_settime,
//! };
//!
//! let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
//! let millisecond = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
//! let times = Itimerspec { it_interval: millisecond, it_value: millisecond };
//! timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)?;
//! let mut event_loop = SocketMap::new()?;
//! event_loop.add_file(Ticks(0), FileWrapper::new(&timer)?);
//! event_loop.run()
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
//!
//! An inotify instance is read the same way; one call returns many events.
//!
//! ```
//! use asyncore::{Channel, Dispatcher, FileWrapper, Result, SocketMap};
//! use std::mem::MaybeUninit;
//!
//! # #[cfg(target_os = "linux")]
//! # fn main() -> std::io::Result<()> {
//! use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
//!
//! /// Waits until a file of this name is made.
//! struct WaitsFor(&'static str);
//!
//! impl Dispatcher for WaitsFor {
//!     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
//!         let mut space = [MaybeUninit::uninit(); 4096];
//!         let name = self.0.as_bytes();
//!         let found = ch.try_io(|fd| {
//!             let mut events = Reader::new(fd, &mut space);
//!             let mut found = false;
//!             while !found {
//!                 found = events.next()?.file_name().is_some_and(|it| it.to_bytes() == name);
//!             }
//!             Ok(found)
//!         })?;
//!         if found {
//!             ch.close();
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let dir = std::env::temp_dir().join(format!("asyncore-recipe-{}", std::process::id()));
//! std::fs::create_dir_all(&dir)?;
//! let watches = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
//! inotify::add_watch(&watches, &dir, WatchFlags::CREATE)?;
//! let mut event_loop = SocketMap::new()?;
//! event_loop.add_file(WaitsFor("ready"), FileWrapper::new(&watches)?);
//! std::fs::write(dir.join("other"), "")?;
//! std::fs::write(dir.join("ready"), "")?;
//! event_loop.run()?;
//! # std::fs::remove_dir_all(&dir)
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
//!
//! A C library that reads its descriptor itself is given the event, and says what it waits for.
//! The [`FileWrapper`](crate::FileWrapper) is a duplicate, so the library still owns its own
//! descriptor; it sets both to non-blocking mode. The predicates ask the library, and `touch` has
//! them asked again.
//!
//! ```
//! use asyncore::{Channel, Dispatcher, FileWrapper, Result, SocketMap};
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//!
//! /// What bindings of such a library look like.
//! struct Connection(UnixStream, Vec<u8>);
//!
//! impl Connection {
//!     fn wants_write(&self) -> bool {
//!         !self.1.is_empty()
//!     }
//!
//!     /// Reads and writes what it can; true when all is done.
//!     fn process(&mut self) -> std::io::Result<bool> {
//!         if self.wants_write() {
//!             let n = self.0.write(&self.1)?;
//!             self.1.drain(..n);
//!             return Ok(false);
//!         }
//!         Ok(self.0.read(&mut [0; 16])? > 0)
//!     }
//! }
//!
//! struct Query(Connection);
//!
//! impl Dispatcher for Query {
//!     fn writable(&self, _: &Channel<'_>) -> bool {
//!         self.0.wants_write()
//!     }
//!
//!     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
//!         ch.touch(); // the library reads, which the channel does not see
//!         if self.0.process()? {
//!             ch.close();
//!         }
//!         Ok(())
//!     }
//!
//!     fn handle_write(&mut self, ch: &mut Channel<'_>) -> Result {
//!         self.handle_read(ch)
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let (library_end, mut server) = UnixStream::pair()?;
//! let descriptor = FileWrapper::new(&library_end)?;
//! let mut event_loop = SocketMap::new()?;
//! event_loop.add_file(Query(Connection(library_end, b"query".to_vec())), descriptor);
//! server.write_all(b"answer")?;
//! event_loop.run()?;
//! # let mut query = [0; 5];
//! # server.read_exact(&mut query)?;
//! # assert_eq!(&query, b"query");
//! # Ok(())
//! # }
//! ```
//!
//! # Inside another event loop
//!
//! A program whose main loop belongs to a user interface, to calloop or to tokio waits for the
//! loop's descriptor besides its own. Before each wait it asks for the
//! [`next_deadline`](crate::EventLoop::next_deadline), which also registers what has changed; after
//! the wait it makes one pass with a timeout of zero. Use the epoll or the kqueue poller: the others
//! have no descriptor of their own, and theirs is always readable. An outer loop that watches for
//! edges, as tokio does, waits again only after a pass that reported no event. The examples `inside_tokio` and
//! `inside_calloop` are whole programs.
//!
//! ```
//! use asyncore::EventLoop;
//! use rustix::event::{PollFd, PollFlags, Timespec, poll};
//! use std::io;
//! use std::time::Duration;
//!
//! /// The outer loop; the descriptors of the program would be in the same array.
//! fn run_inside(event_loop: &mut EventLoop) -> io::Result<()> {
//!     loop {
//!         let deadline = event_loop.next_deadline();
//!         if event_loop.is_empty() && deadline.is_none() {
//!             return Ok(());
//!         }
//!         let timeout = deadline.map(|at| {
//!             let left = at.saturating_duration_since(event_loop.now());
//!             Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 60, tv_nsec: 0 })
//!         });
//!         poll(&mut [PollFd::new(&*event_loop, PollFlags::IN)], timeout.as_ref())?;
//!         if event_loop.poll(Some(Duration::ZERO))?.exit {
//!             return Ok(());
//!         }
//!     }
//! }
//!
//! # fn main() -> io::Result<()> {
//! let mut event_loop = asyncore::SocketMap::new()?;
//! event_loop.call_later(Duration::from_millis(2), |_| Ok(()));
//! run_inside(&mut event_loop)
//! # }
//! ```
//!
//! # Draining on SIGTERM
//!
//! [`drain`](crate::SocketMap::drain) closes the listeners, sends what is queued, closes each
//! channel, and lets [`run`](crate::EventLoop::run) return; a deadline bounds it. Each handler gets
//! [`handle_drain`](Dispatcher::handle_drain) first, for a goodbye. A channel whose answer is still
//! being made calls [`hold_open`](Channel::hold_open). A second signal gives up waiting. Feature
//! `signals`.
//!
#![cfg_attr(feature = "signals", doc = "```")]
#![cfg_attr(not(feature = "signals"), doc = "```ignore")]
//! use asyncore::{Channel, Dispatcher, ExitNow, Result, SocketMap};
//! use std::io;
//! use std::time::Duration;
//!
//! const SIGTERM: i32 = 15;
//!
//! struct Session;
//!
//! impl Dispatcher for Session {
//!     fn handle_drain(&mut self, ch: &mut Channel<'_>) -> Result {
//!         ch.push(b"421 the server is going down\r\n");
//!         Ok(())
//!     }
//! }
//!
//! fn drain_on_sigterm(map: &mut SocketMap) -> io::Result<()> {
//!     map.on_signal(SIGTERM, |map| {
//!         if map.is_draining() {
//!             return Err(ExitNow.into());
//!         }
//!         map.drain(Duration::from_secs(10));
//!         Ok(())
//!     })
//! }
//! # fn main() -> io::Result<()> {
//! # let mut map = SocketMap::new()?;
//! # drain_on_sigterm(&mut map)?;
//! # let (ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
//! # map.add(Session, ours.try_into()?);
//! # map.call_later(Duration::ZERO, |_| Ok(rustix::process::kill_process(
//! #     rustix::process::getpid(), rustix::process::Signal::TERM)?));
//! # let client = std::thread::spawn(move || std::io::read_to_string(&mut theirs).unwrap());
//! # map.run()?;
//! # assert!(client.join().unwrap().starts_with("421 "));
//! # Ok(())
//! # }
//! ```
//!
//! # Switching protocols
//!
//! [`replace_handler`](Channel::replace_handler) gives a channel another handler: a login becomes a
//! session, HTTP becomes a tunnel. Input that the old handler has not parsed is the new one's, so a
//! peer that does not wait for the answer loses nothing.
//!
//! ```
//! use asyncore::{Accumulator, AsyncChat, Channel, Dispatcher, Result};
//!
//! struct Login {
//!     name: Accumulator,
//! }
//!
//! struct Session {
//!     name: Vec<u8>,
//! }
//!
//! impl AsyncChat for Login {
//!     fn collect_incoming_data(&mut self, _: &mut Channel<'_>, data: &[u8]) -> Result {
//!         Ok(self.name.collect(data)?)
//!     }
//!
//!     fn found_terminator(&mut self, ch: &mut Channel<'_>) -> Result {
//!         ch.push(b"welcome\n");
//!         ch.replace_handler(Session { name: self.name.take() });
//!         Ok(())
//!     }
//! }
//!
//! impl Dispatcher for Session {
//!     fn ac_in_buffer_size(&self) -> usize {
//!         8192
//!     }
//!
//!     fn handle_data(&mut self, ch: &mut Channel<'_>, data: &[u8]) -> Result {
//!         ch.push(&self.name[..]);
//!         ch.push(b": ");
//!         ch.push(data);
//!         Ok(())
//!     }
//! }
//! #
//! # use std::io::{Read, Write};
//! # fn main() -> std::io::Result<()> {
//! # let mut map = asyncore::SocketMap::new()?;
//! # let (ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
//! # map.add_with(|ch| {
//! #     ch.set_socket(ours.try_into()?);
//! #     ch.set_terminator(b"\n");
//! #     Ok(Login { name: Accumulator::new() })
//! # })?;
//! # theirs.write_all(b"guido\nhello\n")?;
//! # theirs.shutdown(std::net::Shutdown::Write)?;
//! # map.run()?;
//! # let mut answer = String::new();
//! # theirs.read_to_string(&mut answer)?;
//! # assert_eq!(answer, "welcome\nguido: hello\n");
//! # Ok(())
//! # }
//! ```
//!
//! Where the bytes change too, as with STARTTLS, insert a layer instead. What was pushed before is
//! sent below it. What the peer sent before becomes the layer's input: a TLS layer refuses it unless
//! it is the handshake, so plaintext cannot pass for encrypted commands. The example
//! `smtp_starttls` is both ends of such a dialogue.
//!
#![cfg_attr(feature = "tls", doc = "```")]
#![cfg_attr(not(feature = "tls"), doc = "```ignore")]
//! use asyncore::rustls::ServerConfig;
//! use asyncore::{Channel, Result, TlsLayer};
//! use std::sync::Arc;
//!
//! fn start_tls(ch: &mut Channel<'_>, config: &Arc<ServerConfig>) -> Result {
//!     ch.push(b"220 go ahead\r\n");
//!     // `handle_connect` is called when the handshake is complete.
//!     ch.insert_layer(TlsLayer::server(Arc::clone(config))?, &[])?;
//!     Ok(())
//! }
//! ```
//!
//! # Testing on the simulated network
//!
//! Handlers run unchanged on [`sim`](crate::sim): in memory, with partial writes and delays drawn
//! from a seed, and with a clock that is moved instead of waited for. [`check`](crate::sim::check)
//! repeats a test for many seeds and prints the one that fails. Write a handler so that it does not
//! care which network it is on: take the time from [`now`](crate::SocketMap::now), and names from
//! [`connect_host`](Channel::connect_host).
//!
//! ```
//! use asyncore::{Channel, Dispatcher, Domain, Result, Socket, SocketMap, Type, sim};
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! struct Echo;
//!
//! impl Dispatcher for Echo {
//!     fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
//!         let mut buf = [0; 8192];
//!         let n = ch.recv(&mut buf)?;
//!         ch.push(&buf[..n]);
//!         Ok(())
//!     }
//! }
//!
//! struct Server;
//!
//! impl Dispatcher for Server {
//!     fn handle_accepted(&mut self, ch: &mut Channel<'_>, sock: Socket, _: Option<SocketAddr>) -> Result {
//!         let echo = ch.add(Echo, sock);
//!         if let Some(mut echo) = ch.channel(echo) {
//!             echo.set_timeout(Duration::from_secs(3600));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! sim::check(0..20, |net| {
//!     let addr: SocketAddr = "192.0.2.1:7".parse().unwrap();
//!     let mut event_loop = SocketMap::simulated(&net);
//!     let server = event_loop.add_with(|ch| {
//!         ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
//!         ch.bind(addr)?;
//!         ch.listen(10)?;
//!         Ok(Server)
//!     });
//!     assert!(server.is_ok());
//!
//!     let client = net.connect(addr);
//!     client.send(b"hello");
//!     let mut answer = Vec::new();
//!     for _ in 0..1000 {
//!         event_loop.poll(Some(Duration::from_millis(10))).unwrap();
//!         answer.extend(client.received());
//!     }
//!     assert_eq!(answer, b"hello");
//!
//!     // An hour of silence passes at once.
//!     net.advance(Duration::from_secs(3601));
//!     for _ in 0..1000 {
//!         event_loop.poll(Some(Duration::from_millis(10))).unwrap();
//!     }
//!     assert!(client.saw_eof());
//! });
//! ```

#[cfg(doc)]
use crate::{Channel, Dispatcher};
