//! Callbacks that act on other channels, and on values that are lent out.

mod util;

use std::cell::Cell;
use std::fs::File;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use asyncore::{Channel, Dispatcher, EventLoop, FileWrapper, Result, Socket, Token, Type};
use util::{
    PASS, Recorder, Remote, Seen, World, assert_rests, on_every_network, on_every_poller,
    run_until, tcp_pair,
};

/// A pair of channels that reach each other by token.
fn two(
    world: &mut World,
    make: impl Fn(&Seen, Rc<Cell<Option<Token<Recorder>>>>) -> Recorder,
) -> ([Seen; 2], [Token<Recorder>; 2], [Remote; 2]) {
    let seen = [Seen::default(), Seen::default()];
    let other = [Rc::new(Cell::new(None)), Rc::new(Cell::new(None))];
    let (first, one) = world.connect(make(&seen[0], Rc::clone(&other[0])));
    let (second, two) = world.connect(make(&seen[1], Rc::clone(&other[1])));
    other[0].set(Some(second));
    other[1].set(Some(first));
    (seen, [first, second], [one, two])
}

/// Sends to both channels, so that both are ready in the same pass if the network allows it.
fn wake_both(world: &mut World, remotes: &[Remote; 2]) {
    for remote in remotes {
        remote.send(b"!");
    }
    if let Some(net) = &world.net {
        while net.step() {}
    }
}

#[test]
fn a_channel_closed_in_the_same_pass_only_gets_handle_close() {
    on_every_network(|world| {
        let (seen, tokens, remotes) = two(world, |seen, other| {
            let acts = seen.clone();
            Recorder::new(seen).on("handle_read", move |ch| {
                ch.recv(&mut [0; 16])?;
                acts.note("acts");
                let mut other = ch.channel(other.get().unwrap()).expect("still open");
                other.push(b"too late");
                other.close();
                other.push(b"too late");
                Ok(())
            })
        });
        wake_both(world, &remotes);
        world.settle();
        let (closed, open) = if seen[0].is_closed() { (0, 1) } else { (1, 0) };
        assert_eq!((seen[closed].count("acts"), seen[open].count("acts")), (0, 1));
        assert!(seen[closed].order().ends_with(" handle_close"));
        assert_eq!((seen[closed].count("handle_close"), seen[open].is_closed()), (1, false));
        assert!(!world.map.contains(tokens[closed]) && world.map.contains(tokens[open]));
    });
}

#[test]
fn close_when_done_from_another_channel_stops_reading() {
    on_every_network(|world| {
        let (seen, _, remotes) = two(world, |seen, other| {
            let acts = seen.clone();
            Recorder::new(seen).on("handle_read", move |ch| {
                ch.recv(&mut [0; 16])?;
                acts.note("acts");
                let acted = ch.with(other.get().unwrap(), |_, other| {
                    other.push(b"goodbye");
                    other.close_when_done();
                });
                assert!(acted.is_some(), "still open");
                Ok(())
            })
        });
        wake_both(world, &remotes);
        world.settle();
        let closing = usize::from(seen[1].count("acts") == 0);
        assert_eq!((seen[closing].count("acts"), seen[1 - closing].count("acts")), (0, 1));
        let mut parting = Vec::new();
        world.run_until(|_| {
            parting.extend(remotes[closing].received());
            remotes[closing].saw_eof()
        });
        assert_eq!(parting, b"goodbye");
        remotes[closing].shutdown();
        world.run_until(|_| seen[closing].is_closed());
        assert_eq!((seen[closing].count("acts"), seen[closing].count("handle_eof")), (0, 0));
    });
}

/// Tries each way to reach itself and another channel from a callback.
struct Meddler {
    other: Option<Token<Meddler>>,
    /// Whether any attempt to reach a running handler succeeded.
    reached_itself: bool,
    visits: u32,
}

impl Dispatcher for Meddler {
    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        ch.recv(&mut [0; 16])?;
        let me = ch.token::<Meddler>();
        self.reached_itself |= ch.with(me, |_, _| ()).is_some() || ch.get_mut(me).is_some();
        let other = self.other.expect("set");
        ch.with(other, |peer, ch| {
            peer.visits += 1;
            // Both handlers are running, so neither can be reached again.
            let nested = ch.with(other, |_, _| ()).is_some() || ch.with(me, |_, _| ()).is_some();
            peer.reached_itself |= nested;
            ch.push(b"from the other");
        });
        if let Some(peer) = ch.get_mut(other) {
            peer.visits += 1;
        }
        Ok(())
    }
}

#[test]
fn a_running_handler_cannot_be_reached_a_second_time() {
    on_every_network(|world| {
        let meddler = || Meddler { other: None, reached_itself: false, visits: 0 };
        let (first, one) = world.connect(meddler());
        let (second, two) = world.connect(meddler());
        world.map.get_mut(first).unwrap().other = Some(second);
        world.map.get_mut(second).unwrap().other = Some(first);
        one.send(b"x");
        let mut heard = Vec::new();
        world.run_until(|_| {
            heard.extend(two.received());
            heard == b"from the other"
        });
        assert_eq!(world.map.get(second).unwrap().visits, 2);
        assert!(!world.map.get(first).unwrap().reached_itself);
        assert!(!world.map.get(second).unwrap().reached_itself);
    });
}

#[test]
fn a_handler_closed_through_with_finishes_its_callback() {
    on_every_network(|world| {
        let (seen, tokens, remotes) = two(world, |seen, other| {
            let words = seen.clone();
            Recorder::new(seen).on("handle_read", move |ch| {
                ch.recv(&mut [0; 16])?;
                let me = ch.token::<Recorder>();
                ch.with(other.get().unwrap(), |_, other| {
                    other.channel(me).expect("still open").close();
                });
                assert!(ch.is_closing() && ch.contains(me));
                words.note("finishes");
                Ok(())
            })
        });
        remotes[0].send(b"x");
        world.run_until(|_| seen[0].is_closed());
        assert!(seen[0].order().ends_with("handle_read finishes handle_close"));
        assert!(!world.map.contains(tokens[0]) && world.map.contains(tokens[1]));
    });
}

#[test]
fn a_panic_in_with_keeps_the_other_handler() {
    on_every_network(|world| {
        let (seen, tokens, remotes) = two(world, |seen, other| {
            Recorder::new(seen).on("handle_read", move |ch| {
                ch.recv(&mut [0; 16])?;
                let other = other.get().unwrap();
                if ch.contains(other) {
                    ch.with(other, |_, _| panic!("on purpose"));
                }
                Ok(())
            })
        });
        remotes[0].send(b"x");
        world.run_until(|_| seen[0].is_closed());
        assert_eq!(seen[0].errors().len(), 1);
        assert!(world.map.contains(tokens[1]));
        remotes[1].send(b"x");
        world.run_until(|_| seen[1].count("handle_read") > 0);
        world.settle();
        assert!(!seen[1].is_closed(), "{}", seen[1].order());
    });
}

#[test]
fn channels_added_by_a_closing_channel_are_served() {
    on_every_network(|world| {
        let inner = Seen::default();
        let heirs = inner.clone();
        // A channel that holds the socket until the other one takes it.
        let (spare, remote_of_spare) = world.connect(Recorder::new(&Seen::default()));
        let sock = Cell::new(world.map.channel(spare).unwrap().take_socket());
        let outer = Seen::default();
        let handler = Recorder::new(&outer).on("handle_read", move |ch| {
            let sock = sock.take().expect("once");
            let token = ch.add(Recorder::new(&heirs), sock);
            ch.with(token, |_: &mut Recorder, ch| ch.push(b"hello"));
            ch.close();
            panic!("after it was added");
        });
        let (_, remote) = world.connect(handler);
        remote.send(b"x");
        let mut greeting = Vec::new();
        world.run_until(|_| {
            greeting.extend(remote_of_spare.received());
            greeting == b"hello"
        });
        remote_of_spare.send(b"still there");
        world.run_until(|_| inner.received() == b"still there");
        assert!(outer.is_closed());
    });
}

#[test]
fn a_handler_that_cannot_be_added_leaves_no_channel_behind() {
    struct Unaddable;
    impl Dispatcher for Unaddable {
        fn ac_out_buffer_size(&self) -> usize {
            panic!("no size")
        }
    }
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", |ch| {
            ch.recv(&mut [0; 16])?;
            let sock = ch.take_socket().expect("open");
            ch.add(Unaddable, sock);
            Ok(())
        });
        let (_, remote) = world.connect(handler);
        remote.send(b"x");
        world.run_until(|_| seen.is_closed());
        assert!(world.map.is_empty());
        world.run_until(|_| remote.saw_eof() || remote.was_reset());
    });
}

#[test]
fn a_constructor_that_fails_or_panics_leaves_no_channel_behind() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let failed = map.add_with(|ch| {
            ch.create_socket(asyncore::Domain::IPV4, Type::STREAM)?;
            ch.push(b"x");
            ch.close_when_done();
            Err::<Recorder, _>(std::io::Error::other("on purpose"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "on purpose");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            map.add_with::<Recorder>(|ch| {
                ch.create_socket(asyncore::Domain::IPV4, Type::STREAM)?;
                panic!("on purpose")
            })
        }));
        assert!(panicked.is_err() && map.is_empty());
        util::assert_rests(&mut map);
        assert_eq!((map.stats().opened, map.stats().closed), (2, 2));
    });
}

#[test]
fn a_closed_channel_with_a_duplicated_socket_is_not_watched() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let elsewhere = ours.try_clone().unwrap();
        let seen = Seen::default();
        let token = map.add(Recorder::new(&seen), Socket::try_from(ours).unwrap());
        let _ = map.poll(PASS).unwrap();
        map.channel(token).unwrap().close();
        std::io::Write::write_all(&mut theirs, b"for the other").unwrap();
        util::assert_rests(&mut map);
        assert_eq!(seen.order(), "handle_close");
        let mut buf = [0; 16];
        assert_eq!(std::io::Read::read(&mut &elsewhere, &mut buf).unwrap(), 13);
    });
}

#[test]
fn closing_a_file_channel_leaves_the_original_file_open() {
    on_every_poller(|builder| {
        let mut map: EventLoop = builder.build().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let token = map.add_file(Recorder::default(), FileWrapper::new(&writer).unwrap());
        map.channel(token).unwrap().push(b"from the channel, ");
        map.channel(token).unwrap().close_when_done();
        util::run_until(&mut map, |map| map.is_empty());
        std::io::Write::write_all(&mut File::from(writer), b"from the test").unwrap();
        let all = std::io::read_to_string(File::from(reader)).unwrap();
        assert_eq!(all, "from the channel, from the test");
    });
}

#[test]
fn a_duplicate_that_outlives_its_channel_does_not_spin() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let trigger = map.trigger().unwrap();
        let seen = Seen::default();
        let (bystander, mut peer) = tcp_pair();
        map.add(Recorder::new(&seen), bystander);
        // Only the first is detected by trying; the others are expected to behave the same.
        let outlived: Vec<_> = (0..3)
            .map(|_| {
                let (ours, mut theirs) = tcp_pair();
                let duplicate = ours.descriptor().unwrap().try_clone_to_owned().unwrap();
                let token = map.add(Recorder::new(&Seen::default()), ours);
                assert_rests(&mut map);
                map.with(token, |_, ch| ch.close());
                theirs.write_all(b"unread").unwrap();
                assert_rests(&mut map);
                (duplicate, theirs)
            })
            .collect();
        peer.write_all(b"for the bystander").unwrap();
        run_until(&mut map, |_| seen.received() == b"for the bystander");
        let woken = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&woken);
        trigger
            .pull_trigger(move |_| {
                note.store(true, Relaxed);
                Ok(())
            })
            .unwrap();
        run_until(&mut map, |_| woken.load(Relaxed));
        drop(outlived);
    });
}
