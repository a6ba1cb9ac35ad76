use std::collections::HashSet;

use super::*;
use crate::status::report::sample;

fn text(report: &Report) -> String {
    let mut registry = Registry::with_prefix("forwarder");
    registry.register_collector(Box::new(Exposition(report.clone())));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

/// Name and labels of a line that gives a value, which has to be a number.
fn series(line: &str) -> (&str, &str) {
    let (series, value) = line.rsplit_once(' ').expect(line);
    value.parse::<f64>().expect(line);
    let (name, labels) = series.split_once('{').expect(line);
    (name, labels.strip_suffix('}').expect(line))
}

#[test]
fn every_series_is_told_once_under_a_family_that_is_described_before_it() {
    let text = text(&sample());
    assert!(text.ends_with("# EOF\n"));
    let (mut families, mut seen) = (HashSet::new(), HashSet::new());
    let mut family = (String::new(), String::new());
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            assert!(families.insert(name), "{name} comes twice");
            family = (name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#') {
            assert!(seen.insert(line.rsplit_once(' ').unwrap().0), "{line} comes twice");
            let suffix = if family.1 == "counter" { "_total" } else { "" };
            assert_eq!(series(line).0, format!("{}{suffix}", family.0));
        }
    }
    assert!(families.len() >= 20 && seen.len() >= 30, "{text}");
}

#[test]
fn numbers_are_those_of_the_report() {
    let text = text(&sample());
    for line in [
        "forwarder_open_connections{} 3",
        "forwarder_draining{} 0",
        r#"forwarder_worker_answers{worker="1"} 0"#,
        r#"forwarder_target_bytes_total{rule="web",target="10.0.0.5:80",direction="up"} 1500"#,
        r#"forwarder_target_bytes_total{rule="web",target="10.0.0.5:80",direction="down"} 2500"#,
        r#"forwarder_target_up{rule="web",target="10.0.0.6:80"} 0"#,
        r#"forwarder_refused_connections_total{rule="web",reason="rate"} 4"#,
        r#"forwarder_waits_total{rule="web",reason="rule_limit"} 7"#,
        r#"forwarder_ended_connections_total{rule="web",reason="target_stalled"} 5"#,
    ] {
        assert!(text.lines().any(|it| it == line), "no {line} in {text}");
    }
    assert!(!text.contains(r#"forwarder_worker_passes_total{worker="1"}"#), "nobody knows that");
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
