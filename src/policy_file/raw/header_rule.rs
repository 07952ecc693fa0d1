//! What an API asks of a header, as it is written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::document::decode::{At, SHORT_FORM};

/// What a header's value must be.
#[derive(Clone, Debug)]
pub enum HeaderRule {
    /// This one.
    Exact(String),
    /// One of these kinds.
    Kind(HeaderKind),
}

/// The kinds of rules about a header.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderKind {
    /// The value is this one.
    Exact(At<String>),
    /// The value begins so.
    Prefix(At<String>),
    /// Any value will do; always `true`.
    Present(At<bool>),
}

impl<'de> Deserialize<'de> for HeaderRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SHORT_FORM, HeaderRuleVisitor)
    }
}

struct HeaderRuleVisitor;

impl<'de> Visitor<'de> for HeaderRuleVisitor {
    type Value = HeaderRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value such as `gold`, `{ prefix: … }` or `{ present: true }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HeaderRule, E> {
        Ok(HeaderRule::Exact(text.to_owned()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<HeaderRule, D::Error> {
        HeaderKind::deserialize(deserializer).map(HeaderRule::Kind)
    }
}

impl JsonSchema for HeaderRule {
    fn schema_name() -> Cow<'static, str> {
        "HeaderRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let kind = generator.subschema_for::<HeaderKind>();
        json_schema!({
            "description": "The value; or `{ prefix: … }` for its beginning, or `{ present: true }` for any.",
            "anyOf": [{ "type": "string", "minLength": 1 }, kind],
        })
    }
}
