//! What the terminal shows at one moment.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Row, Sparkline, Table, Widget};

use crate::status::Sort;
use crate::status::report::{
    ConnectionReport, ConnectionState, HealthReport, Report, RuleReport, TargetReport,
};

/// Maximum width of a column other than the last, so that one long name does not push out the rest.
const MAX_COLUMN_WIDTH: usize = 40;
/// Width of what stands before a graph.
const BEFORE_GRAPH: u16 = 38;

/// What the user has chosen to see, and the reason if there is nothing new.
pub(super) struct View {
    address: String,
    sort: Sort,
    pub(super) ascending: bool,
    pub(super) failure: Option<String>,
}

impl View {
    pub(super) fn new(address: String) -> Self {
        View { address, sort: Sort::PerSecond, ascending: false, failure: None }
    }

    /// Sorts by another column, so many to the right.
    pub(super) fn sort_by(&mut self, step: usize) {
        let now = Sort::ALL.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        self.sort = Sort::ALL[(now + step) % Sort::ALL.len()];
        self.ascending = matches!(self.sort, Sort::Client | Sort::Rule | Sort::Target);
    }

    fn order(&self) -> &'static str {
        if self.ascending { "ascending" } else { "descending" }
    }

    /// Returns the parameters of the request.
    pub(super) fn query(&self) -> String {
        format!("sort={}&order={}", self.sort.name(), self.order())
    }

    /// Draws everything, with a line about the keys at the end.
    pub(super) fn render(&self, report: Option<&Report>, area: Rect, buf: &mut Buffer) {
        let [body, foot] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
        match report {
            Some(report) => self.render_report(report, body, buf),
            None => format!("forwarder at {}", self.address).bold().render(body, buf),
        }
        let keys = |key: &'static str, what: &'static str| [key.reversed(), what.into()];
        let line = match &self.failure {
            Some(failure) => Line::from(format!("no answer: {failure}")).style(bad()),
            None if report.is_none() => Line::from("asking…".dim()),
            None => {
                let by = self.sort.name().replace('_', " ");
                let sorted = format!("sorted by {by}, {}", self.order()).dim();
                let all = [
                    keys(" q ", " quit  "),
                    keys(" s ", " sort by the next column  "),
                    keys(" r ", " reverse  "),
                ];
                all.into_iter().flatten().chain([sorted]).collect()
            }
        };
        line.render(foot, buf);
        replace_control_characters(buf);
    }

    fn render_report(&self, report: &Report, area: Rect, buf: &mut Buffer) {
        let targets: usize = report.rules.iter().map(|rule| rule.targets.len()).sum();
        let wanted = u16::try_from(targets + 1).unwrap_or(u16::MAX);
        // The targets leave the connections half of the rest.
        let most = (area.height.saturating_sub(6) / 2).max(4);
        let heights = [4, 1, wanted.min(most), 1].map(Constraint::Length);
        let [summary, _, targets, _, connections] =
            Layout::vertical(heights.into_iter().chain([Constraint::Min(0)])).areas(area);
        self.render_summary(report, summary, buf);
        render_targets(report, targets, buf);
        self.render_connections(report, connections, buf);
    }

    fn render_summary(&self, report: &Report, area: Rect, buf: &mut Buffer) {
        let state = match (&self.failure, report.draining) {
            (Some(_), _) => "no answer".bold().red(),
            (None, true) => "draining".yellow(),
            (None, false) => "forwarding".green(),
        };
        let silent = report.workers.iter().filter(|worker| !worker.answers).count();
        let silent = match silent {
            0 => String::new(),
            silent => format!("  {silent} of {} workers do not answer", report.workers.len()),
        };
        let (total, now) = (&report.total, &report.per_second);
        let numbers = format!(
            " of at most {}   {} new/s   {} accepted, {} refused so far",
            report.max_connections, now.accepted, total.accepted, total.refused
        );
        let [title, counts, up, down] = Layout::vertical([Constraint::Length(1); 4]).areas(area);
        Line::from_iter([
            format!("forwarder {} at {}", report.version, self.address).bold(),
            format!("  up {}  ", time(report.uptime)).dim(),
            state,
            silent.bold().red(),
        ])
        .render(title, buf);
        Line::from_iter([format!("{} open", report.open).bold(), numbers.dim()])
            .render(counts, buf);
        let mut graph = |area, color, sign, rate: u64, sum: u64, history: &[u64]| {
            let halves = [Constraint::Length(BEFORE_GRAPH), Constraint::Min(0)];
            let [text, graph] = Layout::horizontal(halves).areas(area);
            let line = format!("{sign} {:>11} {:>11} in all", self::rate(rate), bytes(sum));
            Line::from(line).fg(color).render(text, buf);
            Sparkline::default()
                .data(newest(history, graph.width.into()))
                .fg(color)
                .render(graph, buf);
        };
        let (bytes_up, bytes_down) = (&report.history.bytes_up, &report.history.bytes_down);
        graph(up, Color::Blue, "↑", now.bytes_up, total.bytes_up, bytes_up);
        graph(down, Color::Magenta, "↓", now.bytes_down, total.bytes_down, bytes_down);
    }

    fn render_connections(&self, report: &Report, area: Rect, buf: &mut Buffer) {
        let titles = Sort::ALL.map(|sort| match sort {
            Sort::Client => "CLIENT",
            Sort::Rule => "RULE",
            Sort::Target => "TARGET",
            Sort::Age => ">OPEN FOR",
            Sort::Idle => ">IDLE FOR",
            Sort::BytesUp => ">↑",
            Sort::BytesDown => ">↓",
            Sort::Queued => ">QUEUED",
            Sort::PerSecond => ">NOW",
        });
        let sorted = Sort::ALL.iter().position(|sort| *sort == self.sort);
        let rows = report.connections.iter().map(connection).collect();
        render_table(&titles, sorted, rows, report.connections_left_out, area, buf);
    }

    /// Returns one frame as text, with everything in the report.
    pub(super) fn print(&self, report: &Report, width: u16) -> String {
        let targets: usize = report.rules.iter().map(|rule| rule.targets.len()).sum();
        // Twice, because targets and connections share the room equally.
        let height = 10 + 2 * targets.max(report.connections.len() + 2);
        let mut buf =
            Buffer::empty(Rect::new(0, 0, width, u16::try_from(height).unwrap_or(u16::MAX)));
        self.render_report(report, buf.area, &mut buf);
        replace_control_characters(&mut buf);
        lines(&buf).join("\n").trim_end().to_owned() + "\n"
    }
}

/// Names and errors come from elsewhere and must not steer the terminal.
fn replace_control_characters(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if cell.symbol().contains(char::is_control) {
            cell.set_char('\u{fffd}');
        }
    }
}

/// Returns the text of a buffer, line by line.
fn lines(buf: &Buffer) -> Vec<String> {
    let rows = buf.content().chunks(usize::from(buf.area.width).max(1));
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned())
        .collect()
}

fn bad() -> Style {
    Style::new().red().bold()
}

/// Returns the last values of a graph, the newest at the right. A value that is not zero is large
/// enough to be seen.
fn newest(values: &[u64], width: usize) -> Vec<u64> {
    let shown = &values[values.len().saturating_sub(width)..];
    let visible = shown.iter().max().map_or(0, |most| most.div_ceil(8));
    let blank = std::iter::repeat_n(0, width - shown.len());
    blank
        .chain(shown.iter().map(|value| if *value == 0 { 0 } else { visible.max(*value) }))
        .collect()
}

fn render_targets(report: &Report, area: Rect, buf: &mut Buffer) {
    let titles = [
        "RULE",
        "TARGET",
        "HEALTH",
        ">OPEN",
        ">SO FAR",
        ">FAILED",
        ">↑ NOW",
        ">↓ NOW",
        "LAST ERROR",
    ];
    let rows = report.rules.iter().flat_map(|rule| {
        rule.targets.iter().enumerate().map(move |(index, it)| target(rule, it, index == 0))
    });
    render_table(&titles, None, rows.collect(), 0, area, buf);
}

fn target(rule: &RuleReport, target: &TargetReport, is_first: bool) -> Vec<Span<'static>> {
    let health = match target.health {
        HealthReport::Up => "up".green(),
        HealthReport::Unknown => "unknown".dim(),
        HealthReport::Draining => "draining".yellow(),
        HealthReport::BackingOff => {
            format!("backing off {}", time(target.retry_in.unwrap_or_default())).yellow()
        }
        HealthReport::Down => Span::styled("down", bad()),
    };
    let error = target.last_error.as_ref();
    let error = error.map(|error| format!("{} ({} ago)", error.text, time(error.ago)));
    vec![
        if is_first { rule.name.clone().bold() } else { Span::default() },
        target.endpoint.clone().into(),
        health,
        target.active.to_string().into(),
        target.total.to_string().into(),
        target.failures.to_string().into(),
        rate(target.bytes_up_per_second).blue(),
        rate(target.bytes_down_per_second).magenta(),
        error.unwrap_or_default().dim(),
    ]
}

fn connection(it: &ConnectionReport) -> Vec<Span<'static>> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let unless_zero = |count: u64, text: String| if count > 0 { text } else { "-".to_owned() };
    let cells = [
        or_dash(&it.client),
        it.rule.clone(),
        or_dash(&it.target),
        time(it.age),
        time(it.idle),
        bytes(it.bytes_up),
        bytes(it.bytes_down),
        unless_zero(it.queued as u64, bytes(it.queued as u64)),
        unless_zero(it.per_second, rate(it.per_second)),
    ];
    let is_open = it.state == ConnectionState::Open;
    cells.into_iter().map(|text| if is_open { text.into() } else { text.dim() }).collect()
}

/// Draws a table whose columns are as wide as what is in them, and the number of rows that have no
/// room, with those that were `left_out` before. `>` before a title aligns to the right.
fn render_table(
    titles: &[&'static str],
    sorted: Option<usize>,
    mut rows: Vec<Vec<Span<'static>>>,
    left_out: usize,
    area: Rect,
    buf: &mut Buffer,
) {
    let room = usize::from(area.height).saturating_sub(1);
    if rows.len() > room || left_out > 0 {
        let shown = rows.len().min(room.saturating_sub(1));
        let more = format!("and {} more", rows.len() - shown + left_out).dim();
        rows.truncate(shown);
        // Below the table, which has a line more than rows; without room there is neither.
        let line = Rect {
            y: area.y.saturating_add(u16::try_from(shown + 1).unwrap_or(u16::MAX)),
            height: 1,
            ..area
        }
        .intersection(area);
        more.render(line, buf);
    }
    let width = |index: usize| {
        let cells = rows.iter().map(|row| row[index].width());
        cells.max().unwrap_or(0).min(MAX_COLUMN_WIDTH).max(title(titles[index]).chars().count())
    };
    let last = titles.len() - 1;
    let widths: Vec<_> = (0..titles.len())
        .map(|index| match index {
            index if index == last && !titles[last].starts_with('>') => Constraint::Min(0),
            index => Constraint::Length(u16::try_from(width(index)).unwrap_or(u16::MAX)),
        })
        .collect();
    let aligned = |index: usize, span: Span<'static>| {
        let line = Line::from(span);
        let is_right = titles[index].starts_with('>');
        Cell::from(Text::from(if is_right { line.right_aligned() } else { line }))
    };
    let heads = titles.iter().enumerate().map(|(index, text)| {
        let text = title(text);
        aligned(index, if sorted == Some(index) { text.reversed() } else { text.dim() })
    });
    let header = Row::new(heads.collect::<Vec<_>>());
    let rows = rows.into_iter().map(|row| {
        Row::new(
            row.into_iter().enumerate().map(|(index, it)| aligned(index, it)).collect::<Vec<_>>(),
        )
    });
    let table = Table::new(rows.collect::<Vec<_>>(), widths).header(header).column_spacing(2);
    Widget::render(table, area, buf);
}

fn title(text: &'static str) -> &'static str {
    text.trim_start_matches('>')
}

/// Formats a number of bytes with three digits.
fn bytes(count: u64) -> String {
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

fn rate(count: u64) -> String {
    format!("{}/s", bytes(count))
}

/// Formats a number of seconds in its two largest units.
fn time(seconds: f64) -> String {
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
