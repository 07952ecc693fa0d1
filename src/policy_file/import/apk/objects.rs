//! The objects of manifests, by kind and name.

use super::named;
use crate::document::problem::{Place, Report};
use crate::document::words::{any_of, instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};

/// The kinds that are honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Api,
    HttpRoute,
    Backend,
    AiProvider,
    ApiPolicy,
    Secret,
}

/// A kind, its name, and the versions that it may have.
const KINDS: [(Kind, &str, &[&str]); 6] = [
    (Kind::Api, "API", &["dp.wso2.com/v1alpha2", "dp.wso2.com/v1alpha3"]),
    (Kind::HttpRoute, "HTTPRoute", &["gateway.networking.k8s.io/v1beta1", "gateway.networking.k8s.io/v1"]),
    (Kind::Backend, "Backend", &["dp.wso2.com/v1alpha1", "dp.wso2.com/v1alpha2"]),
    (Kind::AiProvider, "AIProvider", &["dp.wso2.com/v1alpha3", "dp.wso2.com/v1alpha4"]),
    (Kind::ApiPolicy, "APIPolicy", &["dp.wso2.com/v1alpha3", "dp.wso2.com/v1alpha4"]),
    (Kind::Secret, "Secret", &["v1"]),
];

/// Kinds that are not honoured, and what does their work.
const ELSEWHERE: &[(&str, &str)] = &[
    ("Authentication", "authenticate clients in Envoy, before the router's filter"),
    ("Scope", "authorize clients in Envoy, before the router's filter"),
    ("RateLimitPolicy", "limit rates in Envoy, before the router's filter"),
    ("AIRateLimitPolicy", "limit rates in Envoy, before the router's filter"),
    ("BackendJWT", "add headers in Envoy"),
    ("InterceptorService", "put other filters into Envoy's chain"),
    ("Gateway", "listeners are Envoy's own"),
];

/// What one document declares.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) name_node: &'a Node,
    pub(super) namespace: Option<&'a str>,
    pub(super) place: Place,
    /// The `spec`; of a Secret the whole document.
    pub(super) spec: &'a Node,
}

/// All objects.
#[derive(Debug)]
pub(super) struct Objects<'a>(Vec<Object<'a>>);

impl Kind {
    pub(super) fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }
}

impl<'a> Object<'a> {
    /// "Backend `east`".
    pub(super) fn describe(&self) -> String {
        named(self.kind, self.name)
    }

    /// "Backend `east` (apk.yaml:12)".
    pub(super) fn origin(&self, report: &Report) -> String {
        format!("{} ({})", self.describe(), report.origin(self.place))
    }
}

impl<'a> Objects<'a> {
    pub(super) fn read(documents: &'a [Node], report: &mut Report) -> Self {
        let mut objects = Self(Vec::new());
        for document in documents {
            if document.get("kind").and_then(Node::text) == Some("List") {
                for item in document.get("items").into_iter().flat_map(Node::items) {
                    objects.add(item, report);
                }
            } else {
                objects.add(document, report);
            }
        }
        objects
    }

    fn add(&mut self, document: &'a Node, report: &mut Report) {
        let (Some(kind), Some(version)) =
            (required(document, "kind", "a manifest", report), required(document, "apiVersion", "a manifest", report))
        else {
            return;
        };
        let (label, version_told) = (kind.text().unwrap_or_default(), version.text().unwrap_or_default());
        let Some((kind, name, versions)) = KINDS.iter().find(|(_, name, _)| *name == label) else {
            let help = ELSEWHERE.iter().find(|(kind, _)| *kind == label).map(|(_, help)| (*help).to_owned());
            report.warning(kind.place, format!("the kind {} is not honoured", shown(label)), help);
            return;
        };
        if !versions.contains(&version_told) {
            let message = format!("{name} of the version {} is not supported", shown(version_told));
            report.error_with(version.place, message, format!("expected {}", any_of(versions.iter().copied())));
            return;
        }
        self.extend(*kind, document, report);
    }

    fn extend(&mut self, kind: Kind, document: &'a Node, report: &mut Report) {
        let top: &[&str] = match kind {
            Kind::Secret => &["apiVersion", "kind", "metadata", "status", "data", "stringData", "type", "immutable"],
            _ => &["apiVersion", "kind", "metadata", "status", "spec"],
        };
        honoured(document, top, &format!("this {}", kind.name()), &[], report);
        let metadata = document.get("metadata").unwrap_or(document);
        let Some(name_node) = required(metadata, "name", &format!("`metadata` of this {}", kind.name()), report) else {
            return;
        };
        let spec = if kind == Kind::Secret { Some(document) } else { document.get("spec") };
        let name = name_node.text().unwrap_or_default();
        let Some(spec) = spec else {
            report.error(name_node.place, format!("{} has no `spec`", named(kind, name)));
            return;
        };
        let namespace = metadata.get("namespace").and_then(Node::text);
        if let Some(first) =
            self.0.iter().find(|known| known.kind == kind && known.name == name && same(known.namespace, namespace))
        {
            let first = report.locate(first.name_node.place, name_node.place);
            report.error(name_node.place, format!("{} is already defined at {first}", named(kind, name)));
            return;
        }
        self.0.push(Object { kind, name, name_node, namespace, place: document.place, spec });
    }

    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &Object<'a>> {
        self.0.iter().filter(move |object| object.kind == kind)
    }

    /// Returns the object of a name, which is given at a node, as seen from a namespace. One that is not there is
    /// reported.
    pub(super) fn find(
        &self,
        kind: Kind,
        name: &Node,
        namespace: Option<&str>,
        report: &mut Report,
    ) -> Option<&Object<'a>> {
        let text = name.text().unwrap_or_default();
        let found = self.lookup(kind, text, namespace);
        if found.is_none() {
            let known = self.of(kind).filter(|object| same(object.namespace, namespace)).map(|object| object.name);
            report.error_with(name.place, format!("unknown {}", named(kind, text)), instead(text, known));
        }
        found
    }

    pub(super) fn lookup(&self, kind: Kind, name: &str, namespace: Option<&str>) -> Option<&Object<'a>> {
        self.of(kind).find(|object| object.name == name && same(object.namespace, namespace))
    }

    /// Returns the object that a reference names: a map with `name` and maybe `namespace`.
    pub(super) fn referred(
        &self,
        kind: Kind,
        reference: &Node,
        from: &Object<'_>,
        report: &mut Report,
    ) -> Option<&Object<'a>> {
        let name = required(reference, "name", &format!("the reference to a {}", kind.name()), report)?;
        let namespace = reference.get("namespace").and_then(Node::text).or(from.namespace);
        self.find(kind, name, namespace, report)
    }
}

/// Returns whether two namespaces may be the same: a manifest without one is applied to any.
fn same(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_none() || other.is_none() || one == other
}
