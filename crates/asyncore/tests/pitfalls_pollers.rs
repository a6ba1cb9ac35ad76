//! Difficult cases for pollers: files that never block, unconnected sockets, and waits that end
//! early.

mod util;

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::{Faults, Network};
use asyncore::{Channel, Domain, EventLoop, FileWrapper, Result, SocketMap, Type};
use util::{PASS, Recorder, Seen, assert_rests, on_every_network, on_every_poller, run_until};

/// A temporary file, removed when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, content).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_regular_file_is_read_to_its_end() {
    on_every_poller(|builder| {
        let content: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
        let scratch = Scratch::new("read_to_its_end", &content);
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let file = FileWrapper::new(File::open(&scratch.0).unwrap()).unwrap();
        map.add_file(Recorder::new(&seen), file);
        run_until(&mut map, |map| map.is_empty());
        assert_eq!(seen.received(), content);
        assert_eq!(seen.order(), "handle_read handle_eof handle_close");
    });
}

#[test]
fn an_unread_regular_file_does_not_spin() {
    on_every_poller(|builder| {
        let scratch = Scratch::new("unread", b"content");
        let mut map = builder.build().unwrap();
        let (closed, idle) = (Seen::default(), Seen::default());
        let open = || FileWrapper::new(File::open(&scratch.0).unwrap()).unwrap();
        let unwanted = map.add_file(Recorder::new(&closed).readable(|_| false), open());
        let does_nothing = |_: &mut Channel<'_>| Result::Ok(());
        let handler = Recorder::new(&idle).writable(|_| true).on("handle_read", does_nothing);
        map.add_file(handler, open());
        for _ in 0..20 {
            let _ = map.poll(Some(Duration::ZERO)).unwrap();
        }
        assert_rests(&mut map);
        let passes = 20;
        assert_eq!(closed.calls(), [""; 0]);
        assert!(idle.calls().len() < passes, "{} callbacks in vain", idle.calls().len());
        // The file must not starve the socket.
        let heard = Seen::default();
        let (ours, mut theirs) = util::tcp_pair();
        map.add(Recorder::new(&heard), ours);
        theirs.write_all(b"x").unwrap();
        run_until(&mut map, |_| heard.received() == b"x");
        map.channel(unwanted).unwrap().close();
    });
}

#[test]
fn a_regular_file_is_written_completely_before_the_close() {
    on_every_poller(|builder| {
        let scratch = Scratch::new("all_that_is_pushed", b"");
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        // Opened for writing only, so reading it would fail.
        let file = FileWrapper::new(File::create(&scratch.0).unwrap()).unwrap();
        let token = map.add_file(Recorder::new(&seen).readable(|_| false), file);
        let mut channel = map.channel(token).unwrap();
        for piece in 0..100_u8 {
            channel.push(vec![piece; 50_000]);
        }
        channel.close_when_done();
        run_until(&mut map, |map| map.is_empty());
        let written = fs::read(&scratch.0).unwrap();
        assert_eq!(written.len(), 5_000_000);
        assert!(
            written.chunks(50_000).enumerate().all(|(at, it)| it.iter().all(|&b| b == at as u8))
        );
        assert_eq!((seen.errors().len(), seen.cause()), (0, None));
    });
}

#[test]
fn a_pipe_to_a_slow_reader_is_written_before_the_close() {
    on_every_poller(|builder| {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let file = FileWrapper::new(writer).unwrap();
        let token = map.add_file(Recorder::new(&seen).readable(|_| false), file);
        let mut channel = map.channel(token).unwrap();
        channel.push(vec![9; 1_000_000]);
        channel.close_when_done();
        let sink = FileWrapper::new(reader).unwrap();
        let (mut read, mut buf) = (0, [0; 10_000]);
        run_until(&mut map, |map| {
            if let Ok(n) = sink.read(&mut buf) {
                read += n;
            }
            map.is_empty() && read == 1_000_000
        });
        assert_eq!((seen.errors().len(), seen.cause()), (0, None));
    });
}

#[test]
fn a_pipe_without_a_reader_closes_its_channel() {
    on_every_poller(|builder| {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let handler = Recorder::new(&seen).readable(|_| false);
        let token = map.add_file(handler, FileWrapper::new(writer).unwrap());
        let _ = map.poll(PASS).unwrap();
        drop(reader);
        assert_rests(&mut map);
        map.channel(token).unwrap().push(b"unread");
        run_until(&mut map, |map| map.is_empty());
        assert_eq!((seen.order(), seen.errors().len()), ("handle_close".to_owned(), 0));
        assert!(seen.cause().is_some());
    });
}

#[test]
fn an_unconnected_socket_is_not_watched() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, server) = world.listen(Recorder::default());
        let added = world.map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.push(b"queued before there is a connection");
            Ok(Recorder::new(&seen).writable(|_| true))
        });
        let token = added.unwrap();
        world.settle();
        assert_eq!((seen.calls().len(), world.map.stats().events), (0, 0));
        // Once connected, the channel behaves normally.
        world.map.channel(token).unwrap().connect(server).unwrap();
        world.run_until(|world| world.map.stats().bytes_in == 35);
        assert_eq!(seen.count("handle_connect"), 1);
        assert!(seen.errors().is_empty());
    });
}

#[test]
fn a_wait_for_a_timer_does_not_end_early() {
    let check = |mut map: EventLoop| {
        // Delays with fractions of milliseconds: a wait that is rounded down ends early, and the
        // loop spins for the rest.
        for micros in [1, 300, 999, 1_001, 1_700, 2_500] {
            let fired = Rc::new(Cell::new(false));
            let flag = Rc::clone(&fired);
            map.call_later(Duration::from_micros(micros), move |_| {
                flag.set(true);
                Ok(())
            });
            let pass = map.poll(None).unwrap();
            assert!(fired.get(), "{micros} µs: the wait ended before its time");
            assert_eq!(pass.events, 0);
        }
        assert_eq!(map.stats().passes, 6);
    };
    on_every_poller(|builder| check(builder.build().unwrap()));
    // Other fault settings interrupt waits, which end early by design.
    check(SocketMap::simulated(&Network::with_faults(1, Faults::none())));
}

#[test]
fn one_pass_waits_for_an_idle_timeout() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, _remote) = world.connect(Recorder::new(&seen));
        world.settle();
        let before = world.map.stats().passes;
        world.map.channel(token).unwrap().set_timeout(Duration::from_micros(1_500));
        while seen.count("handle_timeout") == 0 {
            let _ = world.map.poll(None).unwrap();
        }
        // A simulated wait may be interrupted.
        let passes = world.map.stats().passes - before;
        assert!(passes == 1 || world.net.is_some(), "{passes} passes");
    });
}
