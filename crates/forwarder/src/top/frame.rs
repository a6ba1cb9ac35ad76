//! What is shown at one moment.

use super::graph::bars;
use super::table::{Align, Column, lines};
use super::text::{Line, Style, bytes, rate, time};
use crate::status::Sort;
use crate::status::report::{
    ConnectionReport, ConnectionState, HealthReport, Report, RuleReport, TargetReport,
};

/// What the user has chosen to see, and what stands in the way.
pub(super) struct View {
    address: String,
    sort: Sort,
    pub(super) ascending: bool,
    /// Why there is nothing new.
    pub(super) problem: Option<String>,
}

impl View {
    pub(super) fn new(address: String) -> Self {
        View { address, sort: Sort::PerSecond, ascending: false, problem: None }
    }

    pub(super) fn sort_by_next(&mut self) {
        self.sort_by(1);
    }

    pub(super) fn sort_by_previous(&mut self) {
        self.sort_by(Sort::ALL.len() - 1);
    }

    fn sort_by(&mut self, step: usize) {
        let now = Sort::ALL.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        self.sort = Sort::ALL[(now + step) % Sort::ALL.len()];
        self.ascending = matches!(self.sort, Sort::Client | Sort::Rule | Sort::Target);
    }

    /// The parameters of the question.
    pub(super) fn query(&self) -> String {
        let order = if self.ascending { "ascending" } else { "descending" };
        format!("sort={}&order={order}", self.sort.name())
    }
}

/// The lines of a frame, each no longer and all no more than `size` (columns, rows) has room for.
pub(super) fn frame(view: &View, report: Option<&Report>, size: (usize, usize)) -> Vec<Line> {
    let (width, height) = size;
    let mut frame = Vec::new();
    match report {
        Some(report) => {
            frame.extend(summary(view, report, width));
            frame.push(Line::new());
            frame.extend(targets(report));
            frame.push(Line::new());
            frame.extend(connections(view, report));
        }
        None => frame.push(Line::new().add(Style::Bold, format!("forwarder at {}", view.address))),
    }
    // The last line is for what to know.
    frame.truncate(height.saturating_sub(1));
    let is_paper = height > frame.len() + 1000;
    if !is_paper {
        frame.resize_with(height.saturating_sub(1), Line::new);
        frame.push(foot(view, report.is_some()));
    }
    for line in &mut frame {
        line.cut(width);
    }
    frame
}

fn summary(view: &View, report: &Report, width: usize) -> Vec<Line> {
    let (state, style) = match (&view.problem, report.draining) {
        (Some(_), _) => ("no answer", Style::Bad),
        (None, true) => ("draining", Style::Warn),
        (None, false) => ("forwarding", Style::Good),
    };
    let silent = report.workers.iter().filter(|worker| !worker.answers).count();
    let silent = match silent {
        0 => String::new(),
        silent => format!("  {silent} of {} workers do not answer", report.workers.len()),
    };
    let name = format!("forwarder {} at {}", report.version, view.address);
    let (total, now) = (&report.total, &report.per_second);
    let open = format!(" of {}   {} new/s", report.max_connections, now.accepted);
    let so_far = format!("   {} accepted, {} refused so far", total.accepted, total.refused);
    let bars_width = width.saturating_sub(40).clamp(1, 300);
    let line = |style, sign: &str, per_second, total, history: &[u64]| {
        let numbers = format!("{sign} {:>11} {:>11} in all  ", rate(per_second), bytes(total));
        Line::new().add(style, numbers).add(style, bars(history, bars_width))
    };
    vec![
        Line::new()
            .add(Style::Bold, name)
            .add(Style::Faint, format!("  up {}  ", time(report.uptime)))
            .add(style, state)
            .add(Style::Bad, silent),
        Line::new()
            .add(Style::Bold, format!("{} open", report.open))
            .add(Style::Faint, open)
            .add(Style::Faint, so_far),
        line(Style::Up, "↑", now.bytes_up, total.bytes_up, &report.history.bytes_up),
        line(Style::Down, "↓", now.bytes_down, total.bytes_down, &report.history.bytes_down),
    ]
}

fn targets(report: &Report) -> Vec<Line> {
    use Align::{Left, Right};
    let titles = [
        ("RULE", Left),
        ("TARGET", Left),
        ("HEALTH", Left),
        ("OPEN", Right),
        ("SO FAR", Right),
        ("FAILED", Right),
        ("↑ NOW", Right),
        ("↓ NOW", Right),
        ("LAST ERROR", Left),
    ];
    let columns = titles.map(|(title, align)| Column { title, align, sorted: false });
    let rows = report.rules.iter().flat_map(|rule| {
        rule.targets.iter().enumerate().map(move |(index, it)| target(rule, it, index == 0))
    });
    lines(&columns, &rows.collect::<Vec<_>>())
}

fn target(rule: &RuleReport, target: &TargetReport, is_first: bool) -> Vec<(Style, String)> {
    let health = match target.health {
        _ if target.drained => (Style::Warn, "drained".to_owned()),
        _ if target.weight == 0 => (Style::Warn, "weight 0".to_owned()),
        HealthReport::Unknown => (Style::Faint, "unknown".to_owned()),
        HealthReport::Draining => (Style::Warn, "draining".to_owned()),
        HealthReport::Up => (Style::Good, "up".to_owned()),
        HealthReport::BackingOff => {
            (Style::Warn, format!("backing off {}", time(target.retry_in.unwrap_or_default())))
        }
        HealthReport::Down => (Style::Bad, "down".to_owned()),
    };
    let name = if is_first { rule.name.clone() } else { String::new() };
    let error = target.last_error.as_ref();
    let error = error.map(|error| format!("{} ({} ago)", error.text, time(error.ago)));
    vec![
        (Style::Bold, name),
        (Style::Plain, target.endpoint.clone()),
        health,
        (Style::Plain, target.active.to_string()),
        (Style::Plain, target.total.to_string()),
        (Style::Plain, target.failures.to_string()),
        (Style::Up, rate(target.bytes_up_per_second)),
        (Style::Down, rate(target.bytes_down_per_second)),
        (Style::Faint, error.unwrap_or_default()),
    ]
}

fn connections(view: &View, report: &Report) -> Vec<Line> {
    let columns = Sort::ALL.map(|sort| {
        let (title, align) = match sort {
            Sort::Client => ("CLIENT", Align::Left),
            Sort::Rule => ("RULE", Align::Left),
            Sort::Target => ("TARGET", Align::Left),
            Sort::Age => ("OPEN FOR", Align::Right),
            Sort::Idle => ("SILENT FOR", Align::Right),
            Sort::BytesUp => ("↑", Align::Right),
            Sort::BytesDown => ("↓", Align::Right),
            Sort::PerSecond => ("NOW", Align::Right),
        };
        Column { title, align, sorted: sort == view.sort }
    });
    let rows: Vec<_> = report.connections.iter().map(connection).collect();
    let mut all = lines(&columns, &rows);
    if report.connections_left_out > 0 {
        let more = format!("and {} more", report.connections_left_out);
        all.push(Line::new().add(Style::Faint, more));
    }
    all
}

fn connection(it: &ConnectionReport) -> Vec<(Style, String)> {
    let style = match it.state {
        ConnectionState::Open => Style::Plain,
        ConnectionState::Connecting | ConnectionState::Closing => Style::Faint,
    };
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let now = if it.per_second > 0 { rate(it.per_second) } else { "-".to_owned() };
    let cells = [
        or_dash(&it.client),
        it.rule.clone(),
        or_dash(&it.target),
        time(it.age),
        time(it.idle),
        bytes(it.bytes_up),
        bytes(it.bytes_down),
        now,
    ];
    cells.map(|text| (style, text)).to_vec()
}

fn foot(view: &View, has_report: bool) -> Line {
    match &view.problem {
        Some(problem) => Line::new().add(Style::Bad, format!("no answer: {problem}")),
        None if !has_report => Line::new().add(Style::Faint, "asking…"),
        None => {
            let order = if view.ascending { "ascending" } else { "descending" };
            let keys = format!("sorted by {}, {order}", view.sort.name().replace('_', " "));
            Line::new()
                .add(Style::Reversed, " q ")
                .add(Style::Plain, " quit  ")
                .add(Style::Reversed, " s ")
                .add(Style::Plain, " sort by the next column  ")
                .add(Style::Reversed, " r ")
                .add(Style::Plain, " reverse  ")
                .add(Style::Faint, keys)
        }
    }
}

#[cfg(test)]
mod tests;
