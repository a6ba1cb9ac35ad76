//! Channels whose socket is removed, replaced or moved.

mod util;

use asyncore::Channel;
use util::{Recorder, Seen, on_every_network};

#[test]
fn closing_in_handle_connect_ends_the_callbacks() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).writable(|_| true).on("handle_connect", |ch| {
            ch.push(b"never sent");
            ch.close();
            ch.push(b"dropped");
            assert!(ch.recv(&mut [0; 8]).is_err());
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        remote.send(b"x");
        world.settle();
        assert_eq!(seen.order(), "handle_connect handle_close");
        assert!(!world.map.contains(token));
    });
}

#[test]
fn a_taken_socket_continues_in_another_channel() {
    on_every_network(|world| {
        let (first, second) = (Seen::default(), Seen::default());
        let heir = second.clone();
        let handler = Recorder::new(&first).on("handle_read", move |ch| {
            let sock = ch.take_socket().expect("open");
            assert!(ch.take_socket().is_none());
            ch.add(Recorder::new(&heir), sock);
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        remote.send(b"for the heir");
        world.run_until(|_| second.received() == b"for the heir");
        assert_eq!(first.order(), "handle_connect handle_read handle_close");
        assert!(!world.map.contains(token));
        remote.shutdown();
        world.run_until(|_| second.is_closed());
        assert!(!remote.was_reset());
    });
}

#[test]
fn a_channel_given_a_new_socket_starts_afresh() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_eof", |_| Ok(()));
        let (token, remote) = world.connect(handler);
        remote.send(b"old ");
        remote.shutdown();
        world.run_until(|_| seen.count("handle_eof") == 1);

        let (spare, next) = world.connect(Recorder::new(&Seen::default()));
        let sock = world.map.channel(spare).unwrap().take_socket().unwrap();
        let mut channel: Channel<'_> = world.map.channel(token).unwrap();
        channel.set_socket(sock);
        channel.push(b"hello");
        next.send(b"new");
        let mut greeting = Vec::new();
        world.run_until(|_| {
            greeting.extend(next.received());
            seen.received() == b"old new" && greeting == b"hello"
        });
        next.shutdown();
        world.run_until(|_| seen.count("handle_eof") == 2);
        assert!(world.map.contains(token));
    });
}
