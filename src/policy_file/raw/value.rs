//! Values with their own syntax: durations, weights, operations, secrets.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::document::decode::{At, JSON, LIST_OR_MAP, Named, SHORT_FORM};
use crate::document::words::shown;
use crate::secret::Secret;

/// A duration such as `30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct Interval(#[schemars(with = "String", regex(pattern = DURATION))] pub Duration);

/// One or more numbers with units, after the durations of `humantime`.
const DURATION: &str = r"^\s*([0-9]+(\.[0-9]+)?\s*(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w)\s*)+$";

/// A target's share of the turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct Weight(pub u64);

/// A number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct Count(pub u64);

/// Any value, as JSON text.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline)]
pub struct Json(#[schemars(with = "serde_json::Value")] pub String);

/// An operation of an API.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A path below the base path, for `POST`.
    Path(String),
    /// A path with methods.
    Methods(PathMethods),
}

/// A path below the base path, and methods.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PathMethods {
    /// The path; `{…}` matches one segment.
    #[schemars(regex(pattern = "^/"))]
    pub path: At<String>,
    /// The methods; `POST` when absent.
    #[schemars(length(min = 1))]
    pub methods: Option<At<Vec<At<String>>>>,
    /// Whether the answer is a stream whatever the body says. No when absent.
    pub streamed: Option<At<bool>>,
}

/// A provider's models.
#[derive(Clone, Debug)]
pub enum Models {
    /// All in one list.
    List(Vec<At<String>>),
    /// A list for each family.
    Families(Named<Vec<At<String>>>),
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntervalVisitor)
    }
}

struct IntervalVisitor;

impl Visitor<'_> for IntervalVisitor {
    type Value = Interval;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `30s` or `1m 30s`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Interval, E> {
        match (humantime::parse_duration(text), text.trim().parse::<f64>()) {
            (Ok(duration), _) => Ok(Interval(duration)),
            (Err(_), Ok(_)) => Err(E::custom(without_unit(text.trim()))),
            (Err(_), Err(_)) => Err(E::custom(format!("expected a duration such as `30s`, found {}", shown(text)))),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Interval, E> {
        Err(E::custom(without_unit(&number.to_string())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Interval, E> {
        Err(E::custom(without_unit(&number.to_string())))
    }
}

fn without_unit(number: &str) -> String {
    format!("the duration {} has no unit; write `{number}s` for seconds", shown(number))
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let visitor = WholeVisitor {
            negative: "; `0` makes the target a fallback only",
            decimal: "; shares of 0.7 and 0.3 are written `7` and `3`",
        };
        deserializer.deserialize_any(visitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor { negative: "", decimal: "" }).map(Self)
    }
}

/// Reads a whole number; the texts are added to what is said of others.
struct WholeVisitor {
    negative: &'static str,
    decimal: &'static str,
}

impl Visitor<'_> for WholeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<u64>().ok());
        let help = percent.map(|number| format!("; write `{number}`: only proportions count")).unwrap_or_default();
        Err(E::custom(format!("expected a whole number, found {}{help}", shown(text))))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        Err(E::custom(format!("expected a whole number from 0 up, found `{number}`{}", self.negative)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
        Err(E::custom(format!("expected a whole number, found `{number}`{}", self.decimal)))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(JSON, JsonVisitor).map(Self)
    }
}

/// Takes the JSON text that the decoder has made.
struct JsonVisitor;

impl Visitor<'_> for JsonVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_string<E: Error>(self, json: String) -> Result<String, E> {
        Ok(json)
    }

    fn visit_str<E: Error>(self, json: &str) -> Result<String, E> {
        Ok(json.to_owned())
    }
}

impl<'de> Deserialize<'de> for Models {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(LIST_OR_MAP, ModelsVisitor)
    }
}

struct ModelsVisitor;

impl<'de> Visitor<'de> for ModelsVisitor {
    type Value = Models;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of models, or lists of models by family")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Models, A::Error> {
        Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Models::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Models, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Models::Families)
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SHORT_FORM, OperationVisitor)
    }
}

struct OperationVisitor;

impl<'de> Visitor<'de> for OperationVisitor {
    type Value = Operation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path such as `/embeddings`")
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<Operation, E> {
        Ok(Operation::Path(path.to_owned()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Operation, D::Error> {
        PathMethods::deserialize(deserializer).map(Operation::Methods)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}
