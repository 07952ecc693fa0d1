//! The APIs of one host pattern and base path that could take each other's requests, by what they ask of headers.

use std::collections::HashMap;

use super::Index;
use crate::policy_file::compile::apis::Draft;
use crate::routing::api::HeaderRules;

/// Operations by what their APIs ask of headers.
#[derive(Default)]
pub(super) struct Rivals<'d> {
    all: Vec<(&'d HeaderRules, Index<'d>)>,
    by_rules: HashMap<&'d HeaderRules, usize>,
    /// Those that ask for one value of a header: those that ask for another one need not be compared with them.
    by_value: HashMap<&'d str, HashMap<&'d str, Vec<usize>>>,
    others: Vec<usize>,
}

impl<'d> Rivals<'d> {
    pub(super) fn add(&mut self, api: usize, draft: &'d Draft<'_>) {
        let rules = draft.rules();
        let index = self.by_rules.get(rules).copied().unwrap_or_else(|| self.insert(rules));
        draft.claims().for_each(|claim| self.all[index].1.add(api, claim));
    }

    fn insert(&mut self, rules: &'d HeaderRules) -> usize {
        let index = self.all.len();
        self.all.push((rules, Index::default()));
        self.by_rules.insert(rules, index);
        match rules.exact() {
            Some((name, value)) => self.by_value.entry(name).or_default().entry(value).or_default().push(index),
            None => self.others.push(index),
        }
        index
    }

    /// Returns the first API that takes some request of this one's, and neither of them asks for more of its headers.
    pub(super) fn earliest(&self, draft: &Draft<'_>) -> Option<usize> {
        let rivals = self.meeting(draft.rules());
        let clash =
            |index: &Index<'d>| draft.claims().filter_map(|claim| index.earliest(claim)).map(|(api, _)| api).min();
        rivals.filter_map(clash).min()
    }

    /// Returns the operations of those that a request could fit as well as these rules, with no telling whose it is.
    fn meeting(&self, rules: &HeaderRules) -> impl Iterator<Item = &Index<'d>> {
        let values = self.by_value.iter().flat_map(move |(name, values)| {
            let one = rules.value_of(name).map(|value| values.get(value).into_iter());
            let all = one.is_none().then(|| values.values());
            one.into_iter().flatten().chain(all.into_iter().flatten()).flatten()
        });
        let near = values.chain(&self.others).map(|&index| &self.all[index]);
        let meets = move |(other, _): &&(&HeaderRules, Index<'d>)| {
            *other == rules || !(rules.imply(other) || other.imply(rules) || rules.exclude(other))
        };
        near.filter(meets).map(|(_, index)| index)
    }
}
