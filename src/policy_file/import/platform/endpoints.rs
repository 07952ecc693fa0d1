//! Upstreams: endpoints with their URLs and credentials, and the providers that these speak like.

use super::kinds::{Object, Objects};
use super::targets::{Upstream, Used};
use super::templates;
use crate::document::problem::Report;
use crate::document::words::{instead, shown, variable_of};
use crate::document::yaml::Node;
use crate::policy_file::import::credential::{self, Form, Key, Value};
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::tree::{list, map, text};
use crate::policy_file::import::{Draft, Part, Reference, secrets};

/// Adds the provider and the endpoint that an upstream becomes.
pub(super) fn add<'a>(used: &Used<'a>, objects: &'a Objects<'a>, draft: &mut Draft, report: &mut Report) {
    let object = used.upstream.object();
    let (place, name) = (object.name_node.place, used.upstream.name());
    if let Some(mut entries) = templates::provider(used, objects, report) {
        let at = used.models.first().map_or(place, |model| model.place);
        entries.insert(1, ("models", list(at, used.models.clone())));
        let value = map(object.place, entries);
        let origin = object.origin(report);
        draft.providers.push(Part { name: text(place, name.as_str()), value, origin, secret: None });
    }
    draft.endpoints.extend(endpoint(used, &name, objects, report));
}

fn endpoint<'a>(used: &Used<'a>, name: &str, objects: &'a Objects<'a>, report: &mut Report) -> Option<Part> {
    let object = used.upstream.object();
    let (of, upstream) = match used.upstream {
        Upstream::Provider(provider) => {
            (format!("`upstream` of {}", provider.describe()), provider.spec.get("upstream"))
        }
        Upstream::Api(api, stage) => {
            (format!("the upstream {} of {}", shown(stage), api.describe()), api.spec.get("upstream")?.get(stage))
        }
    };
    let Some(upstream) = upstream else {
        report.error(object.place, format!("{} has no `upstream`", object.describe()));
        return None;
    };
    let host = [("hostRewrite", "the host becomes that of the endpoint's URL")];
    honoured(upstream, &["url", "ref", "auth"], &of, &host, report);
    let url = url(upstream, object, &of, report)?;
    let place = object.name_node.place;
    let mut entries = vec![("provider", text(place, name)), ("url", url)];
    let mut secret = None;
    if let Some(auth) = upstream.get("auth")
        && let Some(key) = credential(auth, name, object, objects, report)?
    {
        entries.extend([("api_key", key.source), ("auth", key.auth)]);
        secret = Some(key.reference);
    }
    Some(Part { name: text(place, name), value: map(object.place, entries), origin: object.origin(report), secret })
}

/// Returns the URL of an upstream: its own, or that of the definition that it refers to.
fn url(upstream: &Node, object: &Object<'_>, of: &str, report: &mut Report) -> Option<Node> {
    let Some(reference) = upstream.get("ref") else { return required(upstream, "url", of, report).cloned() };
    let definitions = object.spec.get("upstreamDefinitions").map_or(&[][..], Node::items);
    let name = |definition: &Node| definition.get("name").and_then(Node::text).map(str::to_owned);
    let Some(definition) = definitions.iter().find(|one| name(one).as_deref() == reference.text()) else {
        let label = reference.text().unwrap_or_default();
        let known: Vec<_> = definitions.iter().filter_map(name).collect();
        let help = instead(label, known.iter().map(String::as_str));
        report.error_with(reference.place, format!("unknown upstream definition {}", shown(label)), help);
        return None;
    };
    let of = format!("the upstream definition {}", shown(reference.text().unwrap_or_default()));
    let cluster = [("timeout", "set it in Envoy's cluster of the same name")];
    honoured(definition, &["name", "basePath", "upstreams"], &of, &cluster, report);
    let [first, rest @ ..] = definition.get("upstreams").map_or(&[][..], Node::items) else {
        report.error(definition.place, format!("{of} has no `upstreams`"));
        return None;
    };
    if let Some(second) = rest.first() {
        let message = format!("{of} has several `upstreams`, of which the first alone is used, there and here");
        report.warning(second.place, message, None);
    }
    let url = required(first, "url", &of, report)?;
    let base = definition.get("basePath").and_then(Node::text).unwrap_or_default().trim_matches('/');
    let slash = if base.is_empty() { "" } else { "/" };
    let host = url.text().unwrap_or_default().trim_end_matches('/');
    Some(text(url.place, format!("{host}{slash}{base}")))
}

/// Returns the credential of an upstream; the inner `None` if it has none.
fn credential<'a>(
    auth: &Node,
    name: &str,
    object: &Object<'a>,
    objects: &'a Objects<'a>,
    report: &mut Report,
) -> Option<Option<Key>> {
    let of = format!("`auth` of {}", object.describe());
    honoured(auth, &["type", "header", "value"], &of, &[], report);
    match auth.get("type").and_then(Node::text).unwrap_or("api-key") {
        "api-key" => {}
        "none" => return Some(None),
        "other" => {
            let help = "no credential is sent to this endpoint; give it `api_key`".to_owned();
            report.warning(auth.place, "the credential is set by a policy there, which is not imported", help);
            return Some(None);
        }
        _ => {
            // Not quoted: it may be a credential, put there by mistake.
            let place = auth.get("type").map_or(auth.place, |node| node.place);
            report.error(place, "unknown kind of `auth`; expected `api-key`, `other` or `none`");
            return None;
        }
    }
    let header = required(auth, "header", &of, report)?;
    let Some(value) = auth.get("value") else {
        report.error(auth.place, format!("{of} has no `value`"));
        return None;
    };
    let (value, reference) = self::value(value, name, object, objects, report)?;
    credential::key(Form::Header(header), value, auth.place, reference, report).map(Some)
}

/// Returns a credential: written out, or in a Secret, or in a variable; `None` in it if it is not in the documents.
fn value<'a>(
    node: &Node,
    name: &str,
    object: &Object<'a>,
    objects: &'a Objects<'a>,
    report: &mut Report,
) -> Option<(Option<Value>, Reference)> {
    if let Some(source) = node.get("valueFrom") {
        let source = source.get("secretKeyRef").unwrap_or(source);
        return secrets::value(source, "key", object, objects, report);
    }
    let node = node.get("value").unwrap_or(node);
    let Some(written) = node.text().filter(|text| !text.is_empty()) else {
        report.error(node.place, "expected a text, or `valueFrom: { name: SECRET, key: KEY }`");
        return None;
    };
    report.conceal(node.place, written);
    let label = format!("the credential of {}", object.describe());
    let scheme = written.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let bare = scheme.map_or(written, |(_, key)| key).trim();
    let Some(named) = variable_of(bare) else {
        let reference = Reference { variable: credential::variable(&[name, "key"]), label };
        return Some((Some((node.place, written.to_owned())), reference));
    };
    let variable = named.map_or_else(|| credential::variable(&[secret_of(bare).unwrap_or(name), "key"]), str::to_owned);
    let help = format!("the environment variable {} is read in its place", shown(&variable));
    report.warning(node.place, "the credential is not in this document", help);
    Some((None, Reference { variable, label }))
}

/// Returns the name of the secret in a reference such as `{{ secret "name" }}`.
fn secret_of(reference: &str) -> Option<&str> {
    reference.split('"').nth(1).filter(|_| reference.contains("secret"))
}
