//! A table whose columns are as wide as what is in them.

use super::text::{Line, Style};

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A column: its title, its place, and whether it is the one that is sorted by.
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) align: Align,
    pub(super) sorted: bool,
}

/// Between two columns.
const GAP: &str = "  ";
/// No column but the last is wider, so that one long name does not push the rest out.
const WIDEST: usize = 40;

/// The lines of a table; a row has a cell for each column.
pub(super) fn lines(columns: &[Column], rows: &[Vec<(Style, String)>]) -> Vec<Line> {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| Some(row.get(index)?.1.chars().count()));
            cells.chain([column.title.chars().count()]).max().unwrap_or(0).min(WIDEST)
        })
        .collect();
    let head = columns.iter().map(|column| {
        let style = if column.sorted { Style::Reversed } else { Style::Faint };
        (style, column.title.to_owned())
    });
    let head: Vec<_> = head.collect();
    std::iter::once(&head).chain(rows).map(|row| line(columns, &widths, row)).collect()
}

fn line(columns: &[Column], widths: &[usize], row: &[(Style, String)]) -> Line {
    let mut line = Line::new();
    for (index, ((style, text), (column, width))) in
        row.iter().zip(columns.iter().zip(widths)).enumerate()
    {
        let is_last = index + 1 == columns.len();
        let text = if is_last { text.clone() } else { shortened(text, *width) };
        let padding = " ".repeat(width.saturating_sub(text.chars().count()));
        line = match column.align {
            Align::Left => line.add(*style, text).add(Style::Plain, padding),
            Align::Right => line.add(Style::Plain, padding).add(*style, text),
        };
        line = line.add(Style::Plain, if is_last { "" } else { GAP });
    }
    line
}

fn shortened(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}
