//! Classifiers and embedders as they are written: the keys that both have, and those of each.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ApiKey, Count, Edits, Interval};
use crate::classifier::ServiceType;
use crate::document::decode::{At, Both};

/// The keys that classifiers and embedders share.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Service {
    /// The model; `azure_openai` has it in the URL.
    pub model: Option<At<String>>,
    /// The source of the credential; local servers need none.
    pub api_key: Option<At<ApiKey>>,
    /// Until a request goes to the default, whatever is asked does. 3s for a classifier and 1s for an embedder when
    /// absent.
    pub timeout: Option<At<Interval>>,
    /// Calls at once; further requests go to the default. 256 when absent.
    #[schemars(range(min = 1, max = 10_000))]
    pub concurrency: Option<At<Count>>,
    /// The number of retries, within `timeout`, of a call that failed for a temporary reason. 0 when absent.
    #[schemars(range(max = 3))]
    pub retries: Option<At<Count>>,
    /// Failures in a row that suspend it. 5 when absent.
    #[schemars(range(min = 1, max = 100))]
    pub suspend_after: Option<At<Count>>,
    /// The time for which it is not asked then; `0s` means never. 30s when absent.
    pub suspend: Option<At<Interval>>,
    /// The time for which an answer is cached; `0s` means not at all. 10m when absent.
    pub cache: Option<At<Interval>>,
    /// The most answers that are remembered. 10000 when absent.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cache_entries: Option<At<Count>>,
    /// The most characters of a content that it is shown: of a longer one head and tail. 8000 when absent, 2000 for an
    /// embedder of type `static`.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub max_content: Option<At<Count>>,
    /// Changes of the request to it, for servers that refuse or need some keys.
    pub body: Option<At<Edits>>,
}

/// An LLM that sorts requests.
pub type Classifier = Both<Service, ClassifierKeys>;
/// What turns texts into vectors.
pub type Embedder = Both<Service, EmbedderKeys>;

/// An LLM that sorts requests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Classifier")]
pub struct ClassifierKeys {
    /// Whose chat completions it speaks; `openai` for whatever is compatible with them.
    #[schemars(extend("enum" = types()))]
    pub r#type: At<String>,
    /// The whole URL, such as `https://api.openai.com/v1/chat/completions`.
    #[schemars(regex(pattern = "^[hH][tT][tT][pP][sS]?://[^/?#@]+[^#@]*$"))]
    pub url: At<String>,
    /// The way in which it is restricted to the allowed answers; `schema` when absent.
    pub answer: Option<At<AnswerForm>>,
}

/// What turns texts into vectors, by which `semantic` policies compare requests with utterances.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Embedder")]
pub struct EmbedderKeys {
    /// Whose embeddings it speaks, `openai` for whatever is compatible with them; or `static` for a model in this
    /// process.
    #[schemars(extend("enum" = embedder_types()))]
    pub r#type: At<String>,
    /// The whole URL, such as `https://api.openai.com/v1/embeddings`; `static` has none.
    #[schemars(regex(pattern = "^[hH][tT][tT][pP][sS]?://[^/?#@]+[^#@]*$"))]
    pub url: Option<At<String>>,
    /// With `type: static`: the directory of the model, with `tokenizer.json`, `model.safetensors` and `config.json`;
    /// relative to the policy file.
    pub path: Option<At<String>>,
    /// The number of dimensions that is asked for; the model's own when absent.
    #[schemars(range(min = 1, max = 16_384))]
    pub dimensions: Option<At<Count>>,
}

/// The way in which a classifier is restricted to the allowed answers.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerForm {
    /// By a JSON schema (`response_format`).
    Schema,
    /// By instructions alone, for servers without schemas.
    Text,
}

/// The type of an embedder in this process.
pub(in crate::policy_file) const STATIC: &str = "static";

fn types() -> Vec<&'static str> {
    ServiceType::ALL.iter().map(|(name, _)| *name).collect()
}

/// Returns the names of the types that an embedder may have.
pub(in crate::policy_file) fn embedder_types() -> Vec<&'static str> {
    types().into_iter().chain([STATIC]).collect()
}
