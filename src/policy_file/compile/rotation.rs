//! Targets that take turns: each once, with its weight and its group.

use std::collections::{BTreeMap, HashMap};

use super::affinity::sources;
use super::limits::number;
use super::policies::PolicyCompiler;
use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw;
use crate::routing::policy::affinity::Affinity;
use crate::routing::policy::rotation::{Group, Rotation, Turns};
use crate::routing::policy::round_robin::RoundRobin;
use crate::routing::policy::weighted::Weighted;
use crate::routing::policy::{Limits, Strategy, Target};

/// The heaviest weight: sums of all weights stay far from overflowing.
const HEAVIEST: u64 = 1_000_000;
/// The last priority.
const LAST: u64 = 100;

/// The two orders, which differ in what they make of weights.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    RoundRobin,
    Weighted,
}

impl<'a> PolicyCompiler<'a, '_> {
    /// Returns the targets and their order; `None` if that cannot be done, which is then reported.
    pub(super) fn rotation(
        &mut self,
        rotation: &'a raw::Turns,
        order: Order,
        limits: Limits,
    ) -> Option<(Vec<Target>, Strategy)> {
        let list = rotation.targets.get()?;
        if list.is_empty() {
            let help = "name at least one, such as `{ model: gpt-4o, endpoint: openai }`".to_owned();
            self.report.error_with(rotation.targets.place, "`targets` is empty", help);
            return None;
        }
        once_each(list, order, self.report);
        let targets: Vec<_> = list.iter().map(|target| self.target(target)).collect();
        let weights = weights(list, order, rotation.targets.place, self.report);
        let groups = groups(list, self.report);
        reached(list, &groups, limits, self.report);
        weighty(list, &groups, &weights, self.report);
        let affinity = rotation.affinity.as_ref().map_or(Some(None), |raw| sources(raw, self.report).map(Some));
        let targets = targets.into_iter().collect::<Option<Vec<_>>>()?;
        let affinity = affinity?.map(|sources| Affinity::new(sources, places(&targets, &weights)));
        let turns = |targets: &[usize]| match order {
            Order::RoundRobin => Turns::RoundRobin(RoundRobin::new()),
            Order::Weighted => Turns::Weighted(Weighted::new(targets.iter().map(|&index| weights[index]).collect())),
        };
        let mut groups: Vec<_> =
            groups.into_iter().map(|(priority, targets)| Group { priority, turns: turns(&targets), targets }).collect();
        let is_plain = groups.len() == 1 && affinity.is_none();
        let strategy = match groups.pop() {
            // Nothing but turns, at no further cost.
            Some(Group { turns: Turns::RoundRobin(turns), .. }) if is_plain => Strategy::RoundRobin(turns),
            Some(Group { turns: Turns::Weighted(turns), .. }) if is_plain => Strategy::Weighted(turns),
            last => Strategy::Rotation(Rotation::new(groups.into_iter().chain(last).collect(), affinity)),
        };
        Some((targets, strategy))
    }
}

/// Returns what the hash knows of targets. Under round robin all have the same weight.
fn places<'t>(targets: &'t [Target], weights: &'t [u32]) -> impl Iterator<Item = (&'t str, &'t str, u32)> {
    let weights = weights.iter().copied().chain(std::iter::repeat(1));
    targets.iter().zip(weights).map(|(target, weight)| (&*target.endpoint.name, target.model.as_str(), weight))
}

/// Returns the targets of each priority, as indices.
fn groups(list: &[At<raw::Target>], report: &mut Report) -> BTreeMap<u32, Vec<usize>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (index, target) in list.iter().enumerate() {
        let set = target.get().and_then(|target| target.priority.as_ref());
        let priority = number(set, "priority", &(0..=LAST), report).unwrap_or_default();
        groups.entry(priority).or_default().push(index);
    }
    groups
}

/// Warns of a group that no request reaches: nothing is ever suspended, and all attempts are used up before it.
fn reached(list: &[At<raw::Target>], groups: &BTreeMap<u32, Vec<usize>>, limits: Limits, report: &mut Report) {
    let suspends = !limits.suspend.is_zero() || limits.quota_suspend.is_some_and(|suspend| !suspend.is_zero());
    let (mut before, attempts) = (0, limits.attempts.get() as usize);
    for (priority, targets) in groups {
        if !suspends && before >= attempts {
            let place = list[targets[0]].place;
            let message = format!(
                "no request reaches the targets of priority {priority}: nothing is ever suspended, and those before \
                 them use up all attempts"
            );
            report.warning(place, message, "set `suspend`, or allow more `attempts`".to_owned());
        }
        before += targets.len();
    }
}

/// Reports a group, of several, in which nobody has a share.
fn weighty(list: &[At<raw::Target>], groups: &BTreeMap<u32, Vec<usize>>, weights: &[u32], report: &mut Report) {
    let is_all = weights.iter().all(|weight| *weight == 0); // reported, or there are none
    for (priority, targets) in groups.iter().filter(|_| groups.len() > 1 && !is_all) {
        if targets.iter().all(|&index| weights[index] == 0) {
            let message = format!("every target of priority {priority} has a weight of 0");
            let help =
                "give at least one of them a weight of 1 or more: its priority alone makes it a fallback".to_owned();
            report.error_with(list[targets[0]].place, message, help);
        }
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

/// Returns the weight; 1 instead of an invalid one, so that no further problem is reported.
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
