//! The list of models, in the shape that the API's clients expect.

use std::sync::Arc;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::gateway::refusal::{Refusal, Reply};
use crate::routing::api::{Api, Environment, Served};
use crate::routing::provider::Shape;

/// Returns each model that clients of these APIs can ask for, once, in the order of the policy file.
fn of<'a>(apis: &[&'a Arc<Api>], environment: Environment) -> Vec<Served<'a>> {
    let mut models: Vec<Served<'a>> = Vec::new();
    for (model, owner) in apis.iter().flat_map(|api| api.models(environment)) {
        if !models.iter().any(|(known, _)| *known == model) {
            models.push((model, owner));
        }
    }
    models
}

/// Returns the list of these APIs' models.
pub(super) fn list(apis: &[&Arc<Api>], environment: Environment, shape: Shape) -> Reply {
    let models = of(apis, environment);
    if apis.iter().all(|api| api.policy(environment).is_none()) {
        let api = apis.first().map(|api| api.name.to_string()).unwrap_or_default();
        return Refusal::NoTargets { api, environment }.reply(shape);
    }
    let list = match shape {
        Shape::OpenAi | Shape::Bedrock => {
            json!({ "object": "list", "data": models.iter().map(openai).collect::<Vec<_>>() })
        }
        Shape::Anthropic => anthropic_list(&models),
        Shape::Gemini => json!({ "models": models.iter().map(gemini).collect::<Vec<_>>() }),
    };
    Reply::json(StatusCode::OK, &list)
}

/// Returns one of these APIs' models, by its name as a path has it.
///
/// # Errors
/// Clients cannot ask for such a model.
pub(super) fn one(apis: &[&Arc<Api>], environment: Environment, shape: Shape, encoded: &str) -> Result<Reply, Refusal> {
    let asked = percent_decode_str(encoded).decode_utf8_lossy();
    let models = of(apis, environment);
    let listed = models.iter().find(|(name, _)| *name == asked).copied();
    let mut patterns = apis.iter().flat_map(|api| api.model_patterns(environment));
    let fits = || patterns.find(|(pattern, _)| pattern.fits(&asked)).map(|(_, owner)| (&*asked, owner));
    let Some(model) = &listed.or_else(fits) else {
        return Err(unknown(apis, environment, &asked));
    };
    let model = match shape {
        Shape::OpenAi | Shape::Bedrock => openai(model),
        Shape::Anthropic => anthropic(model),
        Shape::Gemini => gemini(model),
    };
    Ok(Reply::json(StatusCode::OK, &model))
}

/// Returns the refusal of a request for a model that an API does not serve.
pub(super) fn refusal(api: &Arc<Api>, environment: Environment, requested: Option<&str>) -> Refusal {
    unknown(&[api], environment, requested.unwrap_or_default())
}

fn unknown(apis: &[&Arc<Api>], environment: Environment, asked: &str) -> Refusal {
    let patterns = apis.iter().flat_map(|api| api.model_patterns(environment)).map(|(pattern, _)| pattern.as_str());
    let served = of(apis, environment).into_iter().map(|(name, _)| name).chain(patterns).map(str::to_owned).collect();
    Refusal::UnknownModel { asked: asked.to_owned(), served }
}

/// Source: OpenAI's API reference, "The model object".
fn openai((id, owned_by): &Served<'_>) -> Value {
    // `created` is unknown here; OpenAI's clients require the field.
    json!({ "id": id, "object": "model", "created": 0, "owned_by": owned_by })
}

/// Source: Anthropic's API reference, "Get a Model". Its clients require `created_at`.
fn anthropic((id, _): &Served<'_>) -> Value {
    json!({ "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z" })
}

/// Source: Anthropic's API reference, "List Models".
fn anthropic_list(models: &[Served<'_>]) -> Value {
    let id = |model: Option<&Served<'_>>| model.map(|(id, _)| (*id).to_owned());
    let data: Vec<_> = models.iter().map(anthropic).collect();
    json!({ "data": data, "has_more": false, "first_id": id(models.first()), "last_id": id(models.last()) })
}

/// Source: the Gemini API reference, "models.get".
fn gemini((id, _): &Served<'_>) -> Value {
    let methods = ["generateContent", "streamGenerateContent", "countTokens", "embedContent"];
    json!({ "name": format!("models/{id}"), "displayName": id, "supportedGenerationMethods": methods })
}
