//! A question to an LLM: which rule one request fits; asked at most once for all who ask it at the same time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer::{self, ParsedAnswer};
use super::completion::{self, Reply};
use super::llm::Classifier;
use super::prompt::{Rules, bounded};
use super::service::Failure;
use super::state::Breaker;
use super::verdict::{Classification, Verdict};

/// A longer answer is none.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Longest prefix of an answer kept for diagnostics.
const MAX_KEPT_CHARS: usize = 1_000;

/// A decision: the classifier's verdict and its words.
#[derive(Clone, Debug)]
pub struct Decision {
    said: ParsedAnswer,
    reply: Reply,
}

/// A request to be classified.
pub struct RuleQuestion {
    classifier: Arc<Classifier>,
    rules: Arc<Rules>,
    /// As much of the content as the classifier is shown.
    shown: String,
    /// The key under which the decision is cached.
    key: [u8; 32],
}

impl fmt::Debug for RuleQuestion {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleQuestion").field("classifier", self.classifier.name()).finish_non_exhaustive()
    }
}

impl RuleQuestion {
    /// Creates a question; decisions are shared only within a scope: an API and its environment.
    #[must_use]
    pub fn new(classifier: Arc<Classifier>, rules: Arc<Rules>, content: &str, scope: &str) -> Self {
        let shown = bounded(content, classifier.service.bounds.max_content_chars).into_owned();
        let mut key = Sha256::new_with_prefix(rules.fingerprint);
        key.update(scope.as_bytes());
        key.update([0]); // which no scope holds
        // What is not shown cannot change the answer.
        key.update(shown.as_bytes());
        Self { classifier, rules, shown, key: key.finalize().into() }
    }

    /// Returns the content, of a long one head and tail.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.shown
    }

    /// Returns the request that the classifier gets.
    #[must_use]
    pub fn request(&self) -> Value {
        self.classifier.request(&self.rules, &self.shown)
    }

    /// Until the request goes on without an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.classifier.service.bounds.timeout
    }

    /// Returns the decision, if it is remembered.
    pub(super) fn remembered(&self) -> Option<Classification> {
        let began = Instant::now();
        let state = &self.classifier.service.state;
        let decision = state.remembered(&self.key)?;
        let verdict = decision.verdict();
        state.count(&verdict, true);
        Some(Classification::of(verdict, Some(decision.reply.clone()), true, began))
    }

    /// Asks, or finds the decision where it was asked before. It takes no longer than the classifier's timeout.
    pub(super) async fn answer(self) -> Classification {
        let (began, service) = (Instant::now(), &self.classifier.service);
        let ask = self.ask(began, Breaker::Obeyed);
        let (decided, called) = service.answer(self.key, ask).await;
        self.classification(decided.as_deref().map_err(|failure| &**failure), !called, began)
    }

    /// Asks the classifier, bypassing its cache and its breaker, and caches nothing.
    pub(super) async fn answer_afresh(self) -> Classification {
        let began = Instant::now();
        let decided = self.ask(began, Breaker::Ignored).await;
        self.classification(decided.as_deref(), false, began)
    }

    fn classification(&self, decided: Result<&Decision, &Failure>, shared: bool, began: Instant) -> Classification {
        let (verdict, reply) = match decided {
            Ok(decision) => (decision.verdict(), Some(decision.reply.clone())),
            Err(failure) => failure.verdict(),
        };
        self.classifier.service.state.count(&verdict, shared);
        Classification::of(verdict, reply, shared, began)
    }

    async fn ask(&self, began: Instant, breaker: Breaker) -> Result<Arc<Decision>, Failure> {
        let service = &self.classifier.service;
        let body = || self.request().to_string().into_bytes();
        let read = |body: &[u8]| completion::reply(body).ok_or("an answer that is no chat completion".to_owned());
        self.read(service.ask((service.deadline(began), breaker), body, (MAX_ANSWER_BYTES, read)).await?)
    }

    fn read(&self, mut reply: Reply) -> Result<Arc<Decision>, Failure> {
        let said = reply.text.as_deref().map_or(ParsedAnswer::Nothing, |text| answer::read(text, &self.rules.names));
        // Only people read it from here on.
        reply.text = reply.text.map(|text| bounded(&text, MAX_KEPT_CHARS).into_owned());
        match said {
            ParsedAnswer::Nothing => Err(Failure::Unparsable(reply)),
            said => Ok(Arc::new(Decision { said, reply })),
        }
    }
}

impl Decision {
    fn verdict(&self) -> Verdict {
        match self.said {
            ParsedAnswer::Rule(rule) => Verdict::Matched(rule),
            ParsedAnswer::None => Verdict::None,
            ParsedAnswer::Nothing => Verdict::Unparsable,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::service::{ServiceDeclaration, ServiceType};
    use super::super::state::{Bounds, ServiceKind, ServiceState};
    use super::super::{Declaration, WORDING, bounded};
    use super::*;

    fn classifier(model: &str, max_content_chars: usize) -> Classifier {
        let service = ServiceDeclaration {
            kind: ServiceType::OpenAi,
            url: "http://localhost/v1/chat/completions?key=hunter2".parse().expect("a URL"),
            key: None,
            bounds: Bounds { max_content_chars, ..Bounds::CLASSIFIER },
        };
        let declaration = Declaration {
            service,
            model: Some(model.into()),
            form: crate::classifier::AnswerForm::Schema,
            edits: crate::body::BodyEdits::default(),
        };
        Classifier::new("triage", declaration, |key, bounds| {
            ServiceState::new(ServiceKind::Classifier, Arc::clone(&key.name), bounds).into()
        })
    }

    proptest! {
        /// Whatever it holds: quotes, control characters, the end of a prompt, half a million of characters.
        #[test]
        fn the_users_message_decodes_to_exactly_the_bounded_content(
            content in prop_oneof!["\\PC{0,300}", any::<String>(), "(\"|\\\\|\\{rules\\}|\n){0,90}"],
            most in 1..200_usize,
        ) {
            let rules = Rules::new([("Coding", "code"), ("\"} NONE", "quotes")].into_iter(), WORDING);
            let request = classifier("sorter", most).request(&rules, &bounded(&content, most)).to_string();
            let request: Value = serde_json::from_str(&request).expect("valid JSON");
            let messages = request["messages"].as_array().expect("messages");
            prop_assert_eq!(messages.len(), 2);
            prop_assert_eq!(&messages[1]["role"], "user");
            let words: String = serde_json::from_str(messages[1]["content"].as_str().expect("text")).expect("a JSON string");
            prop_assert_eq!(&words, &*bounded(&content, most));
            prop_assert_eq!(messages[0]["content"].as_str().expect("text"), &rules.system);
            if content.chars().count() <= most {
                prop_assert_eq!(words, content);
            }
        }
    }

    #[tokio::test]
    async fn what_is_known_of_a_classifier_is_shown_without_its_words_and_keys() {
        let classifier = classifier("sorter", 100);
        let reply = Reply { text: Some("the client's words".into()), tokens: None };
        let decision = Arc::new(Decision { said: ParsedAnswer::None, reply });
        let decided = classifier.service.state.answer([0; 32], async { Ok(decision) }).await;
        let shown = format!("{classifier:?} {decided:?}");
        assert!(!shown.contains("words") && !shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("http://localhost/v1/chat/completions"), "{shown}");
    }

    #[test]
    fn models_that_think_get_no_temperature_and_room_to_think() {
        let rules = Rules::new([("Coding", "code")].into_iter(), WORDING);
        for (model, temperature) in
            [("gpt-4o-mini", true), ("o3-mini", false), ("gpt-5-nano", false), ("gpt-5-chat", true)]
        {
            let classifier = classifier(model, 100);
            let request = classifier.request(&rules, "words");
            assert_eq!(request.get("temperature").is_some(), temperature, "{model}");
            assert_eq!(request.get("max_tokens").is_some(), temperature, "{model}");
        }
    }
}
