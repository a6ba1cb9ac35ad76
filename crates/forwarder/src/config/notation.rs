//! The ways to write values. Files and the command line share them.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde::ser::Serializer;
use serde_json::Value;

use super::diagnostic::{ParseError, quoted};

/// A value that may be absent: `None` is "none", no limit.
pub type Limit<T> = Option<T>;

/// A way to write a value.
pub trait Notation {
    /// The type of the value.
    type Value;
    /// A noun phrase for messages, with an example.
    const EXPECTED: &'static str;
    /// For editors.
    const EXAMPLES: &'static [&'static str];
    /// Set if a file may contain the value as an integer, without quotes.
    const INTEGER: bool = true;

    /// The value that `text` means.
    ///
    /// # Errors
    /// When it has none.
    fn parse(text: &str) -> Result<Self::Value, ParseError>;
}

/// A value, or `none`.
pub struct OptionalLimit<N>(PhantomData<N>);

impl<N: Notation> Notation for OptionalLimit<N> {
    type Value = Limit<N::Value>;
    const EXPECTED: &'static str = N::EXPECTED;
    const EXAMPLES: &'static [&'static str] = N::EXAMPLES;
    const INTEGER: bool = N::INTEGER;

    fn parse(text: &str) -> Result<Self::Value, ParseError> {
        match text.trim() {
            "none" => Ok(None),
            _ => match N::parse(text) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(ParseError::new(format!("{error}, or none"))),
            },
        }
    }
}

/// A value that an option may do without.
impl<N: Notation> Notation for Option<N> {
    type Value = Option<N::Value>;
    const EXPECTED: &'static str = N::EXPECTED;
    const EXAMPLES: &'static [&'static str] = N::EXAMPLES;
    const INTEGER: bool = N::INTEGER;

    fn parse(text: &str) -> Result<Self::Value, ParseError> {
        N::parse(text).map(Some)
    }
}

/// The value of an option in a file, for `#[serde(with)]`.
pub(crate) struct ConfigValue<N>(PhantomData<N>);

/// The list of an option in a file, for `#[serde(with)]`.
pub(crate) struct ConfigList<N>(PhantomData<N>);

impl<N: Notation> ConfigValue<N> {
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<N::Value, D::Error> {
        from.deserialize_any(ConfigValue::<N>(PhantomData))
    }

    /// The schema's generator looks for defaults here; they come from the command line instead.
    pub(crate) fn serialize<S: Serializer>(_: &N::Value, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_unit()
    }
}

impl<N: Notation> ConfigList<N> {
    pub(crate) fn deserialize<'de, D>(from: D) -> Result<Vec<N::Value>, D::Error>
    where
        D: Deserializer<'de>,
    {
        from.deserialize_any(ConfigList::<N>(PhantomData))
    }

    /// As for a value.
    pub(crate) fn serialize<S: Serializer>(_: &[N::Value], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_unit()
    }
}

impl<N: Notation> Visitor<'_> for ConfigValue<N> {
    type Value = N::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(N::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<N::Value, E> {
        N::parse(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<N::Value, E> {
        match N::INTEGER {
            true => self.visit_str(&number.to_string()),
            false => Err(E::invalid_type(Unexpected::Signed(number), &self)),
        }
    }
}

impl<'de, N: Notation> Visitor<'de> for ConfigList<N> {
    type Value = Vec<N::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let example = N::EXAMPLES.first().copied().unwrap_or_default();
        write!(f, "a list such as [\"{example}\"]")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let text = quoted(text).replace('\'', "\"");
        Err(E::custom(format!("this is a text and should be a list: write [{text}]")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Item::<N>(value)) = items.next_element()? {
            list.push(value);
        }
        Ok(list)
    }
}

struct Item<N: Notation>(N::Value);

impl<'de, N: Notation> serde::Deserialize<'de> for Item<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        ConfigValue::<N>::deserialize(from).map(Item)
    }
}

impl<N: Notation> JsonSchema for ConfigValue<N> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        N::EXPECTED.into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let example =
            |text: &&str| i64::from_str(text).map_or_else(|_| Value::from(*text), Value::from);
        let examples: Vec<Value> = N::EXAMPLES.iter().map(example).collect();
        match N::INTEGER {
            true => json_schema!({ "type": ["string", "integer"], "examples": examples }),
            false => json_schema!({ "type": "string", "examples": N::EXAMPLES }),
        }
    }
}

impl<N: Notation> JsonSchema for ConfigList<N> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("list of {}", N::EXPECTED).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = ConfigValue::<N>::json_schema(generator);
        json_schema!({ "type": "array", "items": items })
    }
}
