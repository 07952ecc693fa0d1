//! Backends: endpoints with their credentials.

use super::kinds::Objects;
use super::pools::UsedBackend;
use crate::document::problem::Report;
use crate::document::words::{instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::Part;
use crate::policy_file::import::credential::{self, Form, Key};
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::secrets;
use crate::policy_file::import::tree::{map, text};

/// What of a Backend Envoy's cluster has to do.
const CLUSTERS: &str = "set it in Envoy's cluster of the same name";

/// Returns the endpoint that a Backend becomes.
pub(super) fn endpoint(used: &UsedBackend<'_>, objects: &Objects<'_>, report: &mut Report) -> Option<Part> {
    let (backend, spec) = (used.backend, used.backend.spec);
    let of = backend.describe();
    let elsewhere = ["tls", "circuitBreaker", "retry", "healthCheck"].map(|key| (key, CLUSTERS));
    honoured(spec, &["services", "protocol", "basePath", "security", "timeout"], &of, &elsewhere, report);
    if let Some(timeout) = spec.get("timeout") {
        let idle = [("downstreamRequestIdleTimeout", "set it in Envoy's listener")];
        honoured(timeout, &["upstreamResponseTimeout"], &format!("`timeout` of {of}"), &idle, report);
    }
    let url = url(spec, &of, report);
    let key = spec.get("security").map(|security| credential(security, &of, used, objects, report));
    let place = backend.name_node.place;
    let mut entries = vec![("provider", text(place, used.vendor)), ("url", url?)];
    let mut secret = None;
    if let Some(Some(key)) = key {
        entries.push(("api_key", key.source));
        entries.push(("auth", key.auth));
        secret = Some(key.reference);
    }
    Some(Part {
        name: text(place, &used.endpoint),
        value: map(backend.place, entries),
        origin: backend.origin(report),
        secret,
    })
}

fn url(spec: &Node, of: &str, report: &mut Report) -> Option<Node> {
    let protocol = spec.get("protocol").and_then(Node::text).unwrap_or("http");
    if !["http", "https"].contains(&protocol) {
        let place = spec.get("protocol").map_or(spec.place, |node| node.place);
        let help = instead(protocol, ["http", "https"]);
        report.error_with(place, format!("the protocol {} cannot be served", shown(protocol)), help);
        return None;
    }
    let [service] = spec.get("services").map_or(&[][..], Node::items) else {
        report.error(spec.place, format!("{of} needs exactly one of `services`"));
        return None;
    };
    let host = required(service, "host", &format!("the service of {of}"), report)?;
    let port = required(service, "port", &format!("the service of {of}"), report)?;
    let (host_text, port_text) = (host.text().unwrap_or_default(), port.text().unwrap_or_default());
    if port_text.parse::<u16>().map_or(true, |port| port == 0) {
        report.error(port.place, format!("expected a port from 1 to 65535, found {}", shown(port_text)));
        return None;
    }
    let port = match (protocol, port_text) {
        ("https", "443") | ("http", "80") => String::new(),
        (_, port) => format!(":{port}"),
    };
    let path = spec.get("basePath").and_then(Node::text).unwrap_or_default().trim_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    Some(text(host.place, format!("{protocol}://{host_text}{port}{slash}{path}")))
}

/// Returns the form in which the credential is sent, and the credential.
fn credential(
    security: &Node,
    of: &str,
    used: &UsedBackend<'_>,
    objects: &Objects<'_>,
    report: &mut Report,
) -> Option<Key> {
    honoured(security, &["apiKey", "basic"], &format!("`security` of {of}"), &[], report);
    if let Some(basic) = security.get("basic") {
        let source = basic.get("secretRef").unwrap_or(basic);
        let (value, reference) = secrets::pair(source, used.backend, objects, report)?;
        return credential::key(Form::Basic(basic.place), value, source.place, reference, report);
    }
    let api_key = security.get("apiKey")?;
    let label = format!("`apiKey` of {of}");
    honoured(api_key, &["in", "name", "valueFrom"], &label, &[], report);
    let name = required(api_key, "name", &label, report)?;
    let Some(source) = api_key.get("valueFrom") else {
        let help = "write `valueFrom: { name: SECRET, valueKey: KEY }`".to_owned();
        report.error_with(api_key.place, format!("{label} has no `valueFrom`"), help);
        return None;
    };
    let form = match api_key.get("in").and_then(Node::text).unwrap_or("Header") {
        "Header" => Form::Header(name),
        "Query" => Form::Query(name),
        other => {
            let place = api_key.get("in").map_or(api_key.place, |node| node.place);
            let help = instead(other, ["Header", "Query"]);
            report.error_with(place, format!("a key cannot be sent in {}", shown(other)), help);
            return None;
        }
    };
    let (value, reference) = secrets::value(source, "valueKey", used.backend, objects, report)?;
    credential::key(form, value, source.place, reference, report)
}
