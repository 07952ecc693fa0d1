//! Providers: a type and models, or, of type `custom`, everything spelled out.

use std::collections::HashSet;
use std::sync::Arc;

use http::HeaderName;

use super::endpoints::Declared;
use super::operations;
use crate::document::decode::{At, Named};
use crate::document::problem::{Place, Report};
use crate::document::words::{any_of, instead, nearest, shown};
use crate::policy_file::raw;
use crate::routing::operation::{ModelPlace, Operation};
use crate::routing::provider::{ProviderType, Shape};
use crate::routing::usage::Prices;

/// A provider.
#[derive(Debug, Default)]
pub(super) struct Provider<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Option<&'static ProviderType>,
    /// `None` when the list is not known, so that nothing can be said about a model.
    pub(super) models: Option<Vec<&'a str>>,
    /// The same by family; none where they are not listed so.
    pub(super) families: Vec<(&'a str, Vec<&'a str>)>,
    /// What is spelled out; else the operations are the type's.
    pub(super) operations: Option<Vec<Operation>>,
    /// What its models cost.
    pub(super) prices: Arc<Prices>,
}

impl Provider<'_> {
    /// Returns the operations of an endpoint with this path in its URL.
    pub(super) fn operations_at(&self, url_path: &str) -> Vec<Operation> {
        let built_in = || self.kind.map_or_else(Vec::new, |kind| kind.operations_at(url_path));
        self.operations.clone().unwrap_or_else(built_in)
    }

    /// Returns whether a model is of the family that a target names; if not, that is reported.
    pub(super) fn has_family(&self, family: &At<String>, model: &str, report: &mut Report) -> bool {
        let Some(name) = family.get() else { return false };
        let Some((_, models)) = self.families.iter().find(|(known, _)| known == name) else {
            let message = format!("provider {} has no family {}", shown(self.name), shown(name));
            let help = match &self.families[..] {
                [] => Some("it lists its models without families; leave `family` out".to_owned()),
                families => instead(name, families.iter().map(|(known, _)| *known)),
            };
            report.error_with(family.place, message, help);
            return false;
        };
        let is_member = models.contains(&model);
        if !is_member {
            let of = self.families.iter().find(|(_, models)| models.contains(&model));
            let message = format!("model {} is not of the family {}", shown(model), shown(name));
            report.error_with(family.place, message, of.map(|(of, _)| format!("it is of {}", shown(of))));
        }
        is_member
    }
}

/// Returns all providers by name.
pub(super) fn providers<'a>(
    named: Option<&'a Named<raw::Provider>>,
    report: &mut Report,
) -> Declared<'a, Provider<'a>> {
    let all = named.into_iter().flat_map(Named::iter);
    let names = all.map(|(place, name, provider)| (name, (place, self::provider(place, name, provider, report))));
    Declared { names: names.collect(), complete: named.is_some() }
}

fn provider<'a>(place: Place, name: &'a str, provider: Option<&'a raw::Provider>, report: &mut Report) -> Provider<'a> {
    let Some(provider) = provider else { return Provider { name, ..Provider::default() } };
    let kind = provider.r#type.get().and_then(|name| kind(name, provider, report));
    let list_place = provider.models.as_ref().map_or(place, |models| models.place);
    let mut families = Vec::new();
    let models = match &provider.models {
        Some(models) => models.get().map(|models| self::models(models, &mut families, report)),
        None => Some(Vec::new()),
    };
    if models.as_ref().is_some_and(Vec::is_empty) {
        let message = format!("provider {} has no models", shown(name));
        let help = "list those that may be asked for, such as `models: [gpt-4o, gpt-4o-mini]`".to_owned();
        report.error_with(list_place, message, help);
    }
    let spelled_out = kind.is_some_and(ProviderType::is_custom);
    let operations = if spelled_out { custom_operations(place, name, provider, report) } else { None };
    if kind.is_some() && !spelled_out {
        only_custom(provider, report);
    }
    let models = models.filter(|models| !models.is_empty());
    Provider { name, kind, models, families, operations, prices: Arc::default() }
}

/// Other names of our types, as people and other tools have them.
const TYPES_BY_OTHER_NAMES: &[(&str, &[&str])] = &[
    ("anthropic", &["claude"]),
    ("aws_bedrock", &["amazon", "amazon_bedrock", "aws", "bedrock", "bedrock_converse"]),
    ("azure_ai_foundry", &["azure_ai", "azure_foundry", "azure_inference", "foundry"]),
    ("azure_openai", &["aoai", "azure", "microsoft"]),
    ("gemini", &["google", "google_ai_studio", "google_gemini", "palm", "vertex", "vertex_ai"]),
    ("mistral", &["mistralai", "mistral_ai"]),
    ("openai", &["chatgpt", "gpt", "open_ai"]),
    (
        "openai_compatible",
        &[
            "baseten",
            "cerebras",
            "cohere",
            "dashscope",
            "databricks",
            "deepinfra",
            "deepseek",
            "fireworks",
            "fireworks_ai",
            "groq",
            "huggingface",
            "hyperbolic",
            "kimi",
            "litellm",
            "litellm_proxy",
            "llama_cpp",
            "llamacpp",
            "llamafile",
            "lm_studio",
            "lmstudio",
            "local",
            "localai",
            "mlx",
            "moonshot",
            "nebius",
            "nim",
            "novita",
            "nvidia",
            "nvidia_nim",
            "ollama",
            "openai_like",
            "openrouter",
            "perplexity",
            "qwen",
            "sambanova",
            "self_hosted",
            "sglang",
            "tabby",
            "tensorrt_llm",
            "tgi",
            "together",
            "together_ai",
            "triton",
            "vllm",
            "xai",
            "x_ai",
            "xinference",
            "zai",
            "zhipu",
        ],
    ),
];

/// Returns the type that has this other name.
fn meant(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    TYPES_BY_OTHER_NAMES.iter().find(|(_, others)| others.contains(&&*name)).map(|(kind, _)| *kind)
}

fn kind(name: &str, provider: &raw::Provider, report: &mut Report) -> Option<&'static ProviderType> {
    let found = ProviderType::named(name);
    if found.is_none() {
        let help = match meant(name).or_else(|| nearest(name, ProviderType::names())) {
            Some(kind) => format!("did you mean {}?", shown(kind)),
            None => {
                let known = any_of(ProviderType::names());
                format!("expected {known}; whatever speaks OpenAI's API is `openai_compatible`")
            }
        };
        report.error_with(provider.r#type.place, format!("unknown provider type {}", shown(name)), help);
    }
    let shape = provider.shape.as_ref().and_then(At::get);
    found.map(|kind| if kind.is_custom() { ProviderType::custom(shape.copied().into()) } else { kind })
}

/// Reports what belongs to `type: custom` only.
fn only_custom(provider: &raw::Provider, report: &mut Report) {
    let operations = provider.operations.as_ref().map(|at| (at.place, "operations"));
    let model = provider.model.as_ref().map(|at| (at.place, "model"));
    let shape = provider.shape.as_ref().map(|at| (at.place, "shape"));
    for (place, key) in operations.into_iter().chain(model).chain(shape) {
        let help = "leave it out: this type has its own".to_owned();
        report.error_with(place, format!("`{key}` needs `type: custom`"), help);
    }
}

fn models<'a>(
    models: &'a raw::Models,
    families: &mut Vec<(&'a str, Vec<&'a str>)>,
    report: &mut Report,
) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    match models {
        raw::Models::List(list) => listed(list, &mut seen, report),
        raw::Models::Families(named) => {
            for (place, name, list) in named.iter() {
                let Some(list) = list else { continue };
                let models = listed(list, &mut seen, report);
                if list.is_empty() {
                    report.error(place, format!("family {} has no models", shown(name)));
                }
                families.push((name, models));
            }
            families.iter().flat_map(|(_, models)| models.iter().copied()).collect()
        }
    }
}

fn listed<'a>(list: &'a [At<String>], seen: &mut HashSet<&'a str>, report: &mut Report) -> Vec<&'a str> {
    let mut models = Vec::new();
    for model in list {
        match model.get().map(String::as_str) {
            Some("") => report.error(model.place, "the name of a model is empty"),
            Some(name) if name.contains(char::is_control) => {
                report.error(model.place, format!("the model {} has a control character in its name", shown(name)));
            }
            Some(name) if !seen.insert(name) => {
                report.warning(model.place, format!("model {} is listed twice", shown(name)), None);
            }
            Some(name) => models.push(name),
            None => {}
        }
    }
    models
}

/// Returns the operations that a provider spells out; none if one of them is wrong, so that nothing more is said about
/// them.
fn custom_operations(
    place: Place,
    name: &str,
    provider: &raw::Provider,
    report: &mut Report,
) -> Option<Vec<Operation>> {
    let elsewhere = provider.model.as_ref().map_or(Some(ModelPlace::Body), |at| model_place(at, report));
    let Some(list) = &provider.operations else {
        let help = "name those that carry a model, such as `operations: [/generate]`".to_owned();
        report.error_with(place, format!("provider {} is `custom` and has no `operations`", shown(name)), help);
        return None;
    };
    let mut claims = operations::named(list, "", report)?;
    let elsewhere = elsewhere?;
    for claim in claims.iter_mut().filter(|claim| !claim.operation.path.has_model()) {
        if elsewhere == ModelPlace::Path {
            let message =
                format!("{} has no `{{model}}`, and the provider has its models in the path", shown(claim.path()));
            report.error_with(claim.place.unwrap_or(place), message, "write `{model}` instead".to_owned());
            return None;
        }
        claim.operation.form.model = elsewhere.clone();
    }
    Some(claims.into_iter().map(|claim| claim.operation).collect())
}

fn model_place(at: &At<raw::ModelPlace>, report: &mut Report) -> Option<ModelPlace> {
    Some(match at.get()? {
        raw::ModelPlace::Body => ModelPlace::Body,
        raw::ModelPlace::Path => ModelPlace::Path,
        raw::ModelPlace::Header(name) => ModelPlace::Header(header_name(name, report)?),
        raw::ModelPlace::Query(name) => ModelPlace::Query(parameter_name(name, report)?),
    })
}

/// Returns a header that may be set on requests; others are reported. Never quoted: it may be a credential, put there
/// by mistake.
pub(super) fn header_name(at: &At<String>, report: &mut Report) -> Option<HeaderName> {
    const TAKEN: [&str; 6] = ["host", "content-length", "content-type", "transfer-encoding", "connection", "te"];
    let name = HeaderName::from_bytes(at.get()?.as_bytes());
    let free = |name: &HeaderName| {
        let name = name.as_str();
        !TAKEN.contains(&name) && !name.starts_with("x-model-router-") && !name.starts_with("x-envoy-")
    };
    match name {
        Ok(name) if free(&name) => return Some(name),
        Ok(_) => report.error(at.place, "this header has a special meaning and cannot be set here"),
        Err(_) => report.error(at.place, "expected the name of a header, such as `x-api-key`"),
    }
    None
}

/// Returns the name of a query parameter, for the same.
pub(super) fn parameter_name(at: &At<String>, report: &mut Report) -> Option<String> {
    let name = at.get()?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)) {
        report.error(at.place, "expected the name of a query parameter, such as `key`");
        return None;
    }
    Some(name.clone())
}

impl From<Option<raw::Shape>> for Shape {
    fn from(shape: Option<raw::Shape>) -> Self {
        match shape {
            Some(raw::Shape::OpenAi) | None => Self::OpenAi,
            Some(raw::Shape::Anthropic) => Self::Anthropic,
            Some(raw::Shape::Gemini) => Self::Gemini,
            Some(raw::Shape::Bedrock) => Self::Bedrock,
        }
    }
}
