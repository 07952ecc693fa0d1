//! The policy file as it is written, before anything in it is looked up.
//!
//! Enums are externally tagged and nothing is flattened: that is what keeps places true. Every field is an
//! [`At`] (required) or an `Option<At>`. The comments on types and fields are the descriptions in the JSON Schema.

mod failover;
mod value;

use schemars::JsonSchema;
use serde::Deserialize;

use super::decode::{At, Elsewhere, Named};
use crate::endpoint::Secret;
use crate::provider::ProviderType;
pub use failover::{Entry, Failover, OtherModels};
pub use value::{Count, Interval, Json, Operation, PathMethods, Weight};

/// Keys that later versions know; a file that uses them is told so.
pub(super) const LATER: &[&str] = &["classifiers", "intelligent", "semantic"];

/// Where keys belong, for a file that has them in another place.
pub(super) const ELSEWHERE: Elsewhere = &[
    (&["targets"], "in a policy, such as `round_robin: { targets: […] }`"),
    (&["round_robin", "weighted_round_robin", "failover"], "below `production` or `sandbox` of an API"),
    (
        &["suspend", "suspend_after", "attempts", "first_byte_timeout", "request_timeout", "overall_timeout"],
        "in a policy, beside `targets`, or in `defaults`",
    ),
    (&["stateful_endpoint"], "in a policy, beside `targets`"),
    (&["weight", "body"], "in a target, beside `model`"),
    (&["models", "type"], "in a provider"),
    (&["api_key", "url", "cluster", "environment"], "in an endpoint"),
    (&["hosts", "sandbox_hosts", "base_path", "operations", "forward_headers", "production", "sandbox"], "in an API"),
    (&["defaults", "unmatched", "providers", "endpoints", "apis"], "at the top of the file"),
];

/// A policy of model-router, or one of the files that make it up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Policy of model-router")]
pub struct Config {
    /// Bounds for policies that set none of their own.
    pub defaults: Option<At<Defaults>>,
    /// What happens to a request that no API matches; `refuse` when absent.
    pub unmatched: Option<At<Unmatched>>,
    /// The vendors' APIs, by names that endpoints use.
    pub providers: Option<At<Named<Provider>>>,
    /// Base URLs with their credentials, by names that targets use.
    pub endpoints: Option<At<Named<Endpoint>>>,
    /// The APIs that clients see.
    pub apis: Option<At<Vec<At<Api>>>>,
}

/// Bounds of policies.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Defaults {
    /// How long a failing target is not chosen; `0s` is never. 30s when absent.
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
}

/// What happens to a request that no API matches.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// 404.
    Refuse,
    /// It goes on as it is.
    Continue,
}

/// A vendor's API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Provider {
    /// Which vendor's API it speaks.
    #[schemars(extend("enum" = provider_types()))]
    pub r#type: At<String>,
    /// The models that targets may name; no other is ever asked for.
    #[schemars(required, length(min = 1))]
    pub models: Option<At<Vec<At<String>>>>,
}

/// A base URL with its credential.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Endpoint {
    /// The name of a provider.
    pub provider: At<String>,
    /// The base URL, without the operation: what an API's base path is replaced by.
    #[schemars(regex(pattern = "^[hH][tT][tT][pP][sS]?://[^/?#@]+[^?#@]*$"))]
    pub url: At<String>,
    /// Where the credential comes from; local servers need none.
    pub api_key: Option<At<ApiKey>>,
    /// The Envoy cluster; the endpoint's name when absent.
    pub cluster: Option<At<String>>,
    /// Reserves the endpoint for one environment.
    pub environment: Option<At<Environment>>,
}

/// Where a credential comes from.
// Its name is known to the decoder, which quotes nothing that stands below it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiKey {
    /// An environment variable.
    Env(At<String>),
    /// A file, relative to the policy file's directory.
    File(At<String>),
    /// The credential itself.
    Value(At<Secret>),
}

/// An environment of an API.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Real work.
    Production,
    /// Trying things out.
    Sandbox,
}

/// An API that clients see.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Api {
    /// Its name in logs and reports.
    #[schemars(length(min = 1))]
    pub name: At<String>,
    /// Hosts of production, exact or `*.example.com`; any host when absent.
    #[schemars(length(min = 1))]
    pub hosts: Option<At<Vec<At<String>>>>,
    /// Hosts of the sandbox.
    #[schemars(length(min = 1))]
    pub sandbox_hosts: Option<At<Vec<At<String>>>>,
    /// What stands before every operation's path; the root when absent.
    #[schemars(regex(pattern = "^(/[^?#{}*]*)?$"))]
    pub base_path: Option<At<String>>,
    /// Its operations; those of its provider types that carry a model when absent.
    #[schemars(length(min = 1))]
    pub operations: Option<At<Vec<At<Operation>>>>,
    /// Headers that pass although they are removed otherwise: those of a client's account, say.
    #[schemars(length(min = 1))]
    pub forward_headers: Option<At<Vec<At<String>>>>,
    /// The policy of production.
    pub production: Option<At<Policy>>,
    /// The policy of the sandbox.
    pub sandbox: Option<At<Policy>>,
}

/// The order in which an environment's targets are tried.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// One after the other.
    RoundRobin(Rotation),
    /// In proportion to weights.
    WeightedRoundRobin(Rotation),
    /// By the model that the client asks for: a primary, then its fallbacks.
    Failover(Failover),
}

/// What happens to a request while every candidate is suspended.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AllSuspended {
    /// 503, with the time until one is back.
    Refuse,
    /// The one whose suspension ends first is tried.
    LeastBad,
}

/// What is the request's own fault and goes on to the next candidate all the same.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextOn {
    /// It is too long for the model.
    ContextLength,
}

/// Targets that take turns, and bounds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rotation {
    /// How long a failing target is not chosen; `0s` is never. 30s when absent.
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
    /// Where requests go that exist only at the account that made them: files, batches, stored responses. They are
    /// refused when absent.
    pub stateful_endpoint: Option<At<String>>,
    /// The targets.
    #[schemars(length(min = 1))]
    pub targets: At<Vec<At<Target>>>,
}

/// A model at an endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Target {
    /// A model of the endpoint's provider.
    pub model: At<String>,
    /// The name of an endpoint.
    pub endpoint: At<String>,
    /// Its share of the turns under `weighted_round_robin`: 1 when absent, 0 for a fallback.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<At<Weight>>,
    /// What else changes in the request's body, for models that refuse parameters which others take.
    pub body: Option<At<Edits>>,
}

/// Changes of the body's top-level keys: removals, renamings, values set. Never `model` and `stream`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Edits {
    /// Keys that go.
    pub remove: Option<At<Vec<At<String>>>>,
    /// Old keys with their new names; where the new one is there already, the old one goes.
    pub rename: Option<At<Named<String>>>,
    /// Keys and values, added when absent and replaced otherwise.
    pub set: Option<At<Named<Json>>>,
}

fn provider_types() -> Vec<&'static str> {
    ProviderType::ALL.iter().map(|kind| kind.name).collect()
}
