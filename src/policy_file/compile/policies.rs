//! Policies: targets looked up, checked and put in order.

use std::sync::Arc;

use super::edits;
use super::endpoints::{CompiledEndpoint, Declared};
use super::limits::Bounds;
use super::providers::Provider;
use super::rotation::Order;
use crate::body::BodyEdits;
use crate::classifier::{Classifier, Embedder};
use crate::document::decode::{At, Both};
use crate::document::problem::{Place, Report};
use crate::document::words::{instead, shown};
use crate::model_name::ModelName;
use crate::policy_file::raw;
use crate::routing::api::Environment;
use crate::routing::policy::{Limits, Policy, Stateful, Strategy, Target, Targets};
use crate::routing::registry::Registry;

/// What policies refer to.
pub(super) struct Tables<'a> {
    pub(super) providers: Declared<'a, Provider<'a>>,
    pub(super) endpoints: Declared<'a, CompiledEndpoint<'a>>,
    pub(super) classifiers: Declared<'a, Option<Arc<Classifier>>>,
    pub(super) embedders: Declared<'a, Option<Arc<Embedder>>>,
    pub(super) defaults: Limits,
    /// Whether somebody waits for warnings that take a while to find.
    pub(super) thorough: bool,
}

/// What policies have referred to.
#[derive(Default)]
pub(super) struct Usage<'a> {
    /// The endpoints, with the places of their names.
    pub(super) endpoints: Vec<(Place, &'a str)>,
    /// The classifiers.
    pub(super) classifiers: Vec<&'a str>,
    /// The embedders.
    pub(super) embedders: Vec<&'a str>,
}

/// Compiles the policy of one API's environment.
pub(super) struct PolicyCompiler<'a, 'b> {
    pub(super) tables: &'b Tables<'a>,
    pub(super) registry: &'b Registry,
    pub(super) environment: Environment,
    pub(super) usage: &'b mut Usage<'a>,
    pub(super) report: &'b mut Report,
}

/// A target by its names.
pub(super) struct TargetRef<'a> {
    model: &'a At<String>,
    family: Option<&'a At<String>>,
    endpoint: &'a At<String>,
    body: Option<&'a At<raw::Edits>>,
}

impl<'a> From<&'a raw::Target> for TargetRef<'a> {
    fn from(from: &'a raw::Target) -> Self {
        Self { model: &from.model, family: from.family.as_ref(), endpoint: &from.endpoint, body: from.body.as_ref() }
    }
}

impl<'a> From<&'a raw::Rule> for TargetRef<'a> {
    fn from(from: &'a raw::Rule) -> Self {
        Self { model: &from.model, family: from.family.as_ref(), endpoint: &from.endpoint, body: from.body.as_ref() }
    }
}

impl<'a> From<&'a raw::Route> for TargetRef<'a> {
    fn from(from: &'a raw::Route) -> Self {
        Self { model: &from.model, family: from.family.as_ref(), endpoint: &from.endpoint, body: from.body.as_ref() }
    }
}

/// The targets of a policy, each once, referred to by their indices.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) targets: Vec<Target>,
}

impl Pool {
    /// Returns the index of a target, which is added if it is not there yet.
    pub(super) fn index(&mut self, target: Target) -> usize {
        let known = |other: &Target| {
            other.model == target.model && other.endpoint.name == target.endpoint.name && other.edits == target.edits
        };
        self.targets.iter().position(known).unwrap_or_else(|| {
            self.targets.push(target);
            self.targets.len() - 1
        })
    }
}

impl<'a, 'b> PolicyCompiler<'a, 'b> {
    /// Compiles a policy; `None` if that cannot be done, which is then reported.
    pub(super) fn policy(&mut self, raw: &'a At<raw::Policy>) -> Option<Policy> {
        let raw = raw.get()?;
        let Both { shared: bounds, own: options } = raw.shared();
        let limits = Bounds::from(bounds).over(self.tables.defaults, self.report);
        let compiled = match raw {
            raw::Policy::ByModel(by_model) => self.by_model(&by_model.own, limits, options),
            raw::Policy::RoundRobin(rotation) => self.rotation(&rotation.own, Order::RoundRobin, limits),
            raw::Policy::WeightedRoundRobin(rotation) => self.rotation(&rotation.own, Order::Weighted, limits),
            raw::Policy::Failover(failover) => self.failover(&failover.own, limits),
            raw::Policy::Intelligent(intelligent) => self.intelligent(&intelligent.own),
            raw::Policy::Semantic(semantic) => self.semantic(&semantic.own),
        };
        let stateful = options.stateful_endpoint.as_ref().map_or(Some(None), |name| self.stateful(name).map(Some));
        let policy = self.assemble(compiled, limits, options)?;
        options.check_next_on(&policy.targets, self.report);
        Some(Policy { stateful: stateful?, ..policy })
    }

    /// Puts a policy together.
    pub(super) fn assemble(
        &mut self,
        compiled: Option<(Vec<Target>, Strategy)>,
        limits: Limits,
        options: &raw::Options,
    ) -> Option<Policy> {
        let budget = options.budget(self.report);
        let (targets, strategy) = compiled?;
        Some(Policy {
            targets: Targets::new(targets)?,
            strategy,
            limits,
            budget,
            all_suspended: options.all_suspended(),
            inspect_first_event: options.inspects_first_event(),
            next_on: options.next_on(),
            requests_usage: options.requests_usage(),
            decision_headers: options.tells_clients(),
            stateful: None,
            entry: None,
        })
    }

    /// Returns a target for each model of an endpoint's provider.
    pub(super) fn any_model(&mut self, name: &'a str, place: Place) -> Option<Vec<Target>> {
        let known = self.endpoint(name, place)?;
        let (_, provider) = self.tables.providers.get(known.provider?)?;
        let (key, endpoint) = known.endpoint.as_ref()?;
        let models = provider.models.as_ref()?.iter().map(|model| ModelName::new(model));
        let target = |model| Target {
            state: self.registry.target(key, &model),
            model,
            endpoint: Arc::clone(endpoint),
            edits: BodyEdits::default(),
        };
        Some(models.map(target).collect())
    }

    /// Returns the endpoint that keeps state, with every model of its provider: a stored response may name any.
    fn stateful(&mut self, name: &'a At<String>) -> Option<Stateful> {
        let known = self.endpoint(name.get()?, name.place)?;
        let (_, provider) = self.tables.providers.get(known.provider?)?;
        let models = provider.models.as_ref()?.iter().map(|model| ModelName::new(model)).collect();
        let (_, endpoint) = known.endpoint.as_ref()?;
        Some(Stateful { endpoint: Arc::clone(endpoint), models })
    }

    pub(super) fn target(&mut self, raw: &'a At<raw::Target>) -> Option<Target> {
        self.target_of(&raw.get()?.into())
    }

    pub(super) fn target_of(&mut self, named: &TargetRef<'a>) -> Option<Target> {
        let edits = named.body.map_or_else(BodyEdits::default, |body| edits::edits(body, self.report));
        let known = self.endpoint(named.endpoint.get()?, named.endpoint.place)?;
        let provider = known.provider.and_then(|name| self.tables.providers.get(name));
        let (place, model) = (named.model.place, named.model.get()?);
        if let Some((_, Provider { name, models: Some(models), .. })) = provider
            && !models.contains(&model.as_str())
        {
            let message = format!("provider {} has no model {}", shown(name), shown(model));
            self.report.error_with(place, message, instead(model, models.iter().copied()));
            return None;
        }
        if let (Some((_, provider)), Some(family)) = (provider, named.family)
            && provider.models.is_some()
            && !provider.has_family(family, model, self.report)
        {
            return None;
        }
        let (key, endpoint) = known.endpoint.as_ref()?;
        let model = ModelName::new(model);
        let state = self.registry.target(key, &model);
        Some(Target { model, endpoint: Arc::clone(endpoint), edits, state })
    }

    fn endpoint(&mut self, text: &'a str, place: Place) -> Option<&'b CompiledEndpoint<'a>> {
        let endpoints = &self.tables.endpoints;
        let Some((_, known)) = endpoints.get(text) else {
            if endpoints.complete {
                self.report.error_with(place, format!("unknown endpoint {}", shown(text)), endpoints.instead(text));
            }
            return None;
        };
        self.usage.endpoints.push((place, text));
        if let Some((reserved, there)) = known.reserved.filter(|(reserved, _)| *reserved != self.environment) {
            let there = self.report.locate(there, place);
            let message = format!("endpoint {} is reserved for {}, at {there}", shown(text), reserved.name());
            let help = format!("use another one for {}, or leave out its `environment`", self.environment.name());
            self.report.error_with(place, message, help);
        }
        Some(known)
    }
}
