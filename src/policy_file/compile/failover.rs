//! Failover: entries looked up, and their targets put into one list.

use std::collections::HashMap;

use super::policies::{PolicyCompiler, Pool};
use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw::{self, OtherModels};
use crate::routing::policy::failover::{Entry, Failover};
use crate::routing::policy::{Limits, Strategy, Target};

impl<'a> PolicyCompiler<'a, '_> {
    /// Returns the targets and their order; `None` if that cannot be done, which is then reported.
    pub(super) fn failover(&mut self, raw: &'a raw::Entries, limits: Limits) -> Option<(Vec<Target>, Strategy)> {
        let entries = raw.entries.get()?;
        if entries.is_empty() {
            let help = "name at least one, such as `{ primary: { model: gpt-4o, endpoint: openai } }`".to_owned();
            self.report.error_with(raw.entries.place, "`entries` is empty", help);
            return None;
        }
        primaries_once_each(entries, self.report);
        let (mut pool, mut compiled, mut complete) = (Pool::default(), Vec::new(), true);
        for entry in entries {
            match self.entry(&mut pool, entry, limits) {
                Some(entry) => compiled.push(entry),
                None => complete = false,
            }
        }
        let other = match &raw.other_models {
            Some(other) => self.other_models(&mut pool, &mut compiled, other, limits)?,
            None => None,
        };
        complete.then(|| (pool.targets, Strategy::Failover(Failover::new(compiled, other))))
    }

    fn entry(&mut self, pool: &mut Pool, at: &'a At<raw::Entry>, limits: Limits) -> Option<(Box<str>, Entry)> {
        let entry = at.get()?;
        let limits = super::limits::Bounds::from(entry).over(limits, self.report);
        let order = self.order(pool, at.place, &entry.primary, entry.fallbacks.as_ref())?;
        let primary = pool.targets[order[0]].model.as_str().into();
        Some((primary, Entry { order, limits }))
    }

    /// Returns a primary and its fallbacks as indices into the pool.
    pub(super) fn order(
        &mut self,
        pool: &mut Pool,
        place: Place,
        primary: &'a At<raw::Target>,
        fallbacks: Option<&'a At<Vec<At<raw::Target>>>>,
    ) -> Option<Vec<usize>> {
        let fallbacks = fallbacks.and_then(At::get).into_iter().flatten();
        let targets: Vec<_> = std::iter::once(primary).chain(fallbacks).collect();
        targets.iter().for_each(|target| without_turns(target, "failover", self.report));
        let targets: Vec<_> = targets.into_iter().map(|target| self.target(target)).collect();
        let mut order = Vec::new();
        for target in targets.into_iter().collect::<Option<Vec<_>>>()? {
            let (model, endpoint) = (target.model.clone(), target.endpoint.name.clone());
            let index = pool.index(target);
            if order.contains(&index) {
                let message = format!("{} at {} is in this entry twice", shown(model.as_str()), shown(&endpoint));
                self.report.error_with(place, message, "keep the first".to_owned());
            }
            order.push(index);
        }
        Some(order)
    }

    /// Returns the entry for all models that have none; an endpoint that serves any model of its provider gets one for
    /// each.
    fn other_models(
        &mut self,
        pool: &mut Pool,
        entries: &mut Vec<(Box<str>, Entry)>,
        at: &'a At<OtherModels>,
        limits: Limits,
    ) -> Option<Option<Entry>> {
        match at.get()? {
            OtherModels::Named(name) if name == "refuse" => Some(None),
            OtherModels::Named(name) => {
                for target in self.any_model(name, at.place)? {
                    let model: Box<str> = target.model.as_str().into();
                    if !entries.iter().any(|(primary, _)| *primary == model) {
                        let order = vec![pool.index(target)];
                        entries.push((model, Entry { order, limits }));
                    }
                }
                Some(None)
            }
            OtherModels::Target(target) => {
                let target = self.target_of(&(&**target).into())?;
                Some(Some(Entry { order: vec![pool.index(target)], limits }))
            }
        }
    }
}

/// Reports the weight and the priority of a target that takes no turns.
pub(super) fn without_turns(target: &At<raw::Target>, policy: &str, report: &mut Report) {
    let Some(target) = target.get() else { return };
    let places = [
        ("weight", target.weight.as_ref().map(|at| at.place)),
        ("priority", target.priority.as_ref().map(|at| at.place)),
    ];
    for (key, place) in places.into_iter().filter_map(|(key, place)| Some((key, place?))) {
        let help = "targets are tried in their order; leave it out".to_owned();
        report.error_with(place, format!("`{key}` means nothing under `{policy}`"), help);
    }
}

/// A model that two entries serve would silently go to one of them.
fn primaries_once_each(entries: &[At<raw::Entry>], report: &mut Report) {
    let mut seen = HashMap::new();
    for at in entries {
        let Some(model) = at.get().and_then(|entry| entry.primary.get()?.model.get()) else { continue };
        if let Some(first) = seen.insert(model, at.place) {
            let message = format!("{} is a primary already, at {}", shown(model), report.locate(first, at.place));
            report.error_with(at.place, message, "join the two entries".to_owned());
        }
    }
}
