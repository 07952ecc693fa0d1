//! Intelligent: a classifier says which rule a request fits; its target first, the default behind it.

use std::sync::Arc;

use crate::body::BodyFacts;
use crate::classifier::content::ContentPath;
use crate::classifier::{Classification, Classifier, Question, Rules};

/// Rules, who applies them, and to what.
#[derive(Clone, Debug)]
pub struct Intelligent {
    /// Who decides.
    pub classifier: Arc<Classifier>,
    /// What of a request is shown to it.
    pub content: Arc<ContentPath>,
    /// The rules.
    pub rules: Arc<Rules>,
    /// The target of each rule, as an index into the policy's targets.
    pub targets: Vec<usize>,
    /// The target of all other requests.
    pub default: usize,
}

/// What has to be known of a request before its candidates are.
#[derive(Debug)]
pub enum Classify {
    /// The classifier's answer.
    Question(Question),
    /// Nothing more.
    Known(Classification),
}

impl Intelligent {
    /// Returns what there is to be asked about a request with this body.
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
