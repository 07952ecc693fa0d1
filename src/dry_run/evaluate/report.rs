//! The report of an evaluation: accuracy, confusion, misses and cost.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::CaseResult;
use super::thresholds::{self, Compared, ratio};
use crate::classifier::{NONE, Sorter, Verdict};

/// Prompts are shown by their beginning.
const SHOWN_CHARS: usize = 100;

/// The outcome of an evaluation.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The cases.
    pub cases: usize,
    /// The cases that the classifier sorted as expected.
    pub right: usize,
    /// The share of them, from 0 to 1.
    pub accuracy: f64,
    /// The confusion matrix: counts of answers by expected rule.
    pub confusion: BTreeMap<String, BTreeMap<String, usize>>,
    /// The cases that went wrong.
    pub misses: Vec<Miss>,
    /// The latencies of the calls.
    pub latency: Latency,
    /// The tokens of all prompts and of all answers, where the classifier reports them.
    pub prompt_tokens: u64,
    /// See `prompt_tokens`.
    pub answer_tokens: u64,
    /// The share of cases of some rule that were said to fit none.
    pub false_none: Option<f64>,
    /// The share of cases of no rule that were said to fit none.
    pub none_found: Option<f64>,
    /// Other thresholds on the same scores, where vectors were compared.
    pub thresholds: Vec<Compared>,
    /// What the classifier was asked that decides where the scores are too close; absent where there is none.
    pub unsure: Option<Unsure>,
}

/// What an LLM added to scores.
#[derive(Debug, Serialize)]
pub struct Unsure {
    /// The share of cases that were decided without it.
    pub decided_without: f64,
    /// The accuracy of the scores alone.
    pub accuracy_without: f64,
}

/// A case that went wrong.
#[derive(Debug, Serialize)]
pub struct Miss {
    /// Its line in the file.
    pub line: usize,
    /// The rule that it fits.
    pub expected: String,
    /// The answer, or the failure.
    pub said: String,
    /// The beginning of the request.
    pub request: String,
    /// The classifier's words.
    pub answer: Option<String>,
}

/// How long classifications took, in milliseconds and in microseconds.
#[derive(Debug, Default, Serialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50_ms: u64,
    /// Nineteen of twenty took no longer.
    pub p95_ms: u64,
    /// None took longer.
    pub max_ms: u64,
    /// See `p50_ms`.
    pub p50_us: u64,
    /// See `p95_ms`.
    pub p95_us: u64,
    /// See `max_ms`.
    pub max_us: u64,
}

impl Report {
    /// Sums results up.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Nobody has 2^52 cases.
    pub fn of(sorter: &Sorter, results: &[CaseResult]) -> Self {
        let (of_none, of_rules): (Vec<_>, Vec<_>) = results.iter().partition(|result| result.case.expected == NONE);
        let none = |results: &[&CaseResult]| {
            ratio(results.iter().filter(|it| it.classification.verdict == Verdict::None).count(), results.len())
        };
        let right = results.iter().filter(|result| result.is_right()).count();
        let mut confusion = BTreeMap::<_, BTreeMap<_, usize>>::new();
        for result in results {
            *confusion.entry(result.case.expected.clone()).or_default().entry(result.said.clone()).or_default() += 1;
        }
        let tokens =
            |part: fn((u64, u64)) -> u64| results.iter().filter_map(|it| it.classification.tokens).map(part).sum();
        Self {
            cases: results.len(),
            right,
            accuracy: right as f64 / results.len().max(1) as f64,
            confusion,
            misses: results.iter().filter(|result| !result.is_right()).map(Miss::of).collect(),
            latency: Latency::of(results),
            prompt_tokens: tokens(|(prompt, _)| prompt),
            answer_tokens: tokens(|(_, answer)| answer),
            false_none: none(&of_rules),
            none_found: none(&of_none),
            thresholds: thresholds::compare(sorter, results),
            unsure: Unsure::of(sorter, results),
        }
    }
}

impl Unsure {
    fn of(sorter: &Sorter, results: &[CaseResult]) -> Option<Self> {
        sorter.routes()?.unsure.as_ref()?;
        let cases = thresholds::labelled(sorter, results);
        let right = cases.iter().filter(|case| case.scores.matched() == case.expected).count();
        let without = results.iter().filter(|result| result.classification.unsure.is_none()).count();
        Some(Self { decided_without: ratio(without, results.len())?, accuracy_without: ratio(right, results.len())? })
    }
}

impl Miss {
    fn of(result: &CaseResult) -> Self {
        Self {
            line: result.case.line,
            expected: result.case.expected.clone(),
            said: result.said.clone(),
            request: String::from_utf8_lossy(&result.case.body).chars().take(SHOWN_CHARS).collect(),
            answer: result.classification.answer.clone(),
        }
    }
}

impl Latency {
    fn of(results: &[CaseResult]) -> Self {
        let mut took: Vec<_> = results.iter().filter(|it| it.is_asked()).map(|it| it.classification.took).collect();
        took.sort_unstable();
        let at = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1)).map_or(0, micros);
        let (p50_us, p95_us, max_us) = (at(50), at(95), at(100));
        Self { p50_ms: p50_us / 1_000, p95_ms: p95_us / 1_000, max_ms: max_us / 1_000, p50_us, p95_us, max_us }
    }
}

fn micros(duration: &Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Shows a time in the unit that suits it.
fn time(micros: u64) -> String {
    if micros < 1_000 { format!("{micros} µs") } else { format!("{} ms", micros / 1_000) }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cases, {} right: {:.1} %", self.cases, self.right, self.accuracy * 100.0)?;
        writeln!(f, "\n{}", self.table())?;
        for miss in &self.misses {
            writeln!(f, "line {}: expected {}, got {}: {}", miss.line, miss.expected, miss.said, miss.request)?;
        }
        if let (Some(false_none), Some(none_found)) = (self.false_none, self.none_found) {
            let (false_none, none_found) = (false_none * 100.0, none_found * 100.0);
            writeln!(f, "\nfalse none: {false_none:.1} % of the cases of some rule; none found: {none_found:.1} %")?;
        }
        if let Some(Unsure { decided_without, accuracy_without }) = &self.unsure {
            let (without, accuracy) = (decided_without * 100.0, accuracy_without * 100.0);
            writeln!(f, "decided by scores: {without:.1} %, which alone would have been right in {accuracy:.1} %")?;
        }
        if !self.thresholds.is_empty() {
            writeln!(f, "\n{}", self.comparison())?;
        }
        let Latency { p50_us, p95_us, max_us, .. } = self.latency;
        let [half, most, all] = [p50_us, p95_us, max_us].map(time);
        writeln!(f, "\nlatency: half within {half}, 95 % within {most}, all within {all}")?;
        if self.prompt_tokens + self.answer_tokens == 0 {
            return Ok(());
        }
        writeln!(f, "tokens: {} of prompts, {} of answers", self.prompt_tokens, self.answer_tokens)
    }
}

impl Report {
    /// Returns the thresholds that were compared, a row each.
    fn comparison(&self) -> Table {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["rule", "threshold", "right", "right route", "false none", "none found"]);
        for row in &self.thresholds {
            table.add_row([
                row.rule.clone(),
                row.threshold.map(|threshold| format!("{threshold:.3}")).unwrap_or_default(),
                percent(row.right),
                percent(row.right_route),
                percent(row.false_none),
                row.none_found.map(percent).unwrap_or_default(),
            ]);
        }
        table
    }

    /// Returns the confusion matrix: a row for each expected rule, a column for each answer.
    fn table(&self) -> Table {
        let mut said: Vec<_> = self.confusion.values().flat_map(BTreeMap::keys).collect();
        said.sort_unstable();
        said.dedup();
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([&"expected \\ said".to_owned()].into_iter().chain(said.iter().copied()));
        for (expected, row) in &self.confusion {
            let counts = said.iter().map(|said| row.get(*said).map(ToString::to_string).unwrap_or_default());
            table.add_row([expected.clone()].into_iter().chain(counts));
        }
        table
    }
}
