//! Text for the terminal: pieces with a style, and numbers for people.

use std::fmt::Write as _;

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    #[default]
    Plain,
    Bold,
    Faint,
    Reversed,
    Good,
    Warn,
    Bad,
    Up,
    Down,
}

impl Style {
    /// Colours of the terminal's own palette, which its user has chosen.
    fn code(self) -> Option<&'static str> {
        match self {
            Style::Plain => None,
            Style::Bold => Some("1"),
            Style::Faint => Some("2"),
            Style::Reversed => Some("7"),
            Style::Good => Some("32"),
            Style::Warn => Some("33"),
            Style::Bad => Some("1;31"),
            Style::Up => Some("34"),
            Style::Down => Some("35"),
        }
    }
}

/// One line of a frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    pub(super) fn new() -> Self {
        Line::default()
    }

    /// Adds a piece; what would steer the terminal is replaced, since names and errors come from
    /// elsewhere.
    pub(super) fn add(mut self, style: Style, text: impl AsRef<str>) -> Self {
        let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let text = text.as_ref().chars().map(shown);
        match self.0.last_mut() {
            Some((last, before)) if *last == style => before.extend(text),
            _ => self.0.push((style, text.collect())),
        }
        self
    }

    /// Cuts the line off at `width` characters.
    pub(super) fn cut(&mut self, width: usize) {
        let mut left = width;
        for (_, text) in &mut self.0 {
            if let Some((end, _)) = text.char_indices().nth(left) {
                text.truncate(end);
            }
            left -= text.chars().count();
        }
    }

    pub(super) fn plain(&self) -> String {
        let text: String = self.0.iter().map(|(_, text)| text.as_str()).collect();
        text.trim_end().to_owned()
    }

    pub(super) fn styled(&self) -> String {
        let mut styled = String::new();
        for (style, text) in self.0.iter().filter(|(_, text)| !text.is_empty()) {
            // Writing to a string cannot fail.
            let _ = match style.code() {
                None => write!(styled, "{text}"),
                Some(code) => write!(styled, "\x1b[{code}m{text}\x1b[0m"),
            };
        }
        styled
    }

    /// How many characters it has.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }
}

/// A number of bytes, in at most three digits.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut count = count as f64;
    let mut unit = 0;
    while count >= 999.5 && unit < UNITS.len() - 1 {
        count /= 1024.0;
        unit += 1;
    }
    let digits = match count {
        _ if unit == 0 => 0,
        count if count >= 99.95 => 0,
        count if count >= 9.995 => 1,
        _ => 2,
    };
    format!("{count:.digits$} {}", UNITS[unit])
}

pub(super) fn rate(count: u64) -> String {
    format!("{}/s", bytes(count))
}

/// A number of seconds, in its two largest units.
pub(super) fn time(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests;
