//! The report of an evaluation: accuracy, confusion, misses and cost.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::CaseResult;

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

/// Milliseconds of calls.
#[derive(Debug, Default, Serialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50_ms: u64,
    /// Nineteen of twenty took no longer.
    pub p95_ms: u64,
    /// None took longer.
    pub max_ms: u64,
}

impl Report {
    /// Sums results up.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Nobody has 2^52 cases.
    pub fn of(results: &[CaseResult]) -> Self {
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
        }
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
        let at = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1)).map_or(0, millis);
        Self { p50_ms: at(50), p95_ms: at(95), max_ms: at(100) }
    }
}

fn millis(duration: &Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cases, {} right: {:.1} %", self.cases, self.right, self.accuracy * 100.0)?;
        writeln!(f, "\n{}", self.table())?;
        for miss in &self.misses {
            writeln!(f, "line {}: expected {}, got {}: {}", miss.line, miss.expected, miss.said, miss.request)?;
        }
        let Latency { p50_ms, p95_ms, max_ms } = self.latency;
        writeln!(f, "\nlatency: half within {p50_ms} ms, 95 % within {p95_ms} ms, all within {max_ms} ms")?;
        writeln!(f, "tokens: {} of prompts, {} of answers", self.prompt_tokens, self.answer_tokens)
    }
}

impl Report {
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
