//! The list of models, in the shape that the API's clients expect.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use crate::gateway::refusal::{Refusal, Reply};
use crate::routing::api::{Api, Environment};
use crate::routing::provider::Shape;

/// Returns each model that some target of these APIs has, once, in the order of the policy file.
pub(super) fn list(apis: &[&Arc<Api>], environment: Environment, shape: Shape) -> Reply {
    let mut models: Vec<(&str, &str)> = Vec::new();
    for (model, owner) in apis.iter().flat_map(|api| api.models(environment)) {
        if !models.iter().any(|(known, _)| *known == model.as_str()) {
            models.push((model.as_str(), owner));
        }
    }
    if models.is_empty() {
        let api = apis.first().map(|api| api.name.to_string()).unwrap_or_default();
        return Refusal::NoTargets { api, environment }.reply(shape);
    }
    let list = match shape {
        Shape::OpenAi | Shape::Bedrock => openai(&models),
        Shape::Anthropic => anthropic(&models),
        Shape::Gemini => gemini(&models),
    };
    Reply::json(StatusCode::OK, &list)
}

/// Source: OpenAI's API reference, "List models".
fn openai(models: &[(&str, &str)]) -> Value {
    // `created` is unknown here; OpenAI's clients require the field.
    let model =
        |(id, owned_by): &(&str, &str)| json!({ "id": id, "object": "model", "created": 0, "owned_by": owned_by });
    json!({ "object": "list", "data": models.iter().map(model).collect::<Vec<_>>() })
}

/// Source: Anthropic's API reference, "List Models". Its clients require `created_at`.
fn anthropic(models: &[(&str, &str)]) -> Value {
    let model = |(id, _): &(&str, &str)| json!({ "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z" });
    let id = |model: Option<&(&str, &str)>| model.map(|(id, _)| (*id).to_owned());
    let data: Vec<_> = models.iter().map(model).collect();
    json!({ "data": data, "has_more": false, "first_id": id(models.first()), "last_id": id(models.last()) })
}

/// Source: the Gemini API reference, "models.list".
fn gemini(models: &[(&str, &str)]) -> Value {
    let model = |(id, _): &(&str, &str)| {
        let methods = ["generateContent", "streamGenerateContent", "countTokens", "embedContent"];
        json!({ "name": format!("models/{id}"), "displayName": id, "supportedGenerationMethods": methods })
    };
    json!({ "models": models.iter().map(model).collect::<Vec<_>>() })
}
