//! The files beside the source: the example and the schema.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::config::check::check;
use crate::config::file::{File, load};
use crate::config::schema;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_example_is_a_configuration() {
    let config = load(&folder().join("examples/forwarder.toml"), None).unwrap();
    assert!(config.rules.len() > 1);
}

#[test]
fn the_example_shows_every_key_and_what_it_shows_commented_out_is_right() {
    let text = std::fs::read_to_string(folder().join("examples/forwarder.toml")).unwrap();
    let uncommented: String = text.lines().map(|line| format!("{}\n", uncommented(line))).collect();
    let file = File::parse(Path::new("forwarder.toml"), uncommented.clone()).unwrap();
    let mut options = file.options.clone();
    options.status.token_file = None;
    let config = options.config(None).map_err(|problems| file.error(&problems)).unwrap();
    assert_eq!(check(&config), []);

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
