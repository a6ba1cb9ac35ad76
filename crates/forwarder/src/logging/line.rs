//! A line of the log as it is written to a file or a journal.

use std::fmt::{self, Debug, Write as _};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The subscriber's own text format without its colours, which cost a forwarder more than all else
/// that it does for a short connection.
pub(super) struct Line;

/// Most lines are no longer.
const LENGTH: usize = 256;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Fields(String::with_capacity(LENGTH));
        let level = match *event.metadata().level() {
            Level::ERROR => " ERROR",
            Level::WARN => "  WARN",
            Level::INFO => "  INFO",
            Level::DEBUG => " DEBUG",
            Level::TRACE => " TRACE",
        };
        let now = humantime::format_rfc3339_micros(SystemTime::now());
        write!(line.0, "{now}{level}")?;
        event.record(&mut line);
        line.0.push('\n');
        // Whole lines, since the pieces are many and the writer is behind a pointer.
        write_escaped(&mut writer, &line.0)
    }
}

/// What was logged: the message as it is, the rest as `name=value`.
struct Fields(String);

impl Fields {
    /// Begins a field; what it holds comes next.
    fn begin(&mut self, field: &Field) {
        self.0.push(' ');
        if !is_message(field) {
            self.0.push_str(field.name());
            self.0.push('=');
        }
    }
}

fn is_message(field: &Field) -> bool {
    field.name() == "message"
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.begin(field);
        // Writing to a String fails only if what is written does, which then shows as far as it came.
        let _ = write!(self.0, "{value:?}");
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.begin(field);
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{value}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if is_message(field) {
            self.begin(field);
            self.0.push_str(value);
        } else {
            self.record_debug(field, &value);
        }
    }
}

/// Shows the control characters of what came from elsewhere instead of sending them to whoever
/// reads the log; line ends are left, since messages may have several lines.
fn write_escaped(writer: &mut Writer<'_>, line: &str) -> fmt::Result {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    // Without an early end, so that it takes many bytes at a time.
    if line.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return writer.write_str(line);
    }
    for letter in line.chars() {
        if letter.is_control() && !matches!(letter, '\n' | '\t') {
            write!(writer, "{}", letter.escape_default())?;
        } else {
            writer.write_char(letter)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
}
