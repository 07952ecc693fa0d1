//! Intelligent: a classifier says which rule a request fits; its target first, the default behind it.

use std::sync::Arc;

use crate::body::BodyFacts;
use crate::classifier::content::ContentPath;
use crate::classifier::{Classification, Classifier, Question, Rules};

/// Rules, the classifier that applies them, and the content that it is shown.
#[derive(Clone, Debug)]
pub struct Intelligent {
    /// The classifier that decides.
    pub classifier: Arc<Classifier>,
    /// The part of a request that the classifier is shown.
    pub content: Arc<ContentPath>,
    /// The rules.
    pub rules: Arc<Rules>,
    /// The target of each rule, as an index into the policy's targets.
    pub targets: Vec<usize>,
    /// The target of all other requests.
    pub default: usize,
}

/// What must be known of a request before its candidates are known.
#[derive(Debug)]
pub enum Classify {
    /// The classifier's answer.
    Question(Question),
    /// Nothing more.
    Known(Classification),
}

impl Intelligent {
    /// Returns the question for a request with this body, or the classification if there is nothing to ask.
    #[must_use]
    pub fn ask(&self, body: &BodyFacts<'_>, scope: &str) -> Classify {
        match self.content.find(body) {
            Some(content) => {
                let (classifier, rules) = (Arc::clone(&self.classifier), Arc::clone(&self.rules));
                Classify::Question(Question::new(classifier, rules, &content, scope))
            }
            None => Classify::Known(Classification::content_missing(&self.classifier)),
        }
    }

    /// Returns the name of the rule at this index.
    #[must_use]
    pub fn rule(&self, rule: usize) -> Option<&str> {
        self.rules.names.get(rule).map(|name| &**name)
    }

    pub(super) fn candidates(&self, rule: Option<usize>) -> Vec<usize> {
        match rule.map(|rule| self.targets[rule]) {
            Some(target) if target != self.default => vec![target, self.default],
            _ => vec![self.default],
        }
    }
}
