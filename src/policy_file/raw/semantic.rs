//! Semantic policies as they are written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::{Edits, Shared, Target};
use crate::document::decode::{At, Both};
use crate::document::words::shown;

/// Routes by which requests are sorted.
pub type Semantic = Both<Shared, SemanticRoutes>;

/// Routes of example utterances by which requests are sorted, and bounds.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Semantic")]
pub struct SemanticRoutes {
    /// The name of an embedder.
    pub embedder: At<String>,
    /// The JSONPath of what is compared with the utterances, such as `$.messages[-1].content` for the last message,
    /// whoever said it. The text of the last message of the user when absent, in every vendor's form.
    pub content: Option<At<String>>,
    /// The routes.
    #[schemars(length(min = 1))]
    pub routes: At<Vec<At<Route>>>,
    /// Serves every request that fits no route, and those of a route whose target fails.
    pub default: At<Target>,
    /// What a route's score must reach, from 0 to 1. When absent or `auto`, a quantile of the scores that the policy's
    /// own utterances have at their routes, each left out of its own.
    pub threshold: Option<At<Threshold>>,
    /// The quantile behind `auto`, from 0 to 1: the share of requests of a route that may go to the default. 0.09 when
    /// absent.
    pub quantile: Option<At<Share>>,
    /// Who decides where the scores are too close. Nobody when absent: the scores count.
    pub unsure: Option<At<Unsure>>,
}

/// A route: example utterances, and the target of the requests that resemble them.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Route {
    /// Its name in decisions, headers and metrics.
    #[schemars(length(min = 1))]
    pub name: At<String>,
    /// From 1 to 200 examples of what belongs to it.
    #[schemars(length(min = 1, max = 200))]
    pub utterances: At<Vec<At<String>>>,
    /// What its score must reach, from 0 to 1. The policy's threshold when absent.
    pub threshold: Option<At<Share>>,
    /// A model of the endpoint's provider.
    pub model: At<String>,
    /// The name of an endpoint.
    pub endpoint: At<String>,
    /// The model's family, where the provider's list has families.
    pub family: Option<At<String>>,
    /// What else changes in the request's body.
    pub body: Option<At<Edits>>,
}

/// Who decides where the scores are too close.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Unsure {
    /// The name of a classifier, which is asked to choose among the routes.
    pub classifier: At<String>,
    /// How close the best score must be to its threshold, or to the second best. 0.05 when absent.
    pub margin: Option<At<Share>>,
}

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f32);

/// What a route's score must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// A number.
    Fixed(Share),
    /// The policy's own.
    Auto,
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShareVisitor { auto: false }).map(|share| Self(share.unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let share = deserializer.deserialize_any(ShareVisitor { auto: true })?;
        Ok(share.map_or(Self::Auto, |share| Self::Fixed(Share(share))))
    }
}

/// Reads a number from 0 to 1, or where it is allowed `auto`, which is `None`.
struct ShareVisitor {
    auto: bool,
}

impl ShareVisitor {
    fn wrong<E: Error>(&self, found: &str) -> E {
        let auto = if self.auto { ", or `auto`" } else { "" };
        E::custom(format!("expected a number from 0 to 1{auto}, found {found}"))
    }
}

impl Visitor<'_> for ShareVisitor {
    type Value = Option<f32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.auto { "a number from 0 to 1, or `auto`" } else { "a number from 0 to 1" })
    }

    #[allow(clippy::cast_possible_truncation)] // of a number from 0 to 1
    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<f32>, E> {
        if (0.0..=1.0).contains(&number) { Ok(Some(number as f32)) } else { Err(self.wrong(&format!("`{number}`"))) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<f32>, E> {
        match number {
            0 => Ok(Some(0.0)),
            1 => Ok(Some(1.0)),
            _ => Err(self.wrong(&format!("`{number}`"))),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<f32>, E> {
        Err(self.wrong(&format!("`{number}`")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<f32>, E> {
        match text {
            "auto" if self.auto => Ok(None),
            _ => Err(self.wrong(&shown(text))),
        }
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

impl JsonSchema for Threshold {
    fn schema_name() -> Cow<'static, str> {
        "Threshold".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let number = generator.subschema_for::<Share>();
        json_schema!({ "anyOf": [number, { "const": "auto" }] })
    }
}
