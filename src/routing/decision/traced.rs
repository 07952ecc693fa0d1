//! What a span reports in addition to the decision; recorded only for traced requests. Source: OpenTelemetry's semantic
//! conventions for generative AI.

use std::sync::Arc;

use super::Parent;
use crate::routing::endpoint::{Endpoint, Origin};
use crate::routing::operation::Operation;

/// The span that a request belongs to, and what an attempt of it asks of whom.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The span that it belongs to.
    pub parent: Parent,
    /// The origin that serves the attempt.
    pub origin: Arc<Origin>,
    /// Whose API it speaks, by `gen_ai.provider.name`.
    pub provider: &'static str,
    /// The operation's name by `gen_ai.operation.name`, if the convention has one.
    pub operation: Option<&'static str>,
}

impl Traced {
    /// Creates the facts of an attempt at this endpoint.
    #[must_use]
    pub fn new(parent: Parent, operation: Option<&Operation>, endpoint: &Endpoint) -> Self {
        let operation = operation.and_then(|operation| operation_name(operation.path.as_str()));
        Self {
            parent,
            origin: Arc::clone(&endpoint.origin),
            provider: provider_name(endpoint.provider.name),
            operation,
        }
    }
}

/// OpenTelemetry's name of a provider type; ours where it has none.
fn provider_name(kind: &'static str) -> &'static str {
    match kind {
        "aws_bedrock" => "aws.bedrock",
        "azure_ai_foundry" => "azure.ai.inference",
        "azure_openai" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        kind => kind,
    }
}

/// Returns the conventional name of an operation, by the end of its path.
fn operation_name(path: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 11] = [
        ("/chat/completions", "chat"),
        ("/completions", "text_completion"),
        ("/responses", "chat"),
        ("/messages", "chat"),
        ("/converse", "chat"),
        ("/converse-stream", "chat"),
        ("/embeddings", "embeddings"),
        (":embedContent", "embeddings"),
        (":batchEmbedContents", "embeddings"),
        (":generateContent", "generate_content"),
        (":streamGenerateContent", "generate_content"),
    ];
    NAMES.iter().find(|(end, _)| path.ends_with(end)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::provider::ProviderType;

    #[test]
    fn operations_have_the_names_of_the_conventions() {
        for (path, name) in [
            ("/chat/completions", Some("chat")),
            ("/v1/completions", Some("text_completion")),
            ("/v1beta/models/{model}:streamGenerateContent", Some("generate_content")),
            ("/model/{model}/converse-stream", Some("chat")),
            ("/embeddings", Some("embeddings")),
            ("/images/generations", None),
        ] {
            assert_eq!(operation_name(path), name, "{path}");
        }
    }

    #[test]
    fn provider_types_have_the_names_of_the_conventions_where_those_have_one() {
        let unlike: Vec<_> = ProviderType::names().filter(|kind| provider_name(kind) != *kind).collect();
        assert_eq!(unlike, ["azure_openai", "azure_ai_foundry", "mistral", "gemini", "aws_bedrock"]);
    }
}
