use super::*;
use crate::status::report::sample;

fn plain(view: &View, report: Option<&Report>, size: (usize, usize)) -> Vec<String> {
    frame(view, report, size).iter().map(Line::plain).collect()
}

fn view() -> View {
    View::new("127.0.0.1:8081".to_owned())
}

#[test]
fn a_frame_tells_the_state_the_rates_the_targets_and_the_connections() {
    let lines = plain(&view(), Some(&sample()), (100, 30));
    assert_eq!(
        lines[0],
        "forwarder 1.2.3 at 127.0.0.1:8081  up 1h 2m  forwarding  1 of 2 workers do not answer"
    );
    assert_eq!(lines[1], "3 open of 1000   2 new/s   40 accepted, 4 refused so far");
    assert!(lines[2].starts_with("↑  1.00 KiB/s    1.46 KiB in all") && lines[2].ends_with(" ▄█"));
    assert!(lines[3].starts_with("↓  2.00 KiB/s    2.44 KiB in all") && lines[3].ends_with(" █▄"));
    let line = |start: &str| {
        lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{lines:#?}"))
    };
    assert!(line("web   10.0.0.5:80  up").contains("1.00 KiB/s  2.00 KiB/s"));
    assert!(line("      10.0.0.6:80  backing off 12s").contains("refused (1m 1s ago"));
    assert!(line("192.0.2.7:4000  web   10.0.0.5:80").ends_with("3.00 KiB/s"));
    assert!(lines.contains(&"and 1 more".to_owned()));
    assert!(
        lines[29].contains(" q  quit") && lines[29].ends_with("sorted by per second, descending")
    );
}

#[test]
fn a_frame_fits_any_terminal() {
    for size in [(1, 1), (5, 3), (20, 10), (80, 24), (300, 100)] {
        for report in [Some(&sample()), None] {
            let lines = frame(&view(), report, size);
            assert_eq!(lines.len(), size.1, "{size:?}");
            for line in &lines {
                assert!(line.plain().chars().count() <= size.0, "{size:?}: {}", line.plain());
            }
        }
    }
}

#[test]
fn why_nothing_comes_stands_below_what_was_known_last() {
    let mut view = view();
    view.problem = Some("Connection refused".to_owned());
    let lines = plain(&view, Some(&sample()), (100, 24));
    assert!(lines[0].contains("no answer"), "{}", lines[0]);
    assert_eq!(lines[23], "no answer: Connection refused");
}

#[test]
fn every_column_can_be_sorted_by_and_names_begin_at_the_front() {
    let mut view = view();
    let mut queries = Vec::new();
    for _ in Sort::ALL {
        queries.push(view.query());
        view.sort_by_next();
    }
    assert_eq!(view.query(), queries[0]);
    view.sort_by_previous();
    assert_eq!(Some(&view.query()), queries.last());
    queries.sort();
    queries.dedup();
    assert_eq!(queries.len(), Sort::ALL.len());
    assert!(queries.contains(&"sort=client&order=ascending".to_owned()), "{queries:?}");
    assert!(queries.contains(&"sort=age&order=descending".to_owned()), "{queries:?}");
}
