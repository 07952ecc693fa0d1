//! Paths with wildcards, slices, descents or filters, by `jsonpath_lib`; the only module that knows that crate.
//!
//! It is unmaintained and panics on input that it does not support (a range in a filter, an infinite number), so
//! paths that are known to do so are refused when the policy is loaded, and any other panic counts as nothing found.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonpath_lib::Compiled;
use serde_json::Value;
use serde_json::value::RawValue;

use super::text;
use crate::body;

/// A document is built of the body, which takes several times its size.
const MAX_BODY_BYTES: usize = 4 << 20;
/// A search of more values would keep everything else waiting; long conversations have a tenth of it.
const MAX_VALUES: usize = 50_000;
/// A longer path holds something else.
const MAX_PATH_BYTES: usize = 1_000;
/// More results than this are no content; each `*` and `..` may multiply them.
const MAX_RESULTS: usize = 10_000;

/// A compiled path.
pub(super) struct Query(Compiled);

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query")
    }
}

impl Query {
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        if source.len() > MAX_PATH_BYTES {
            return Err(format!("a JSONPath may have {MAX_PATH_BYTES} bytes at most"));
        }
        if source.matches("..").count() + source.matches('*').count() > 2 {
            return Err("a JSONPath may have two of `..` and `*` at most: more take too long".into());
        }
        if let Some(filter) = filters(source).find(|filter| !is_plain(filter)) {
            return Err(format!("the filter `{filter}` is not supported; expected one such as `?(@.role == 'user')`"));
        }
        // A number beyond its index is read as another one.
        if source.split(|character: char| !character.is_ascii_digit()).any(|digits| digits.len() > 15) {
            return Err("a number in a JSONPath may have 15 digits at most".into());
        }
        let compiled = catch_unwind(|| Compiled::compile(source)).unwrap_or_else(|_| Err(String::new()));
        compiled.map(Self).map_err(|_| format!("expected a JSONPath such as `{}`", super::USUAL))
    }

    /// Returns the texts of all that is found, each on a line.
    pub(super) fn select(&self, body: &[u8]) -> Option<String> {
        if body.len() > MAX_BODY_BYTES || body::nests_too_deep(body) || values(body) > MAX_VALUES {
            return None;
        }
        let document: Value = serde_json::from_slice(body).ok()?;
        let found = catch_unwind(AssertUnwindSafe(|| self.0.select(&document).ok())).ok()??;
        if found.len() > MAX_RESULTS {
            return None;
        }
        let texts: Vec<_> = found.into_iter().filter_map(text_of).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }
}

/// Returns the number of values in a JSON text; a list or an object may count twice.
fn values(json: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'[' | b'{' | b',' => count += 1,
            b'"' => at = body::end_of_string(json, at + 1),
            _ => {}
        }
        at += 1;
    }
    count
}

fn text_of(value: &Value) -> Option<String> {
    let raw: Box<RawValue> = serde_json::value::to_raw_value(value).ok()?;
    text::of(raw.get())
}

/// Returns the text in the parentheses of each filter.
fn filters(source: &str) -> impl Iterator<Item = &str> {
    let after = source.match_indices("?(").map(|(at, mark)| &source[at + mark.len()..]);
    after.map(|inside| inside.rsplit_once(")]").map_or(inside, |(inside, _)| inside))
}

/// Comparisons of one member with a literal. The crate does not support these inside filters: brackets, `*`, `~`,
/// functions; an exponent makes a number infinite; and two members are compared each with each, of all that there are.
fn is_plain(filter: &str) -> bool {
    let outside: Vec<_> = filter.split(['\'', '"']).step_by(2).collect();
    let unsupported = |text: &str| {
        let number = text.trim_start_matches(|character: char| !character.is_ascii_digit());
        text.contains(['[', ']', '*', '~', '(', ')', '$']) || text.contains("..") || number.contains(['e', 'E'])
    };
    let outside = outside.join("''");
    let mut clauses = outside.split("&&").flat_map(|clause| clause.split("||"));
    clauses.all(|clause| clause.matches('@').count() == 1) && !outside.split_whitespace().any(unsupported)
}
