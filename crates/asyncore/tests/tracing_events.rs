//! The lifecycle of a channel as `tracing` events, at level debug with the target `asyncore`.

mod util;

use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asyncore::{Error, SocketMap};
use socket2::SockRef;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use util::{Recorder, Seen, on_every_network, on_every_poller};

/// One recorded event: level and message, and the fields.
#[derive(Clone, Debug, Default)]
struct Recorded {
    message: String,
    channel: String,
    cause: Option<String>,
}

impl Visit for Recorded {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let recorded = format!("{value:?}");
        match field.name() {
            "message" => self.message.push_str(&recorded),
            "channel" => self.channel = recorded,
            "cause" => self.cause = Some(recorded),
            name => panic!("a field {name:?} that is not documented"),
        }
    }
}

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Recorded>>>);

impl Listener {
    fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Takes the recorded messages.
    fn messages(&self) -> Vec<String> {
        self.take().into_iter().map(|recorded| recorded.message).collect()
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "asyncore"
    }

    fn event(&self, event: &Event<'_>) {
        let level = *event.metadata().level();
        let mut recorded = Recorded { message: format!("{level} "), ..Recorded::default() };
        event.record(&mut recorded);
        assert!(level <= Level::DEBUG);
        self.0.lock().unwrap().push(recorded);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Runs `test` with a subscriber that records the events of this thread.
fn listening(test: impl FnOnce(&Listener)) {
    let listener = Listener::default();
    tracing::subscriber::with_default(listener.clone(), || test(&listener));
}

#[test]
fn events_cover_open_connect_end_of_stream_and_close() {
    on_every_network(|world| {
        listening(|events| {
            let (token, remote) = world.connect(Recorder::new(&Seen::default()));
            let recorded = events.take();
            let messages: Vec<_> =
                recorded.iter().map(|recorded| recorded.message.as_str()).collect();
            assert_eq!(messages, ["DEBUG channel opened", "DEBUG connected"]);
            let connected = format!("{:?}", world.map.channel(token).unwrap());
            assert!(recorded[0].channel.contains("Recorder connecting "), "{recorded:?}");
            assert_eq!(recorded[1].channel, connected);

            remote.shutdown();
            world.run_until(|world| world.map.is_empty());
            let recorded = events.take();
            let messages: Vec<_> =
                recorded.iter().map(|recorded| recorded.message.as_str()).collect();
            assert_eq!(messages, ["DEBUG end of stream", "DEBUG channel closed"]);
            assert_eq!(recorded[0].channel, connected);
            assert_eq!(recorded[1].cause, None);
        });
    });
}

#[test]
fn events_cover_a_listener_and_its_connections() {
    on_every_network(|world| {
        listening(|events| {
            let (_, addr) = world.listen(Recorder::new(&Seen::default()));
            assert_eq!(events.messages(), ["INFO listening", "DEBUG channel opened"]);
            let _visitor = world.visit(addr);
            world.run_until(|world| world.map.stats().accepted == 1);
            let recorded = events.take();
            assert_eq!(recorded.len(), 1, "{recorded:?}");
            assert_eq!(recorded[0].message, "DEBUG channel opened");
            assert!(recorded[0].channel.contains("Recorder connected "), "{recorded:?}");
            world.map.close_all();
            assert_eq!(events.messages(), ["DEBUG channel closed"; 2]);
        });
    });
}

#[test]
fn a_reset_event_has_its_cause() {
    on_every_network(|world| {
        listening(|events| {
            let (_, remote) = world.connect(Recorder::new(&Seen::default()));
            events.take();
            remote.reset();
            world.run_until(|world| world.map.is_empty());
            let recorded = events.take();
            assert_eq!(recorded.len(), 1, "{recorded:?}");
            assert_eq!(recorded[0].message, "DEBUG channel closed");
            let cause = recorded[0].cause.as_ref().unwrap().to_lowercase();
            assert!(cause.contains("connection reset"), "{cause}");
        });
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_send_is_the_cause_of_a_later_close() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (socket, remote) = util::tcp_pair();
        (&remote).write_all(b"still to be read").unwrap();
        SockRef::from(&remote).set_linger(Some(Duration::ZERO)).unwrap();
        drop(remote);
        let seen = Seen::default();
        let token = map.add(Recorder::new(&seen), socket);
        listening(|events| {
            map.channel(token).unwrap().push(b"unread");
            map.run().unwrap();
            let recorded = events.take();
            assert_eq!(recorded.last().unwrap().message, "DEBUG channel closed");
            assert!(recorded.last().unwrap().cause.is_some(), "{recorded:?}");
        });
        assert_eq!(seen.received(), b"still to be read");
    });
}

#[test]
fn an_unhandled_error_is_an_event_of_level_error() {
    let mut map = SocketMap::new().unwrap();
    listening(|events| {
        map.call_later(Duration::ZERO, |_| Err(Error::msg("no")));
        map.run().unwrap();
        assert_eq!(events.messages(), ["ERROR uncaptured error in a timer (no)"]);
    });
}

#[test]
fn a_host_name_is_reported_once_connected() {
    let net = asyncore::sim::Network::new(1);
    let mut map = SocketMap::simulated(&net);
    let _listener = net.listen("127.0.0.1:80".parse().unwrap()).unwrap();
    listening(|events| {
        let seen = Seen::default();
        let added = map.add_with(|ch| {
            ch.connect_host("localhost", 80)?;
            Ok(Recorder::new(&seen))
        });
        let token = added.unwrap();
        util::run_until(&mut map, |_| seen.count("handle_connect") == 1);
        let own = format!("{token:?}>");
        let recorded = events.take();
        let own = recorded.iter().filter(|recorded| recorded.channel.ends_with(&own));
        let messages: Vec<_> = own.map(|recorded| recorded.message.as_str()).collect();
        assert_eq!(messages, ["DEBUG channel opened", "DEBUG connected"]);
    });
}
