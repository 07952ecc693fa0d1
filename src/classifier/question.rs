//! A question: one request to be classified, by an LLM or by meaning.

use std::sync::Arc;

use serde_json::Value;

use super::llm::Classifier;
use super::prompt::Rules;
use super::route_question::{self, RouteQuestion};
use super::routes::Routes;
use super::rule_question::RuleQuestion;
use super::state::{ServiceCounts, ServiceKind};
use super::verdict::{Classification, Verdict};
use crate::gate::Availability;

/// What decides which rule or route a request fits.
#[derive(Clone, Debug)]
pub enum Sorter {
    /// An LLM, by rules in plain words.
    Rules(Arc<Classifier>, Arc<Rules>),
    /// Vectors, by routes of example utterances.
    Routes(Arc<Routes>),
}

/// What must be known of a request before its candidates are known.
#[derive(Debug)]
pub enum Classify {
    /// The answer to a question.
    Question(Question),
    /// Nothing more.
    Known(Classification),
}

/// A request to be classified.
#[derive(Debug)]
pub enum Question {
    /// By an LLM.
    Rule(RuleQuestion),
    /// By meaning.
    Route(RouteQuestion),
}

impl Sorter {
    /// Returns the question for a request with this content, or the classification if nothing need be asked. What is
    /// learned is shared only within a scope: an API and its environment.
    #[must_use]
    pub fn ask(&self, content: Option<&str>, scope: &str) -> Classify {
        match (self, content) {
            (Self::Rules(classifier, rules), Some(content)) => {
                let (classifier, rules) = (Arc::clone(classifier), Arc::clone(rules));
                Classify::Question(Question::Rule(RuleQuestion::new(classifier, rules, content, scope)))
            }
            (Self::Routes(routes), Some(content)) => route_question::ask(routes, content, scope),
            (Self::Rules(classifier, _), None) => {
                classifier.state().count(&Verdict::ContentMissing, false);
                Classify::Known(Classification::at_once(Verdict::ContentMissing))
            }
            (Self::Routes(routes), None) => {
                routes.embedder.state().count(&Verdict::ContentMissing, false);
                Classify::Known(Classification::at_once(Verdict::ContentMissing))
            }
        }
    }

    /// Returns the names of the rules or routes, in the order of the policy file.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Rules(_, rules) => rules.names.iter().map(|name| &**name).collect(),
            Self::Routes(routes) => routes.all().iter().map(|route| &*route.name).collect(),
        }
    }

    /// Returns the name of the rule or route at this position.
    #[must_use]
    pub fn name(&self, rule: usize) -> Option<&str> {
        match self {
            Self::Rules(_, rules) => rules.names.get(rule).map(|name| &**name),
            Self::Routes(routes) => routes.name(rule),
        }
    }

    /// Returns the most questions that may be asked at once.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.services().into_iter().map(Asked::concurrency).min().unwrap_or(1)
    }

    /// Returns the routes, if it is these that decide.
    #[must_use]
    pub fn routes(&self) -> Option<&Arc<Routes>> {
        match self {
            Self::Routes(routes) => Some(routes),
            Self::Rules(..) => None,
        }
    }

    /// Returns the services that are asked: first that which is always asked.
    #[must_use]
    pub fn services(&self) -> Vec<Asked<'_>> {
        match self {
            Self::Rules(classifier, _) => vec![Asked::Classifier(classifier)],
            Self::Routes(routes) => {
                let second = routes.unsure.as_ref().map(|unsure| Asked::Classifier(&unsure.classifier));
                [Asked::Embedder(routes)].into_iter().chain(second).collect()
            }
        }
    }
}

/// A service that a policy asks.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// An LLM.
    Classifier(&'a Arc<Classifier>),
    /// The embedder of these routes.
    Embedder(&'a Arc<Routes>),
}

impl<'a> Asked<'a> {
    /// Returns its kind.
    #[must_use]
    pub fn kind(self) -> ServiceKind {
        match self {
            Self::Classifier(_) => ServiceKind::Classifier,
            Self::Embedder(_) => ServiceKind::Embedder,
        }
    }

    /// Returns its name in the policy file.
    #[must_use]
    pub fn name(self) -> &'a Arc<str> {
        match self {
            Self::Classifier(classifier) => classifier.name(),
            Self::Embedder(routes) => routes.embedder.name(),
        }
    }

    /// Returns where it is asked, without a query.
    #[must_use]
    pub fn address(self) -> String {
        match self {
            Self::Classifier(classifier) => classifier.service.address(),
            Self::Embedder(routes) => routes.embedder.address(),
        }
    }

    fn concurrency(self) -> usize {
        let bounds = match self {
            Self::Classifier(classifier) => classifier.service.bounds,
            Self::Embedder(routes) => routes.embedder.bounds,
        };
        bounds.concurrency.get() as usize
    }

    /// Returns its counters.
    #[must_use]
    pub fn counts(self) -> ServiceCounts {
        match self {
            Self::Classifier(classifier) => classifier.state().counts(),
            Self::Embedder(routes) => routes.embedder.state().counts(),
        }
    }

    /// Returns whether it is asked, and until when not.
    #[must_use]
    pub fn availability(self, now: std::time::Instant) -> Availability {
        match self {
            Self::Classifier(classifier) => classifier.state().availability(now),
            Self::Embedder(routes) => routes.embedder.state().availability(now),
        }
    }
}

impl Question {
    /// Returns the content, of a long one head and tail.
    #[must_use]
    pub fn content(&self) -> &str {
        match self {
            Self::Rule(question) => question.content(),
            Self::Route(question) => question.content(),
        }
    }

    /// Returns the first request that is sent for it, if any is.
    #[must_use]
    pub fn request(&self) -> Option<Value> {
        match self {
            Self::Rule(question) => Some(question.request()),
            Self::Route(question) => question.request(),
        }
    }

    /// Returns the classification, if it is remembered.
    #[must_use]
    pub fn remembered(&self) -> Option<Classification> {
        match self {
            Self::Rule(question) => question.remembered(),
            Self::Route(question) => question.remembered(),
        }
    }

    /// Asks, or finds the answer where it was asked for before. It takes no longer than the timeout of who is asked.
    pub async fn answer(self) -> Classification {
        match self {
            Self::Rule(question) => question.answer().await,
            Self::Route(question) => question.answer().await,
        }
    }

    /// Asks, bypassing caches and breakers, and caches nothing.
    pub async fn answer_afresh(self) -> Classification {
        match self {
            Self::Rule(question) => question.answer_afresh().await,
            Self::Route(question) => question.answer_afresh().await,
        }
    }
}
