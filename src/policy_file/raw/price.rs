//! Prices as they are written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::document::decode::At;
use crate::document::words::shown;

/// The highest price.
const HIGHEST: f64 = 1e9;

/// What a million of a model's tokens cost.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Price {
    /// Tokens of the request.
    pub input: At<Amount>,
    /// Tokens of the request that the provider reads from a cache; as `input` when absent.
    pub cached_input: Option<At<Amount>>,
    /// Tokens of the request that the provider writes to a cache; as `input` when absent.
    pub cache_write: Option<At<Amount>>,
    /// Tokens of the response, reasoning included; 0 when absent, as for embeddings.
    pub output: Option<At<Amount>>,
    /// The currency; USD when absent.
    #[schemars(length(min = 1, max = 16))]
    pub currency: Option<At<String>>,
}

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount(pub f64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl AmountVisitor {
    fn wrong<E: Error>(found: &str) -> E {
        E::custom(format!("expected a price for a million tokens, such as `2.5`, found {found}"))
    }
}

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price for a million tokens, such as `2.5`")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Amount, E> {
        if (0.0..=HIGHEST).contains(&number) { Ok(Amount(number)) } else { Err(Self::wrong(&format!("`{number}`"))) }
    }

    #[allow(clippy::cast_precision_loss)] // Such a number is too high.
    fn visit_u64<E: Error>(self, number: u64) -> Result<Amount, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Amount, E> {
        Err(Self::wrong(&format!("`{number}`")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
        Err(Self::wrong(&shown(text)))
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": HIGHEST })
    }
}
