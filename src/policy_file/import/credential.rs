//! Credentials: what others hold as whole headers, as a key and the way that it travels. No message ever shows one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Reference;
use super::tree::{map, text};
use crate::document::problem::{Place, Report};
use crate::document::yaml::Node;

/// The form in which a credential is sent.
#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    /// In a header of this name, which it is the whole value of.
    Header(&'a Node),
    /// In a query parameter of this name.
    Query(&'a Node),
    /// As `user:password`.
    Basic(Place),
}

/// A value and its place.
pub(super) type Value = (Place, String);

/// An endpoint's credential.
pub(super) struct Key {
    /// What `api_key` holds.
    pub(super) source: Node,
    /// What `auth` holds.
    pub(super) auth: Node,
    pub(super) reference: Reference,
}

/// Returns the credential with this value; an unknown one (`None`) is looked up where the reference points.
pub(super) fn key(
    form: Form<'_>,
    value: Option<Value>,
    place: Place,
    reference: Reference,
    report: &mut Report,
) -> Option<Key> {
    let (auth, value, suffix) = match form {
        Form::Header(name) if is_authorization(name) => authorization(name, value, report)?,
        Form::Header(name) => (map(name.place, vec![("header", name.clone())]), value, ""),
        Form::Query(name) => (map(name.place, vec![("query", name.clone())]), value, ""),
        Form::Basic(place) => (text(place, "basic"), value, ", as `user:password`"),
    };
    let source = match value {
        Some((place, value)) => map(place, vec![("value", text(place, value))]),
        None => map(place, vec![("env", text(place, reference.variable.as_str()))]),
    };
    let reference = Reference { label: format!("{}{suffix}", reference.label), ..reference };
    Some(Key { source, auth, reference })
}

/// Returns a name for an environment variable, made of other names.
pub(super) fn variable(names: &[&str]) -> String {
    let legal = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    names.join("_").chars().map(legal).collect()
}

fn is_authorization(name: &Node) -> bool {
    name.text().is_some_and(|name| name.eq_ignore_ascii_case("authorization"))
}

/// `authorization` without its scheme, which becomes the form. A value that is not known is taken for a bearer's.
fn authorization(
    name: &Node,
    value: Option<Value>,
    report: &mut Report,
) -> Option<(Node, Option<Value>, &'static str)> {
    const BEARER: &str = ", without its `Bearer `";
    let Some((place, value)) = value else { return Some((text(name.place, "bearer"), None, BEARER)) };
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => {
            report.conceal(place, key.trim());
            Some((text(name.place, "bearer"), Some((place, key.trim().to_owned())), BEARER))
        }
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = decoded(key.trim(), "user and password", place, report)?;
            Some((text(name.place, "basic"), Some((place, pair)), ", as `user:password`"))
        }
        _ => Some((map(name.place, vec![("header", name.clone())]), Some((place, value)), "")),
    }
}

/// Returns the decoded value of base64 text, which is concealed like the text.
pub(super) fn decoded(text: &str, what: &str, place: Place, report: &mut Report) -> Option<String> {
    let letters: String = text.split_whitespace().collect();
    match STANDARD.decode(letters).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(text) => {
            report.conceal(place, text.trim());
            Some(text)
        }
        None => {
            report.error(place, format!("this is no base64 of {what}"));
            None
        }
    }
}
