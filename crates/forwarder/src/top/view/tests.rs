use super::*;
use crate::status::report::sample;

fn drawn(view: &View, report: Option<&Report>, (width, height): (u16, u16)) -> Vec<String> {
    let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
    view.render(report, buf.area, &mut buf);
    lines(&buf)
}

fn view() -> View {
    View::new("127.0.0.1:8081".to_owned())
}

#[test]
fn a_frame_shows_state_rates_targets_and_connections() {
    let lines = drawn(&view(), Some(&sample()), (130, 30));
    assert_eq!(
        lines[0],
        "forwarder 1.2.3 at 127.0.0.1:8081  up 1h 2m  forwarding  1 of 2 workers do not answer"
    );
    assert_eq!(lines[1], "3 open of at most 1000   2 new/s   40 accepted, 4 refused so far");
    assert!(lines[2].starts_with("↑  1.00 KiB/s    1.46 KiB in all") && lines[2].ends_with(" ▄█"));
    assert!(lines[3].starts_with("↓  2.00 KiB/s    2.44 KiB in all") && lines[3].ends_with(" █▄"));
    let line = |start: &str| {
        lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{lines:#?}"))
    };
    assert!(line("web   10.0.0.5:80  up").contains("1.00 KiB/s  2.00 KiB/s"));
    assert!(line("      10.0.0.6:80  backing off 12s").ends_with("refused (1m 1s ago)"));
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
            assert_eq!(drawn(&view(), report, size).len(), usize::from(size.1), "{size:?}");
        }
    }
}

#[test]
fn many_targets_leave_room_for_connections() {
    let mut report = sample();
    report.rules = (0..1000).map(|_| report.rules[0].clone()).collect();
    let lines = drawn(&view(), Some(&report), (120, 30));
    let shown = lines.iter().filter(|line| line.contains("10.0.0.")).count() - 2;
    assert!(lines.contains(&format!("and {} more", 2000 - shown)), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("192.0.2.8:5")), "{lines:#?}");
}

#[test]
fn a_printed_frame_has_everything_in_the_report() {
    let mut report = sample();
    report.rules = (0..50).map(|_| report.rules[0].clone()).collect();
    report.connections = (0..70).map(|_| report.connections[0].clone()).collect();
    let text = view().print(&report, 120);
    assert_eq!(text.matches("10.0.0.6:80  backing off").count(), 50, "{text}");
    assert_eq!(text.matches("192.0.2.7:4000").count(), 70, "{text}");
}

#[test]
fn the_reason_for_no_answer_stands_below_the_last_report() {
    let mut view = view();
    view.failure = Some("Connection refused".to_owned());
    let lines = drawn(&view, Some(&sample()), (100, 24));
    assert!(lines[0].contains("no answer"), "{}", lines[0]);
    assert_eq!(lines[23], "no answer: Connection refused");
}

#[test]
fn every_column_can_be_sorted_by_and_names_begin_at_the_front() {
    let mut view = view();
    let mut queries = Vec::new();
    for _ in Sort::ALL {
        queries.push(view.query());
        view.sort_by(1);
    }
    assert_eq!(view.query(), queries[0]);
    view.sort_by(Sort::ALL.len() - 1);
    assert_eq!(Some(&view.query()), queries.last());
    queries.sort();
    queries.dedup();
    assert_eq!(queries.len(), Sort::ALL.len());
    assert!(queries.contains(&"sort=client&order=ascending".to_owned()), "{queries:?}");
    assert!(queries.contains(&"sort=age&order=descending".to_owned()), "{queries:?}");
}

#[test]
fn names_and_errors_cannot_steer_the_terminal() {
    let mut report = sample();
    report.rules[0].name = "a\x1b[2Jb\r\n\u{9b}31mc".to_owned();
    let lines = drawn(&view(), Some(&report), (100, 24));
    assert!(lines.iter().any(|line| line.starts_with("a\u{fffd}[2Jb\u{fffd}")), "{lines:#?}");
    assert!(!lines.concat().contains(char::is_control));
}

#[test]
fn values_of_a_graph_that_are_not_zero_can_be_seen() {
    assert_eq!(newest(&[9, 9, 0, 1, 4, 8], 4), [0, 1, 4, 8]);
    assert_eq!(newest(&[1, 1000], 4), [0, 0, 125, 1000]);
    assert_eq!(newest(&[], 2), [0, 0]);
    assert_eq!(newest(&[u64::MAX], 1), [u64::MAX]);
}

#[test]
fn numbers_have_three_digits_at_the_most() {
    for (count, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1536, "1.50 KiB"),
        (10_239, "10.0 KiB"),
        (102_350, "100 KiB"),
        (1 << 20, "1.00 MiB"),
        (999 << 20, "999 MiB"),
        (1000 << 20, "0.98 GiB"),
        (u64::MAX, "16384 PiB"),
    ] {
        assert_eq!(bytes(count), text);
    }
}

#[test]
fn times_have_their_two_largest_units() {
    for (seconds, text) in [
        (0.4, "0s"),
        (59.9, "59s"),
        (61.0, "1m 1s"),
        (3725.0, "1h 2m"),
        (90_061.0, "1d 1h"),
        (f64::NAN, "0s"),
    ] {
        assert_eq!(time(seconds), text);
    }
}
