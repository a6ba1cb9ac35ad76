//! The loop inside another one: what its descriptor and its next deadline show.

mod util;

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use asyncore::sim::Network;
use asyncore::{EventLoop, ExitNow, PollerKind, Socket, SocketMap, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use util::{Recorder, Seen, run_until};

const NOW: Option<Duration> = Some(Duration::ZERO);

/// The pollers whose descriptor tells exactly what a pass would find.
fn exact() -> impl Iterator<Item = PollerKind> {
    let is_exact = |kind: &PollerKind| !matches!(kind, PollerKind::Poll | PollerKind::Select);
    PollerKind::ALL.iter().copied().filter(is_exact)
}

fn map_on(kind: PollerKind) -> EventLoop {
    SocketMap::builder().poller(kind).build().unwrap()
}

/// Whether another loop finds `descriptor` readable within `timeout`.
fn readable(descriptor: &impl AsFd, timeout: Duration) -> bool {
    let mut fds = [PollFd::new(descriptor, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).unwrap();
    poll(&mut fds, Some(&timeout)).unwrap() == 1
}

/// As the outer loop does before a wait, and then the wait without waiting.
fn is_ready(event_loop: &mut EventLoop) -> bool {
    let _ = event_loop.next_deadline();
    readable(event_loop, Duration::ZERO)
}

fn connected(event_loop: &mut EventLoop, seen: &Seen) -> (Token<Recorder>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (event_loop.add(Recorder::new(seen), Socket::try_from(ours).unwrap()), theirs)
}

#[test]
fn the_descriptor_is_readable_while_a_channel_is_ready() {
    for kind in exact() {
        let mut event_loop = map_on(kind);
        let seen = Seen::default();
        let (_token, mut remote) = connected(&mut event_loop, &seen);
        assert!(!is_ready(&mut event_loop), "{kind}: nothing has come");
        for round in 1..=3 {
            remote.write_all(b"x").unwrap();
            assert!(readable(&event_loop, Duration::ZERO), "{kind}: round {round}");
            assert_eq!(event_loop.poll(NOW).unwrap().events, 1, "{kind}");
            assert_eq!(seen.received_len(), round, "{kind}");
            assert!(!is_ready(&mut event_loop), "{kind}: all is read");
        }
        drop(remote);
        assert!(readable(&event_loop, Duration::ZERO), "{kind}: the end");
        run_until(&mut event_loop, |map| map.is_empty());
        assert!(!is_ready(&mut event_loop), "{kind}: the channel is gone");
    }
}

#[test]
fn input_that_a_handler_leaves_alone_does_not_keep_the_descriptor_readable() {
    for kind in exact() {
        let mut event_loop = map_on(kind);
        let seen = Seen::default();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let lazy = Recorder::new(&seen).on("handle_read", |_| Ok(()));
        let token = event_loop.add(lazy, Socket::try_from(ours).unwrap());
        theirs.write_all(b"x").unwrap();
        let _ = event_loop.poll(NOW).unwrap();
        assert_eq!(seen.count("handle_read"), 1, "{kind}");
        assert!(!is_ready(&mut event_loop), "{kind}");
        event_loop.channel(token).unwrap().touch();
        assert!(is_ready(&mut event_loop), "{kind}: touched");
    }
}

#[test]
fn what_was_done_between_two_passes_is_seen_after_next_deadline() {
    for kind in exact() {
        let mut event_loop = map_on(kind);
        let seen = Seen::default();
        let (token, mut remote) = connected(&mut event_loop, &seen);
        remote.write_all(b"before it was registered").unwrap();
        assert!(!readable(&event_loop, Duration::ZERO), "{kind}: not registered yet");
        assert!(is_ready(&mut event_loop), "{kind}: a channel that was added");
        let _ = event_loop.poll(NOW).unwrap();

        event_loop.channel(token).unwrap().push(b"pushed");
        assert!(event_loop.next_deadline().is_none(), "{kind}");
        let mut buf = [0; 6];
        remote.set_nonblocking(true).unwrap();
        remote.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"pushed", "{kind}");

        event_loop.channel(token).unwrap().set_timeout(Duration::from_secs(3600));
        let deadline = event_loop.next_deadline().expect("a timeout is set");
        assert!(deadline > Instant::now() + Duration::from_secs(3000), "{kind}");

        event_loop.channel(token).unwrap().close();
        assert!(event_loop.next_deadline().is_none(), "{kind}");
        assert_eq!(seen.count("handle_close"), 1, "{kind}");
        assert!(event_loop.is_empty(), "{kind}");
    }
}

#[test]
fn output_that_does_not_fit_makes_the_descriptor_readable_when_there_is_room() {
    for kind in exact() {
        let mut event_loop = map_on(kind);
        let seen = Seen::default();
        let (token, mut remote) = connected(&mut event_loop, &seen);
        event_loop.channel(token).unwrap().push(vec![7; 4 << 20]);
        assert!(!is_ready(&mut event_loop), "{kind}: the socket is full");
        remote.set_nonblocking(true).unwrap();
        let mut received = 0;
        while received < 4 << 20 {
            match remote.read(&mut [0; 65536]) {
                Ok(n) => received += n,
                Err(_) => {
                    assert!(is_ready(&mut event_loop), "{kind}: {received} bytes came");
                    let _ = event_loop.poll(NOW).unwrap();
                }
            }
        }
        assert!(!is_ready(&mut event_loop), "{kind}: all is sent");
    }
}

#[test]
fn the_next_deadline_is_that_of_the_first_timer() {
    for &kind in PollerKind::ALL {
        let mut event_loop = map_on(kind);
        assert_eq!(event_loop.next_deadline(), None, "{kind}");
        let fired = Rc::new(Cell::new(0));
        let mut timers = Vec::new();
        for millis in [3_600_000, 1] {
            let fired = Rc::clone(&fired);
            timers.push(event_loop.call_later(Duration::from_millis(millis), move |_| {
                fired.set(fired.get() + 1);
                Ok(())
            }));
        }
        while let Some(deadline) = event_loop.next_deadline() {
            let wait = deadline.saturating_duration_since(event_loop.now());
            if wait > Duration::from_secs(60) {
                break;
            }
            let _ = readable(&event_loop, wait);
            let _ = event_loop.poll(NOW).unwrap();
        }
        assert_eq!(fired.get(), 1, "{kind}: the first and not the second");
        assert!(event_loop.cancel(timers[0]));
        assert_eq!(event_loop.next_deadline(), None, "{kind}");
    }
}

#[test]
fn the_next_deadline_is_now_while_a_regular_file_is_ready() {
    for kind in exact() {
        let mut event_loop = map_on(kind);
        let seen = Seen::default();
        let file = std::fs::File::open(file!().replace("crates/asyncore/", "")).unwrap();
        event_loop.add_file(Recorder::new(&seen), asyncore::FileWrapper::new(file).unwrap());
        let deadline = event_loop.next_deadline().expect("a file is always ready");
        assert!(deadline <= Instant::now(), "{kind}");
        run_until(&mut event_loop, |map| map.is_empty());
        assert_eq!(event_loop.next_deadline(), None, "{kind}");
    }
}

#[test]
fn a_trigger_makes_the_descriptor_readable() {
    for kind in exact() {
        let mut event_loop = map_on(kind);
        let trigger = event_loop.trigger().unwrap();
        assert!(!is_ready(&mut event_loop), "{kind}");
        let other = std::thread::spawn(move || trigger.pull_trigger(|_| Err(ExitNow.into())));
        assert!(readable(&event_loop, Duration::from_secs(20)), "{kind}");
        other.join().unwrap().unwrap();
        assert!(event_loop.poll(NOW).unwrap().exit, "{kind}");
    }
}

#[test]
fn a_loop_that_is_to_be_left_has_its_deadline_now() {
    for &kind in PollerKind::ALL {
        let mut event_loop = map_on(kind);
        let leaves = Recorder::default().on("handle_close", |ch| {
            ch.call_later(Duration::ZERO, |_| Err(ExitNow.into()));
            Ok(())
        });
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let token = event_loop.add(leaves, Socket::try_from(ours).unwrap());
        event_loop.channel(token).unwrap().close();
        let deadline = event_loop.next_deadline().expect("the call is put off");
        assert!(deadline <= Instant::now(), "{kind}");
        assert!(event_loop.poll(NOW).unwrap().exit, "{kind}");
    }
}

#[test]
fn pollers_without_a_descriptor_of_their_own_are_always_readable() {
    for kind in [PollerKind::Poll, PollerKind::Select] {
        let mut event_loop = map_on(kind);
        assert!(is_ready(&mut event_loop), "{kind}");
        let seen = Seen::default();
        let (_token, mut remote) = connected(&mut event_loop, &seen);
        let _ = event_loop.poll(NOW).unwrap();
        assert!(is_ready(&mut event_loop), "{kind}: nothing has come");
        remote.write_all(b"x").unwrap();
        let _ = event_loop.poll(NOW).unwrap();
        assert_eq!(seen.received(), b"x", "{kind}");
    }
    let net = Network::new(1);
    assert!(is_ready(&mut SocketMap::simulated(&net)), "a simulated network");
}

/// A registration that outlives its descriptor makes the epoll poller rebuild itself, which another
/// loop cannot know of.
#[test]
fn the_descriptor_stays_the_same_when_the_poller_is_rebuilt() {
    for kind in exact() {
        let mut event_loop = map_on(kind);
        let outer_view = event_loop.as_fd().try_clone_to_owned().unwrap();
        let seen = Seen::default();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let _duplicate = ours.try_clone().unwrap();
        let token = event_loop.add(Recorder::new(&seen), Socket::try_from(ours).unwrap());
        let (_bystander, mut remote) = connected(&mut event_loop, &seen);
        let _ = event_loop.poll(NOW).unwrap();
        event_loop.channel(token).unwrap().close();
        theirs.write_all(b"nobody reads this").unwrap();
        for _ in 0..10 {
            let _ = event_loop.poll(NOW).unwrap();
        }
        assert_eq!(event_loop.poll(NOW).unwrap().events, 0, "{kind}: it does not spin");
        assert!(!readable(&outer_view, Duration::ZERO), "{kind}: seen from outside, neither");
        remote.write_all(b"x").unwrap();
        assert!(readable(&outer_view, Duration::ZERO), "{kind}: the new poller's event");
        let _ = event_loop.poll(NOW).unwrap();
        assert_eq!(seen.received(), b"x", "{kind}");
    }
}
