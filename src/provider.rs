//! Provider types: what the router knows of each vendor's API, as data in one table.

use http::Method;

/// A vendor's API as the router needs to know it. Adding a vendor is adding a row to [`ProviderType::ALL`].
#[derive(Debug, PartialEq, Eq)]
pub struct ProviderType {
    /// The name in the policy file (`type: openai`).
    pub name: &'static str,
    /// The operations that carry a model in a JSON body, as paths below an API's base path.
    pub operations: &'static [&'static str],
    /// Paths below an API's base path of what exists only at the account that made it: a path stands for itself and
    /// all below it, one that ends in a slash only for what is below it.
    pub stateful: &'static [&'static str],
    /// Error codes and types that say whose fault it was.
    pub faults: &'static [(&'static str, Fault)],
}

/// Whose fault an error code says it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The endpoint's: its credential or its account.
    Endpoint,
    /// The target's: there is no such model for this account.
    Target,
    /// The request's: too long for the model.
    Length,
}

/// Source: OpenAI's "Error codes" and API reference.
const OPENAI_FAULTS: &[(&str, Fault)] = &[
    ("insufficient_quota", Fault::Endpoint),
    ("billing_hard_limit_reached", Fault::Endpoint),
    ("account_deactivated", Fault::Endpoint),
    ("invalid_api_key", Fault::Endpoint),
    ("model_not_found", Fault::Target),
    ("context_length_exceeded", Fault::Length),
    ("string_above_max_length", Fault::Length),
];

/// Source: answers of Mistral's API (`type`, and `code` as a number).
const MISTRAL_FAULTS: &[(&str, Fault)] = &[("invalid_model", Fault::Target), ("3051", Fault::Length)];

/// The operations of OpenAI's API that carry `model` in a JSON body.
/// Source: OpenAI's API reference (`/audio/transcriptions` and the like are multipart and come with it).
const OPENAI_OPERATIONS: &[&str] = &[
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/moderations",
    "/images/generations",
    "/audio/speech",
];

/// What OpenAI's API keeps between requests. Source: OpenAI's API reference.
const OPENAI_STATEFUL: &[&str] = &[
    "/assistants",
    "/batches",
    "/chat/completions/",
    "/containers",
    "/conversations",
    "/evals",
    "/files",
    "/fine_tuning",
    "/responses/",
    "/threads",
    "/uploads",
    "/vector_stores",
];

impl ProviderType {
    /// Every type that a policy file may name.
    pub const ALL: &'static [Self] = &[
        Self { name: "openai", operations: OPENAI_OPERATIONS, stateful: OPENAI_STATEFUL, faults: OPENAI_FAULTS },
        Self {
            name: "openai_compatible",
            operations: OPENAI_OPERATIONS,
            stateful: OPENAI_STATEFUL,
            faults: OPENAI_FAULTS,
        },
        Self {
            name: "mistral",
            operations: &["/chat/completions", "/fim/completions", "/embeddings", "/moderations", "/classifications"],
            stateful: &["/files", "/batch/jobs", "/fine_tuning", "/agents", "/conversations"],
            faults: MISTRAL_FAULTS,
        },
    ];

    /// Whether a path below an API's base path belongs to what exists only at the account that made it.
    #[must_use]
    pub fn is_stateful(&self, path: &str) -> bool {
        self.stateful.iter().any(|stateful| match path.strip_prefix(stateful) {
            Some(rest) if stateful.ends_with('/') => !rest.is_empty(),
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        })
    }

    /// Whose fault an error of this code was, if that is known.
    #[must_use]
    pub fn fault(&self, code: &str) -> Option<Fault> {
        self.faults.iter().find(|(known, _)| *known == code).map(|&(_, fault)| fault)
    }

    /// The type of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|kind| kind.name == name)
    }
}

/// The method of every built-in operation.
pub const OPERATION_METHOD: Method = Method::POST;

/// Request headers that may carry a client's credential for, or standing at, some provider. They are removed before a
/// request is forwarded: the endpoint's own credential is the only one that goes out.
pub const CLIENT_HEADERS_REMOVED: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "x-goog-user-project",
    "x-amz-security-token",
    "ocp-apim-subscription-key",
    "openai-organization",
    "openai-project",
    "cookie",
];

/// Query parameters that some provider type takes a credential from; removed for the same reason.
const CREDENTIAL_PARAMETERS: &[&str] =
    &["key", "api-key", "api_key", "x-api-key", "x-goog-api-key", "subscription-key", "access_token"];

/// Whether a query parameter of this name may carry a credential.
#[must_use]
pub fn is_credential_parameter(name: &str) -> bool {
    CREDENTIAL_PARAMETERS.iter().any(|parameter| parameter.eq_ignore_ascii_case(name.trim()))
}

/// Answer headers that tell of the endpoint's account; removed before the client sees the answer.
pub const ANSWER_HEADERS_REMOVED: &[&str] = &["set-cookie", "openai-organization"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_at_one_account_is_known_by_its_path() {
        let openai = ProviderType::named("openai").expect("a type");
        for (path, stateful) in [
            ("/files", true),
            ("/files/f1/content", true),
            ("/filesystem", false),
            ("/responses/r1", true),
            ("/responses", false),
            ("/responses/", false),
            ("/chat/completions", false),
        ] {
            assert_eq!(openai.is_stateful(path), stateful, "{path}");
        }
    }
}
