//! The JSON Schema of configuration files, for editors.

use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{Schema, json_schema};
use serde_json::Value;

use super::options::Options;

/// The schema, as JSON that ends with a line feed.
pub fn text() -> String {
    let mut schema = SchemaSettings::draft07()
        .with_transform(without_null)
        .into_generator()
        .into_root_schema_for::<Options>();
    require_in_rules(&mut schema);
    // A map of strings and values always has a text.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// TOML has no null: what need not be said is left away.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice != json_schema!({ "type": "null" }).as_value());
        if let [Value::Object(only)] = choices.as_mut_slice() {
            let only = std::mem::take(only);
            schema.remove("anyOf");
            schema.ensure_object().extend(only);
        }
    }
    transform_subschemas(&mut without_null, schema);
}

/// A rule is written with the same keys as the defaults, and two of them it needs.
fn require_in_rules(schema: &mut Schema) {
    if let Some(rules) = schema.pointer_mut("/properties/rule") {
        rules["items"] = serde_json::json!({
            "allOf": [rules["items"].take(), { "required": ["listen", "targets"] }]
        });
    }
}
