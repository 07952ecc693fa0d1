//! A request's body, JSON or a multipart form: read once, edited without touching any byte that is not meant to change.

pub mod coding;
mod edit;
mod members;
mod multipart;
mod nested;
mod pieces;
pub(crate) mod scan;

use std::borrow::Cow;
use std::fmt;

use members::Members;
use multipart::Form;
pub use pieces::{Edited, Pieces};

/// Deeper nesting is refused; serde_json's own limit (it refuses the 128th level), and more than any provider takes.
const MAX_DEPTH: usize = 127;

/// A byte-order mark, which some clients put before JSON and no provider takes.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The member of a body that says what a stream has beside its content. Source: OpenAI's API reference.
pub const STREAM_OPTIONS: &str = "stream_options";

/// The longest message about a body.
const MAX_MESSAGE_CHARS: usize = 200;

/// Changes of a body's top-level members, in this order: removals, renamings, values set. Never `model`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyEdits {
    /// Keys that go.
    pub remove: Vec<String>,
    /// Old and new keys; where the new one is already defined, the old one goes.
    pub rename: Vec<(String, String)>,
    /// Keys and values as JSON text; added when absent, replaced otherwise.
    pub set: Vec<(String, String)>,
}

/// The facts that the router reads in a request's body.
#[derive(Debug)]
pub struct BodyFacts<'a> {
    /// The model that the client asked for; `None` when absent or not a string.
    pub model: Option<String>,
    /// Whether the client asked for a stream of events.
    pub streamed: bool,
    content: Content<'a>,
}

/// The content of a body.
#[derive(Debug)]
enum Content<'a> {
    Json(Members<'a>),
    Form(Form<'a>),
    /// A body that is forwarded unchanged.
    Opaque(&'a [u8]),
}

/// The edit of a body's model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEdit<'m> {
    name: Cow<'m, str>,
    /// Whether it is added where there is none.
    added: bool,
    /// Top-level members whose own objects repeat it.
    within: &'static [&'static str],
}

impl<'m> ModelEdit<'m> {
    /// Reads what a body says of its model.
    #[must_use]
    pub fn set(name: &'m str) -> Self {
        Self { name: name.into(), added: true, within: &[] }
    }

    /// Something else says it, and the body may repeat it.
    #[must_use]
    pub fn replace(name: impl Into<Cow<'m, str>>) -> Self {
        Self { name: name.into(), added: false, within: &[] }
    }

    /// Returns the same, and what these top-level members have: an object, or a list of some.
    #[must_use]
    pub fn within(self, members: &'static [&'static str]) -> Self {
        Self { within: members, ..self }
    }
}

/// Why a body is not one that a model could be set in.
#[derive(Debug, PartialEq, Eq)]
pub struct BodyError(String);

impl BodyError {
    /// It cannot be decoded.
    #[must_use]
    pub fn broken_coding() -> Self {
        Self("the request's body is not what its `content-encoding` says, or is cut off".into())
    }

    /// There is none.
    #[must_use]
    pub fn missing() -> Self {
        Self("the request has no body; expected a JSON object".into())
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> BodyFacts<'a> {
    /// Reads a body: one JSON object, with at most one top-level `model`.
    ///
    /// # Errors
    /// What is wrong and where. A second `model`, or a key equal to it but for case, is refused: providers disagree on
    /// which one counts, and what was chosen must be what is served.
    pub fn read(body: &'a [u8]) -> Result<Self, BodyError> {
        if body.is_empty() {
            return Err(BodyError::missing());
        }
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(BodyError("the request's body cannot be used: expected a JSON object".into()));
        }
        let members = match scan::members(body) {
            Some(all) => Members { text: body, all },
            None => Self::parse(body)?,
        };
        let is = |key, value| members.value(key).is_some_and(|found| found == value);
        Ok(Self {
            model: members.value("model").and_then(|model| serde_json::from_str(model).ok()),
            streamed: is("stream", "true"),
            content: Content::Json(members),
        })
    }

    /// Parses what the scan left undecided: serde_json accepts it or says what is wrong.
    fn parse(body: &'a [u8]) -> Result<Members<'a>, BodyError> {
        let members = Members::parse(body)
            .map_err(|error| BodyError(format!("the request's body cannot be used: {}", short(&error))))?;
        if nests_too_deep(body) {
            return Err(BodyError(format!("the request's body nests deeper than {MAX_DEPTH} levels")));
        }
        Ok(members)
    }

    /// Reads a multipart form with at most one part `model`.
    ///
    /// # Errors
    /// The mistake in the form or in its content type's boundary.
    pub fn read_form(body: &'a [u8], content_type: &'a str) -> Result<Self, BodyError> {
        let form = Form::parse(body, multipart::boundary(content_type)?)?;
        Ok(Self { model: form.model(), streamed: form.streamed, content: Content::Form(form) })
    }

    /// Creates a body that is not parsed, because its model is elsewhere.
    #[must_use]
    pub fn opaque(body: &'a [u8]) -> Self {
        Self { model: None, streamed: false, content: Content::Opaque(body) }
    }

    /// Returns the first of these top-level members that is there.
    #[must_use]
    pub fn member_of(&self, keys: &'static [&'static str]) -> Option<&'static str> {
        let members = self.object()?;
        keys.iter().copied().find(|key| members.value(key).is_some_and(|value| value != "null"))
    }

    /// Returns the index of the first of these that is there: a top-level member, within it at any depth a member with
    /// this key, and in its text this part (of a string, or of a list with one). A search for the bytes comes first, one
    /// for all that follow each other within the same member, and nearly always ends it.
    pub fn nested_of<'k>(&self, wanted: impl Iterator<Item = (&'k str, &'k str, &'k str)> + Clone) -> Option<usize> {
        let object = self.object()?;
        let mut searched: Option<(&str, &[u8], u32)> = None;
        wanted.clone().enumerate().find_map(|(index, (within, key, part))| {
            if searched.is_none_or(|(last, ..)| last != within) {
                // A literal value holds no member.
                let value = object.last_bytes(within).filter(|value| matches!(value.first(), Some(b'[' | b'{')));
                let here = wanted.clone().map(|row| (row.0 == within).then_some(nested::mark(row.1, row.2)));
                searched = Some((within, value.unwrap_or_default(), value.map_or(0, |it| nested::marked(it, here))));
            }
            let (_, value, marked) = searched?;
            (marked & 1 << index != 0 && nested::has(value, key, part)).then_some(index)
        })
    }

    /// Returns the members of a JSON object.
    pub(crate) fn object(&self) -> Option<&Members<'a>> {
        match &self.content {
            Content::Json(members) => Some(members),
            Content::Form(_) | Content::Opaque(_) => None,
        }
    }

    /// Returns all of a body that is text.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match &self.content {
            Content::Json(members) => std::str::from_utf8(members.text).ok(),
            Content::Opaque(body) => std::str::from_utf8(body).ok(),
            Content::Form(_) => None,
        }
    }

    /// Returns the same body with this model.
    #[must_use]
    pub fn with_model(&self, model: &str) -> Vec<u8> {
        self.edited(&ModelEdit::set(model), &BodyEdits::default()).to_vec()
    }

    /// Returns the stream options that ask for usage, with all that the client wrote there itself; `None` if it says
    /// something about usage already, or if there is no place for them.
    #[must_use]
    pub fn stream_options_with_usage(&self) -> Option<String> {
        const USAGE: &str = r#""include_usage":true"#;
        let options = match self.object()?.value(STREAM_OPTIONS) {
            None | Some("null") => return Some(format!("{{{USAGE}}}")),
            Some(options) => options,
        };
        let members = Members::parse(options.as_bytes()).ok()?;
        let end = options.rfind('}')?;
        let comma = if members.all.is_empty() { "" } else { "," };
        members.value("include_usage").is_none().then(|| format!("{}{comma}{USAGE}}}", &options[..end]))
    }

    /// Returns the same body with this model and, if it is JSON, these edits.
    #[must_use]
    pub fn edited(&self, model: &ModelEdit<'_>, edits: &BodyEdits) -> Edited<'a> {
        match &self.content {
            Content::Json(members) => edit::edited(members, model, edits),
            Content::Form(form) => form.with_model(&model.name, model.added),
            Content::Opaque(body) => Edited::unchanged(body),
        }
    }
}

/// Returns a parser's message; some repeat the text that they are about.
fn short(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Returns whether a text nests too deep, if it is JSON. Strings, which are nearly all of a prompt, are skipped at
/// memory speed.
pub(crate) fn nests_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
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

/// Returns the position of the quote that ends the string which begins at `at`, its own quote excluded.
pub(crate) fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if json[at + found] == b'"' {
            return at + found;
        }
        at += found + 2;
    }
    json.len()
}

#[cfg(test)]
mod tests;
