//! Failover: entries looked up, and their targets put into one list.

use std::collections::HashMap;

use super::policies::Names;
use crate::api::Environment;
use crate::config::decode::At;
use crate::config::problem::Report;
use crate::config::raw::{self, OtherModels};
use crate::config::words::shown;
use crate::policy::failover::{Entry, Failover};
use crate::policy::{Limits, Target};

/// The targets of a failover policy, each once, and its entries.
#[derive(Default)]
struct Pool {
    targets: Vec<Target>,
    entries: Vec<(Box<str>, Entry)>,
}

impl Pool {
    /// The index of a target, which is added if no entry has named it yet.
    fn index(&mut self, target: Target) -> usize {
        let known = |other: &Target| {
            other.model == target.model && other.endpoint.name == target.endpoint.name && other.edits == target.edits
        };
        self.targets.iter().position(known).unwrap_or_else(|| {
            self.targets.push(target);
            self.targets.len() - 1
        })
    }
}

impl<'a> Names<'a, '_> {
    /// The targets and their order; `None` if that cannot be done, which is then reported.
    pub(super) fn failover(
        &mut self,
        raw: &'a raw::Failover,
        limits: Limits,
        environment: Environment,
        report: &mut Report,
    ) -> Option<(Vec<Target>, Failover)> {
        let entries = raw.entries.get()?;
        if entries.is_empty() {
            let help = "name at least one, such as `{ primary: { model: gpt-4o, endpoint: openai } }`".to_owned();
            report.error_with(raw.entries.place, "`entries` is empty", help);
            return None;
        }
        primaries_once_each(entries, report);
        let (mut pool, mut complete) = (Pool::default(), true);
        for entry in entries {
            complete &= self.entry(&mut pool, entry, limits, environment, report).is_some();
        }
        let other = match &raw.other_models {
            Some(other) => self.other_models(&mut pool, other, limits, environment, report)?,
            None => None,
        };
        complete.then(|| (pool.targets, Failover::new(pool.entries, other)))
    }

    fn entry(
        &mut self,
        pool: &mut Pool,
        at: &'a At<raw::Entry>,
        limits: Limits,
        environment: Environment,
        report: &mut Report,
    ) -> Option<()> {
        let entry = at.get()?;
        let limits = super::limits::Bounds::from(entry).over(limits, report);
        let fallbacks = entry.fallbacks.iter().filter_map(At::get).flatten();
        let targets: Vec<_> = std::iter::once(&entry.primary).chain(fallbacks).collect();
        for weight in targets.iter().filter_map(|target| target.get()?.weight.as_ref()) {
            let help = "targets are tried in their order; leave it out".to_owned();
            report.error_with(weight.place, "`weight` means nothing under `failover`", help);
        }
        let targets: Vec<_> = targets.into_iter().map(|target| self.target(target, environment, report)).collect();
        let mut order = Vec::new();
        for target in targets.into_iter().collect::<Option<Vec<_>>>()? {
            let (model, endpoint) = (target.model.clone(), target.endpoint.name.clone());
            let index = pool.index(target);
            if order.contains(&index) {
                let message = format!("{} at {} is in this entry twice", shown(model.as_str()), shown(&endpoint));
                report.error_with(at.place, message, "keep the first".to_owned());
            }
            order.push(index);
        }
        let primary = pool.targets[order[0]].model.as_str().into();
        pool.entries.push((primary, Entry { order, limits }));
        Some(())
    }

    /// The entry for all models that have none; an endpoint that serves any model of its provider gets one for each.
    fn other_models(
        &mut self,
        pool: &mut Pool,
        at: &'a At<OtherModels>,
        limits: Limits,
        environment: Environment,
        report: &mut Report,
    ) -> Option<Option<Entry>> {
        match at.get()? {
            OtherModels::Named(name) if name == "refuse" => Some(None),
            OtherModels::Named(name) => {
                for target in self.any_model(name, at.place, environment, report)? {
                    let model: Box<str> = target.model.as_str().into();
                    if !pool.entries.iter().any(|(primary, _)| *primary == model) {
                        let order = vec![pool.index(target)];
                        pool.entries.push((model, Entry { order, limits }));
                    }
                }
                Some(None)
            }
            OtherModels::Target(target) => {
                let target = self.target_of(target, environment, report)?;
                Some(Some(Entry { order: vec![pool.index(target)], limits }))
            }
        }
    }
}

/// A model that two entries serve would silently go to one of them.
fn primaries_once_each(entries: &[At<raw::Entry>], report: &mut Report) {
    let mut seen = HashMap::new();
    for at in entries {
        let Some(model) = at.get().and_then(|entry| entry.primary.get()?.model.get()) else { continue };
        if let Some(first) = seen.insert(model, at.place) {
            let message = format!("{} is a primary already, at {}", shown(model), report.told(first, at.place));
            report.error_with(at.place, message, "join the two entries".to_owned());
        }
    }
}
