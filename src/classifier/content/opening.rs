//! The opening of a conversation: what its system prompt and the first message of the user say, which every turn of the
//! conversation repeats. It is found in the dialect of each API.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::last_user::{CONVERSATIONS, PROMPT};
use super::{path, text};
use crate::body::BodyFacts;
use crate::body::scan::Step;

/// The members that hold a system prompt beside the conversation. Sources: the API references of Anthropic and Amazon
/// Bedrock (`system`), OpenAI's Responses (`instructions`) and Gemini.
const SYSTEM: [&str; 4] = ["system", "instructions", "systemInstruction", "system_instruction"];

/// Gemini's word for what a message says.
const PARTS: &str = "parts";

/// A message of a conversation.
#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    role: Option<Cow<'m, str>>,
    #[serde(borrow)]
    content: Option<&'m RawValue>,
    #[serde(borrow)]
    parts: Option<&'m RawValue>,
}

/// Returns the opening, or as much of it as is within this many bytes; `None` if there is none.
pub(super) fn find(body: &BodyFacts<'_>, bytes: usize) -> Option<String> {
    let object = body.object()?;
    let mut opening = Opening { text: String::new(), bytes, is_full: false };
    for system in SYSTEM.iter().filter_map(|name| object.last(name)) {
        opening.add(&said(system));
    }
    match CONVERSATIONS.iter().chain([&PROMPT]).find_map(|name| object.last(name)) {
        // The list is read only as far as the opening goes; what ends it looks like a mistake to the parser.
        Some(list) if list.starts_with('[') => {
            _ = serde_json::Deserializer::from_str(list).deserialize_seq(&mut opening);
        }
        Some(value) => opening.add(&said(value)),
        None => {}
    }
    (!opening.text.is_empty()).then_some(opening.text)
}

/// Returns what a system prompt or a message says.
fn said(value: &str) -> String {
    let parts = || text::of(path::walk(value, &[Step::Member(PARTS.to_owned())])?);
    text::of(value).or_else(parts).unwrap_or_default()
}

struct Opening {
    text: String,
    bytes: usize,
    is_full: bool,
}

impl Opening {
    fn add(&mut self, said: &str) {
        if self.is_full || said.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(said);
        self.is_full = self.text.len() >= self.bytes;
        if self.is_full {
            let end = (0..=self.bytes).rev().find(|&end| self.text.is_char_boundary(end));
            self.text.truncate(end.unwrap_or_default());
        }
    }

    /// Adds an element of a conversation; returns whether it ends the opening.
    fn add_element(&mut self, element: &str) -> bool {
        let Ok(message) = serde_json::from_str::<Message<'_>>(element) else {
            self.add(&said(element)); // a text, to be embedded, say
            return true;
        };
        let content = message.content.or(message.parts);
        self.add(&content.map(|content| said(content.get())).unwrap_or_default());
        message.role.is_none_or(|role| role == "user") || self.is_full
    }
}

impl<'de> Visitor<'de> for &mut Opening {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a conversation")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if self.add_element(element.get()) {
                return Err(A::Error::custom("the opening ends here"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(body: &str, bytes: usize) -> Option<String> {
        find(&BodyFacts::read(body.as_bytes()).expect("a good body"), bytes)
    }

    #[test]
    fn the_opening_is_found_in_every_dialect_and_ends_with_the_first_message_of_the_user() {
        for (body, expected) in [
            // Chat completions.
            (
                r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"user","content":"b"}]}"#,
                Some("s\na"),
            ),
            (r#"{"messages":[{"role":"developer","content":"s"},{"role":"user","content":"a"}]}"#, Some("s\na")),
            // Anthropic, Bedrock.
            (
                r#"{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"x"}]}"#,
                Some("s\na"),
            ),
            (r#"{"system":[{"text":"s"}],"messages":[{"role":"user","content":[{"text":"a"}]}]}"#, Some("s\na")),
            // Responses.
            (r#"{"instructions":"s","input":"a"}"#, Some("s\na")),
            (
                r#"{"instructions":"s","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"role":"assistant","content":"x"}]}"#,
                Some("s\na"),
            ),
            // Gemini.
            (
                r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"x"}]}]}"#,
                Some("s\na"),
            ),
            (r#"{"contents":[{"parts":[{"text":"a"}]},{"parts":[{"text":"b"}]}]}"#, Some("a")),
            // Completions, embeddings.
            (r#"{"prompt":"a"}"#, Some("a")),
            (r#"{"input":["a","b"]}"#, Some("a")),
            (r#"{"messages":[]}"#, None),
            (r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#, None),
            (r#"{"model":"m"}"#, None),
        ] {
            assert_eq!(opening(body, 100).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn the_opening_is_cut_between_characters() {
        let body = r#"{"system":"wörter","messages":[{"role":"user","content":"mehr"}]}"#;
        for (bytes, expected) in [(2, "w"), (3, "wö"), (8, "wörter\n"), (9, "wörter\nm"), (99, "wörter\nmehr")] {
            assert_eq!(opening(body, bytes).as_deref(), Some(expected), "{bytes}");
        }
    }

    #[test]
    fn every_turn_of_a_conversation_has_the_same_opening() {
        let turn = |count: usize| {
            let more = r#",{"role":"assistant","content":"x"},{"role":"user","content":"y"}"#.repeat(count);
            format!(r#"{{"messages":[{{"role":"system","content":"s"}},{{"role":"user","content":"a"}}{more}]}}"#)
        };
        assert!((0..20).all(|count| opening(&turn(count), 2_048).as_deref() == Some("s\na")));
    }
}
