//! A draft: our own policy file as a tree, with comments on its parts.

use crate::document::problem::Place;
use crate::document::yaml::{Node, Value};
use crate::policy_file::import::tree::{map_of, text};

/// The parts of a policy file, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) providers: Vec<Part>,
    pub(crate) endpoints: Vec<Part>,
    pub(crate) classifiers: Vec<Part>,
    pub(crate) embedders: Vec<Part>,
    /// Their names are in them.
    pub(crate) apis: Vec<Part>,
}

/// A provider, an endpoint, a classifier, an embedder or an API.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: Node,
    pub(crate) value: Node,
    /// A description of the documents that it was made from.
    pub(crate) origin: String,
    /// Where its `api_key` is to be found by a file that does not hold it.
    pub(crate) secret: Option<Reference>,
}

/// A credential outside of the policy file.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// An environment variable.
    pub(crate) variable: String,
    /// What belongs in it, in words.
    pub(crate) label: String,
}

impl Draft {
    /// Returns the keys of the file with their parts; those that have none are left out.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&'static str, &[Part])> {
        let all: [(_, &[Part]); 5] = [
            ("providers", &self.providers),
            ("endpoints", &self.endpoints),
            ("classifiers", &self.classifiers),
            ("embedders", &self.embedders),
            ("apis", &self.apis),
        ];
        all.into_iter().filter(|(_, parts)| !parts.is_empty())
    }

    /// Returns the whole file; its place is that of what it was read from.
    pub(crate) fn root(&self, place: Place) -> Node {
        let section = |(key, parts): (&'static str, &[Part])| {
            let at = parts.first().map_or(place, |part| part.value.place);
            let value = if key == "apis" {
                Node { place: at, value: Value::List(parts.iter().map(|part| part.value.clone()).collect()) }
            } else {
                map_of(at, parts.iter().map(|part| (part.name.clone(), part.value.clone())).collect())
            };
            (text(at, key), value)
        };
        map_of(place, self.sections().map(section).collect())
    }
}
