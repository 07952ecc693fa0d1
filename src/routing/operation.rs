//! An operation: methods of a path below an API's base path, and how its requests name their model.

mod path;

use std::fmt;

use http::{HeaderName, Method};

pub use path::{MODEL, PathPattern};

/// An operation that carries a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The path below the base path, perhaps with placeholders for segments.
    pub path: PathPattern,
    /// The methods; never empty.
    pub methods: Vec<Method>,
    /// The form of its requests.
    pub form: RequestForm,
}

/// The form of an operation's requests, as far as the router needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestForm {
    /// The place of the model.
    pub model: ModelPlace,
    /// Whether the answer is a stream whatever the body says.
    pub streamed: bool,
    /// Whether the body may be a multipart form, with the model as one of its parts.
    pub multipart: bool,
}

/// The place in which a request names its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPlace {
    /// In the body: the top-level member `model` of a JSON object, or the part `model` of a form.
    Body,
    /// In the path, where the pattern has `{model}`.
    Path,
    /// In this header.
    Header(HeaderName),
    /// In this query parameter.
    Query(String),
}

/// Why a pattern is none, and what would be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternError(&'static str);

impl PatternError {
    pub(crate) const fn new(message: &'static str) -> Self {
        Self(message)
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
