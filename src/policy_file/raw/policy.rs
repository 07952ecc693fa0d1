//! Policies as they are written: the keys of each type, and those that all share.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::{Count, Edits, Interval, Target};
use crate::document::decode::{At, Both, OneOrMore, SHORT_FORM};

/// The treatment of a request while every candidate is suspended.
#[derive(Clone, Copy, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AllSuspended {
    /// 503, with the time until one is back.
    Refuse,
    /// The one whose suspension ends first is tried.
    LeastBad,
}

/// Which of the request's own faults are tried at the next candidate anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextOn {
    /// It is too long for the model.
    ContextLength,
    /// A content filter refused the prompt or left the response empty.
    ContentFilter,
    /// The vendor does not serve the region that the request comes from.
    Region,
}

/// How the tokens of a stream become known that states them only on demand, as OpenAI's do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    /// The router asks for them, with `stream_options`, and the client receives one more event, which has them.
    Request,
    /// They are estimated by bytes.
    Estimated,
}

/// Bounds that each policy has, and that `defaults` sets for those that do not set them.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Bounds {
    /// The duration of a failing target's suspension; `0s` means never. 30s when absent.
    pub suspend: Option<At<Interval>>,
    /// The duration for a target whose quota is used up: after 429, or a remaining quota of 0. As `suspend` when
    /// absent.
    pub quota_suspend: Option<At<Interval>>,
    /// Failures in a row, of different requests, that suspend a target. 3 when absent.
    #[schemars(range(min = 1, max = 100))]
    pub suspend_after: Option<At<Count>>,
    /// Attempts for one request, the first included. 5 when absent.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: Option<At<Count>>,
    /// The time limit until the response's headers, if the request asked for a stream. 30s when absent.
    pub first_byte_timeout: Option<At<Interval>>,
    /// The time limit until the response's headers otherwise: they follow generation. 300s when absent.
    pub request_timeout: Option<At<Interval>>,
    /// The time limit until the headers of the last attempt's response. 600s when absent.
    pub overall_timeout: Option<At<Interval>>,
}

/// What every policy can say besides its bounds.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Options {
    /// Further attempts for a hundred requests, beyond a reserve for sudden outages. 100 when absent.
    #[schemars(range(max = 1000))]
    pub retry_budget_percent: Option<At<Count>>,
    /// The treatment of a request while every candidate is suspended; `refuse` when absent.
    pub all_suspended: Option<At<AllSuspended>>,
    /// Whether the start of a successful response is inspected, up to its first event: some errors are returned
    /// with status 200. No when absent.
    pub inspect_first_event: Option<At<bool>>,
    /// Which of the request's own faults are tried at the next candidate anyway.
    pub next_on: Option<At<Vec<At<NextOn>>>>,
    /// How the tokens of a stream become known whose client did not ask for them; `estimated` when absent.
    pub stream_usage: Option<At<StreamUsage>>,
    /// Whether response headers report which target served the request. Yes when absent.
    pub decision_headers: Option<At<bool>>,
    /// The endpoint for requests that refer to state at one account: files, batches, stored responses. Such
    /// requests are refused when absent.
    pub stateful_endpoint: Option<At<String>>,
}

/// The keys that every policy has.
pub type Shared = Both<Bounds, Options>;
/// Targets that take turns.
pub type Rotation = Both<Shared, Turns>;
/// Entries by the model that the client asks for.
pub type Failover = Both<Shared, Entries>;
/// Rules by which a classifier sorts requests.
pub type Intelligent = Both<Shared, Rules>;

/// Targets that take turns, and bounds.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Rotation")]
pub struct Turns {
    /// The targets.
    #[schemars(length(min = 1))]
    pub targets: At<Vec<At<Target>>>,
    /// What keeps the requests of a session at one target while it is available, in order of preference. All requests
    /// take turns when absent, and those in which none of it is found.
    pub affinity: Option<At<OneOrMore<Affinity>>>,
}

/// What tells that requests belong together.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Affinity {
    /// A header.
    Header(At<String>),
    /// A JSONPath into the body, such as `$.user`.
    Body(At<String>),
    /// So many bytes, from 16 to 65536, of what the system prompt and the first message of the user say.
    PromptPrefix(At<Count>),
}

/// Entries by the model that the client asks for, and bounds.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Failover")]
pub struct Entries {
    /// One for each primary model.
    #[schemars(length(min = 1))]
    pub entries: At<Vec<At<Entry>>>,
    /// What happens to requests for a model that is no entry's primary; `refuse` when absent.
    pub other_models: Option<At<OtherModels>>,
}

/// Rules by which a classifier sorts requests, and bounds.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Intelligent")]
pub struct Rules {
    /// The name of a classifier.
    pub classifier: At<String>,
    /// The JSONPath of what the classifier is shown, such as `$.messages[-1].content` for the last message, whoever
    /// said it. The text of the last message of the user when absent, in every vendor's form.
    pub content: Option<At<String>>,
    /// The classifier's instructions in other words: `{rules}` and `{answers}` stand for the rules and the
    /// allowed answers.
    pub prompt: Option<At<String>>,
    /// The rules.
    #[schemars(length(min = 1))]
    pub rules: At<Vec<At<Rule>>>,
    /// Serves every request that fits no rule, and those of a rule whose target fails.
    pub default: At<Target>,
}

/// A rule in plain words, and the target of the requests that fit it.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rule {
    /// What the classifier answers.
    #[schemars(length(min = 1))]
    pub name: At<String>,
    /// What belongs to it, in plain words.
    pub context: At<String>,
    /// A model of the endpoint's provider.
    pub model: At<String>,
    /// The name of an endpoint.
    pub endpoint: At<String>,
    /// The model's family, where the provider's list has families.
    pub family: Option<At<String>>,
    /// What else changes in the request's body.
    pub body: Option<At<Edits>>,
}

/// A primary and its fallbacks, with bounds of their own.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Entry {
    /// Serves requests for its model.
    pub primary: At<Target>,
    /// Tried in this order when it fails.
    pub fallbacks: Option<At<Vec<At<Target>>>>,
    /// The duration of a failing target's suspension; `0s` means never. The policy's when absent.
    pub suspend: Option<At<Interval>>,
    /// The same for a target whose quota is used up. The policy's when absent.
    pub quota_suspend: Option<At<Interval>>,
    /// The time limit until the response's headers, if the request asked for a stream. The policy's when absent.
    pub first_byte_timeout: Option<At<Interval>>,
    /// The time limit until the response's headers otherwise. The policy's when absent.
    pub request_timeout: Option<At<Interval>>,
    /// The time limit until the headers of the last attempt's response. The policy's when absent.
    pub overall_timeout: Option<At<Interval>>,
}

/// What happens to requests for a model that is no entry's primary.
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
