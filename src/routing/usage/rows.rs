//! Where vendors state usage in their responses, as data: a row for each member, and each group with its source.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A count that a response states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Tokens of the request, those read from a cache included.
    Input,
    /// Tokens of the request without those that a cache held; see [`CacheRead`](Self::CacheRead).
    UncachedInput,
    /// Tokens of the request that tools added, not part of [`Input`](Self::Input).
    ToolInput,
    /// The part of the input that was read from a cache.
    CachedInput,
    /// Tokens read from a cache that are not part of the stated input.
    CacheRead,
    /// Tokens written to a cache that are not part of the stated input.
    CacheWrite,
    /// Tokens of the response, reasoning included.
    Output,
    /// Tokens of the response without reasoning.
    VisibleOutput,
    /// Tokens of reasoning.
    Reasoning,
    /// The part of the input that is audio.
    AudioInput,
    /// The part of the output that is audio.
    AudioOutput,
    /// All tokens together.
    Total,
}

impl Count {
    /// The number of kinds.
    pub(super) const KINDS: usize = Self::Total as usize + 1;
}

/// Objects that hold a usage object: none, the response of an event, the message of an event, Groq's own, Moonshot's
/// choice, Cohere's delta.
const HOLDERS: [&str; 6] = ["", "response.", "message.", "x_groq.", "choices.", "delta."];

/// Members of a usage object.
const WITHIN_USAGE: &[(&str, Count)] = &[
    // OpenAI's chat completions and embeddings, and all that follow them. Source: API reference, "Chat Completions",
    // `usage`.
    ("prompt_tokens", Count::Input),
    ("completion_tokens", Count::Output),
    ("total_tokens", Count::Total),
    ("prompt_tokens_details.cached_tokens", Count::CachedInput),
    ("prompt_tokens_details.audio_tokens", Count::AudioInput),
    ("completion_tokens_details.reasoning_tokens", Count::Reasoning),
    ("completion_tokens_details.audio_tokens", Count::AudioOutput),
    // OpenAI's responses, images and transcriptions; Anthropic's messages, whose `input_tokens` are those that no cache
    // held. Sources: API reference, "Responses", `usage`; Anthropic's "Prompt caching", "Tracking cache performance".
    ("input_tokens", Count::UncachedInput),
    ("output_tokens", Count::Output),
    ("input_tokens_details.cached_tokens", Count::CachedInput),
    ("input_tokens_details.audio_tokens", Count::AudioInput),
    ("input_token_details.cached_tokens", Count::CachedInput),
    ("input_token_details.audio_tokens", Count::AudioInput),
    ("output_tokens_details.reasoning_tokens", Count::Reasoning),
    ("output_tokens_details.audio_tokens", Count::AudioOutput),
    ("output_tokens_details.thinking_tokens", Count::Reasoning),
    ("cache_read_input_tokens", Count::CacheRead),
    ("cache_creation_input_tokens", Count::CacheWrite),
    // DeepSeek and Moonshot, which have their own names for tokens from a cache. Sources: DeepSeek's "Context caching";
    // Moonshot's "Chat completion".
    ("prompt_cache_hit_tokens", Count::CachedInput),
    ("cached_tokens", Count::CachedInput),
    // Amazon's Converse, Nova. Source: Bedrock API reference, "TokenUsage": the input is without the cache.
    ("inputTokens", Count::UncachedInput),
    ("outputTokens", Count::Output),
    ("totalTokens", Count::Total),
    ("cacheReadInputTokens", Count::CacheRead),
    ("cacheWriteInputTokens", Count::CacheWrite),
    ("cacheReadInputTokenCount", Count::CacheRead),
    ("cacheWriteInputTokenCount", Count::CacheWrite),
    // Cohere. Source: "Chat", `usage.tokens`.
    ("tokens.input_tokens", Count::Input),
    ("tokens.output_tokens", Count::Output),
];

/// Members elsewhere.
const ELSEWHERE: &[(&str, Count)] = &[
    // Gemini: a list for a stream that is asked for as JSON. Source: "GenerateContentResponse", `UsageMetadata`.
    ("usageMetadata.promptTokenCount", Count::Input),
    ("usageMetadata.cachedContentTokenCount", Count::CachedInput),
    ("usageMetadata.toolUsePromptTokenCount", Count::ToolInput),
    ("usageMetadata.candidatesTokenCount", Count::VisibleOutput),
    ("usageMetadata.thoughtsTokenCount", Count::Reasoning),
    ("usageMetadata.totalTokenCount", Count::Total),
    // Models at Bedrock that are invoked in their own form, in the last event of a stream. Source: "Inference request
    // parameters and response fields".
    ("amazon-bedrock-invocationMetrics.inputTokenCount", Count::UncachedInput),
    ("amazon-bedrock-invocationMetrics.outputTokenCount", Count::Output),
    ("amazon-bedrock-invocationMetrics.cacheReadInputTokenCount", Count::CacheRead),
    ("amazon-bedrock-invocationMetrics.cacheWriteInputTokenCount", Count::CacheWrite),
    ("inputTextTokenCount", Count::Input),
    ("results.tokenCount", Count::Output),
    ("totalOutputTextTokenCount", Count::Output),
    ("prompt_token_count", Count::Input),
    ("generation_token_count", Count::Output),
    // Ollama's own API. Source: "Generate a chat completion", the final response.
    ("prompt_eval_count", Count::Input),
    ("eval_count", Count::Output),
    // Cohere's first version. Source: "Chat (v1)", `meta.tokens`.
    ("meta.tokens.input_tokens", Count::Input),
    ("meta.tokens.output_tokens", Count::Output),
];

/// Response headers of models at Bedrock that are invoked in their own form. Source: "InvokeModel", response headers.
pub(super) const HEADERS: &[(&str, Count)] = &[
    ("x-amzn-bedrock-input-token-count", Count::UncachedInput),
    ("x-amzn-bedrock-output-token-count", Count::Output),
    ("x-amzn-bedrock-cache-read-input-token-count", Count::CacheRead),
    ("x-amzn-bedrock-cache-write-input-token-count", Count::CacheWrite),
];

/// Members that hold a part of what the model said, with what they are worth where no usage is stated.
const TEXTS: &[&str] = &[
    "choices.delta.content",
    "choices.delta.reasoning_content",
    "choices.delta.reasoning",
    "choices.delta.refusal",
    "choices.delta.tool_calls.function.name",
    "choices.delta.tool_calls.function.arguments",
    "choices.message.content",
    "choices.message.reasoning_content",
    "choices.message.reasoning",
    "choices.message.tool_calls.function.arguments",
    "choices.text",
    "delta",
    "delta.text",
    "delta.thinking",
    "delta.partial_json",
    "delta.reasoningContent.text",
    "delta.toolUse.input",
    "content.text",
    "candidates.content.parts.text",
    "output.message.content.text",
    "message.content",
];

/// Members that name the model which answered.
const MODELS: &[&str] = &["model", "response.model", "message.model", "modelVersion"];

/// Members that say why the model stopped, once it has.
const REASONS: &[&str] = &[
    "choices.finish_reason",
    "delta.stop_reason",
    "stop_reason",
    "stopReason",
    "candidates.finishReason",
    "delta.finish_reason",
    "done_reason",
    "response.status",
    "completionReason",
];

/// Members that hold the code of an error.
const ERROR_CODES: &[&str] = &["error.code", "error.type", "error.status", "response.error.code", "choices.error.code"];

/// Members that hold its message.
const ERROR_MESSAGES: &[&str] = &["error", "error.message", "response.error.message", "choices.error.message"];

/// Reasons to stop that are a failure of the provider. Sources: OpenRouter's "Errors"; Gemini's `FinishReason`.
pub(super) const FAILURES: &[&str] = &["error", "ERROR", "failed", "MALFORMED_RESPONSE"];

/// Values at a reason's place that mean that the response goes on.
pub(super) const GOES_ON: &[&str] = &["", "in_progress", "queued", "FINISH_REASON_UNSPECIFIED"];

/// What a member of a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// A count.
    Count(Count),
    /// A part of what the model said.
    Text,
    /// The model.
    Model,
    /// The reason for which the model stopped.
    Reason,
    /// The type of an event.
    Type,
    /// A code of an error.
    ErrorCode,
    /// The message of an error.
    ErrorMessage,
    /// Nothing that matters.
    Other,
}

/// All rows by their whole paths: each key of each event is looked up.
static MEMBERS: LazyLock<HashMap<String, Member>> = LazyLock::new(|| {
    let mut members = HashMap::new();
    for holder in HOLDERS {
        let within = WITHIN_USAGE.iter().map(|(name, count)| (format!("{holder}usage.{name}"), Member::Count(*count)));
        members.extend(within);
    }
    members.extend(ELSEWHERE.iter().map(|(name, count)| ((*name).to_owned(), Member::Count(*count))));
    for (paths, member) in [
        (TEXTS, Member::Text),
        (MODELS, Member::Model),
        (REASONS, Member::Reason),
        (&["type"], Member::Type),
        (ERROR_CODES, Member::ErrorCode),
        (ERROR_MESSAGES, Member::ErrorMessage),
    ] {
        members.extend(paths.iter().map(|path| ((*path).to_owned(), member)));
    }
    members
});

impl Member {
    /// Returns what is at a path.
    pub(super) fn at(path: &str) -> Self {
        MEMBERS.get(path).copied().unwrap_or(Self::Other)
    }
}

/// Types of events that end a response well, or badly.
pub(super) const ENDS: &[&str] =
    &["message_stop", "response.completed", "response.incomplete", "response.failed", "message-end"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_are_about_the_same_member() {
        for rows in [WITHIN_USAGE, ELSEWHERE, HEADERS] {
            for (at, (name, _)) in rows.iter().enumerate() {
                assert!(rows[..at].iter().all(|(other, _)| other != name), "{name}");
            }
        }
    }

    #[test]
    fn a_usage_object_is_found_where_vendors_have_it() {
        for (path, count) in [
            ("usage.prompt_tokens", Some(Count::Input)),
            ("response.usage.input_tokens", Some(Count::UncachedInput)),
            ("message.usage.cache_read_input_tokens", Some(Count::CacheRead)),
            ("x_groq.usage.completion_tokens", Some(Count::Output)),
            ("usageMetadata.thoughtsTokenCount", Some(Count::Reasoning)),
            ("metadata.usage.prompt_tokens", None),
            ("usage", None),
        ] {
            let found = match Member::at(path) {
                Member::Count(count) => Some(count),
                _ => None,
            };
            assert_eq!(found, count, "{path}");
        }
    }
}
