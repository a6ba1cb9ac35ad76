use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{Schema, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde_json::Value;

use crate::config::invalid::Invalid;

/// A value with a notation: a file has it as a string or a whole number, the command line as it is.
pub(crate) trait Written: FromStr<Err = Invalid> {
    /// What it is, and an example: completes the sentence "this should be …".
    const WHAT: &'static str;
    /// For editors.
    const EXAMPLES: &'static [&'static str];
}

/// Reads a value from a file.
pub(crate) fn deserialize<'de, T: Written, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(Text(PhantomData))
}

/// Describes a value to editors.
pub(crate) fn schema<T: Written>() -> Schema {
    let example =
        |text: &&str| text.parse::<i64>().map_or_else(|_| Value::from(*text), Value::from);
    let examples: Vec<Value> = T::EXAMPLES.iter().map(example).collect();
    json_schema!({ "type": ["string", "integer"], "examples": examples })
}

struct Text<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

/// Lets a `Written` type stand in a file and in its schema.
macro_rules! written {
    ($type:ty $(, $generic:ident)?) => {
        impl<'de $(, $generic: $crate::config::value::Written)?> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::config::value::written::deserialize(from)
            }
        }

        impl$(<$generic: $crate::config::value::Written>)? schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::config::value::written::schema::<Self>()
            }
        }
    };
}
pub(crate) use written;
