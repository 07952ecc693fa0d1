//! Policies by the model that is asked for, as they are written.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{Intelligent, OtherModels, Rotation, Semantic, Shared, Target};
use crate::document::decode::{At, Both};

/// A policy for each model that clients ask for.
pub type ByModel = Both<Shared, ModelEntries>;
/// A primary and its fallbacks, for all requests of a `by_model` entry.
pub type Chain = Both<Shared, PrimaryFirst>;

/// Entries by the model that the client asks for, each with a policy of its own, and bounds for those that do not set
/// them.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "ByModel")]
pub struct ModelEntries {
    /// The entries.
    #[schemars(length(min = 1))]
    pub entries: At<Vec<At<ModelEntry>>>,
    /// What happens to requests for a model that no entry names; `refuse` when absent.
    pub other_models: Option<At<OtherModels>>,
}

/// The models that clients ask for, and the policy of those requests: one of the kinds below.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = one_kind()))]
pub struct ModelEntry {
    /// Names and patterns; in a pattern, `*` matches any characters. A name takes precedence over a pattern, and a longer
    /// pattern over a shorter one.
    #[schemars(length(min = 1))]
    pub models: At<Vec<At<String>>>,
    /// One after the other.
    pub round_robin: Option<At<Rotation>>,
    /// In proportion to weights.
    pub weighted_round_robin: Option<At<Rotation>>,
    /// A primary, then its fallbacks.
    pub failover: Option<At<Chain>>,
    /// By what a classifier says of the request: the target of a rule, then the default.
    pub intelligent: Option<At<Box<Intelligent>>>,
    /// By what the request resembles: the target of a route, then the default.
    pub semantic: Option<At<Box<Semantic>>>,
}

/// A primary and its fallbacks, and bounds.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Chain")]
pub struct PrimaryFirst {
    /// Serves the requests.
    pub primary: At<Target>,
    /// Tried in this order when it fails.
    pub fallbacks: Option<At<Vec<At<Target>>>>,
}

/// The keys of which an entry has one.
pub const ENTRY_KINDS: [&str; 5] = ["round_robin", "weighted_round_robin", "failover", "intelligent", "semantic"];

fn one_kind() -> Vec<Value> {
    ENTRY_KINDS.iter().map(|kind| json!({ "required": [kind] })).collect()
}
