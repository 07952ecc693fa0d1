//! Provider types: what the router knows of each vendor's API, as data in one table.

mod responses;
mod shape;
mod table;

use http::Method;

use crate::routing::operation::{ModelPlace, Operation, PathPattern, RequestForm};
pub use responses::{Fault, Responses};
pub use shape::Shape;

/// A vendor's API as the router needs to know it. Adding a vendor is adding a row to [`ProviderType::ALL`].
#[derive(Debug, PartialEq, Eq)]
pub struct ProviderType {
    /// The name in the policy file (`type: openai`).
    pub name: &'static str,
    /// The API shape that its clients speak.
    pub shape: Shape,
    /// The operations that carry a model, below the root of the vendor's API.
    operations: &'static [Row],
    /// Starts of operations' paths that the URL of an endpoint may have as its end, the longest first.
    roots: &'static [&'static str],
    /// The form of its credential unless the policy file says otherwise.
    pub auth: DefaultAuth,
    /// Request headers in which a client may send its own credential, for `passthrough`.
    pub client_headers: &'static [&'static str],
    /// Query parameters of that kind.
    pub client_parameters: &'static [&'static str],
    /// The query parameter in which a client names the version of the API that it wants; empty where there is none.
    pub version_parameter: &'static str,
    /// The prefix of a model's name where a body repeats the model of the path.
    pub body_prefix: &'static str,
    /// Top-level members of a body whose own objects repeat it as well.
    pub body_members: &'static [&'static str],
    /// Paths, below an API's base path, of state that exists only at the account that made it.
    stateful: &'static [StatefulPath],
    /// Top-level members of a body that refer to such things.
    pub stateful_members: &'static [&'static str],
    /// Members anywhere within a top-level one that refer to such things.
    pub nested_state: &'static [NestedState],
    /// What its responses mean.
    pub responses: &'static Responses,
    /// Ends of the paths of operations whose streams state their usage only if `stream_options` asks for it.
    pub usage_on_demand: &'static [&'static str],
    /// The vendor's own base URL for OpenAI's API, for pools with others.
    pub openai_url: Option<&'static str>,
}

/// Paths of state that exists only at the account that made it.
#[derive(Debug, PartialEq, Eq)]
enum StatefulPath {
    /// This path and everything below it.
    Tree(&'static str),
    /// Everything below this path, but not the path itself.
    Below(&'static str),
}

impl StatefulPath {
    fn contains(&self, path: &str) -> bool {
        match self {
            Self::Tree(root) => path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Below(root) => path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1),
        }
    }
}

/// A reference, somewhere in a body, to something that exists only at the account that made it.
#[derive(Debug, PartialEq, Eq)]
pub struct NestedState {
    /// The top-level member.
    pub within: &'static str,
    /// The member below it that holds a text which is not empty.
    pub key: &'static str,
    /// A part of the text, where only some values are such references; empty for any.
    pub part: &'static str,
}

/// An operation in the table: its model is in the path if that has `{model}`, else in the body.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    path: &'static str,
    streamed: bool,
    multipart: bool,
}

/// The form in which a credential is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAuth {
    /// `authorization: Bearer …`.
    Bearer,
    /// This header, which holds nothing else.
    Header(&'static str),
}

/// The path of the list of models, to which the router replies itself.
const MODELS: &str = "/models";

impl ProviderType {
    /// Returns whether a path belongs to what exists only at the account that made it. It is one below an API's base
    /// path, for an endpoint whose URL has that other one.
    #[must_use]
    pub fn is_stateful(&self, url_path: &str, path: &str) -> bool {
        let path = &*self.below_root(url_path, path);
        self.stateful.iter().any(|stateful| stateful.contains(path))
    }

    /// Returns whether a path is the list of models; the paths are as before.
    #[must_use]
    pub fn is_models(&self, url_path: &str, path: &str) -> bool {
        self.shape.lists_models() && self.below_root(url_path, path) == MODELS
    }

    /// Returns the end of an endpoint's path that belongs to the vendor's paths.
    fn root_of(&self, url_path: &str) -> &'static str {
        self.roots.iter().find(|root| url_path.ends_with(**root)).copied().unwrap_or_default()
    }

    fn below_root(&self, url_path: &str, path: &str) -> String {
        let full = format!("{}{path}", self.root_of(url_path));
        let below = self.roots.iter().find_map(|root| full.strip_prefix(root).filter(|rest| rest.starts_with('/')));
        below.unwrap_or(&full).to_owned()
    }

    /// Returns the operations of an endpoint whose URL has this path, as paths below that. A URL may end in a part of
    /// them: Azure's `/openai/v1`, say.
    #[must_use]
    pub fn operations_at(&self, url_path: &str) -> Vec<Operation> {
        let root = self.root_of(url_path);
        let below = |row: &'static Row| Some((row, row.path.strip_prefix(root).filter(|path| path.starts_with('/'))?));
        self.operations.iter().filter_map(below).map(|(row, path)| row.operation(path)).collect()
    }

    /// Returns the type of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().chain(Self::CUSTOM).find(|kind| kind.name == name)
    }

    /// Returns what the policy file spells out itself, for clients that speak this.
    ///
    /// # Panics
    /// Never: the table has a row for each shape.
    #[must_use]
    pub fn custom(shape: Shape) -> &'static Self {
        Self::CUSTOM.iter().find(|kind| kind.shape == shape).expect("a row for each shape")
    }

    /// Returns the names of all types.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().chain(&Self::CUSTOM[..1]).map(|kind| kind.name)
    }

    /// Returns whether the policy file must spell everything out.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.name == table::CUSTOM_NAME
    }
}

impl Row {
    fn operation(&self, path: &str) -> Operation {
        let path = PathPattern::parse(path).expect("the table holds paths");
        let model = if path.has_model() { ModelPlace::Path } else { ModelPlace::Body };
        let form = RequestForm { model, streamed: self.streamed, multipart: self.multipart };
        Operation { path, methods: vec![OPERATION_METHOD], form }
    }
}

/// The method of every built-in operation.
pub const OPERATION_METHOD: Method = Method::POST;

/// Request headers that may carry a client's credential for, or reputation with, some provider. They are removed before
/// a request is forwarded: the endpoint's own credential is the only one that goes out. A client's AWS signature is of
/// another request once it has been rewritten, so all its parts go.
pub const CLIENT_HEADERS_REMOVED: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "x-goog-user-project",
    "x-amz-security-token",
    "x-amz-date",
    "x-amz-content-sha256",
    "ocp-apim-subscription-key",
    "openai-organization",
    "openai-project",
    "cookie",
];

/// Query parameters that some provider type takes a credential from; removed for the same reason.
const CREDENTIAL_PARAMETERS: &[&str] = &[
    "key",
    "api-key",
    "api_key",
    "x-api-key",
    "x-goog-api-key",
    "subscription-key",
    "access_token",
    "x-amz-credential",
    "x-amz-signature",
    "x-amz-security-token",
];

/// Returns whether a query parameter of this name may carry a credential.
#[must_use]
pub fn is_credential_parameter(name: &str) -> bool {
    CREDENTIAL_PARAMETERS.iter().any(|parameter| parameter.eq_ignore_ascii_case(name.trim()))
}

/// Response headers that reveal the endpoint's account; removed before the client sees the response.
pub const RESPONSE_HEADERS_REMOVED: &[&str] = &["set-cookie", "openai-organization"];

#[cfg(test)]
mod tests;
