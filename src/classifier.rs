//! A classifier: an LLM that says which rule of a policy a request fits. Every failure mode is a named `Verdict`; none
//! of them becomes a client error.

mod answer;
mod call;
pub mod content;
mod prompt;
mod question;
mod state;
mod verdict;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::body::BodyEdits;
use crate::secret::Secret;
pub use answer::fold;
pub use prompt::{NONE, RULES_MARK, Rules, WORDING, bounded, user_message};
pub use question::Question;
pub use state::{Bounds, ClassifierCounts, ClassifierKey, ClassifierState};
pub use verdict::{Classification, Verdict};

/// The vendors whose chat completions can classify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassifierType {
    /// OpenAI, and whatever speaks its API.
    OpenAi,
    /// Mistral.
    Mistral,
    /// Azure OpenAI: the URL names the deployment.
    AzureOpenAi,
}

impl ClassifierType {
    /// Every type with its name in the policy file.
    pub const ALL: [(&'static str, Self); 3] =
        [("openai", Self::OpenAi), ("mistral", Self::Mistral), ("azure_openai", Self::AzureOpenAi)];

    /// Returns whether requests name a model.
    #[must_use]
    pub fn needs_model(self) -> bool {
        self != Self::AzureOpenAi
    }

    /// Returns the header that carries the key, and the prefix before the key.
    fn credential(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenAi | Self::Mistral => ("authorization", "Bearer "),
            Self::AzureOpenAi => ("api-key", ""),
        }
    }
}

/// The way in which a classifier is restricted to the allowed answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerForm {
    /// By a JSON schema, which all three vendors have.
    #[default]
    Schema,
    /// By instructions alone.
    Text,
}

/// A classifier as the policy file declares it, checked.
pub struct Classifier {
    /// Its name in the policy file.
    pub name: Arc<str>,
    url: Url,
    model: Option<String>,
    credential: Option<(&'static str, Secret)>,
    form: AnswerForm,
    edits: BodyEdits,
    bounds: Bounds,
    /// Its state; shared across reloads while its declaration stays the same.
    pub state: Arc<ClassifierState>,
}

impl fmt::Debug for Classifier {
    /// Without the URL's query, which may hold a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bounds, state) = (&self.name, &self.bounds, &self.state);
        f.debug_struct("Classifier")
            .field("name", name)
            .field("address", &self.address())
            .field("bounds", bounds)
            .field("state", state)
            .finish_non_exhaustive()
    }
}

/// The declaration of a classifier. It has no `Debug`, because the query of its URL may hold a credential.
pub struct Declaration {
    /// The vendor.
    pub kind: ClassifierType,
    /// The whole URL, operation included.
    pub url: Url,
    /// The model, where requests name one.
    pub model: Option<String>,
    /// The API key.
    pub key: Option<Secret>,
    /// The way in which answers are restricted.
    pub form: AnswerForm,
    /// Changes of the request.
    pub edits: BodyEdits,
    /// Its bounds.
    pub bounds: Bounds,
}

impl Classifier {
    /// Creates a classifier with its state, which `state_of` finds or makes.
    pub fn new(
        name: &str,
        declaration: Declaration,
        state_of: impl FnOnce(&ClassifierKey, &Bounds) -> Arc<ClassifierState>,
    ) -> Self {
        let Declaration { kind, url, model, key, form, edits, bounds } = declaration;
        let secret = key.as_ref().map_or("", Secret::expose);
        let declared = format!("{kind:?}\0{url}\0{model:?}\0{form:?}\0{edits:?}\0{bounds:?}\0{secret}");
        let key_of_state = ClassifierKey { name: name.into(), fingerprint: Sha256::digest(declared).into() };
        let (header, before) = kind.credential();
        let credential = key.map(|key| (header, Secret::new(format!("{before}{}", key.expose()))));
        let state = state_of(&key_of_state, &bounds);
        Self { name: key_of_state.name, url, model, credential, form, edits, bounds, state }
    }

    /// Makes ready for the first call.
    ///
    /// # Errors
    /// The certificates of the system can't be read, and the URL needs them.
    pub fn ready(&self) -> Result<(), &str> {
        self.state.client(&self.url).map(drop)
    }

    /// Until a request goes to the default, whatever the classifier does.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.bounds.timeout
    }

    /// Returns the most questions that it is asked at once.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.bounds.concurrency.get() as usize
    }

    /// Returns where it is asked. The query is left out: it may hold a credential.
    #[must_use]
    pub fn address(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
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
fn edit(request: &mut Value, edits: &BodyEdits) {
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
