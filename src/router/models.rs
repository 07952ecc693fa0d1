//! The list of models, in the shape of OpenAI's `GET /models`.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;

use crate::api::{Api, Environment};
use crate::refusal::{Refusal, Reply};

/// Each model that some target of these APIs has, once, in the order of the policy file.
pub(super) fn list(apis: &[&Arc<Api>], environment: Environment) -> Reply {
    let mut models: Vec<(&str, &str)> = Vec::new();
    for (model, owner) in apis.iter().flat_map(|api| api.models(environment)) {
        if !models.iter().any(|(known, _)| *known == model.as_str()) {
            models.push((model.as_str(), owner));
        }
    }
    if models.is_empty() {
        let api = apis.first().map(|api| api.name.to_string()).unwrap_or_default();
        return Refusal::NoTargets { api, environment }.reply();
    }
    let models = models.into_iter().map(
        // `created` is unknown here; OpenAI's clients require the field.
        |(id, owned_by)| json!({ "id": id, "object": "model", "created": 0, "owned_by": owned_by }),
    );
    Reply::json(StatusCode::OK, &json!({ "object": "list", "data": models.collect::<Vec<_>>() }))
}
