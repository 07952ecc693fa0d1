//! Thresholds compared: what the cases of an evaluation would come to under other rules, on the same scores.

use serde::Serialize;

use super::CaseResult;
use crate::classifier::{Index, NONE, Scores, Sorter};

/// The quantiles that are compared, with what they are for.
const QUANTILES: [f32; 4] = [0.02, 0.05, 0.09, 0.20];
/// The thresholds of the rule that other gateways have: the largest cosine over the utterances, and nothing else.
/// Source: WSO2's default, its documentation's example, and what is usual for small models.
const COSINES: [f32; 3] = [0.90, 0.80, 0.50];

/// What some rule makes of the cases.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// The rule.
    pub rule: String,
    /// The threshold, where it is one for all routes.
    pub threshold: Option<f32>,
    /// The share of cases that get what is expected: their route, or none.
    pub right: f64,
    /// The share of cases of some route that get this route.
    pub right_route: f64,
    /// The share of cases of some route that get none.
    pub false_none: f64,
    /// The share of cases of no route that get none; absent if there are no such cases.
    pub none_found: Option<f64>,
}

/// A case with its scores: the route that it fits, as an index, and what the routes make of it.
pub(super) struct Labelled<'r> {
    pub(super) expected: Option<usize>,
    pub(super) scores: &'r Scores,
}

/// Returns the cases that have scores.
pub(super) fn labelled<'r>(sorter: &Sorter, results: &'r [CaseResult]) -> Vec<Labelled<'r>> {
    let names = sorter.names();
    let expected = |name: &str| if name == NONE { None } else { names.iter().position(|known| *known == name) };
    let scores = |result: &'r CaseResult| result.classification.scores.as_deref();
    let labelled = results.iter().filter_map(|it| Some((it, scores(it)?)));
    labelled.map(|(it, scores)| Labelled { expected: expected(&it.case.expected), scores }).collect()
}

/// Compares rules: the policy's own, other quantiles, and the largest cosine.
pub(super) fn compare(sorter: &Sorter, results: &[CaseResult]) -> Vec<Compared> {
    let cases = labelled(sorter, results);
    let Some(index) = sorter.routes().and_then(|routes| routes.index()).filter(|_| !cases.is_empty()) else {
        return Vec::new();
    };
    let best = |threshold: f32| move |scores: &Scores| (scores.score() >= threshold).then_some(scores.best);
    let mut rows = vec![
        row("the policy's thresholds", None, &cases, Scores::matched),
        row("no threshold", None, &cases, |scores| Some(scores.best)),
    ];
    rows.extend(QUANTILES.into_iter().filter_map(|share| {
        let threshold = index.auto_threshold(share)?;
        Some(row(&format!("auto, quantile {share:.2}"), Some(threshold), &cases, best(threshold)))
    }));
    rows.extend(COSINES.into_iter().map(|threshold| {
        row("largest cosine alone", Some(threshold), &cases, |scores| largest_cosine(scores, threshold))
    }));
    rows
}

/// The rule of gateways that look at the nearest utterance only.
fn largest_cosine(scores: &Scores, threshold: f32) -> Option<usize> {
    let by_cosine =
        |left: &usize, right: &usize| scores.routes[*left].nearest.total_cmp(&scores.routes[*right].nearest);
    (0..scores.routes.len()).max_by(by_cosine).filter(|route| scores.routes[*route].nearest >= threshold)
}

fn row(
    rule: &str,
    threshold: Option<f32>,
    cases: &[Labelled<'_>],
    decide: impl Fn(&Scores) -> Option<usize>,
) -> Compared {
    let decided: Vec<_> = cases.iter().map(|case| (case.expected, decide(case.scores))).collect();
    let (fitting, others): (Vec<_>, Vec<_>) = decided.iter().copied().partition(|(expected, _)| expected.is_some());
    let share = |part: usize, of: usize| ratio(part, of).unwrap_or_default();
    Compared {
        rule: rule.to_owned(),
        threshold,
        right: share(decided.iter().filter(|(expected, decided)| expected == decided).count(), decided.len()),
        right_route: share(fitting.iter().filter(|(expected, decided)| expected == decided).count(), fitting.len()),
        false_none: share(fitting.iter().filter(|(_, decided)| decided.is_none()).count(), fitting.len()),
        none_found: ratio(others.iter().filter(|(_, decided)| decided.is_none()).count(), others.len()),
    }
}

/// Returns a share from 0 to 1; `None` of nothing.
#[allow(clippy::cast_precision_loss)] // Nobody has 2^52 cases.
pub(super) fn ratio(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// Returns the thresholds for a policy that make the most of labelled cases, as YAML to paste into it.
///
/// # Errors
/// The policy compares no vectors, or no case has scores.
pub fn fit(sorter: &Sorter, results: &[CaseResult]) -> Result<String, String> {
    let cases = labelled(sorter, results);
    let routes = sorter.routes().ok_or("only thresholds of `semantic` policies can be fitted")?;
    let index = routes.index().ok_or("the vectors of the policy's utterances are not there")?;
    if cases.is_empty() {
        return Err("no case has scores".to_owned());
    }
    if cases.iter().all(|case| case.expected.is_some()) {
        return Err("every case fits some route, so any threshold only does harm; add cases that fit none".to_owned());
    }
    Ok(written(sorter, index, &cases))
}

fn written(sorter: &Sorter, index: &Index, cases: &[Labelled<'_>]) -> String {
    let threshold = best_threshold(cases).unwrap_or(index.threshold());
    let own = |route: usize| {
        let nearest: Vec<_> = cases.iter().filter(|case| case.scores.best == route).collect();
        let of_it = nearest.iter().filter(|case| case.expected == Some(route)).count();
        let of_none = nearest.iter().filter(|case| case.expected.is_none()).count();
        // Fewer would fit the route to single cases.
        (of_it >= MIN_CASES && of_none >= MIN_CASES).then(|| best_threshold_among(cases, Some(route))).flatten()
    };
    let own: Vec<_> = (0..sorter.names().len()).map(|route| own(route).map(rounded)).collect();
    let threshold = rounded(threshold);
    let decide = |scores: &Scores| (scores.score() >= own[scores.best].unwrap_or(threshold)).then_some(scores.best);
    let (before, after) = (row("", None, cases, Scores::matched), row("", None, cases, decide));
    let percent = |share: Option<f64>| share.unwrap_or_default() * 100.0;
    let line = |name: &str, it: &Compared| {
        let (right, false_none, found) =
            (percent(Some(it.right)), percent(Some(it.false_none)), percent(it.none_found));
        format!("# {name}: {right:.1} % right, {false_none:.1} % false none, {found:.1} % of none found\n")
    };
    let mut yaml = format!("# Fitted to {} cases.\n", cases.len()) + &line("before", &before) + &line("after", &after);
    yaml += &format!("threshold: {threshold:.3}\n");
    let fitted: Vec<_> = sorter.names().into_iter().zip(&own).filter_map(|(name, own)| Some((name, (*own)?))).collect();
    if !fitted.is_empty() {
        yaml += "routes: # in each of these\n";
        for (name, threshold) in fitted {
            yaml += &format!("  - name: {}\n    threshold: {threshold:.3}\n", serde_json::Value::from(name));
        }
    }
    yaml
}

/// The least cases of a route, and of none, that are nearest to it before it gets a threshold of its own.
const MIN_CASES: usize = 5;

fn rounded(threshold: f32) -> f32 {
    (threshold * 1_000.0).round() / 1_000.0
}

fn best_threshold(cases: &[Labelled<'_>]) -> Option<f32> {
    best_threshold_among(cases, None)
}

/// Returns the threshold that gives the most cases what they expect; of cases that are nearest to one route, or of all.
fn best_threshold_among(cases: &[Labelled<'_>], route: Option<usize>) -> Option<f32> {
    let gain = |case: &Labelled<'_>| match case.expected {
        Some(expected) if expected == case.scores.best => -1,
        Some(_) => 0,
        None => 1,
    };
    let mut scored: Vec<_> = cases
        .iter()
        .filter(|case| route.is_none_or(|route| case.scores.best == route))
        .map(|case| (case.scores.score(), gain(case)))
        .collect();
    scored.sort_by(|left, right| left.0.total_cmp(&right.0));
    // The threshold lies between two scores: what is below it is refused.
    let (mut sum, mut best) = (0, (0, 0.0_f32));
    for (position, (score, gain)) in scored.iter().enumerate() {
        sum += gain;
        let next = scored.get(position + 1).map_or(1.0, |next| next.0);
        if sum > best.0 && next > *score {
            best = (sum, f32::midpoint(*score, next));
        }
    }
    (!scored.is_empty()).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::RouteScore;

    fn scores(best: f32, other: f32) -> Scores {
        let route = |score| RouteScore { nearest: score, centroid: score };
        Scores { routes: vec![route(best), route(other)], best: 0, second: Some(1), threshold: 0.5 }
    }

    #[test]
    fn a_threshold_is_fitted_between_what_fits_and_what_does_not() {
        let all = [(0.9, Some(0)), (0.8, Some(0)), (0.6, Some(0)), (0.4, None), (0.3, None), (0.2, Some(1))];
        let scored: Vec<_> = all.iter().map(|(score, expected)| (scores(*score, 0.1), *expected)).collect();
        let cases: Vec<_> = scored.iter().map(|(scores, expected)| Labelled { expected: *expected, scores }).collect();
        let threshold = best_threshold(&cases).expect("a threshold");
        assert!((threshold - 0.5).abs() < 1e-6, "{threshold}");
        let fitted = row("", None, &cases, |scores| (scores.score() >= threshold).then_some(scores.best));
        assert_eq!((fitted.none_found, fitted.right), (Some(1.0), 5.0 / 6.0));
        assert_eq!(fitted.false_none, 0.25);
    }

    #[test]
    fn the_largest_cosine_looks_at_the_nearest_utterance_only() {
        let mut scores = scores(0.7, 0.6);
        scores.routes[1].nearest = 0.95;
        assert_eq!((largest_cosine(&scores, 0.9), largest_cosine(&scores, 0.96)), (Some(1), None));
    }
}
