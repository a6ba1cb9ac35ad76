use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

use super::Line;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `log` logs, first as the subscriber itself would write it and then as we do, without
/// the time.
fn both(log: impl Fn()) -> [String; 2] {
    let (theirs, ours) = (Sink::default(), Sink::default());
    let (sink, other) = (theirs.clone(), ours.clone());
    let layer = || fmt::layer().with_ansi(false).with_target(false);
    let plain = layer().with_writer(move || sink.clone());
    let line = layer().with_writer(move || other.clone()).event_format(Line);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(plain), &log);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(line), &log);
    [theirs, ours].map(|sink| {
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.split_once('Z').unwrap().1.to_owned() + "\n").collect()
    })
}

#[test]
fn a_line_is_what_the_subscriber_itself_would_write() {
    let [theirs, ours] = both(|| {
        let none: Option<u64> = None;
        let (name, client) = ("a rule", std::net::Ipv4Addr::LOCALHOST);
        tracing::info!(rule = %name, %client, up = 64_u64, none, seconds = 0.25, "connection");
        tracing::warn!(name, listing = ?[1, 2], "the {} is odd", "target");
        tracing::debug!("nothing else");
    });
    assert_eq!(ours, theirs);
    assert!(ours.contains(" INFO connection rule=a rule client=127.0.0.1 up=64 seconds=0.25"));
}

#[test]
fn control_characters_are_shown_and_not_sent() {
    let [_, ours] = both(|| {
        let name = "a\u{1b}[31mb\u{7}ü\u{85}";
        tracing::error!(rule = %name, "failed");
    });
    assert_eq!(ours, " ERROR failed rule=a\\u{1b}[31mb\\u{7}ü\\u{85}\n");
}
