//! How connections end: orderly with the closing message, or truncated.

use std::io::Write as _;

use asyncore::Channel;

use crate::ends::connected;
use crate::util::{Recorder, Seen, on_every_network};

#[test]
fn close_when_done_sends_the_rest_and_the_closing_message() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, mut client) = connected(world, &seen, Recorder::new(&seen));
        let rest = vec![b'x'; 100_000];
        let mut ch = world.map.channel(token).expect("open");
        ch.push(&rest);
        ch.close_when_done();
        world.run_until(|_| client.was_closed());
        assert!(client.received() == rest);
    });
}

#[test]
fn shutdown_write_ends_one_half_and_the_other_goes_on() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (token, mut client) = connected(world, &seen, Recorder::new(&seen));
        world.map.channel(token).expect("open").shutdown_write();
        world.run_until(|_| client.was_closed());
        // The client's half: `send` of the end would stop at the closing message it has seen.
        client.tls.writer().write_all(b"still there").expect("room");
        let output = client.output();
        client.remote.send(&output);
        world.run_until(|_| seen.received() == b"still there");
    });
}

fn notes_its_end(seen: &Seen) -> Recorder {
    let noted = seen.clone();
    Recorder::new(seen).on("handle_eof", move |ch: &mut Channel<'_>| {
        noted.note(format!("truncated: {}", ch.input_truncated()));
        ch.close();
        Ok(())
    })
}

#[test]
fn an_end_with_the_closing_message_is_orderly() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, mut client) = connected(world, &seen, notes_its_end(&seen));
        client.send(b"all of it");
        client.close();
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), b"all of it");
        assert_eq!(seen.count("truncated: false"), 1);
    });
}

#[test]
fn an_end_without_the_closing_message_is_a_truncation() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, mut client) = connected(world, &seen, notes_its_end(&seen));
        client.send(b"a part");
        client.remote.shutdown();
        world.run_until(|_| seen.is_closed());
        assert_eq!(seen.received(), b"a part");
        assert_eq!(seen.count("truncated: true"), 1);
    });
}

#[test]
fn a_damaged_record_is_a_failure_after_the_data_before_it() {
    on_every_network(|world| {
        let seen = Seen::default();
        let (_, mut client) = connected(world, &seen, Recorder::new(&seen));
        client.send(b"sound");
        client.tls.writer().write_all(b"damaged").expect("room");
        let mut record = client.output();
        *record.last_mut().expect("a record") ^= 1;
        client.remote.send(&record);
        world.run_until(|_| {
            client.pump();
            seen.is_closed() && client.failure.is_some()
        });
        assert_eq!(seen.received(), b"sound");
        assert_eq!(seen.errors().len(), 1, "{:?}", seen.errors());
    });
}
