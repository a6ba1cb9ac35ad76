//! The files beside the source: the example and the schema.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::config::file::File;
use crate::config::validate::check;
use crate::config::{Config, schema};

use super::load;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_example_is_a_configuration() {
    let config = load(&folder().join("examples/forwarder.toml")).unwrap();
    assert!(config.rules.len() > 1);
}

#[test]
fn the_example_shows_every_key_and_what_it_shows_commented_out_is_right() {
    let text = std::fs::read_to_string(folder().join("examples/forwarder.toml")).unwrap();
    let uncommented: String = text.lines().map(|line| format!("{}\n", uncommented(line))).collect();
    let file = File::parse(Path::new("forwarder.toml"), uncommented.clone()).unwrap();
    let options = file.options.clone();
    assert_eq!(check(&Config { rules: options.rule, ..options.config }), []);

    let shown: BTreeSet<&str> = uncommented
        .lines()
        .filter(|line| !line.starts_with("# "))
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, _)| key)
        .collect();
    let schema: Value = serde_json::from_str(&schema::text()).unwrap();
    let known = keys(&schema);
    let missing: Vec<_> = known.iter().filter(|key| !shown.contains(key.as_str())).collect();
    // A token is better kept in a file of its own.
    assert_eq!(missing, ["token"]);
}

/// `#key = value` and `#[table]` are to try out; `# Words` are words.
fn uncommented(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest,
        _ => line,
    }
}

/// The keys that take values, of all tables.
fn keys(schema: &Value) -> BTreeSet<String> {
    let of = |table: &Value| {
        table["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    let tables = ["Rule", "Status", "Log", "Capture"].map(|name| of(&schema["definitions"][name]));
    let is_value =
        |key: &String| !["rule", "defaults", "status", "log", "capture"].contains(&key.as_str());
    of(schema).into_iter().filter(is_value).chain(tables.into_iter().flatten()).collect()
}

#[test]
fn the_schema_beside_the_source_is_that_of_the_program() {
    let committed = std::fs::read_to_string(folder().join("forwarder.schema.json")).unwrap();
    assert_eq!(
        committed,
        schema::text(),
        "write it anew: forwarder schema > forwarder.schema.json"
    );
}

#[test]
fn the_schema_has_no_null_and_asks_for_what_a_rule_needs() {
    let text = schema::text();
    assert!(!text.contains("null"), "{text}");
    let schema: Value = serde_json::from_str(&text).unwrap();
    let rule = &schema["properties"]["rule"]["items"]["allOf"];
    assert_eq!(rule[0]["$ref"], "#/definitions/Rule");
    assert_eq!(rule[1]["required"], serde_json::json!(["listen", "targets"]));
    assert_eq!(schema["definitions"]["Rule"]["additionalProperties"], false);
    assert_eq!(schema["definitions"]["Rule"]["properties"]["allow"]["type"], "array");
}

#[test]
fn the_schema_has_the_defaults_of_the_command_line() {
    let schema: Value = serde_json::from_str(&schema::text()).unwrap();
    for (place, default) in [
        ("/properties/drain", serde_json::json!("30s")),
        ("/properties/max_connections_total", serde_json::json!(100_000)),
        ("/definitions/Log/properties/level", serde_json::json!("info")),
        ("/definitions/Capture/properties/capture_max", serde_json::json!("1GiB")),
        ("/definitions/Status/properties/public", serde_json::json!(false)),
        ("/definitions/Rule/properties/ipv6_client_prefix", serde_json::json!(64)),
    ] {
        assert_eq!(schema.pointer(place).unwrap()["default"], default, "{place}");
    }
}
