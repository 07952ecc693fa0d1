//! The table of provider types: a row for each vendor, with its source.

use super::StatefulPath::{self, Below, Tree};
use super::{DefaultAuth, NestedState, ProviderType, Row, Shape, responses};

/// The name of the type that has nothing built in.
pub(super) const CUSTOM_NAME: &str = "custom";

const fn plain(path: &'static str) -> Row {
    Row { path, streamed: false, multipart: false }
}

const fn form(path: &'static str) -> Row {
    Row { path, streamed: false, multipart: true }
}

const fn stream(path: &'static str) -> Row {
    Row { path, streamed: true, multipart: false }
}

/// Source: OpenAI's API reference.
const OPENAI_OPERATIONS: &[Row] = &[
    plain("/chat/completions"),
    plain("/completions"),
    plain("/responses"),
    plain("/responses/input_tokens"),
    plain("/responses/compact"),
    plain("/embeddings"),
    plain("/moderations"),
    plain("/images/generations"),
    plain("/audio/speech"),
    form("/audio/transcriptions"),
    form("/audio/translations"),
    form("/images/edits"),
    form("/images/variations"),
];

/// Paths of state that OpenAI's API keeps between requests. Source: OpenAI's API reference.
const OPENAI_STATEFUL: &[StatefulPath] = &[
    Tree("/assistants"),
    Tree("/batches"),
    Below("/chat/completions"),
    Tree("/containers"),
    Tree("/conversations"),
    Tree("/evals"),
    Tree("/files"),
    Tree("/fine_tuning"),
    Below("/responses"),
    Tree("/skills"),
    Tree("/threads"),
    Tree("/uploads"),
    Tree("/vector_stores"),
    Tree("/videos"),
];

/// Members that refer to an earlier request's state, in OpenAI's Responses API.
const OPENAI_MEMBERS: &[&str] = &["previous_response_id", "conversation"];

const fn nested(within: &'static str, key: &'static str, part: &'static str) -> NestedState {
    NestedState { within, key, part }
}

/// References to files, containers, prompts, stored items, pictures and sounds, and to reasoning that only its account
/// can decrypt or has stored. Rows of one member follow each other. Source: OpenAI's API reference (Responses, chat
/// completions with files and audio).
const OPENAI_NESTED: &[NestedState] = &[
    nested("input", "encrypted_content", ""),
    nested("input", "type", "item_reference"),
    nested("input", "file_id", ""),
    nested("input", "container_id", ""),
    nested("input", "id", "rs_"),
    nested("input", "id", "ig_"),
    nested("messages", "file_id", ""),
    nested("messages", "id", "audio_"),
    nested("tools", "vector_store_ids", ""),
    nested("tools", "file_ids", ""),
    nested("tools", "container", ""),
    nested("prompt", "id", "pmpt_"),
];

/// The defaults from which the other rows differ.
const OPENAI: ProviderType = ProviderType {
    name: "openai",
    shape: Shape::OpenAi,
    operations: OPENAI_OPERATIONS,
    roots: &[],
    auth: DefaultAuth::Bearer,
    client_headers: &["authorization"],
    client_parameters: &[],
    version_parameter: "",
    body_prefix: "",
    body_members: &[],
    stateful: OPENAI_STATEFUL,
    stateful_members: OPENAI_MEMBERS,
    nested_state: OPENAI_NESTED,
    responses: &responses::OPENAI,
    usage_on_demand: &["/chat/completions", "/completions"],
    openai_url: None,
};

/// Source: Mistral's API reference, and responses of its API (`type`, and `code` as a number).
const MISTRAL: ProviderType = ProviderType {
    name: "mistral",
    operations: &[
        plain("/chat/completions"),
        plain("/fim/completions"),
        plain("/embeddings"),
        plain("/moderations"),
        plain("/classifications"),
        form("/audio/transcriptions"),
    ],
    stateful: &[Tree("/files"), Tree("/batch/jobs"), Tree("/fine_tuning"), Tree("/agents"), Tree("/conversations")],
    responses: &responses::MISTRAL,
    usage_on_demand: &[],
    ..OPENAI
};

/// Source: Azure OpenAI's REST reference: models are deployments in the path, or, under `/openai/v1`, in the body.
const AZURE_OPENAI: ProviderType = ProviderType {
    name: "azure_openai",
    operations: &[
        plain("/openai/deployments/{model}/chat/completions"),
        plain("/openai/deployments/{model}/completions"),
        plain("/openai/deployments/{model}/embeddings"),
        plain("/openai/deployments/{model}/images/generations"),
        plain("/openai/deployments/{model}/audio/speech"),
        form("/openai/deployments/{model}/images/edits"),
        form("/openai/deployments/{model}/audio/transcriptions"),
        form("/openai/deployments/{model}/audio/translations"),
        plain("/openai/responses"),
        plain("/openai/v1/chat/completions"),
        plain("/openai/v1/completions"),
        plain("/openai/v1/responses"),
        plain("/openai/v1/responses/input_tokens"),
        plain("/openai/v1/responses/compact"),
        plain("/openai/v1/embeddings"),
        plain("/openai/v1/images/generations"),
        plain("/openai/v1/audio/speech"),
        form("/openai/v1/images/edits"),
        form("/openai/v1/audio/transcriptions"),
        form("/openai/v1/audio/translations"),
    ],
    roots: &["/openai/v1", "/openai"],
    auth: DefaultAuth::Header("api-key"),
    client_headers: &["api-key", "authorization"],
    version_parameter: "api-version",
    responses: &responses::AZURE,
    ..OPENAI
};

/// Source: the Azure AI model inference REST reference (`/models/…?api-version=`), and `/openai/v1` of Foundry
/// resources.
const AZURE_AI_FOUNDRY: ProviderType = ProviderType {
    name: "azure_ai_foundry",
    operations: &[
        plain("/models/chat/completions"),
        plain("/models/embeddings"),
        plain("/models/images/embeddings"),
        plain("/openai/v1/chat/completions"),
        plain("/openai/v1/completions"),
        plain("/openai/v1/responses"),
        plain("/openai/v1/responses/input_tokens"),
        plain("/openai/v1/responses/compact"),
        plain("/openai/v1/embeddings"),
    ],
    roots: &["/openai/v1", "/openai", "/models"],
    responses: &responses::FOUNDRY,
    ..AZURE_OPENAI
};

/// Source: Anthropic's API reference and its "Errors". `anthropic-version` is the client's own and passes. With a URL
/// that has no version, the one that the client asks for goes on.
const ANTHROPIC: ProviderType = ProviderType {
    name: "anthropic",
    shape: Shape::Anthropic,
    operations: &[
        plain("/messages"),
        plain("/messages/count_tokens"),
        plain("/complete"),
        plain("/v1/messages"),
        plain("/v1/messages/count_tokens"),
        plain("/v1/complete"),
    ],
    roots: &["/v1"],
    auth: DefaultAuth::Header("x-api-key"),
    client_headers: &["x-api-key", "authorization"],
    stateful: &[Tree("/messages/batches"), Tree("/files"), Tree("/skills")],
    stateful_members: &["container"],
    nested_state: &[nested("messages", "file_id", "")],
    responses: &responses::ANTHROPIC,
    usage_on_demand: &[],
    openai_url: Some("https://api.anthropic.com/v1"),
    ..OPENAI
};

/// Source: the Gemini API reference, and `google.rpc.ErrorInfo`: a wrong key is a 400 with a reason. A URL
/// without a version is as with Anthropic.
const GEMINI: ProviderType = ProviderType {
    name: "gemini",
    shape: Shape::Gemini,
    operations: &[
        plain("/models/{model}:generateContent"),
        stream("/models/{model}:streamGenerateContent"),
        plain("/models/{model}:countTokens"),
        plain("/models/{model}:embedContent"),
        plain("/models/{model}:batchEmbedContents"),
        plain("/v1beta/models/{model}:generateContent"),
        stream("/v1beta/models/{model}:streamGenerateContent"),
        plain("/v1beta/models/{model}:countTokens"),
        plain("/v1beta/models/{model}:embedContent"),
        plain("/v1beta/models/{model}:batchEmbedContents"),
        plain("/v1/models/{model}:generateContent"),
        stream("/v1/models/{model}:streamGenerateContent"),
        plain("/v1/models/{model}:countTokens"),
        plain("/v1/models/{model}:embedContent"),
        plain("/v1/models/{model}:batchEmbedContents"),
    ],
    roots: &["/v1beta", "/v1"],
    auth: DefaultAuth::Header("x-goog-api-key"),
    client_headers: &["x-goog-api-key", "authorization", "x-goog-user-project"],
    client_parameters: &["key"],
    version_parameter: "",
    body_prefix: "models/",
    body_members: &["requests", "generateContentRequest"],
    stateful: &[
        Tree("/cachedContents"),
        Tree("/files"),
        Tree("/tunedModels"),
        Tree("/corpora"),
        Tree("/batches"),
        Tree("/fileSearchStores"),
    ],
    stateful_members: &["cachedContent", "cached_content"],
    // A file of the Gemini API; one in Cloud Storage is no account's.
    nested_state: &[
        nested("contents", "fileUri", "generativelanguage.googleapis.com"),
        nested("contents", "file_uri", "generativelanguage.googleapis.com"),
        nested("tools", "fileSearchStoreNames", ""),
        nested("tools", "file_search_store_names", ""),
    ],
    responses: &responses::GEMINI,
    usage_on_demand: &[],
    openai_url: Some("https://generativelanguage.googleapis.com/v1beta/openai"),
};

/// Source: the Amazon Bedrock Runtime API reference, and "Common errors" of AWS.
const AWS_BEDROCK: ProviderType = ProviderType {
    name: "aws_bedrock",
    shape: Shape::Bedrock,
    operations: &[
        plain("/model/{model}/converse"),
        stream("/model/{model}/converse-stream"),
        plain("/model/{model}/invoke"),
        stream("/model/{model}/invoke-with-response-stream"),
        plain("/model/{model}/count-tokens"),
    ],
    auth: DefaultAuth::Bearer,
    stateful: &[Tree("/async-invoke")],
    stateful_members: &[],
    nested_state: &[],
    responses: &responses::BEDROCK,
    usage_on_demand: &[],
    openai_url: Some("https://bedrock-runtime.REGION.amazonaws.com/openai/v1"),
    ..OPENAI
};

/// Any server that speaks OpenAI's API.
const COMPATIBLE: ProviderType =
    ProviderType { name: "openai_compatible", responses: &responses::COMPATIBLE, ..OPENAI };

const fn custom(vendor: ProviderType) -> ProviderType {
    ProviderType { name: CUSTOM_NAME, operations: &[], roots: &[], stateful: &[], openai_url: None, ..vendor }
}

impl ProviderType {
    /// Every type that has something built in.
    pub const ALL: &'static [Self] =
        &[OPENAI, AZURE_OPENAI, AZURE_AI_FOUNDRY, MISTRAL, ANTHROPIC, GEMINI, AWS_BEDROCK, COMPATIBLE];

    /// One row for each shape.
    pub(super) const CUSTOM: &'static [Self] =
        &[custom(COMPATIBLE), custom(ANTHROPIC), custom(GEMINI), custom(AWS_BEDROCK)];
}
