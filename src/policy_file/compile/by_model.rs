//! Policies by the model that is asked for: a policy for each entry.

mod claims;

use std::sync::Arc;

use super::limits::Bounds;
use super::policies::{PolicyCompiler, Pool};
use super::rotation::Order;
use crate::document::decode::At;
use crate::document::problem::Place;
use crate::document::words::any_of;
use crate::policy_file::raw::{self, ENTRY_KINDS, ModelEntries, OtherModels};
use crate::routing::policy::by_model::{Asked, ByModel, ModelEntry};
use crate::routing::policy::failover::{Entry, Failover};
use crate::routing::policy::{Limits, Policy, Strategy, Target};
use claims::Claims;

/// What the policy is called that serves the models which no entry names.
const OTHER_MODELS: &str = "other_models";

/// The policy of an entry, as it is written.
enum Kind<'a> {
    Turns(&'a raw::Turns, Order),
    Chain(&'a raw::PrimaryFirst),
    Intelligent(&'a raw::Rules),
    Semantic(&'a raw::SemanticRoutes),
}

impl<'a> PolicyCompiler<'a, '_> {
    /// Returns the targets of all entries, and the entries; `None` if that cannot be done, which is then reported.
    pub(super) fn by_model(
        &mut self,
        raw: &'a ModelEntries,
        limits: Limits,
        options: &raw::Options,
    ) -> Option<(Vec<Target>, Strategy)> {
        let entries = raw.entries.get()?;
        if entries.is_empty() {
            let help = "name at least one, such as `{ models: [fast], round_robin: { targets: […] } }`".to_owned();
            self.report.error_with(raw.entries.place, "`entries` is empty", help);
            return None;
        }
        let claims = Claims::of(entries, self.report);
        let compiled: Vec<_> = entries.iter().map(|entry| self.model_entry(entry, limits, options)).collect();
        let others = match &raw.other_models {
            Some(at) => {
                claims.leave_others(at, self.report);
                self.policy_of_others(at, limits, options)?
            }
            None => None,
        };
        let entries = compiled.into_iter().collect::<Option<Vec<_>>>()?;
        let mut pool = Pool::default();
        for policy in entries.iter().map(|entry| &entry.policy).chain(&others) {
            policy.targets.iter().for_each(|target| _ = pool.index(target.clone()));
        }
        Some((pool.targets, Strategy::ByModel(ByModel::new(entries, others))))
    }

    fn model_entry(&mut self, at: &'a At<raw::ModelEntry>, limits: Limits, all: &raw::Options) -> Option<ModelEntry> {
        let raw = at.get()?;
        let (shared, kind) = self.kind(at.place, raw)?;
        if let Some(stateful) = &shared.own.stateful_endpoint {
            let help = "there is one for all models: put it beside `entries`".to_owned();
            self.report.error_with(stateful.place, "`stateful_endpoint` does not belong in an entry", help);
        }
        let limits = Bounds::from(&shared.shared).over(limits, self.report);
        let compiled = match kind {
            Kind::Turns(turns, order) => self.rotation(turns, order, limits),
            Kind::Chain(chain) => self.chain(at.place, chain, limits),
            Kind::Intelligent(rules) => self.intelligent(rules),
            Kind::Semantic(routes) => self.semantic(routes),
        };
        let policy = self.assemble(compiled, limits, &shared.own.over(all))?;
        // What an entry has from `by_model` need not have an effect in each.
        shared.own.check_next_on(&policy.targets, self.report);
        let models: Vec<_> = raw.models.get()?.iter().filter_map(|at| Some(Asked::parse(at.get()?))).collect();
        let entry = Some(models.first()?.as_str().into());
        Some(ModelEntry { models, policy: Arc::new(Policy { entry, ..policy }) })
    }

    /// Returns the one policy of an entry.
    fn kind(&mut self, place: Place, raw: &'a raw::ModelEntry) -> Option<(&'a raw::Shared, Kind<'a>)> {
        let turns =
            |at: &'a At<raw::Rotation>, order| (at.place, at.get().map(|it| (&it.shared, Kind::Turns(&it.own, order))));
        let kinds = [
            raw.round_robin.as_ref().map(|at| turns(at, Order::RoundRobin)),
            raw.weighted_round_robin.as_ref().map(|at| turns(at, Order::Weighted)),
            raw.failover.as_ref().map(|at| (at.place, at.get().map(|it| (&it.shared, Kind::Chain(&it.own))))),
            raw.intelligent.as_ref().map(|at| (at.place, at.get().map(|it| (&it.shared, Kind::Intelligent(&it.own))))),
            raw.semantic.as_ref().map(|at| (at.place, at.get().map(|it| (&it.shared, Kind::Semantic(&it.own))))),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let Some((_, first)) = kinds.next() else {
            self.report.error_with(place, "the entry has no policy", format!("give it {}", any_of(ENTRY_KINDS)));
            return None;
        };
        if let Some((second, _)) = kinds.next() {
            self.report.error(second, format!("expected only one of {}", any_of(ENTRY_KINDS)));
        }
        first
    }

    /// Returns a primary and its fallbacks, which serve every request that comes to them.
    fn chain(&mut self, place: Place, raw: &'a raw::PrimaryFirst, limits: Limits) -> Option<(Vec<Target>, Strategy)> {
        let mut pool = Pool::default();
        let order = self.order(&mut pool, place, &raw.primary, raw.fallbacks.as_ref())?;
        Some((pool.targets, Strategy::Failover(Failover::new([], Some(Entry { order, limits })))))
    }

    /// Returns the policy of all models that no entry names: any model of an endpoint's provider, or one target.
    fn policy_of_others(
        &mut self,
        at: &'a At<OtherModels>,
        limits: Limits,
        options: &raw::Options,
    ) -> Option<Option<Arc<Policy>>> {
        let mut pool = Pool::default();
        let failover = match at.get()? {
            OtherModels::Named(name) if name == "refuse" => return Some(None),
            OtherModels::Named(name) => {
                let targets = self.any_model(name, at.place)?.into_iter();
                let entries: Vec<_> = targets
                    .map(|target| {
                        let model = target.model.as_str().into();
                        (model, Entry { order: vec![pool.index(target)], limits })
                    })
                    .collect();
                Failover::new(entries, None)
            }
            OtherModels::Target(target) => {
                let target = self.target_of(&(&**target).into())?;
                Failover::new([], Some(Entry { order: vec![pool.index(target)], limits }))
            }
        };
        let policy = self.assemble(Some((pool.targets, Strategy::Failover(failover))), limits, options)?;
        Some(Some(Arc::new(Policy { entry: Some(OTHER_MODELS.into()), ..policy })))
    }
}
