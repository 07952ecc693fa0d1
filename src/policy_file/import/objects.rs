//! The objects of manifests, by kind and name.

use std::collections::HashMap;

use crate::document::problem::{Place, Report};
use crate::document::words::{any_of, instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};

/// Among more objects none is suggested for a name that is unknown.
const COMPARED: usize = 1000;

/// The kinds of a format that are honoured.
pub(super) trait Kind: Copy + PartialEq + 'static {
    /// Each kind, its name, and the versions that it may have.
    const KINDS: &'static [(Self, &'static str, &'static [&'static str])];
    /// Kinds that are not honoured, and what does their work.
    const ELSEWHERE: &'static [(&'static str, &'static str)];
    /// That of Secrets.
    const SECRET: Self;

    fn name(self) -> &'static str {
        Self::KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }
}

/// What one document declares.
#[derive(Debug)]
pub(super) struct Object<'a, K> {
    pub(super) kind: K,
    pub(super) name: &'a str,
    pub(super) name_node: &'a Node,
    pub(super) namespace: Option<&'a str>,
    pub(super) place: Place,
    /// The `spec`; of a Secret the whole document.
    pub(super) spec: &'a Node,
}

/// All objects.
#[derive(Debug)]
pub(super) struct Objects<'a, K> {
    list: Vec<Object<'a, K>>,
    /// Those of each name.
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<K: Kind> Object<'_, K> {
    /// "Backend `east`".
    pub(super) fn describe(&self) -> String {
        named(self.kind, self.name)
    }

    /// "Backend `east` (apk.yaml:12)".
    pub(super) fn origin(&self, report: &Report) -> String {
        format!("{} ({})", self.describe(), report.origin(self.place))
    }
}

impl<'a, K: Kind> Objects<'a, K> {
    pub(super) fn read(documents: impl IntoIterator<Item = &'a Node>, report: &mut Report) -> Self {
        let mut objects = Self { list: Vec::new(), by_name: HashMap::new() };
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
        let Some((kind, name, versions)) = K::KINDS.iter().find(|(_, name, _)| *name == label) else {
            let help = K::ELSEWHERE.iter().find(|(kind, _)| *kind == label).map(|(_, help)| (*help).to_owned());
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

    fn extend(&mut self, kind: K, document: &'a Node, report: &mut Report) {
        let rest: &[&str] = if kind == K::SECRET { &["data", "stringData", "type", "immutable"] } else { &["spec"] };
        let top = [&["apiVersion", "kind", "metadata", "status"], rest].concat();
        honoured(document, &top, &format!("this {}", kind.name()), &[], report);
        let metadata = document.get("metadata").unwrap_or(document);
        let Some(name_node) = required(metadata, "name", &format!("`metadata` of this {}", kind.name()), report) else {
            return;
        };
        let spec = if kind == K::SECRET { Some(document) } else { document.get("spec") };
        let name = name_node.text().unwrap_or_default();
        let Some(spec) = spec else {
            report.error(name_node.place, format!("{} has no `spec`", named(kind, name)));
            return;
        };
        let namespace = metadata.get("namespace").and_then(Node::text);
        if let Some(first) = self.lookup(kind, name, namespace) {
            let first = report.locate(first.name_node.place, name_node.place);
            report.error(name_node.place, format!("{} is already defined at {first}", named(kind, name)));
            return;
        }
        self.by_name.entry(name).or_default().push(self.list.len());
        self.list.push(Object { kind, name, name_node, namespace, place: document.place, spec });
    }

    pub(super) fn of(&self, kind: K) -> impl Iterator<Item = &Object<'a, K>> {
        self.list.iter().filter(move |object| object.kind == kind)
    }

    /// Returns the object of a name, which is given at a node, as seen from a namespace. One that is not there is
    /// reported.
    pub(super) fn find(
        &self,
        kind: K,
        name: &Node,
        namespace: Option<&str>,
        report: &mut Report,
    ) -> Option<&Object<'a, K>> {
        let text = name.text().unwrap_or_default();
        let found = self.lookup(kind, text, namespace);
        if found.is_none() {
            // Among very many names the search for a similar one would take long, for each that is wrong.
            let few = self.of(kind).take_while(|_| self.list.len() <= COMPARED);
            let known = few.filter(|object| same(object.namespace, namespace)).map(|object| object.name);
            report.error_with(name.place, format!("unknown {}", named(kind, text)), instead(text, known));
        }
        found
    }

    pub(super) fn lookup(&self, kind: K, name: &str, namespace: Option<&str>) -> Option<&Object<'a, K>> {
        let named = self.by_name.get(name)?.iter().map(|&index| &self.list[index]);
        named.into_iter().find(|object| object.kind == kind && same(object.namespace, namespace))
    }

    /// Returns the object that a reference names: a map with `name` and maybe `namespace`.
    pub(super) fn referred(
        &self,
        kind: K,
        reference: &Node,
        from: &Object<'_, K>,
        report: &mut Report,
    ) -> Option<&Object<'a, K>> {
        let name = required(reference, "name", &format!("the reference to a {}", kind.name()), report)?;
        let namespace = reference.get("namespace").and_then(Node::text).or(from.namespace);
        self.find(kind, name, namespace, report)
    }
}

/// Returns whether two namespaces may be the same: a manifest without one is applied to any.
fn same(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// "Backend `east`".
pub(super) fn named(kind: impl Kind, name: &str) -> String {
    format!("{} {}", kind.name(), shown(name))
}
