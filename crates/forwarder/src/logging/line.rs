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

    fn record_str(&mut self, field: &Field, value: &str) {
        if is_message(field) {
            self.begin(field);
            self.0.push_str(value);
        } else {
            self.record_debug(field, &value);
        }
    }
}

/// Shows the control characters of what came from elsewhere instead of sending them to the reader of
/// the log; line ends are left, since messages may have several lines.
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
mod tests;
