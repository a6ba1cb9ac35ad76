//! Descriptors: many of them, exhaustion, reused numbers, and leaks.
//!
//! The descriptor table belongs to the whole process, so these tests run one at a time.

#![cfg(target_os = "linux")]

mod util;

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use asyncore::{
    Channel, Dispatcher, Domain, EventLoop, PollerKind, Result, Socket, SocketMap, Token, Type,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use util::{PASS, Recorder, Seen, on_every_poller, run_until};

static DESCRIPTORS: Mutex<()> = Mutex::new(());

/// A guard that limits the descriptor table to `limit` entries until it is dropped.
struct Table {
    before: Rlimit,
    _guard: MutexGuard<'static, ()>,
}

impl Table {
    fn lock() -> Self {
        let guard = DESCRIPTORS.lock().unwrap_or_else(PoisonError::into_inner);
        Table { before: getrlimit(Resource::Nofile), _guard: guard }
    }

    /// Returns false if the system does not allow that many.
    fn set_limit(&self, limit: u64) -> bool {
        let maximum = self.before.maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).is_ok()
    }

    /// Opens descriptors until the table is full.
    fn fill(&self) {
        let lowest_free = UnixStream::pair().unwrap().0.as_raw_fd();
        assert!(self.set_limit(u64::try_from(lowest_free).unwrap()));
        assert!(UnixStream::pair().is_err(), "descriptor {lowest_free} was the lowest free one");
    }

    fn open(&self) -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    /// Checks that `count` descriptors are open, once any look-up thread has dropped its waker.
    #[track_caller]
    fn assert_open(&self, count: usize) {
        assert!((0..100_000).any(|_| self.open() == count), "{} of {count} open", self.open());
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.before).unwrap();
    }
}

/// Echoes its input.
struct Echo;

impl Dispatcher for Echo {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 16];
        let n = ch.recv(&mut buf)?;
        ch.push(&buf[..n]);
        Ok(())
    }
}

#[test]
fn more_than_1024_channels_are_served() {
    const CHANNELS: usize = 1_500;
    let table = Table::lock();
    if !table.set_limit(2 * CHANNELS as u64 + 200) {
        println!("skipped: the system allows {:?} descriptors", table.before.maximum);
        return;
    }
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let lines = util::log::complaints(|| {
            let mut remotes = Vec::new();
            for _ in 0..CHANNELS {
                let (ours, theirs) = UnixStream::pair().unwrap();
                theirs.set_nonblocking(true).unwrap();
                let number = ours.as_raw_fd();
                map.add(Echo, Socket::try_from(ours).unwrap());
                remotes.push((number, theirs));
            }
            let _ = map.poll(PASS).unwrap();
            // Only the channels beyond the limit of select get an error.
            let (served, mut answers) = (map.len(), 0);
            for (_, remote) in &mut remotes {
                let _ = remote.write_all(b"?");
            }
            run_until(&mut map, |map| map.stats().bytes_in == served as u64);
            run_until(&mut map, |map| map.stats().bytes_out == served as u64);
            for (number, remote) in &mut remotes {
                let answered = matches!(remote.read(&mut [0; 16]), Ok(1));
                assert!(answered || *number >= 1024, "descriptor {number} got no answer");
                answers += usize::from(answered);
            }
            assert_eq!(answers, served);
        });
        let unserved = CHANNELS - map.len();
        assert_eq!(lines.len(), unserved);
        for line in lines {
            assert!(line.starts_with("ERROR uncaptured error, closing channel <"), "{line}");
            assert!(line.contains("is beyond select's limit of 1024"), "{line}");
            assert!(line.contains("poll or epoll"), "{line}");
        }
    });
}

#[test]
fn only_select_has_a_limit() {
    let table = Table::lock();
    if !table.set_limit(3_000) {
        return;
    }
    let _filler: Vec<_> = (0..600).map(|_| UnixStream::pair().unwrap()).collect();
    for &kind in PollerKind::ALL {
        let mut map = SocketMap::builder().poller(kind).build().unwrap();
        let seen = Seen::default();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert!(ours.as_raw_fd() >= 1024);
        map.add(Recorder::new(&seen), Socket::try_from(ours).unwrap());
        let _ = map.poll(PASS).unwrap();
        let refused = kind == PollerKind::Select;
        assert_eq!((seen.errors().len(), map.len()), (usize::from(refused), usize::from(!refused)));
        util::assert_rests(&mut map);
    }
}

#[test]
fn a_listener_out_of_descriptors_resumes_when_some_are_free() {
    let table = Table::lock();
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (visitors, other) = (Seen::default(), Seen::default());
        let listener = map.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
            ch.listen(16)?;
            Ok(Recorder::new(&visitors))
        });
        let listener = listener.unwrap();
        let addr = map.channel(listener).unwrap().local_addr().unwrap().inet().unwrap();
        let (ours, mut bystander) = util::tcp_pair();
        map.add(Recorder::new(&other), ours);
        let mut waiting: Vec<_> = (0..3).map(|_| TcpStream::connect(addr).unwrap()).collect();

        table.fill();
        let lines = util::log::captured(|| {
            // At most three events for three failed attempts: the listener pauses instead of spinning.
            run_until(&mut map, |map| map.stats().timers == 2);
            assert!(map.stats().events <= 4, "{:?}", map.stats());
            bystander.write_all(b"fine").unwrap();
            run_until(&mut map, |_| other.received() == b"fine");
            assert!(map.contains(listener) && map.stats().accepted == 0);
            let refused = map.add_with(|ch| {
                ch.create_socket(Domain::IPV4, Type::STREAM)?;
                Ok(Recorder::default())
            });
            assert!(refused.unwrap_err().to_string().contains("Too many open files"));
            assert_eq!(map.len(), 2);

            setrlimit(Resource::Nofile, table.before).unwrap();
            run_until(&mut map, |map| map.stats().accepted == 3);
            waiting[2].write_all(b"at last").unwrap();
            run_until(&mut map, |_| visitors.received() == b"at last");
        });
        let lines: Vec<_> = lines.iter().filter(|line| line.contains("accept")).collect();
        let [refused, resumed] = &lines[..] else { panic!("{lines:#?}") };
        assert!(refused.starts_with("ERROR <") && refused.contains(&addr.to_string()), "{refused}");
        assert!(refused.contains("Too many open files"), "{refused}");
        assert!(resumed.contains("accepts connections again"), "{resumed}");
    });
}

#[test]
fn a_close_during_read_spares_the_descriptors_new_owner() {
    let _table = Table::lock();
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (killers, heirs) = (Seen::default(), Seen::default());
        let (spare, mut remote_of_spare) = UnixStream::pair().unwrap();
        let tokens = Rc::new(Cell::new([None::<Token<Recorder>>; 2]));
        // The first of the two to run closes the other, whose event is already pending, and adds a
        // channel that reuses the descriptor.
        let killer = |other: usize| {
            let (tokens, heirs) = (Rc::clone(&tokens), heirs.clone());
            let spare = spare.try_clone().unwrap();
            Recorder::new(&killers).on("handle_read", move |ch| {
                ch.recv(&mut [0; 16])?;
                let mut other = ch.channel(tokens.get()[other].unwrap()).expect("still open");
                let number = other.descriptor().expect("a socket").as_raw_fd();
                other.close();
                let successor = spare.try_clone()?;
                assert_eq!(successor.as_raw_fd(), number, "not the lowest free number");
                ch.add(Recorder::new(&heirs), Socket::try_from(successor)?);
                Ok(())
            })
        };
        let handlers = [killer(1), killer(0)];
        let pairs = [UnixStream::pair().unwrap(), UnixStream::pair().unwrap()];
        let mut remotes = Vec::new();
        let added = pairs.into_iter().zip(handlers).map(|((ours, theirs), handler)| {
            remotes.push(theirs);
            Some(map.add(handler, Socket::try_from(ours).unwrap()))
        });
        let added: Vec<_> = added.collect();
        tokens.set([added[0], added[1]]);
        let _ = map.poll(PASS).unwrap();
        for remote in &mut remotes {
            remote.write_all(b"x").unwrap();
        }
        run_until(&mut map, |_| killers.is_closed());
        util::assert_rests(&mut map);
        assert_eq!(killers.order(), "handle_read handle_close");
        assert!(killers.errors().is_empty());
        assert_eq!(heirs.calls(), [""; 0], "an event of its predecessor");
        remote_of_spare.write_all(b"for the heir").unwrap();
        run_until(&mut map, |_| heirs.received() == b"for the heir");
    });
}

/// Runs a channel through each way to end.
fn end_channels_in_every_way(map: &mut EventLoop) {
    let seen = Seen::default();
    let add = |map: &mut EventLoop, handler: Recorder| {
        let (ours, theirs) = util::tcp_pair();
        (map.add(handler, ours), theirs)
    };
    let (_, ended) = add(map, Recorder::new(&seen));
    drop(ended);
    let (_, reset) = add(map, Recorder::new(&seen));
    socket2::SockRef::from(&reset).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(reset);
    let (_, mut panics) =
        add(map, Recorder::new(&seen).on("handle_read", |_| panic!("on purpose")));
    panics.write_all(b"x").unwrap();
    let (closed, _remote) = add(map, Recorder::new(&seen));
    map.channel(closed).unwrap().close();
    let (taken, _other_remote) = add(map, Recorder::new(&seen));
    drop(map.channel(taken).unwrap().take_socket());
    let (finishing, reader) = add(map, Recorder::new(&seen));
    let mut channel = map.channel(finishing).unwrap();
    channel.push(b"goodbye");
    channel.close_when_done();
    let hopeless = map.add_with(|ch| {
        ch.connect_host(&"x".repeat(64), 1)?;
        Ok(Recorder::new(&seen))
    });
    hopeless.unwrap();
    let refused = map.add_with(|ch| {
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.bind("127.0.0.1:0".parse::<SocketAddr>().unwrap())?;
        let own = ch.local_addr()?;
        ch.create_socket(Domain::IPV4, Type::STREAM)?;
        ch.connect(own)?;
        Ok(Recorder::new(&seen))
    });
    refused.unwrap();
    assert!(
        map.add_with::<Recorder>(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            Err(std::io::Error::other("on purpose"))
        })
        .is_err()
    );
    run_until(map, |_| seen.count("handle_close") >= 7);
    assert_eq!(std::io::read_to_string(reader).unwrap(), "goodbye");
    run_until(map, |map| map.is_empty());
    assert_eq!(seen.count("handle_close"), 8);
}

#[test]
fn channels_leak_no_descriptor_however_they_end() {
    let table = Table::lock();
    on_every_poller(|builder| {
        let at_first = table.open();
        let mut map = builder.build().unwrap();
        // The map's own descriptors: its poller, and the pair of sockets that wakes it.
        drop(map.trigger().unwrap());
        let of_the_map = table.open();
        for _ in 0..4 {
            end_channels_in_every_way(&mut map);
            table.assert_open(of_the_map);
        }
        drop(map);
        table.assert_open(at_first);
    });
}
