//! An evaluation: labelled prompts shown to a policy's classifier, and how often it was right.

mod case;
mod report;
mod thresholds;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::body::BodyFacts;
use crate::classifier::{Classification, Classify, NONE, Verdict};
use crate::routing::api::Environment;
use crate::routing::policy::sorted::Sorted;
use crate::routing::snapshot::Snapshot;
pub use case::Case;
pub use report::Report;
pub use thresholds::{Compared, fit};

/// The result of one case.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// The case.
    pub case: Case,
    /// The name of a rule, [`NONE`], or how the classification failed, in parentheses.
    pub said: String,
    /// The result of the call.
    pub classification: Classification,
}

impl CaseResult {
    /// Returns whether the classifier's answer was the expected one. A rule may have the name of a failure.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let is_said = matches!(self.classification.verdict, Verdict::Matched(_) | Verdict::None);
        is_said && self.said == self.case.expected
    }

    /// Returns whether the classifier was asked.
    fn is_asked(&self) -> bool {
        !matches!(self.classification.verdict, Verdict::ContentMissing | Verdict::BreakerOpen | Verdict::OverCapacity)
    }
}

/// Returns the rules or routes that an API applies in an environment, under `by_model` those for a model.
///
/// # Errors
/// There is no such API, or it has no rules there, or several entries have some and no model says which.
pub fn rules<'s>(
    snapshot: &'s Snapshot,
    api: &str,
    environment: Environment,
    model: Option<&str>,
) -> Result<&'s Sorted, String> {
    let Some(found) = snapshot.apis.iter().find(|known| &*known.name == api) else {
        let known: Vec<_> = snapshot.apis.iter().map(|api| format!("`{}`", api.name)).collect();
        return Err(format!("there is no API `{api}`; there are {}", known.join(", ")));
    };
    let Some(policy) = found.policy(environment) else {
        return Err(format!("the API `{api}` has no policy for {}", environment.name()));
    };
    let policy = match model {
        None => policy,
        Some(model) => policy.of_model(Some(model)).ok_or_else(|| format!("the API `{api}` has no model `{model}`"))?,
    };
    let mut sorted = policy.sorted();
    match (sorted.next(), sorted.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => {
            Err(format!("several entries of the API `{api}` classify requests; say which, with `--model`"))
        }
        (None, _) => {
            let kind = policy.kind();
            Err(format!("the API `{api}` is `{kind}` in {}, and classifies no request", environment.name()))
        }
    }
}

/// Classifies every case, `concurrency` at a time but no more than who is asked allows, and calls `progress` after each. In the order of the cases.
pub async fn evaluate(rules: &Sorted, cases: Vec<Case>, concurrency: usize, progress: impl Fn()) -> Vec<CaseResult> {
    let permits = Arc::new(Semaphore::new(concurrency.min(rules.sorter.concurrency())));
    let mut tasks = JoinSet::new();
    for (number, case) in cases.into_iter().enumerate() {
        let asked = {
            let body = BodyFacts::read(&case.body).unwrap_or_else(|_| BodyFacts::opaque(&case.body));
            rules.ask(&body, "")
        };
        let permits = Arc::clone(&permits);
        tasks.spawn(async move {
            let _permit = permits.acquire().await;
            let classification = match asked {
                Classify::Question(question) => question.answer_afresh().await,
                Classify::Known(known) => known,
            };
            (number, case, classification)
        });
    }
    let mut results = Vec::new();
    while let Some(done) = tasks.join_next().await {
        // A task ends in no other way: it is not aborted, and nothing in it panics.
        let Ok((number, case, classification)) = done else { continue };
        let said =
            match (classification.verdict.rule().and_then(|rule| rules.rule(rule)), classification.verdict.label()) {
                (Some(rule), _) => rule.to_owned(),
                (None, "none") => NONE.to_owned(),
                (None, failure) => format!("({failure})"),
            };
        results.push((number, CaseResult { case, said, classification }));
        progress();
    }
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
