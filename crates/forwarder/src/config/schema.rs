//! The JSON Schema of configuration files, for editors; and the keys of each table.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use clap::{Args, Command};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use serde_json::{Map, Value, json};

use super::options::Options;

/// The schema, as JSON that ends with a line feed.
pub fn text() -> String {
    // A map of strings and values always has a text.
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// A table of a file.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Table {
    Process,
    Status,
    Log,
    Capture,
    Rule,
}

impl Table {
    const ALL: [Table; 5] =
        [Table::Process, Table::Status, Table::Log, Table::Capture, Table::Rule];

    /// The table that `[name]` begins.
    fn named(name: &str) -> Option<Self> {
        match name {
            "status" => Some(Table::Status),
            "log" => Some(Table::Log),
            "capture" => Some(Table::Capture),
            _ => None,
        }
    }

    /// The keys and their descriptions, in the schema.
    fn properties(self, schema: &mut Schema) -> Option<&mut Map<String, Value>> {
        let place = match self {
            Table::Process => "/properties",
            Table::Status => "/definitions/Status/properties",
            Table::Log => "/definitions/Log/properties",
            Table::Capture => "/definitions/Capture/properties",
            Table::Rule => "/definitions/Rule/properties",
        };
        schema.pointer_mut(place)?.as_object_mut()
    }
}

/// The keys that a table can have.
pub(super) fn keys(table: Table) -> &'static BTreeSet<String> {
    static KEYS: LazyLock<[BTreeSet<String>; 5]> = LazyLock::new(|| {
        let mut schema = schema();
        Table::ALL.map(|table| {
            let properties = table.properties(&mut schema).into_iter();
            properties.flat_map(|properties| properties.keys().cloned()).collect()
        })
    });
    &KEYS[table as usize]
}

fn schema() -> Schema {
    let settings = SchemaSettings::draft07().with_transform(plain);
    let mut schema = settings.into_generator().into_root_schema_for::<Options>();
    // A rule is written with the same keys as the defaults, and two of them it needs.
    if let Some(rules) = schema.pointer_mut("/properties/rule") {
        rules["items"] = json!({
            "allOf": [rules["items"].take(), { "required": ["listen", "targets"] }]
        });
    }
    // The defaults are those of the command line. An option of a table has the table in its ID.
    for option in Options::augment_args(Command::new("")).get_arguments() {
        let [default] = option.get_default_values() else { continue };
        let text = default.to_string_lossy();
        let default = text.parse().unwrap_or_else(|_| Value::from(text));
        let id = option.get_id().as_str();
        let tables: Vec<(Table, &str)> = match id.split_once('.') {
            Some((table, key)) => Table::named(table).into_iter().map(|it| (it, key)).collect(),
            None => vec![(Table::Process, id), (Table::Rule, id)],
        };
        for (table, key) in tables {
            let properties = table.properties(&mut schema);
            if let Some(Value::Object(option)) = properties.and_then(|it| it.get_mut(key)) {
                option.insert("default".to_owned(), default.clone());
            }
        }
    }
    schema
}

/// Every key is optional, and no others are known. TOML has no null.
fn plain(schema: &mut Schema) {
    schema.remove("default");
    schema.remove("required");
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_mut_slice() {
            let only = only.take();
            schema.insert("type".to_owned(), only);
        }
    }
    transform_subschemas(&mut plain, schema);
}
