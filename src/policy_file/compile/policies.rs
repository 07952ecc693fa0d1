//! Policies: targets looked up, checked and put in order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::edits;
use super::endpoints::{CompiledEndpoint, Declared};
use super::limits::Bounds;
use super::providers::Provider;
use super::shapes;
use crate::body::BodyEdits;
use crate::classifier::Classifier;
use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::{instead, shown};
use crate::model_name::ModelName;
use crate::policy_file::raw;
use crate::routing::api::Environment;
use crate::routing::policy::round_robin::RoundRobin;
use crate::routing::policy::weighted::Weighted;
use crate::routing::policy::{Limits, Policy, Stateful, Strategy, Target, Targets};
use crate::routing::registry::Registry;

/// The heaviest weight: sums of all weights stay far from overflowing.
const HEAVIEST: u64 = 1_000_000;

/// What policies refer to.
pub(super) struct Names<'a, 'b> {
    pub(super) providers: &'b Declared<'a, Provider<'a>>,
    pub(super) endpoints: &'b Declared<'a, CompiledEndpoint<'a>>,
    pub(super) registry: &'b Registry,
    pub(super) defaults: Limits,
    pub(super) classifiers: &'b Declared<'a, Option<Arc<Classifier>>>,
    /// The endpoints that some target names.
    pub(super) used: HashSet<&'a str>,
    /// The classifiers that some policy names.
    pub(super) used_classifiers: HashSet<&'a str>,
    /// The endpoints of the API that is being compiled.
    pub(super) named: Vec<shapes::Named<'a>>,
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

/// The two orders, which differ in what they make of weights.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    RoundRobin,
    Weighted,
}

impl<'a, 'b> Names<'a, 'b> {
    /// Compiles one environment's policy; `None` if that cannot be done, which is then reported.
    pub(super) fn policy(
        &mut self,
        raw: &'a At<raw::Policy>,
        environment: Environment,
        report: &mut Report,
    ) -> Option<Policy> {
        let common = match raw.get()? {
            raw::Policy::RoundRobin(rotation) | raw::Policy::WeightedRoundRobin(rotation) => rotation.common(),
            raw::Policy::Failover(failover) => failover.common(),
            raw::Policy::Intelligent(intelligent) => intelligent.common(),
        };
        let limits = Bounds::from(&common).over(self.defaults, report);
        let targets = match raw.get()? {
            raw::Policy::RoundRobin(rotation) => self.rotation(rotation, Order::RoundRobin, environment, report),
            raw::Policy::WeightedRoundRobin(rotation) => self.rotation(rotation, Order::Weighted, environment, report),
            raw::Policy::Failover(failover) => {
                let compiled = self.failover(failover, limits, environment, report);
                compiled.map(|(targets, entries)| (targets, Strategy::Failover(entries)))
            }
            raw::Policy::Intelligent(intelligent) => {
                let compiled = self.intelligent(intelligent, environment, report);
                compiled.map(|(targets, rules)| (targets, Strategy::Intelligent(rules)))
            }
        };
        let stateful = common.stateful_endpoint;
        let stateful = stateful.map_or(Some(None), |name| self.stateful(name, environment, report).map(Some));
        let budget = common.budget(report);
        let (targets, strategy) = targets?;
        Some(Policy {
            targets: Targets::new(targets)?,
            strategy,
            limits,
            budget,
            all_suspended: common.all_suspended(),
            inspect_first_event: common.inspects_first_event(),
            next_on_context_length: common.goes_on_when_too_long(),
            decision_headers: common.tells_clients(),
            stateful: stateful?,
        })
    }

    fn rotation(
        &mut self,
        rotation: &'a raw::Rotation,
        order: Order,
        environment: Environment,
        report: &mut Report,
    ) -> Option<(Vec<Target>, Strategy)> {
        let list = rotation.targets.get()?;
        if list.is_empty() {
            let help = "name at least one, such as `{ model: gpt-4o, endpoint: openai }`".to_owned();
            report.error_with(rotation.targets.place, "`targets` is empty", help);
            return None;
        }
        once_each(list, order, report);
        let targets: Vec<_> = list.iter().map(|target| self.target(target, environment, report)).collect();
        let weights = weights(list, order, rotation.targets.place, report);
        let targets = targets.into_iter().collect::<Option<Vec<_>>>()?;
        let strategy = match order {
            Order::RoundRobin => Strategy::RoundRobin(RoundRobin::new()),
            Order::Weighted => Strategy::Weighted(Weighted::new(weights)),
        };
        Some((targets, strategy))
    }

    /// Returns a target for each model of an endpoint's provider.
    pub(super) fn any_model(
        &mut self,
        name: &'a str,
        place: Place,
        environment: Environment,
        report: &mut Report,
    ) -> Option<Vec<Target>> {
        let known = self.endpoint(name, place, environment, report)?;
        let (_, provider) = self.providers.get(known.provider?)?;
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
    fn stateful(&mut self, name: &'a At<String>, environment: Environment, report: &mut Report) -> Option<Stateful> {
        let known = self.endpoint(name.get()?, name.place, environment, report)?;
        let (_, provider) = self.providers.get(known.provider?)?;
        let models = provider.models.as_ref()?.iter().map(|model| ModelName::new(model)).collect();
        let (_, endpoint) = known.endpoint.as_ref()?;
        Some(Stateful { endpoint: Arc::clone(endpoint), models })
    }

    pub(super) fn target(
        &mut self,
        raw: &'a At<raw::Target>,
        environment: Environment,
        report: &mut Report,
    ) -> Option<Target> {
        self.target_of(&raw.get()?.into(), environment, report)
    }

    pub(super) fn target_of(
        &mut self,
        named: &TargetRef<'a>,
        environment: Environment,
        report: &mut Report,
    ) -> Option<Target> {
        let edits = named.body.map_or_else(BodyEdits::default, |body| edits::edits(body, report));
        let known = self.endpoint(named.endpoint.get()?, named.endpoint.place, environment, report)?;
        let provider = known.provider.and_then(|name| self.providers.get(name));
        let (place, model) = (named.model.place, named.model.get()?);
        if let Some((_, Provider { name, models: Some(models), .. })) = provider
            && !models.contains(&model.as_str())
        {
            let message = format!("provider {} has no model {}", shown(name), shown(model));
            report.error_with(place, message, instead(model, models.iter().copied()));
            return None;
        }
        if let (Some((_, provider)), Some(family)) = (provider, named.family)
            && provider.models.is_some()
            && !provider.has_family(family, model, report)
        {
            return None;
        }
        let (key, endpoint) = known.endpoint.as_ref()?;
        let model = ModelName::new(model);
        let state = self.registry.target(key, &model);
        Some(Target { model, endpoint: Arc::clone(endpoint), edits, state })
    }

    fn endpoint(
        &mut self,
        text: &'a str,
        place: Place,
        environment: Environment,
        report: &mut Report,
    ) -> Option<&'b CompiledEndpoint<'a>> {
        let endpoints = self.endpoints;
        let Some((_, known)) = endpoints.get(text) else {
            if endpoints.complete {
                report.error_with(place, format!("unknown endpoint {}", shown(text)), endpoints.instead(text));
            }
            return None;
        };
        self.used.insert(text);
        self.named.extend(shapes::Named::of(place, text, known));
        if let Some((reserved, there)) = known.reserved.filter(|(reserved, _)| *reserved != environment) {
            let there = report.locate(there, place);
            let message = format!("endpoint {} is reserved for {}, at {there}", shown(text), reserved.name());
            let help = format!("use another one for {}, or leave out its `environment`", environment.name());
            report.error_with(place, message, help);
        }
        Some(known)
    }
}

/// Reports a target that is in the list twice: it would silently have two turns.
fn once_each(list: &[At<raw::Target>], order: Order, report: &mut Report) {
    let mut seen = HashMap::new();
    for at in list {
        let Some((model, endpoint)) = at.get().and_then(|target| target.model.get().zip(target.endpoint.get())) else {
            continue;
        };
        let Some(first) = seen.insert((model, endpoint), at.place) else { continue };
        let (model, endpoint) = (shown(model), shown(endpoint));
        let message = format!("{model} at {endpoint} is a target already, at {}", report.locate(first, at.place));
        let help = match order {
            Order::RoundRobin => "for a larger share use `weighted_round_robin` and give it a `weight`",
            Order::Weighted => "keep one, with the sum of their weights",
        };
        report.error_with(at.place, message, help.to_owned());
    }
}

fn weights(list: &[At<raw::Target>], order: Order, place: Place, report: &mut Report) -> Vec<u32> {
    let given = list.iter().map(|target| target.get().and_then(|target| target.weight.as_ref()));
    if order == Order::RoundRobin {
        for weight in given.flatten() {
            let help = "use `weighted_round_robin`, or leave it out".to_owned();
            report.error_with(weight.place, "`weight` means nothing under `round_robin`", help);
        }
        return Vec::new();
    }
    let weights: Vec<_> = given.map(|weight| weight.map_or(1, |weight| self::weight(weight, report))).collect();
    if weights.iter().all(|weight| *weight == 0) {
        let help = "give at least one target a weight of 1 or more".to_owned();
        report.error_with(place, "every target has a weight of 0", help);
    }
    weights
}

/// Returns the weight; 1 instead of one that was wrong, so that nothing more is said about it.
fn weight(at: &At<raw::Weight>, report: &mut Report) -> u32 {
    match at.get() {
        Some(raw::Weight(weight)) if *weight > HEAVIEST => {
            report.error(at.place, format!("a weight must be from 0 to {HEAVIEST}, found `{weight}`"));
            1
        }
        Some(raw::Weight(weight)) => u32::try_from(*weight).expect("it is not above HEAVIEST"),
        None => 1,
    }
}
