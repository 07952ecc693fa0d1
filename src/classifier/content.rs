//! Content: the words of a request by which it is classified, found in its body by a JSONPath.

mod last_user;
mod opening;
mod path;
mod query;
mod text;

use crate::body::scan::Step;
use crate::body::{BodyFacts, nests_too_deep};
use query::Query;

/// The place of the content.
#[derive(Debug)]
pub struct ContentPath {
    /// As the policy file spells it.
    source: String,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// What the user said last, in every dialect.
    LastUser,
    /// So many bytes of what system prompt and first message of the user say, in every dialect.
    Opening(usize),
    /// The paths of APIs of OpenAI's shape: the first one that leads to some text counts.
    Usual(Vec<Vec<Step>>),
    /// Names and indices only: walked without building a document.
    Plain(Vec<Step>),
    /// Anything else.
    Query(Query),
}

/// What the default is called where a path is shown.
const LAST_USER: &str = "the last message of the user";
/// What the opening is called there.
const OPENING: &str = "prompt_prefix";
/// The last message of a chat, whoever said it.
const USUAL: &str = "$.messages[-1].content";
/// Chat completions, the Responses API (text, or a list of items), completions, Gemini.
const USUAL_PATHS: [&str; 4] = [USUAL, "$.input", "$.prompt", "$.contents[-1].parts"];

impl Default for ContentPath {
    /// The text of the last message of the user.
    fn default() -> Self {
        Self { source: LAST_USER.to_owned(), way: Way::LastUser }
    }
}

impl ContentPath {
    /// Compiles a JSONPath.
    ///
    /// # Errors
    /// The mistake, or the part that is not supported.
    pub fn parse(source: &str) -> Result<Self, String> {
        if source == USUAL {
            let paths = USUAL_PATHS.into_iter().filter_map(|path| path::parse(path).ok().flatten());
            return Ok(Self { source: USUAL.to_owned(), way: Way::Usual(paths.collect()) });
        }
        let way = match path::parse(source)? {
            Some(steps) => Way::Plain(steps),
            None => Way::Query(Query::compile(source)?),
        };
        Ok(Self { source: source.to_owned(), way })
    }

    /// Creates the path to the first bytes of what the system prompt and the first message of the user say.
    #[must_use]
    pub fn opening(bytes: usize) -> Self {
        Self { source: format!("{OPENING} {bytes}"), way: Way::Opening(bytes) }
    }

    /// As the policy file spells it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the content of a body: a string, or the texts of a list of parts. `None` if there is nothing but
    /// whitespace.
    #[must_use]
    pub fn find(&self, body: &BodyFacts<'_>) -> Option<String> {
        let found = match &self.way {
            Way::LastUser => last_user::find(body),
            Way::Opening(bytes) => opening::find(body, *bytes),
            Way::Usual(paths) => paths.iter().find_map(|steps| plain(body, steps)),
            Way::Plain(steps) => plain(body, steps),
            Way::Query(query) => query.select(body.text()?.as_bytes()),
        };
        found.filter(|text| !text.trim().is_empty())
    }
}

fn plain(body: &BodyFacts<'_>, steps: &[Step]) -> Option<String> {
    let value = match (body.object(), steps) {
        // The first step was taken when the body was read.
        (Some(object), [Step::Member(name), rest @ ..]) => path::walk(object.last(name)?, rest)?,
        _ => path::walk(body.text().filter(|text| !nests_too_deep(text.as_bytes()))?, steps)?,
    };
    text::of(value).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests;
