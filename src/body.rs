//! A request's JSON body: read once, edited without touching any byte that is not meant to change.

mod edit;
mod members;

use std::fmt;

use members::Members;

/// Deeper nesting is refused; serde_json's own limit (it refuses the 128th level), and more than any provider takes.
const MAX_DEPTH: usize = 127;

/// The longest message about a body.
const MAX_MESSAGE_CHARS: usize = 200;

/// Changes of a body's top-level members, in this order: removals, renamings, values set. Never `model`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyEdits {
    /// Keys that go.
    pub remove: Vec<String>,
    /// Old and new keys; where the new one is there already, the old one goes.
    pub rename: Vec<(String, String)>,
    /// Keys and values as JSON text; added when absent, replaced otherwise.
    pub set: Vec<(String, String)>,
}

/// What the router reads in a request's body.
#[derive(Debug)]
pub struct BodyFacts<'a> {
    /// The model that the client asked for; `None` when absent or not a string.
    pub model: Option<String>,
    /// Whether the client asked for a stream of events.
    pub streamed: bool,
    /// The member by which the request refers to something that exists only at one account.
    pub stateful: Option<&'static str>,
    members: Members<'a>,
}

/// Why a body is not one that a model could be set in.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyError(String);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Top-level members of OpenAI's Responses API that refer to what an earlier request left at its account.
const STATEFUL_KEYS: [&str; 2] = ["previous_response_id", "conversation"];

impl<'a> BodyFacts<'a> {
    /// Reads a body: one JSON object, with at most one top-level `model`.
    ///
    /// # Errors
    /// What is wrong and where. A second `model`, or a key equal to it but for case, is refused: providers disagree on
    /// which one counts, and what was chosen must be what is served.
    pub fn read(body: &'a [u8]) -> Result<Self, BodyError> {
        if body.is_empty() {
            return Err(BodyError("the request has no body; expected a JSON object".into()));
        }
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(BodyError("the request's body cannot be used: expected a JSON object".into()));
        }
        let members = Members::parse(body)
            .map_err(|error| BodyError(format!("the request's body cannot be used: {}", short(&error))))?;
        if nests_too_deep(body) {
            return Err(BodyError(format!("the request's body nests deeper than {MAX_DEPTH} levels")));
        }
        let is = |key, value| members.value(key).is_some_and(|found| found == value);
        Ok(Self {
            model: members.value("model").and_then(|model| serde_json::from_str(model).ok()),
            streamed: is("stream", "true"),
            stateful: STATEFUL_KEYS.into_iter().find(|key| members.value(key).is_some() && !is(key, "null")),
            members,
        })
    }

    /// The same body with this model.
    #[must_use]
    pub fn with_model(&self, model: &str) -> Vec<u8> {
        self.edited(model, &BodyEdits::default())
    }

    /// The same body with this model and these edits.
    #[must_use]
    pub fn edited(&self, model: &str, edits: &BodyEdits) -> Vec<u8> {
        edit::edited(&self.members, model, edits)
    }
}

/// A parser's message; some repeat the text that they are about.
fn short(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Whether a valid JSON text nests too deep. Strings, which are nearly all of a prompt, are skipped at memory speed.
fn nests_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => at = end_of_string(json, at + 1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
        at += 1;
    }
    false
}

/// Where the quote stands that ends the string which begins at `at`, its own quote excluded.
fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr::memchr2(b'"', b'\\', &json[at..]) {
        if json[at + found] == b'"' {
            return at + found;
        }
        at += found + 2;
    }
    json.len()
}

#[cfg(test)]
mod tests;
