use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{Listen, Rule};
use crate::policy::{ProcessCounts, RuleState};
use crate::status::report::sample;

fn text(report: &Report) -> String {
    let listen = Listen::Tcp(([127, 0, 0, 1], 80).into());
    let rule = Rule { name: "web".to_owned(), ..Rule::new(listen, Vec::new()) };
    let state = RuleState::new(&rule, Arc::new(ProcessCounts::new(100)), Instant::now());
    state.counts().note_connected(Duration::from_millis(5));
    encode(report, &[(Arc::new(rule), Arc::new(state))], 6)
}

/// Name and labels of a line that gives a value, which has to be a number.
fn series(line: &str) -> (&str, &str) {
    let (series, value) = line.rsplit_once(' ').expect(line);
    value.parse::<f64>().expect(line);
    let Some((name, labels)) = series.split_once('{') else {
        return (series, "");
    };
    (name, labels.strip_suffix('}').expect(line))
}

/// Checks what `promtool check metrics` checks, and the order of lines.
#[test]
fn metrics_follow_the_conventions_of_prometheus() {
    let text = text(&sample());
    let (mut families, mut seen) = (HashSet::new(), HashSet::new());
    let (mut name, mut kind) = ("", "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (described, sentence) = help.split_once(' ').unwrap();
            assert!(!sentence.is_empty() && families.insert(described), "{line}");
            name = described;
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            let (described, is) = described.split_once(' ').unwrap();
            assert_eq!(described, name, "the help comes first");
            kind = is;
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.starts_with("forwarder_") && name.chars().all(plain), "{line}");
            let words: Vec<_> = name.split('_').collect();
            for word in ["milliseconds", "ms", "minutes", "kilobytes", "bits", "percent", kind] {
                assert!(!words.contains(&word), "{line}: only base units, and no types");
            }
        } else {
            assert!(seen.insert(line.rsplit_once(' ').unwrap().0), "{line} comes twice");
            let suffixes: &[&str] =
                if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            let names: Vec<_> = suffixes.iter().map(|it| format!("{name}{it}")).collect();
            assert!(names.iter().any(|it| it == series(line).0), "{line} is not of {name}");
        }
    }
    assert!(families.len() >= 20 && seen.len() >= 30, "{text}");
}

#[test]
fn numbers_are_those_of_the_report() {
    let text = text(&sample());
    for line in [
        "forwarder_open_connections 3",
        r#"forwarder_build_info{version="1.2.3"} 1"#,
        "forwarder_status_wrong_tokens_total 6",
        "forwarder_draining 0",
        r#"forwarder_worker_up{worker="1"} 0"#,
        r#"forwarder_target_bytes_total{rule="web",target="10.0.0.5:80",direction="up"} 1500"#,
        r#"forwarder_target_bytes_total{rule="web",target="10.0.0.5:80",direction="down"} 2500"#,
        r#"forwarder_target_up{rule="web",target="10.0.0.6:80"} 0"#,
        r#"forwarder_refused_connections_total{rule="web",reason="rate"} 4"#,
        r#"forwarder_dropped_datagrams_total{rule="web",reason="rate_limit"} 9"#,
        "forwarder_log_lines_dropped_total 8",
        r#"forwarder_connect_duration_seconds_count{rule="web"} 1"#,
        r#"forwarder_connect_duration_seconds_bucket{rule="web",le="+Inf"} 1"#,
        r#"forwarder_connection_duration_seconds_count{rule="web"} 0"#,
        r#"forwarder_backlog_waits_total{rule="web",reason="rule_limit"} 7"#,
        r#"forwarder_closed_connections_total{rule="web",reason="target_stalled"} 5"#,
    ] {
        assert!(text.lines().any(|it| it == line), "no {line} in {text}");
    }
    assert!(!text.contains(r#"forwarder_worker_loop_passes_total{worker="1"}"#), "it is not known");
}

#[test]
fn names_with_quotes_and_line_breaks_stay_in_their_labels() {
    let mut report = sample();
    report.rules[0].name = "a\"b\\c\nd".to_owned();
    let text = text(&report);
    let line = r#"forwarder_rule_open_connections{rule="a\"b\\c\nd"} 3"#;
    assert!(text.lines().any(|it| it == line), "{text}");
    assert!(
        text.lines().all(|line| line.starts_with('#') || series(line).0.starts_with("forwarder_"))
    );
}
