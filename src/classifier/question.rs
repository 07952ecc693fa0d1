//! A question: one request to be classified, asked at most once for all who ask it at the same time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Classifier;
use super::answer::{self, ParsedAnswer};
use super::call::{self, CallError, Reply};
use super::prompt::{Rules, bounded};
use super::state::{Breaker, Decision};
use super::verdict::{Classification, Verdict};

/// Why there is no decision.
#[derive(Debug)]
pub(super) enum Failure {
    Unparsable(Reply),
    Timeout,
    Error(String),
    BreakerOpen,
    OverCapacity,
}

/// The time before a request's deadline at which its call is given up.
const MARGIN: Duration = Duration::from_millis(5);

/// Longest prefix of an answer kept for diagnostics.
const MAX_KEPT_CHARS: usize = 1_000;

/// A request to be classified.
pub struct Question {
    classifier: Arc<Classifier>,
    rules: Arc<Rules>,
    /// As much of the content as the classifier is shown.
    shown: String,
    /// The key under which the decision is cached.
    key: [u8; 32],
}

impl fmt::Debug for Question {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("classifier", &self.classifier.name).finish_non_exhaustive()
    }
}

impl Question {
    /// Creates a question; decisions are shared only within a scope: an API and its environment.
    #[must_use]
    pub fn new(classifier: Arc<Classifier>, rules: Arc<Rules>, content: &str, scope: &str) -> Self {
        let shown = bounded(content, classifier.bounds.max_content_chars).into_owned();
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

    /// Returns the decision, if it is remembered.
    #[must_use]
    pub fn remembered(&self) -> Option<Classification> {
        let began = Instant::now();
        let state = &self.classifier.state;
        let decision = state.remembered(&self.key)?;
        let verdict = decision.verdict();
        state.count(&verdict, true);
        Some(Classification::of(verdict, Some(decision.reply.clone()), true, began))
    }

    /// Asks, or finds the decision where it was asked before. It takes no longer than the classifier's timeout.
    pub async fn answer(self) -> Classification {
        let began = Instant::now();
        let state = &self.classifier.state;
        let mut called = false;
        let ask = async {
            called = true;
            self.ask(began, Breaker::Obeyed).await
        };
        let decided = tokio::time::timeout(self.classifier.bounds.timeout, state.decide(self.key, ask)).await;
        let (verdict, reply) = match decided {
            Err(_) => (Verdict::Timeout, None),
            Ok(Ok(decision)) => (decision.verdict(), Some(decision.reply.clone())),
            Ok(Err(failure)) => failure.verdict(),
        };
        state.count(&verdict, !called);
        Classification::of(verdict, reply, !called, began)
    }

    /// Asks the classifier, bypassing its cache and its breaker, and caches nothing.
    pub async fn answer_afresh(self) -> Classification {
        let began = Instant::now();
        let (verdict, reply) = match self.ask(began, Breaker::Ignored).await {
            Ok(decision) => (decision.verdict(), Some(decision.reply.clone())),
            Err(failure) => failure.verdict(),
        };
        self.classifier.state.count(&verdict, false);
        Classification::of(verdict, reply, false, began)
    }

    /// Calls the classifier, and again after failures that may be temporary, up to `retries` times.
    async fn ask(&self, began: Instant, breaker: Breaker) -> Result<Arc<Decision>, Failure> {
        let Classifier { url, credential, bounds, state, .. } = &*self.classifier;
        let client = state.client(url).map_err(|why| Failure::Error(format!("TLS cannot be used: {why}")))?;
        let credential = credential.as_ref().map(|(name, value)| (*name, value.expose()));
        // Before the request's own time is over, so that the breaker learns of it.
        let deadline = began + bounds.timeout.saturating_sub(MARGIN.min(bounds.timeout / 10));
        let mut retries = bounds.retries;
        loop {
            let turn = state.begin(bounds, breaker)?;
            let body = self.request().to_string().into_bytes();
            let left = deadline.saturating_duration_since(Instant::now());
            match call::call(client, url, credential, body, left).await {
                Ok(reply) => {
                    turn.answered();
                    return self.read(reply);
                }
                Err(CallError::Temporary(_)) if retries > 0 => {
                    turn.failed(bounds);
                    retries -= 1;
                }
                Err(trouble) => {
                    if !matches!(trouble, CallError::Refused(_)) {
                        turn.failed(bounds);
                    }
                    return Err(match trouble {
                        CallError::Timeout => Failure::Timeout,
                        CallError::Temporary(why) | CallError::Permanent(why) | CallError::Refused(why) => {
                            Failure::Error(why)
                        }
                    });
                }
            }
        }
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

impl Failure {
    fn verdict(&self) -> (Verdict, Option<Reply>) {
        match self {
            Self::Unparsable(reply) => (Verdict::Unparsable, Some(reply.clone())),
            Self::Timeout => (Verdict::Timeout, None),
            Self::Error(why) => (Verdict::Error(why.clone()), None),
            Self::BreakerOpen => (Verdict::BreakerOpen, None),
            Self::OverCapacity => (Verdict::OverCapacity, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Bounds, ClassifierState, ClassifierType, Declaration, WORDING, bounded};
    use super::*;

    fn classifier(max_content_chars: usize) -> Classifier {
        let declaration = Declaration {
            kind: ClassifierType::OpenAi,
            url: "http://localhost/v1/chat/completions".parse().expect("a URL"),
            model: Some("sorter".into()),
            key: None,
            form: crate::classifier::AnswerForm::Schema,
            edits: crate::body::BodyEdits::default(),
            bounds: Bounds { max_content_chars, ..Bounds::default() },
        };
        Classifier::new("triage", declaration, |key, bounds| ClassifierState::new(Arc::clone(&key.name), bounds).into())
    }

    proptest! {
        /// Whatever it holds: quotes, control characters, the end of a prompt, half a million of characters.
        #[test]
        fn the_users_message_decodes_to_exactly_the_bounded_content(
            content in prop_oneof!["\\PC{0,300}", any::<String>(), "(\"|\\\\|\\{rules\\}|\n){0,90}"],
            most in 1..200_usize,
        ) {
            let rules = Rules::new([("Coding", "code"), ("\"} NONE", "quotes")].into_iter(), WORDING);
            let request = classifier(most).request(&rules, &bounded(&content, most)).to_string();
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
        let mut classifier = classifier(100);
        classifier.url.set_query(Some("key=hunter2"));
        let reply = Reply { text: Some("the client's words".into()), tokens: None };
        let decision = Arc::new(Decision { said: ParsedAnswer::None, reply });
        let decided = classifier.state.decide([0; 32], async { Ok(decision) }).await;
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
            let classifier = Classifier { model: Some(model.into()), ..classifier(100) };
            let request = classifier.request(&rules, "words");
            assert_eq!(request.get("temperature").is_some(), temperature, "{model}");
            assert_eq!(request.get("max_tokens").is_some(), temperature, "{model}");
        }
    }
}
