//! The policy file as it is written, before anything in it is looked up.
//!
//! Enums are externally tagged and nothing is flattened: that is what keeps places true. Every field is an
//! [`At`] (required) or an `Option<At>`. The comments on types and fields are the descriptions in the JSON Schema.

mod by_model;
mod header_rule;
mod policy;
mod price;
mod semantic;
mod service;
mod value;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::decode::{At, Elsewhere, Named};
use crate::routing::provider::ProviderType;
use crate::secret::Secret;
pub use by_model::{ByModel, Chain, ENTRY_KINDS, ModelEntries, ModelEntry, PrimaryFirst};
pub use header_rule::{HeaderKind, HeaderRule};
pub use policy::{
    Affinity, AllSuspended, Bounds, Entries, Entry, Failover, Intelligent, NextOn, Options, OtherModels, Rotation,
    Rule, Rules, Shared, StreamUsage, Turns,
};
pub use price::{Amount, Price};
pub use semantic::{Route, Semantic, SemanticRoutes, Share, Threshold, Unsure};
pub use service::{AnswerForm, Classifier, ClassifierKeys, Embedder, EmbedderKeys, Service};
pub(super) use service::{STATIC, embedder_types};
pub use value::{Count, Interval, Json, Models, Operation, PathMethods, Weight};

/// Where keys belong, for a file that has them in another place.
pub(super) const ELSEWHERE: Elsewhere = &[
    (&["targets"], "in a policy, such as `round_robin: { targets: […] }`"),
    (
        &["round_robin", "weighted_round_robin", "failover", "intelligent", "semantic", "by_model"],
        "below `production` or `sandbox` of an API",
    ),
    (
        &[
            "suspend",
            "quota_suspend",
            "suspend_after",
            "attempts",
            "first_byte_timeout",
            "request_timeout",
            "overall_timeout",
        ],
        "in a policy, beside `targets`, or in `defaults`",
    ),
    (&["stateful_endpoint", "stream_usage"], "in a policy, beside `targets`"),
    (&["affinity"], "in a `round_robin` or `weighted_round_robin` policy"),
    (&["weight", "priority", "body", "family"], "in a target, beside `model`"),
    (&["models", "type", "shape"], "in a provider"),
    (&["api_key", "auth", "url", "cluster", "environment"], "in an endpoint"),
    (&["hosts", "sandbox_hosts", "base_path", "operations", "forward_headers", "production", "sandbox"], "in an API"),
    (&["rules", "classifier"], "in an `intelligent` policy"),
    (&["routes", "embedder", "threshold", "quantile", "unsure"], "in a `semantic` policy"),
    (&["utterances"], "in a route of a `semantic` policy"),
    (
        &["defaults", "unmatched", "providers", "endpoints", "classifiers", "embedders", "prices", "apis"],
        "at the top of the file",
    ),
];

/// A policy of model-router, or one of the files that make it up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Policy of model-router")]
pub struct Config {
    /// Bounds for policies that do not set them.
    pub defaults: Option<At<Bounds>>,
    /// What happens to a request that no API matches; `refuse` when absent.
    pub unmatched: Option<At<Unmatched>>,
    /// The vendors' APIs, by names that endpoints use.
    pub providers: Option<At<Named<Provider>>>,
    /// Base URLs with their credentials, by names that targets use.
    pub endpoints: Option<At<Named<Endpoint>>>,
    /// LLMs that sort requests for `intelligent` policies, by names that these use.
    pub classifiers: Option<At<Named<Classifier>>>,
    /// What turns texts into vectors for `semantic` policies, by names that these use.
    pub embedders: Option<At<Named<Embedder>>>,
    /// What models' tokens cost, by provider and model.
    pub prices: Option<At<Named<Named<Price>>>>,
    /// The APIs that clients see.
    pub apis: Option<At<Vec<At<Api>>>>,
}

/// What happens to a request that no API matches.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// 404.
    Refuse,
    /// It is forwarded unchanged.
    Continue,
}

/// A vendor's API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Provider {
    /// Which vendor's API it speaks.
    #[schemars(extend("enum" = provider_types()))]
    pub r#type: At<String>,
    /// The models that targets may name, as a list or as lists by family; no other is ever asked for.
    #[schemars(required)]
    pub models: Option<At<Models>>,
    /// With `type: custom`: what clients speak. `openai` when absent.
    pub shape: Option<At<Shape>>,
    /// With `type: custom`: the operations that carry a model, as paths below the endpoint's; `{model}` is its
    /// placeholder.
    #[schemars(length(min = 1))]
    pub operations: Option<At<Vec<At<Operation>>>>,
    /// With `type: custom`: where the model is in requests whose path does not have it. `body` when absent.
    pub model: Option<At<ModelPlace>>,
}

/// What the clients of a custom provider speak: it decides the shape of the router's own errors.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// OpenAI's API.
    OpenAi,
    /// Anthropic's own.
    Anthropic,
    /// Gemini's own.
    Gemini,
    /// Bedrock's own.
    Bedrock,
}

/// Where the requests of a custom provider name their model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelPlace {
    /// The top-level key `model` of a JSON body.
    Body,
    /// `{model}` in the path of every operation.
    Path,
    /// A header.
    Header(At<String>),
    /// A query parameter.
    Query(At<String>),
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
    /// The source of the credential; local servers need none.
    pub api_key: Option<At<ApiKey>>,
    /// How the credential travels; as the provider's type has it when absent.
    pub auth: Option<At<Auth>>,
    /// The Envoy cluster; the endpoint's name when absent.
    pub cluster: Option<At<String>>,
    /// Reserves the endpoint for one environment.
    pub environment: Option<At<Environment>>,
}

/// Where a credential comes from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename = "$secret", rename_all = "snake_case")] // The decoder quotes nothing below it.
#[schemars(rename = "ApiKey")]
pub enum ApiKey {
    /// An environment variable.
    Env(At<String>),
    /// A file, relative to the policy file's directory.
    File(At<String>),
    /// The credential itself.
    Value(At<Secret>),
}

/// The form in which a credential is sent.
// A key is easily put here by mistake, so the decoder quotes nothing below it and says what is expected.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    rename = "$secret`bearer`, `basic`, `passthrough`, `{ header: NAME }`, `{ query: NAME }` or `{ aws_sigv4: { region: REGION } }`",
    rename_all = "snake_case"
)]
#[schemars(rename = "Auth")]
pub enum Auth {
    /// `authorization: Bearer …`.
    Bearer,
    /// `authorization: Basic …`, of a key `user:password`.
    Basic,
    /// The client's own credential is forwarded, and the endpoint has none.
    Passthrough,
    /// A header of this name.
    Header(At<String>),
    /// A query parameter of this name.
    Query(At<String>),
    /// Envoy signs, in the endpoint's cluster.
    AwsSigv4(At<AwsSigv4>),
}

/// The scope of an AWS signature.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AwsSigv4 {
    /// The region, such as `us-east-1`.
    pub region: At<String>,
    /// The service's name in signatures; `bedrock` when absent.
    pub service: Option<At<String>>,
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
    /// The prefix of every operation's path; the root when absent.
    #[schemars(regex(pattern = "^(/[^?#{}*]*)?$"))]
    pub base_path: Option<At<String>>,
    /// What tells its requests from those of other APIs at the same host and base path: headers with their values. Any
    /// request when absent.
    pub headers: Option<At<Named<HeaderRule>>>,
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
    /// By what a classifier says of the request: the target of a rule, then the default.
    Intelligent(Box<Intelligent>),
    /// By what the request resembles: the target of a route, then the default.
    Semantic(Box<Semantic>),
    /// By the model that the client asks for, which no provider need know: a policy of its own.
    ByModel(ByModel),
}

/// A model at an endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Target {
    /// A model of the endpoint's provider.
    pub model: At<String>,
    /// The model's family, where the provider lists its models by family.
    pub family: Option<At<String>>,
    /// The name of an endpoint.
    pub endpoint: At<String>,
    /// Its share of the turns under `weighted_round_robin`: 1 when absent, 0 for a fallback.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<At<Weight>>,
    /// Its group under `round_robin` and `weighted_round_robin`: 0, the first, when absent. A later group serves only what
    /// no target of the earlier ones can.
    #[schemars(range(min = 0, max = 100))]
    pub priority: Option<At<Count>>,
    /// What else changes in the request's body, for models that refuse parameters which others take.
    pub body: Option<At<Edits>>,
}

/// Changes of the body's top-level keys: removals, renamings, values set. Never `model` and `stream`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Edits {
    /// Keys that go.
    pub remove: Option<At<Vec<At<String>>>>,
    /// Old keys with their new names; where the new one is already defined, the old one goes.
    pub rename: Option<At<Named<String>>>,
    /// Keys and values, added when absent and replaced otherwise.
    pub set: Option<At<Named<Json>>>,
}

impl Policy {
    /// Returns the keys that every policy has.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        match self {
            Self::RoundRobin(rotation) | Self::WeightedRoundRobin(rotation) => &rotation.shared,
            Self::Failover(failover) => &failover.shared,
            Self::Intelligent(intelligent) => &intelligent.shared,
            Self::Semantic(semantic) => &semantic.shared,
            Self::ByModel(by_model) => &by_model.shared,
        }
    }
}

fn provider_types() -> Vec<&'static str> {
    ProviderType::names().collect()
}
