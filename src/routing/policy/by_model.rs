//! By the model that is asked for: each entry has a policy of its own. The names are the policy file's; no provider
//! need know them.

pub mod pattern;

use std::collections::HashMap;
use std::sync::Arc;

use super::Policy;
use pattern::Pattern;

/// Policies by the models that clients ask for. A copy shares them; [`map`](Self::map) makes others.
#[derive(Clone, Debug)]
pub struct ByModel {
    entries: Vec<ModelEntry>,
    /// The entry of each name.
    names: HashMap<Box<str>, usize>,
    /// Each pattern with its entry, the longest first.
    patterns: Vec<(Pattern, usize)>,
    other_models: Option<Arc<Policy>>,
    /// The headers, of all entries, in which keys of sessions are looked for.
    key_headers: Vec<Box<str>>,
}

/// The models of one entry and the policy of the requests for them.
#[derive(Clone, Debug)]
pub struct ModelEntry {
    /// In the order of the policy file; not empty.
    pub models: Vec<Asked>,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// What an entry says of the model that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is this one.
    Name(Box<str>),
    /// It fits this pattern.
    Pattern(Pattern),
}

impl Asked {
    /// Reads a name, or a pattern if there is a `*` in it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.contains('*') { Self::Pattern(Pattern::parse(text)) } else { Self::Name(text.into()) }
    }

    /// Returns it as the policy file spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Pattern(pattern) => pattern.as_str(),
        }
    }
}

impl ByModel {
    /// Creates the index of entries of which no two claim the same model; `other_models` serves the rest, which is
    /// refused when it is `None`.
    #[must_use]
    pub fn new(entries: Vec<ModelEntry>, other_models: Option<Arc<Policy>>) -> Self {
        let (mut names, mut patterns) = (HashMap::new(), Vec::new());
        for (index, entry) in entries.iter().enumerate() {
            for asked in &entry.models {
                match asked {
                    Asked::Name(name) => _ = names.insert(name.clone(), index),
                    Asked::Pattern(pattern) => patterns.push((pattern.clone(), index)),
                }
            }
        }
        patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.literal_len()));
        let mut key_headers: Vec<_> =
            entries.iter().flat_map(|entry| entry.policy.strategy.key_headers()).cloned().collect();
        key_headers.sort();
        key_headers.dedup();
        Self { entries, names, patterns, other_models, key_headers }
    }

    /// Returns the policy of requests for a model: that of its name, else that of the longest pattern which it fits.
    #[must_use]
    pub fn policy(&self, requested: Option<&str>) -> Option<&Arc<Policy>> {
        let entry = requested.and_then(|model| self.entry(model));
        entry.map(|entry| &entry.policy).or(self.other_models.as_ref())
    }

    /// Returns the entry that claims a model.
    #[must_use]
    pub fn entry(&self, model: &str) -> Option<&ModelEntry> {
        let pattern = || self.patterns.iter().find(|(pattern, _)| pattern.fits(model)).map(|(_, index)| index);
        self.names.get(model).or_else(pattern).map(|&index| &self.entries[index])
    }

    /// Returns the entries in the order of the policy file.
    #[must_use]
    pub fn entries(&self) -> &[ModelEntry] {
        &self.entries
    }

    /// Returns the policy of the models that no entry claims.
    #[must_use]
    pub fn other_models(&self) -> Option<&Arc<Policy>> {
        self.other_models.as_ref()
    }

    pub(super) fn key_headers(&self) -> &[Box<str>] {
        &self.key_headers
    }

    /// Returns every policy.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.entries.iter().map(|entry| &entry.policy).chain(&self.other_models)
    }

    /// Returns the same index with policies that are each made from one of these.
    #[must_use]
    pub fn map(&self, change: impl Fn(&Policy) -> Policy) -> Self {
        let changed = |policy: &Arc<Policy>| Arc::new(change(policy));
        let entry = |it: &ModelEntry| ModelEntry { models: it.models.clone(), policy: changed(&it.policy) };
        Self {
            entries: self.entries.iter().map(entry).collect(),
            names: self.names.clone(),
            patterns: self.patterns.clone(),
            other_models: self.other_models.as_ref().map(changed),
            key_headers: self.key_headers.clone(),
        }
    }
}
