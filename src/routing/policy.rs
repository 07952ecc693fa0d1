//! A policy: the targets of one environment of one API, and the order in which they are tried.

pub mod affinity;
pub mod budget;
pub mod by_model;
pub mod failover;
pub mod rotation;
pub mod round_robin;
pub mod sorted;
mod targets;
pub mod weighted;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::body::BodyEdits;
use crate::model_name::ModelName;
use crate::routing::endpoint::Endpoint;
use crate::routing::outcome::Outcome;
use crate::routing::suspension::{SuspensionRules, TargetState};
use affinity::{Affinity, Key};
use budget::RetryBudget;
use by_model::ByModel;
use failover::Failover;
use rotation::Rotation;
use round_robin::RoundRobin;
use sorted::Sorted;
pub use targets::Targets;
use weighted::Weighted;

/// A model at an endpoint: the unit that is chosen and suspended.
#[derive(Clone, Debug)]
pub struct Target {
    /// The new value of the body's `model`.
    pub model: ModelName,
    /// The endpoint that serves it.
    pub endpoint: Arc<Endpoint>,
    /// Further edits of the body: models of one pool may refuse parameters that others accept.
    pub edits: BodyEdits,
    /// Its suspension state; shared by all APIs and across reloads.
    pub state: Arc<TargetState>,
}

/// The bounds of a policy: times and counts, each with its default in [`Limits::default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The duration of a failing target's suspension; zero means that nothing is ever suspended.
    pub suspend: Duration,
    /// The same for a target whose quota is used up; as `suspend` when absent.
    pub quota_suspend: Option<Duration>,
    /// The number of failures in a row, of different requests, that suspend a target when no other candidate served
    /// them.
    pub suspend_after: NonZeroU32,
    /// The most attempts for one request, the first included.
    pub attempts: NonZeroU32,
    /// Until the response's headers, when the request asked for a stream.
    pub first_byte_timeout: Duration,
    /// Until the response's headers otherwise: they come after generation.
    pub request_timeout: Duration,
    /// Until the headers of the response that the client gets, over all attempts.
    pub overall_timeout: Duration,
}

impl Limits {
    /// Returns the limits that suspension uses.
    #[must_use]
    pub fn suspension(&self) -> SuspensionRules {
        let Self { suspend, quota_suspend, suspend_after, .. } = *self;
        SuspensionRules { suspend, quota_suspend, suspend_after }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            suspend: Duration::from_secs(30),
            quota_suspend: None,
            suspend_after: NonZeroU32::new(3).expect("3 is not zero"),
            attempts: NonZeroU32::new(5).expect("5 is not zero"),
            first_byte_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(300),
            overall_timeout: Duration::from_secs(600),
        }
    }
}

/// The targets of one environment and the order in which they are tried.
#[derive(Debug)]
pub struct Policy {
    /// The targets in the order of the policy file, none twice.
    pub targets: Targets,
    /// The order in which targets are tried.
    pub strategy: Strategy,
    /// Its bounds.
    pub limits: Limits,
    /// The account from which further attempts are paid.
    pub budget: RetryBudget,
    /// The treatment of a request while every candidate is suspended.
    pub all_suspended: AllSuspended,
    /// Whether the start of a successful response is inspected, up to its first event: some errors are returned with
    /// status 200.
    pub inspect_first_event: bool,
    /// Which of the request's own faults are tried at the next candidate.
    pub next_on: NextOn,
    /// Whether streams are asked for their usage that state it only on demand.
    pub requests_usage: bool,
    /// Whether response headers report which target served the request, and at which attempt.
    pub decision_headers: bool,
    /// The endpoint for requests that refer to state at one account; `None` refuses them.
    pub stateful: Option<Stateful>,
    /// The first model of the `by_model` entry that it belongs to; `None` for the policy of an API's environment.
    pub entry: Option<Arc<str>>,
}

/// The one endpoint of a policy that keeps state between requests: files, batches, stored responses.
#[derive(Clone, Debug)]
pub struct Stateful {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The models of its provider, any of which a client may name.
    pub models: Vec<ModelName>,
}

/// The treatment of a request while every candidate is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllSuspended {
    /// It is refused with a `Retry-After`.
    #[default]
    Refuse,
    /// The candidate whose suspension ends first is tried anyway.
    LeastBad,
}

/// The request's own faults that are tried at the next candidate: another model may take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextOn {
    /// It is too long for the model.
    pub context_length: bool,
    /// A content filter refused it.
    pub content_filter: bool,
    /// The vendor does not serve its region.
    pub region: bool,
}

impl NextOn {
    /// Returns whether a response with this outcome is such a fault.
    #[must_use]
    pub fn covers(self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::TooLong => self.context_length,
            Outcome::Filtered => self.content_filter,
            Outcome::RegionRefused => self.region,
            _ => false,
        }
    }
}

/// The candidates for one request.
#[derive(Debug)]
pub struct Candidates {
    /// Indices into the targets, most wanted first.
    pub order: Vec<usize>,
    /// The bounds that go with them.
    pub limits: Limits,
}

/// The closed set of strategies. A copy continues from the same turn, independently.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// One after the other.
    RoundRobin(RoundRobin),
    /// In proportion to weights.
    Weighted(Weighted),
    /// Either of the two in groups, or with affinity.
    Rotation(Rotation),
    /// By the model asked for: a primary, then its fallbacks.
    Failover(Failover),
    /// By what an LLM says of the request.
    Intelligent(Sorted),
    /// By what the request resembles.
    Semantic(Sorted),
    /// By the model asked for: a policy of its own.
    ByModel(ByModel),
}

impl Policy {
    /// Returns the policy of the requests for a model: this one, unless each model has its own. `None`: it serves no
    /// such model.
    #[must_use]
    pub fn of_model<'p>(self: &'p Arc<Self>, requested: Option<&str>) -> Option<&'p Arc<Self>> {
        match &self.strategy {
            Strategy::ByModel(entries) => entries.policy(requested),
            _ => Some(self),
        }
    }

    /// Returns the name of its kind in decisions and metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.entry.is_some() { self.strategy.name_below_by_model() } else { self.strategy.name() }
    }

    /// Returns the rules or routes by which it classifies requests; where each model has a policy of its own, those of
    /// all.
    pub fn sorted(&self) -> impl Iterator<Item = &Sorted> {
        let below = match &self.strategy {
            Strategy::ByModel(entries) => Some(entries.policies().filter_map(|policy| policy.strategy.sorted())),
            _ => None,
        };
        self.strategy.sorted().into_iter().chain(below.into_iter().flatten())
    }

    /// Returns the endpoints to which requests may be sent, in the order of the policy; one may appear more than once.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        let stateful = self.stateful.iter().map(|stateful| &stateful.endpoint);
        self.targets.iter().map(|target| &target.endpoint).chain(stateful)
    }

    /// Returns the candidates of one request, which asked for this model, was classified so and has this key; takes a
    /// turn unless there is a key.
    /// `available[i]` says whether target `i` may be chosen now, and the turn belongs to the first of the candidates
    /// that may. `None`: the policy serves no such model.
    pub fn candidates(
        &self,
        requested: Option<&str>,
        rule: Option<usize>,
        key: Option<Key>,
        available: &[bool],
    ) -> Option<Candidates> {
        let order = match &self.strategy {
            Strategy::RoundRobin(turns) => turns.candidates(available),
            Strategy::Weighted(turns) => turns.candidates(available),
            Strategy::Rotation(groups) => groups.candidates(key, available),
            Strategy::Failover(entries) => return entries.candidates(requested),
            Strategy::Intelligent(sorted) | Strategy::Semantic(sorted) => sorted.candidates(rule),
            // Its entries' policies have them.
            Strategy::ByModel(_) => return None,
        };
        Some(Candidates { order, limits: self.limits })
    }
}

impl Strategy {
    /// Returns the rules or routes of a policy that classifies requests.
    #[must_use]
    pub fn sorted(&self) -> Option<&Sorted> {
        match self {
            Self::Intelligent(sorted) | Self::Semantic(sorted) => Some(sorted),
            _ => None,
        }
    }

    /// Returns the affinity of sessions to targets, where it has one.
    #[must_use]
    pub fn affinity(&self) -> Option<&Affinity> {
        match self {
            Self::Rotation(rotation) => rotation.affinity(),
            _ => None,
        }
    }

    /// Returns the names of the headers, in lower case, in which keys of sessions are looked for.
    #[must_use]
    pub fn key_headers(&self) -> &[Box<str>] {
        match self {
            Self::Rotation(rotation) => rotation.key_headers(),
            Self::ByModel(entries) => entries.key_headers(),
            _ => &[],
        }
    }

    /// Returns the name in the policy file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Weighted(_) => "weighted_round_robin",
            Self::Rotation(groups) if groups.is_weighted() => "weighted_round_robin",
            Self::RoundRobin(_) | Self::Rotation(_) => "round_robin",
            Self::Failover(_) => "failover",
            Self::Intelligent(_) => "intelligent",
            Self::Semantic(_) => "semantic",
            Self::ByModel(_) => "by_model",
        }
    }

    /// Returns the name of a policy that belongs to an entry of `by_model`.
    fn name_below_by_model(&self) -> &'static str {
        match self {
            Self::Weighted(_) => "by_model/weighted_round_robin",
            Self::Rotation(groups) if groups.is_weighted() => "by_model/weighted_round_robin",
            Self::RoundRobin(_) | Self::Rotation(_) => "by_model/round_robin",
            Self::Failover(_) => "by_model/failover",
            Self::Intelligent(_) => "by_model/intelligent",
            Self::Semantic(_) => "by_model/semantic",
            Self::ByModel(_) => "by_model",
        }
    }
}
