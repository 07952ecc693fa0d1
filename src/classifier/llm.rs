//! A classifier: an LLM that says which rule of a policy a request fits.

use std::sync::Arc;

use serde_json::{Value, json};

use super::prompt::{NONE, Rules, user_message};
use super::rule_question::Decision;
use super::service::{Service, ServiceDeclaration};
use super::state::{Bounds, ServiceKey, ServiceState};
use crate::body::BodyEdits;

/// The way in which a classifier is restricted to the allowed answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerForm {
    /// By a JSON schema, which all three vendors have.
    #[default]
    Schema,
    /// By instructions alone.
    Text,
}

/// The state of a classifier that outlives a policy.
pub type ClassifierState = ServiceState<Decision>;

/// A classifier as the policy file declares it, checked.
#[derive(Debug)]
pub struct Classifier {
    pub(super) service: Service<Decision>,
    model: Option<String>,
    form: AnswerForm,
    edits: BodyEdits,
}

/// The declaration of a classifier. It has no `Debug`, because the query of its URL may hold a credential.
pub struct Declaration {
    /// The service that it is.
    pub service: ServiceDeclaration,
    /// The model, where requests name one.
    pub model: Option<String>,
    /// The way in which answers are restricted.
    pub form: AnswerForm,
    /// Changes of the request.
    pub edits: BodyEdits,
}

impl Classifier {
    /// Creates a classifier with its state, which `state_of` finds or makes.
    pub fn new(
        name: &str,
        declaration: Declaration,
        state_of: impl FnOnce(&ServiceKey, &Bounds) -> Arc<ClassifierState>,
    ) -> Self {
        let Declaration { service, model, form, edits } = declaration;
        let own = format!("{model:?}\0{form:?}\0{edits:?}");
        Self { service: Service::new(name, service, &own, state_of), model, form, edits }
    }

    /// Returns its name in the policy file.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.service.name
    }

    /// Returns its state.
    #[must_use]
    pub fn state(&self) -> &Arc<ClassifierState> {
        &self.service.state
    }

    /// Makes ready for the first call.
    ///
    /// # Errors
    /// The certificates of the system can't be read, and the URL needs them.
    pub fn ready(&self) -> Result<(), &str> {
        self.service.ready()
    }

    /// Returns the request that asks which rule a content fits. Only the beginning and the end of a long content are
    /// shown.
    #[must_use]
    pub fn request(&self, rules: &Rules, shown: &str) -> Value {
        let longest = rules.names.iter().map(|name| name.len()).max().unwrap_or_default();
        let mut request = json!({});
        if let Some(model) = &self.model {
            request["model"] = model.as_str().into();
        }
        request["messages"] = json!([
            { "role": "system", "content": rules.system },
            { "role": "user", "content": user_message(shown) },
        ]);
        if self.model.as_deref().is_some_and(reasons) {
            request["max_completion_tokens"] = MAX_REASONING_TOKENS.into();
        } else {
            request["temperature"] = 0.into();
            // A token is at least a byte.
            request["max_tokens"] = (ANSWER_TOKENS + longest).into();
        }
        if self.form == AnswerForm::Schema {
            request["response_format"] = schema(rules);
        }
        edit(&mut request, &self.edits);
        request
    }
}

/// Tokens of an answer beside a name: `{"rule":""}`, and some white space.
const ANSWER_TOKENS: usize = 32;
/// Tokens for models that think before they answer.
const MAX_REASONING_TOKENS: usize = 2_048;

/// Returns whether a model thinks before it answers: those of OpenAI refuse `temperature` and `max_tokens`.
/// Source: OpenAI's guide to reasoning models.
fn reasons(model: &str) -> bool {
    ["o1", "o3", "o4", "gpt-5"]
        .iter()
        .any(|family| model.strip_prefix(family).is_some_and(|rest| !rest.starts_with("-chat")))
}

/// Returns the answer that is asked for. Source: OpenAI's guide to structured outputs; Mistral and Azure have the same.
fn schema(rules: &Rules) -> Value {
    let answers: Vec<_> = rules.names.iter().map(|name| &**name).chain([NONE]).collect();
    json!({ "type": "json_schema", "json_schema": {
        "name": "rule",
        "strict": true,
        "schema": {
            "type": "object",
            "properties": { "rule": { "type": "string", "enum": answers } },
            "required": ["rule"],
            "additionalProperties": false,
        },
    } })
}

/// Changes the top-level members of a request, as a target's edits do with a client's.
pub(super) fn edit(request: &mut Value, edits: &BodyEdits) {
    let Value::Object(members) = request else { return };
    for key in &edits.remove {
        members.remove(key);
    }
    for (old, new) in &edits.rename {
        if let Some(value) = members.remove(old) {
            members.entry(new).or_insert(value);
        }
    }
    for (key, value) in &edits.set {
        members.insert(key.clone(), serde_json::from_str(value).unwrap_or_default());
    }
}
