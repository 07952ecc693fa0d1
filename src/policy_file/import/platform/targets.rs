//! What the policies of an API may name: upstreams, and the models that are asked of each.

use std::collections::{HashMap, HashSet};

use super::kinds::{Kind, Object, Objects};
use super::services::Services;
use crate::document::problem::Report;
use crate::document::words::{instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::required;
use crate::policy_file::import::operations::Operation;
use crate::policy_file::import::tree::{content, text};

/// Something that serves requests.
#[derive(Clone, Copy, Debug)]
pub(super) enum Upstream<'a> {
    Provider(&'a Object<'a>),
    /// An upstream of a RestApi: `main` or `sandbox`.
    Api(&'a Object<'a>, &'static str),
}

impl<'a> Upstream<'a> {
    pub(super) fn object(&self) -> &'a Object<'a> {
        match self {
            Self::Provider(object) | Self::Api(object, _) => object,
        }
    }

    /// Returns the name of its endpoint.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Provider(object) => object.name.to_owned(),
            Self::Api(object, stage) => format!("{}-{stage}", object.name),
        }
    }
}

/// An upstream that policies use.
#[derive(Debug)]
pub(super) struct Used<'a> {
    pub(super) upstream: Upstream<'a>,
    /// The models that are asked of it, each once.
    pub(super) models: Vec<Node>,
    known_models: HashSet<String>,
    /// The operations of the policies that use it, each once.
    pub(super) operations: Vec<Operation>,
    known_operations: HashSet<Operation>,
    /// Where a RestApi has the model.
    pub(super) request_model: Option<&'a Node>,
}

/// All upstreams that policies use.
#[derive(Debug, Default)]
pub(super) struct AllUsed<'a> {
    pub(super) list: Vec<Used<'a>>,
    by_name: HashMap<String, usize>,
}

impl<'a> AllUsed<'a> {
    fn of(&mut self, upstream: Upstream<'a>, request_model: Option<&'a Node>) -> &mut Used<'a> {
        let index = *self.by_name.entry(upstream.name()).or_insert_with(|| {
            self.list.push(Used {
                upstream,
                models: Vec::new(),
                known_models: HashSet::new(),
                operations: Vec::new(),
                known_operations: HashSet::new(),
                request_model,
            });
            self.list.len() - 1
        });
        &mut self.list[index]
    }
}

/// What the policies of one API and one environment choose among.
pub(super) struct Targets<'t, 'a> {
    /// Upstreams by the names that policies have for them; the first is used when they name none.
    pub(super) upstreams: &'t [(&'a str, Upstream<'a>)],
    pub(super) operations: &'t [Operation],
    pub(super) request_model: Option<&'a Node>,
    pub(super) timeout: Option<&'a Node>,
    pub(super) used: &'t mut AllUsed<'a>,
    pub(super) services: &'t mut Services<'a>,
}

impl<'a> Targets<'_, 'a> {
    /// Returns the target that a part of a policy names under two keys; mistakes are reported.
    pub(super) fn target(
        &mut self,
        part: &Node,
        model: &str,
        provider: &str,
        report: &mut Report,
    ) -> Option<[(&'static str, Node); 2]> {
        let model = required(part, model, "this part of the policy", report)?;
        let (place, upstream) = match part.get(provider).filter(|name| name.text() != Some("")) {
            Some(name) => (name.place, self.named(name, report)?),
            None => (model.place, self.upstreams.first()?.1),
        };
        self.note(upstream, model, report);
        Some([("model", model.clone()), ("endpoint", text(place, upstream.name()))])
    }

    fn named(&self, name: &Node, report: &mut Report) -> Option<Upstream<'a>> {
        let label = name.text().unwrap_or_default();
        let found = self.upstreams.iter().find(|(known, _)| *known == label).map(|(_, upstream)| *upstream);
        if found.is_none() {
            let help = instead(label, self.upstreams.iter().map(|(known, _)| *known));
            report.error_with(name.place, format!("unknown provider {}", shown(label)), help);
        }
        found
    }

    /// Takes note of a model that is asked of an upstream.
    fn note(&mut self, upstream: Upstream<'a>, model: &Node, report: &mut Report) {
        let used = self.used.of(upstream, self.request_model);
        if used.known_models.insert(model.text().unwrap_or_default().to_owned()) {
            used.models.push(model.clone());
        }
        for operation in self.operations {
            if used.known_operations.insert(operation.clone()) {
                used.operations.push(operation.clone());
            }
        }
        if used.request_model.map(content) != self.request_model.map(content) {
            let place = self.request_model.map_or(model.place, |node| node.place);
            let message = format!("another policy of {} has the model elsewhere", upstream.object().describe());
            report.error_with(place, message, "give each its own RestApi".to_owned());
        }
    }
}

/// Returns the upstreams of an LlmProxy, its primary provider first. What is not known or cannot be honoured is
/// reported.
pub(super) fn of_proxy<'a>(
    proxy: &Object<'a>,
    objects: &'a Objects<'a>,
    report: &mut Report,
) -> Option<Vec<(&'a str, Upstream<'a>)>> {
    let Some(primary) = proxy.spec.get("provider") else {
        report.error(proxy.place, format!("{} has no `provider`", proxy.describe()));
        return None;
    };
    let mut upstreams: Vec<(&'a str, Upstream<'a>)> = Vec::new();
    let additional = proxy.spec.get("additionalProviders").map_or(&[][..], Node::items);
    for entry in std::iter::once(primary).chain(additional) {
        let id = required(entry, "id", &format!("a provider of {}", proxy.describe()), report)?;
        let found = objects.find(Kind::Provider, id, proxy.namespace, report)?;
        let name = entry.get("as").filter(|name| name.text() != Some("")).unwrap_or(id);
        if upstreams.iter().any(|(known, _)| Some(*known) == name.text()) {
            let message = format!("{} has two providers of the name {}", proxy.describe(), shown(name.text()?));
            report.error_with(name.place, message, "give one of them another with `as`".to_owned());
            return None;
        }
        upstreams.push((name.text()?, Upstream::Provider(found)));
    }
    Some(upstreams)
}
