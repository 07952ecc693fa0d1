//! A question of meaning: which route one request resembles most; asked at most once for all who ask it at the same
//! time. Where the scores are too close, an LLM decides.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::index::Scores;
use super::question::Classify;
use super::question::Question;
use super::routes::{Routes, Unsure};
use super::rule_question::RuleQuestion;
use super::service::Failure;
use super::state::Breaker;
use super::verdict::{Classification, Second, Verdict};

/// A request to be classified.
pub struct RouteQuestion {
    routes: Arc<Routes>,
    /// As much of the content as is embedded.
    shown: String,
    /// The key under which the scores are cached.
    key: [u8; 32],
    /// The scores, where a model in this process found them at once.
    scored: Option<Arc<Scores>>,
    /// What an LLM is asked if the scores are too close.
    second: Option<RuleQuestion>,
}

impl fmt::Debug for RouteQuestion {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteQuestion").field("embedder", self.routes.embedder.name()).finish_non_exhaustive()
    }
}

/// Returns the question for a request with this content, or the classification if nothing need be asked.
pub(super) fn ask(routes: &Arc<Routes>, content: &str, scope: &str) -> Classify {
    let (embedder, began) = (&routes.embedder, Instant::now());
    let Some(index) = routes.index() else {
        embedder.state().count(&Verdict::Priming, false);
        return Classify::Known(Classification::at_once(Verdict::Priming));
    };
    let shown = embedder.shown(content);
    let scored = match embedder.at_once(&shown).transpose() {
        Ok(vector) => vector.map(|vector| Arc::new(index.scores(&vector))),
        Err(why) => return Classify::Known(classification(routes, Err(&Failure::Error(why)), false, began)),
    };
    if let Some(scores) = scored.as_ref().filter(|scores| !is_close(routes, scores)) {
        return Classify::Known(classification(routes, Ok(scores), false, began));
    }
    let question =
        |unsure: &Unsure| RuleQuestion::new(Arc::clone(&unsure.classifier), Arc::clone(&unsure.rules), content, scope);
    let second = routes.unsure.as_ref().map(question);
    let key = key(routes, scope, &shown);
    Classify::Question(Question::Route(RouteQuestion { routes: Arc::clone(routes), shown, key, scored, second }))
}

/// Scores are shared only within a scope: an API and its environment.
fn key(routes: &Routes, scope: &str, shown: &str) -> [u8; 32] {
    let hash = Sha256::new_with_prefix(routes.fingerprint).chain_update(scope);
    // No scope holds a zero, and what is not shown cannot change the answer.
    hash.chain_update([0]).chain_update(shown).finalize().into()
}

fn is_close(routes: &Routes, scores: &Scores) -> bool {
    routes.unsure.as_ref().is_some_and(|unsure| scores.is_close(unsure.margin))
}

/// Counts scores, and makes a classification of them.
fn classification(
    routes: &Routes,
    scores: Result<&Arc<Scores>, &Failure>,
    shared: bool,
    began: Instant,
) -> Classification {
    let verdict = match scores {
        Ok(scores) => scores.matched().map_or(Verdict::None, Verdict::Matched),
        Err(failure) => failure.verdict().0,
    };
    routes.embedder.state().count(&verdict, shared);
    Classification { scores: scores.ok().cloned(), ..Classification::of(verdict, None, shared, began) }
}

impl RouteQuestion {
    /// Returns the content, of a long one head and tail.
    pub(super) fn content(&self) -> &str {
        &self.shown
    }

    /// Returns the first request that is sent: to the embedder, or to the LLM where the scores are there already.
    pub(super) fn request(&self) -> Option<Value> {
        self.routes.embedder.request(&self.shown).or_else(|| self.second.as_ref().map(RuleQuestion::request))
    }

    /// Returns the classification, if all that it needs is remembered.
    pub(super) fn remembered(&self) -> Option<Classification> {
        let began = Instant::now();
        let found = |service: &super::service::Service<Scores>| service.state.remembered(&self.key);
        let scores = self.scored.clone().or_else(|| self.routes.embedder.service().and_then(found))?;
        if !is_close(&self.routes, &scores) {
            return Some(classification(&self.routes, Ok(&scores), true, began));
        }
        let second = self.second.as_ref()?.remembered()?;
        Some(self.decided(classification(&self.routes, Ok(&scores), true, began), second, began))
    }

    /// Asks, or finds the scores where they were asked for before. It takes no longer than the embedder's timeout; where
    /// an LLM decides, no longer than the longer of the two.
    pub(super) async fn answer(mut self) -> Classification {
        let (began, second) = (Instant::now(), self.second.take());
        let (scores, called) = self.scores().await;
        let first = classification(&self.routes, scores.as_ref().map_err(|failure| &**failure), !called, began);
        match (scores, second) {
            (Ok(scores), Some(second)) if is_close(&self.routes, &scores) => {
                let bound = self.routes.embedder.timeout().max(second.timeout());
                let left = bound.saturating_sub(began.elapsed());
                self.ask_further(first, second.answer(), left, began).await
            }
            _ => first,
        }
    }

    /// Asks, bypassing caches and breakers, and caches nothing.
    pub(super) async fn answer_afresh(mut self) -> Classification {
        let (began, second) = (Instant::now(), self.second.take());
        let scores = match &self.scored {
            Some(scores) => Ok(Arc::clone(scores)),
            None => self.embed(Breaker::Ignored).await,
        };
        let first = classification(&self.routes, scores.as_ref(), false, began);
        match (scores, second) {
            (Ok(scores), Some(second)) if is_close(&self.routes, &scores) => {
                let bound = second.timeout();
                self.ask_further(first, second.answer_afresh(), bound, began).await
            }
            _ => first,
        }
    }

    async fn ask_further(
        &self,
        first: Classification,
        second: impl Future<Output = Classification>,
        left: Duration,
        began: Instant,
    ) -> Classification {
        let second = tokio::time::timeout(left, second).await;
        let second = second.unwrap_or_else(|_| Classification::at_once(Verdict::Timeout));
        self.decided(first, second, began)
    }

    /// Returns what both stages say: the LLM's word counts, unless it failed.
    fn decided(&self, first: Classification, second: Classification, began: Instant) -> Classification {
        let verdict = match second.verdict {
            Verdict::Matched(_) | Verdict::None => second.verdict.clone(),
            _ => first.verdict.clone(),
        };
        let asked = self
            .routes
            .unsure
            .as_ref()
            .map(|unsure| Second { classifier: Arc::clone(unsure.classifier.name()), verdict: second.verdict });
        let (answer, tokens) = (second.answer, second.tokens);
        let shared = first.shared && second.shared;
        Classification { verdict, answer, tokens, shared, took: began.elapsed(), unsure: asked, ..first }
    }

    async fn scores(&self) -> (Result<Arc<Scores>, Arc<Failure>>, bool) {
        match (&self.scored, self.routes.embedder.service()) {
            (Some(scores), _) => (Ok(Arc::clone(scores)), true),
            (None, Some(service)) => service.answer(self.key, self.embed(Breaker::Obeyed)).await,
            (None, None) => (self.embed(Breaker::Obeyed).await.map_err(Arc::new), true),
        }
    }

    async fn embed(&self, breaker: Breaker) -> Result<Arc<Scores>, Failure> {
        let index = self.routes.index().ok_or_else(|| Failure::Error("no vectors of the routes".to_owned()))?;
        let vector = self.routes.embedder.embed(&self.shown, index.dimensions(), breaker).await?;
        Ok(Arc::new(index.scores(&vector)))
    }
}
