//! The last words of the user, in the dialect of each API: what a request is about, whatever tools said after it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{path, text};
use crate::body::BodyFacts;
use crate::body::scan::Step;

/// The members that hold the conversation. Sources: the API references of OpenAI (chat completions, Responses),
/// Anthropic, Mistral, Amazon Bedrock (`messages`) and Gemini (`contents`).
pub(super) const CONVERSATIONS: [&str; 3] = ["messages", "input", "contents"];

/// The member that holds the text of a request without a conversation.
pub(super) const PROMPT: &str = "prompt";

/// A message, or another item of a conversation.
#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    role: Option<Cow<'m, str>>,
    /// The kind of an item of OpenAI's Responses API, which has a role only if it is a message.
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'m, str>>,
    #[serde(borrow)]
    content: Option<&'m RawValue>,
    /// Gemini's word for it.
    #[serde(borrow)]
    parts: Option<&'m RawValue>,
}

/// A part of a message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'p> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'p, str>>,
    #[serde(borrow)]
    text: Option<&'p RawValue>,
    /// Bedrock's form of a tool's result.
    #[serde(borrow)]
    tool_result: Option<&'p RawValue>,
    /// Gemini's.
    #[serde(borrow, alias = "function_response")]
    function_response: Option<&'p RawValue>,
    /// Bedrock's text that a guardrail is to look at.
    #[serde(borrow)]
    guard_content: Option<&'p RawValue>,
}

/// Returns the text of the user's last message, if it has some; of a request without messages its whole text.
pub(super) fn find(body: &BodyFacts<'_>) -> Option<String> {
    let object = body.object()?;
    let conversation = CONVERSATIONS.iter().find_map(|name| object.last(name));
    match conversation {
        Some(value) if value.starts_with('[') => in_list(value),
        Some(value) => text::of(value),
        None => text::of(object.last(PROMPT)?),
    }
}

fn in_list(list: &str) -> Option<String> {
    // Nearly always the last message is the user's.
    let last = path::walk(list, &[Step::FromEnd(1)]);
    if let Some(said) = last.and_then(said_by_user) {
        return said;
    }
    let items: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    // A list of texts, to be embedded, say.
    if items.iter().all(|item| !item.get().starts_with('{')) {
        return text::of(list);
    }
    items.iter().rev().find_map(|item| said_by_user(item.get()))?
}

/// Returns the text of a message, if it has some; `None` if it is not the user's. Results of tools are not, though
/// Anthropic, Bedrock and Gemini send them as the user.
fn said_by_user(item: &str) -> Option<Option<String>> {
    let message: Message<'_> = serde_json::from_str(item).ok()?;
    let is_users = match (&message.role, &message.kind) {
        (Some(role), _) => role == "user",
        (None, kind) => kind.as_ref().is_none_or(|kind| kind == "message"),
    };
    if !is_users {
        return None;
    }
    let content = message.content.or(message.parts)?.get();
    let text = if content.starts_with('[') { of_parts(content)? } else { text::of(content) };
    Some(text.filter(|text| !text.trim().is_empty()))
}

/// Returns the text of a list of parts, if it has some; `None` if there is none beside results of tools, with which
/// pictures and marks for a cache may come.
fn of_parts(list: &str) -> Option<Option<String>> {
    let parts: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    let (mut texts, mut has_result) = (Vec::new(), false);
    for part in &parts {
        if part.get().starts_with('"') {
            texts.extend(text::of(part.get()));
        } else if let Ok(part) = serde_json::from_str::<Part<'_>>(part.get()) {
            has_result |= part.is_result();
            let said = part.text.filter(|_| part.is_text()).or(part.guard_content);
            texts.extend(said.and_then(|text| text::of(text.get())));
        }
    }
    let is_said = texts.iter().any(|text| !text.trim().is_empty());
    (is_said || !has_result).then(|| (!texts.is_empty()).then(|| texts.join("\n")))
}

impl Part<'_> {
    fn is_text(&self) -> bool {
        self.kind.as_ref().is_none_or(|kind| kind == "text" || kind == "input_text")
    }

    fn is_result(&self) -> bool {
        let is_kind = self.kind.as_ref().is_some_and(|kind| kind.ends_with("tool_result"));
        is_kind || self.tool_result.is_some() || self.function_response.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_said_last_is_found_in_every_dialect() {
        for (body, expected) in [
            // Chat completions: a tool's result comes last.
            (
                r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{}]},{"role":"tool","content":"t"}]}"#,
                Some("a"),
            ),
            (
                r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"image_url"},{"type":"text","text":"c"}]}]}"#,
                Some("b\nc"),
            ),
            (r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"prefix"}]}"#, Some("a")),
            (r#"{"messages":[{"role":"system","content":"s"}]}"#, None),
            (r#"{"messages":[{"content":"a"}]}"#, Some("a")),
            // Responses.
            (r#"{"input":"a"}"#, Some("a")),
            (
                r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"function_call_output","call_id":"1","output":"t"}]}"#,
                Some("a"),
            ),
            (r#"{"input":["one","two"]}"#, Some("one\ntwo")),
            (
                r#"{"input":[{"type":"message","role":"user","content":"a"},{"type":"reasoning","content":[{"type":"reasoning_text","text":"r"}]}]}"#,
                Some("a"),
            ),
            (
                r#"{"input":[{"role":"user","content":"a"},{"role":"developer","content":"d"},{"type":"mcp_call","output":"t"}]}"#,
                Some("a"),
            ),
            // Anthropic: a tool's result comes as the user's.
            (
                r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"t"}]}]}"#,
                Some("a"),
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":"t"},{"type":"text","text":"b"}]}]}"#,
                Some("b"),
            ),
            (
                r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"tool_result","content":"t"},{"type":"image"}]}]}"#,
                Some("a"),
            ),
            // Bedrock.
            (
                r#"{"messages":[{"role":"user","content":[{"text":"a"}]},{"role":"user","content":[{"toolResult":{"content":[{"text":"t"}]}}]}]}"#,
                Some("a"),
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"text":"a"}]},{"role":"user","content":[{"toolResult":{"content":[{"text":"t"}]}},{"cachePoint":{"type":"default"}}]}]}"#,
                Some("a"),
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"guardContent":{"text":{"text":"a","qualifiers":["query"]}}}]}]}"#,
                Some("a"),
            ),
            // Gemini.
            (
                r#"{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"user","parts":[{"function_response":{}},{"inlineData":{}}]}]}"#,
                Some("a"),
            ),
            (
                r#"{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"function","parts":[{"text":"t"}]}]}"#,
                Some("a"),
            ),
            (
                r#"{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"functionCall":{}}]},{"role":"user","parts":[{"functionResponse":{}}]}]}"#,
                Some("a"),
            ),
            (r#"{"contents":[{"parts":[{"text":"a"},{"text":"b"}]}]}"#, Some("a\nb")),
            (r#"{"prompt":"a"}"#, Some("a")),
            // A picture alone is the user's, and has no text.
            (r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"image_url"}]}]}"#, None),
            (r#"{"messages":[]}"#, None),
            (r#"{"messages":[{"role":"user","content":" "}]}"#, None),
            (r#"{"messages":[{"role":7}]}"#, None),
            (r#"{}"#, None),
        ] {
            let facts = BodyFacts::read(body.as_bytes()).expect("a body");
            assert_eq!(find(&facts).as_deref(), expected, "{body}");
        }
    }
}
