//! The policy file as it is written, before anything in it is looked up.
//!
//! Enums are externally tagged and nothing is flattened: that is what keeps places true. Every field is an
//! [`At`] (required) or an `Option<At>`.

mod value;

use serde::Deserialize;

use super::decode::{At, Named};
use crate::endpoint::Secret;
pub use value::{Count, Interval, Operation, PathMethods, Weight};

/// Keys that later versions know; a file that uses them is told so.
pub(super) const LATER: &[&str] = &[
    "classifiers",
    "failover",
    "forward_headers",
    "intelligent",
    "least_bad",
    "overall_timeout",
    "semantic",
    "stateful_endpoint",
];

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Bounds for policies that set none of their own.
    pub defaults: Option<At<Defaults>>,
    /// What happens to a request that no API matches.
    pub unmatched: Option<At<Unmatched>>,
    /// The vendors' APIs.
    pub providers: At<Named<Provider>>,
    /// Base URLs with their credentials.
    pub endpoints: At<Named<Endpoint>>,
    /// The APIs that clients see.
    pub apis: At<Vec<At<Api>>>,
}

/// Bounds of policies.
#[derive(Clone, Debug, Deserialize)]
pub struct Defaults {
    /// How long a failing target is not chosen; `0s` is never.
    pub suspend: Option<At<Interval>>,
    /// Failures in a row that suspend a target.
    pub suspend_after: Option<At<Count>>,
    /// Attempts for one request, the first included.
    pub attempts: Option<At<Count>>,
    /// Until the answer's headers, when the request asked for a stream.
    pub first_byte_timeout: Option<At<Interval>>,
    /// Until the answer's headers otherwise.
    pub request_timeout: Option<At<Interval>>,
}

/// What happens to a request that no API matches.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// 404.
    Refuse,
    /// It goes on as it is.
    Continue,
}

/// A vendor's API.
#[derive(Clone, Debug, Deserialize)]
pub struct Provider {
    /// The name of a provider type.
    pub r#type: At<String>,
    /// The models that may be asked for.
    pub models: Option<At<Vec<At<String>>>>,
}

/// A base URL with its credential.
#[derive(Clone, Debug, Deserialize)]
pub struct Endpoint {
    /// The name of a provider.
    pub provider: At<String>,
    /// What an API's base path is replaced by.
    pub url: At<String>,
    /// Where the credential comes from; local servers need none.
    pub api_key: Option<At<ApiKey>>,
    /// The Envoy cluster; the endpoint's name when absent.
    pub cluster: Option<At<String>>,
    /// Reserves the endpoint for one environment.
    pub environment: Option<At<Environment>>,
}

/// Where a credential comes from. Its name is known to the decoder, which quotes nothing that stands below it.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Real work.
    Production,
    /// Trying things out.
    Sandbox,
}

/// An API that clients see.
#[derive(Clone, Debug, Deserialize)]
pub struct Api {
    /// Its name in logs and reports.
    pub name: At<String>,
    /// Hosts of production; any when absent.
    pub hosts: Option<At<Vec<At<String>>>>,
    /// Hosts of the sandbox.
    pub sandbox_hosts: Option<At<Vec<At<String>>>>,
    /// What stands before every operation's path; the root when absent.
    pub base_path: Option<At<String>>,
    /// Its operations; those of its provider types when absent.
    pub operations: Option<At<Vec<At<Operation>>>>,
    /// The policy of production.
    pub production: Option<At<Policy>>,
    /// The policy of the sandbox.
    pub sandbox: Option<At<Policy>>,
}

/// The order in which an environment's targets are tried.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// One after the other.
    RoundRobin(Rotation),
    /// In proportion to weights.
    WeightedRoundRobin(Rotation),
}

/// Targets that take turns, and bounds.
#[derive(Clone, Debug, Deserialize)]
pub struct Rotation {
    /// See [`Defaults::suspend`].
    pub suspend: Option<At<Interval>>,
    /// See [`Defaults::suspend_after`].
    pub suspend_after: Option<At<Count>>,
    /// See [`Defaults::attempts`].
    pub attempts: Option<At<Count>>,
    /// See [`Defaults::first_byte_timeout`].
    pub first_byte_timeout: Option<At<Interval>>,
    /// See [`Defaults::request_timeout`].
    pub request_timeout: Option<At<Interval>>,
    /// The targets.
    pub targets: At<Vec<At<Target>>>,
}

/// A model at an endpoint.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// A model of the endpoint's provider.
    pub model: At<String>,
    /// The name of an endpoint.
    pub endpoint: At<String>,
    /// Its share of the turns, 1 when absent.
    pub weight: Option<At<Weight>>,
}
