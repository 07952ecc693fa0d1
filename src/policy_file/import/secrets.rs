//! Secrets: values out of the manifests. No message ever shows one.

use super::objects::{Kind, Object, Objects, named};
use crate::document::mask;
use crate::document::problem::Report;
use crate::document::words::{instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::Reference;
use crate::policy_file::import::credential::{Value, decoded, variable};
use crate::policy_file::import::honoured::{honoured, required};

/// What is longer is no name of a key, but a credential that was put there by mistake.
const KEY_BYTES: usize = 32;

/// Returns the value that `valueFrom` names, whose key is under `key`; `None` in it if its Secret is not among the
/// manifests.
pub(super) fn value<K: Kind>(
    source: &Node,
    key: &str,
    from: &Object<'_, K>,
    objects: &Objects<'_, K>,
    report: &mut Report,
) -> Option<(Option<Value>, Reference)> {
    honoured(source, &["name", key], "this reference", &[], report);
    let reference = reference::<K>(source, key, report)?;
    let value = match secret(source, from, objects, &reference, report)? {
        Some(secret) => Some(value_of(secret, source, key, report)?),
        None => None,
    };
    Some((value, reference))
}

/// Returns the same of a user and a password, with a colon between them.
pub(super) fn pair<K: Kind>(
    source: &Node,
    from: &Object<'_, K>,
    objects: &Objects<'_, K>,
    report: &mut Report,
) -> Option<(Option<Value>, Reference)> {
    honoured(source, &["name", "usernameKey", "passwordKey"], "this reference", &[], report);
    let reference = reference::<K>(source, "passwordKey", report)?;
    let value = match secret(source, from, objects, &reference, report)? {
        Some(secret) => {
            let user = value_of(secret, source, "usernameKey", report);
            let password = value_of(secret, source, "passwordKey", report);
            let ((place, user), (_, password)) = user.zip(password)?;
            Some((place, format!("{user}:{password}")))
        }
        None => None,
    };
    Some((value, reference))
}

/// Returns where a value is looked for by a file that does not hold it.
fn reference<K: Kind>(source: &Node, key: &str, report: &mut Report) -> Option<Reference> {
    let name = required(source, "name", "the reference to a Secret", report)?.text()?;
    let key_node = required(source, key, "the reference to a Secret", report)?;
    let key = key_node.text()?;
    if key.len() > KEY_BYTES || mask::looks_secret(key) {
        report.error(key_node.place, "expected the name of a key in a Secret, such as `apiKey`");
        return None;
    }
    let label = format!("key {} of {}", shown(key), named(K::SECRET, name));
    Some(Reference { variable: variable(&[name, key]), label })
}

/// Returns the Secret of a reference; the inner `None`, which is reported, if it is not among the manifests.
fn secret<'o, 'a, K: Kind>(
    source: &Node,
    from: &Object<'_, K>,
    objects: &'o Objects<'a, K>,
    reference: &Reference,
    report: &mut Report,
) -> Option<Option<&'o Object<'a, K>>> {
    let name = required(source, "name", "the reference to a Secret", report)?;
    let found = objects.lookup(K::SECRET, name.text()?, from.namespace);
    if found.is_none() {
        let message = format!("{} is not among the manifests", named(K::SECRET, name.text()?));
        let help = format!("the environment variable {} is read in its place", shown(&reference.variable));
        report.warning(name.place, message, help);
    }
    Some(found)
}

fn value_of<K: Kind>(secret: &Object<'_, K>, source: &Node, key: &str, report: &mut Report) -> Option<Value> {
    let key_node = required(source, key, "the reference to a Secret", report)?;
    let key = key_node.text()?;
    let at = |section: &str| secret.spec.get(section).and_then(|section| section.get(key));
    let text_of = |node: &Node, report: &mut Report| {
        let text = node.text().map(str::to_owned);
        if text.is_none() {
            report.error(node.place, "expected a text");
        }
        text
    };
    if let Some(node) = at("stringData") {
        return Some((node.place, line(text_of(node, report)?)));
    }
    if let Some(node) = at("data") {
        let text = text_of(node, report)?;
        return Some((
            node.place,
            line(decoded(text.trim(), "a text; the text itself belongs under `stringData`", node.place, report)?),
        ));
    }
    let keys = ["data", "stringData"].into_iter().filter_map(|section| secret.spec.get(section));
    let keys: Vec<_> = keys.flat_map(Node::keys).collect();
    // Not quoted: it may be a credential, put there by mistake.
    report.error_with(key_node.place, format!("{} has no such key", secret.describe()), instead(key, keys));
    None
}

/// Returns a value without the line break that files end in.
fn line(text: String) -> String {
    text.strip_suffix('\n').map_or(text.clone(), |line| line.strip_suffix('\r').unwrap_or(line).to_owned())
}
