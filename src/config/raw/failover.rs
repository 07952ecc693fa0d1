//! Failover as it is written: primaries, their fallbacks, and what becomes of other models.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::{AllSuspended, Count, Interval, NextOn, Target};
use crate::config::decode::{At, SHORT_FORM};

/// Entries by the model that the client asks for, and bounds.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Failover {
    /// See [`Rotation`](super::Rotation).
    pub suspend: Option<At<Interval>>,
    /// Failures in a row, of different requests, that suspend a target. 3 when absent.
    #[schemars(range(min = 1, max = 100))]
    pub suspend_after: Option<At<Count>>,
    /// Attempts for one request, the first included. 5 when absent.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: Option<At<Count>>,
    /// Until the answer's headers, when the request asked for a stream. 30s when absent.
    pub first_byte_timeout: Option<At<Interval>>,
    /// Until the answer's headers otherwise: they come after generation. 300s when absent.
    pub request_timeout: Option<At<Interval>>,
    /// Until the headers of the last attempt's answer. 600s when absent.
    pub overall_timeout: Option<At<Interval>>,
    /// Further attempts for a hundred requests, beyond a reserve for sudden outages. 100 when absent.
    #[schemars(range(max = 1000))]
    pub retry_budget_percent: Option<At<Count>>,
    /// What happens to a request while every candidate is suspended; `refuse` when absent.
    pub all_suspended: Option<At<AllSuspended>>,
    /// Whether a success is looked at until its first event: some errors come under a 200. No when absent.
    pub inspect_first_event: Option<At<bool>>,
    /// What is the request's own fault and goes on to the next candidate all the same.
    pub next_on: Option<At<Vec<At<NextOn>>>>,
    /// Whether clients are told which target served them. Yes when absent.
    pub decision_headers: Option<At<bool>>,
    /// Where requests go that exist only at the account that made them. They are refused when absent.
    pub stateful_endpoint: Option<At<String>>,
    /// One for each primary model.
    #[schemars(length(min = 1))]
    pub entries: At<Vec<At<Entry>>>,
    /// What becomes of requests for a model that is no entry's primary; `refuse` when absent.
    pub other_models: Option<At<OtherModels>>,
}

/// A primary and its fallbacks, with bounds of their own.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Entry {
    /// Serves requests for its model.
    pub primary: At<Target>,
    /// Tried in this order when it fails.
    pub fallbacks: Option<At<Vec<At<Target>>>>,
    /// How long a failing target is not chosen; `0s` is never. The policy's when absent.
    pub suspend: Option<At<Interval>>,
    /// Until the answer's headers, when the request asked for a stream. The policy's when absent.
    pub first_byte_timeout: Option<At<Interval>>,
    /// Until the answer's headers otherwise. The policy's when absent.
    pub request_timeout: Option<At<Interval>>,
    /// Until the headers of the last attempt's answer. The policy's when absent.
    pub overall_timeout: Option<At<Interval>>,
}

/// What becomes of requests for a model that is no entry's primary.
#[derive(Clone, Debug)]
pub enum OtherModels {
    /// `refuse`, or the name of an endpoint, which serves any model of its provider's list.
    Named(String),
    /// A target that serves them all.
    Target(Box<Target>),
}

impl<'de> Deserialize<'de> for OtherModels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SHORT_FORM, OtherModelsVisitor)
    }
}

struct OtherModelsVisitor;

impl<'de> Visitor<'de> for OtherModelsVisitor {
    type Value = OtherModels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`refuse`, the name of an endpoint, or a target")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OtherModels, E> {
        Ok(OtherModels::Named(text.to_owned()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<OtherModels, D::Error> {
        Target::deserialize(deserializer).map(|target| OtherModels::Target(Box::new(target)))
    }
}

impl JsonSchema for OtherModels {
    fn schema_name() -> Cow<'static, str> {
        "OtherModels".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let target = generator.subschema_for::<Target>();
        json_schema!({
            "description": "`refuse`, the name of an endpoint (any model of its provider), or a target.",
            "anyOf": [{ "type": "string" }, target],
        })
    }
}
