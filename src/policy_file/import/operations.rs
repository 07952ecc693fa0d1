//! Operations, as other gateways name them.

use super::tree::{list, map, text};
use crate::document::problem::Place;
use crate::document::words::shown;
use crate::document::yaml::Node;

/// What a policy decides on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// Every path that carries a model.
    All,
    /// A path below the base path, and a method.
    One { path: String, method: String },
}

impl Operation {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::All => "the rule for every path".to_owned(),
            Self::One { path, method } => shown(&format!("{method} {path}")),
        }
    }
}

/// Returns whether requests of this method have a body that may carry a model.
pub(super) fn carries_model(method: &str) -> bool {
    ["POST", "PUT", "PATCH"].contains(&method)
}

/// Operations as a policy file has them; `None` for those of the provider's type.
pub(super) fn operations(all: &[Operation], place: Place) -> Option<Node> {
    let mut elements = Vec::new();
    for operation in all {
        let Operation::One { path, method } = operation else { return None };
        elements.push(match method.as_str() {
            "POST" => text(place, path),
            method => {
                map(place, vec![("path", text(place, path)), ("methods", list(place, vec![text(place, method)]))])
            }
        });
    }
    Some(list(place, elements))
}
