//! Intelligent and semantic: a classification says which rule or route a request fits; its target first, the default
//! behind it.

use std::sync::Arc;

use crate::body::BodyFacts;
use crate::classifier::content::ContentPath;
use crate::classifier::{Classify, Sorter};

/// Rules or routes, who decides which of them a request fits, and the content that is shown.
#[derive(Clone, Debug)]
pub struct Sorted {
    /// Who decides.
    pub sorter: Sorter,
    /// The part of a request that is shown.
    pub content: Arc<ContentPath>,
    /// The target of each rule or route, as an index into the policy's targets.
    pub targets: Vec<usize>,
    /// The target of all other requests.
    pub default: usize,
}

impl Sorted {
    /// Returns the question for a request with this body, or the classification if there is nothing to ask.
    #[must_use]
    pub fn ask(&self, body: &BodyFacts<'_>, scope: &str) -> Classify {
        self.sorter.ask(self.content.find(body).as_deref(), scope)
    }

    /// Returns the name of the rule or route at this index.
    #[must_use]
    pub fn rule(&self, rule: usize) -> Option<&str> {
        self.sorter.name(rule)
    }

    pub(super) fn candidates(&self, rule: Option<usize>) -> Vec<usize> {
        match rule.map(|rule| self.targets[rule]) {
            Some(target) if target != self.default => vec![target, self.default],
            _ => vec![self.default],
        }
    }
}
