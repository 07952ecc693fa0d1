//! Endpoints of `apk-conf`, as Backends.

use std::collections::HashMap;

use super::super::kinds::Kind;
use super::resource;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::names::slug;
use crate::policy_file::import::tree::{content, list, map, plain, text};

/// What of an endpoint Envoy's cluster has to do.
const CLUSTERS: &str = "set it in Envoy's cluster of the same name";

/// The Backends of all documents, each once.
#[derive(Default)]
pub(super) struct Backends {
    resources: Vec<Node>,
    /// Their names, by what they were made of.
    names: HashMap<(String, Option<String>), String>,
    /// How many there are of each host.
    hosts: HashMap<String, usize>,
}

impl Backends {
    /// Returns the name of the Backend for a model's URL. What is configured for that URL belongs to it.
    pub(super) fn named(&mut self, url: &Node, configured: &[&Node], report: &mut Report) -> Option<Node> {
        let written = url.text()?.trim_end_matches('/');
        let config = configured.iter().find(|one| address(one).as_deref() == Some(written));
        if config.is_none() {
            let help = "it gets no credential: add it to `endpointConfigurations`".to_owned();
            report.warning(url.place, "this endpoint is not configured", help);
        }
        let identity = (written.to_owned(), config.map(|config| content(config)));
        if let Some(known) = self.names.get(&identity) {
            return Some(text(url.place, known.as_str()));
        }
        let (protocol, rest) = written.split_once("://").unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port),
            None => (authority, if protocol == "https" { "443" } else { "80" }),
        };
        if host.is_empty() {
            report.error(
                url.place,
                format!("expected a URL such as `https://llm.example.com/v1`, found {}", shown(written)),
            );
            return None;
        }
        let count = self.hosts.entry(slug(host)).or_default();
        *count += 1;
        let name = if *count == 1 { slug(host) } else { format!("{}-{count}", slug(host)) };
        let at = url.place;
        let service = map(at, vec![("host", text(at, host)), ("port", plain(at, port))]);
        let mut spec = vec![("services", list(at, vec![service])), ("protocol", text(at, protocol))];
        spec.push(("basePath", text(at, path)));
        spec.extend(config.into_iter().flat_map(|config| configuration(config, report)));
        self.resources.push(resource(at, Kind::Backend, text(at, name.as_str()), spec));
        self.names.insert(identity, name.clone());
        Some(text(at, name))
    }

    pub(super) fn into_resources(self) -> Vec<Node> {
        self.resources
    }
}

/// Returns the URL of a configured endpoint: a text, or that of a service in the cluster.
fn address(config: &Node) -> Option<String> {
    let endpoint = config.get("endpoint")?;
    if let Some(url) = endpoint.text() {
        return Some(url.trim_end_matches('/').to_owned());
    }
    let of = |key: &str| endpoint.get(key).and_then(Node::text);
    let namespace = of("namespace").map_or_else(String::new, |namespace| format!(".{namespace}"));
    let port = of("port").map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{}://{}{namespace}{port}", of("protocol").unwrap_or("http"), of("name")?))
}

/// Returns what is configured for an endpoint, as a Backend has it.
fn configuration(config: &Node, report: &mut Report) -> Vec<(&'static str, Node)> {
    let elsewhere = [
        ("certificate", CLUSTERS),
        ("aiRatelimit", "limit rates in Envoy, before the router's filter"),
        ("weight", "weights are those of the policy's models"),
    ];
    honoured(config, &["endpoint", "endpointSecurity", "resiliency"], "this endpoint", &elsewhere, report);
    let mut spec = Vec::new();
    if let Some(resiliency) = config.get("resiliency") {
        let elsewhere = ["retryPolicy", "circuitBreaker"].map(|key| (key, CLUSTERS));
        honoured(resiliency, &["timeout"], "`resiliency`", &elsewhere, report);
        spec.extend(resiliency.get("timeout").map(|timeout| ("timeout", timeout.clone())));
    }
    let security = config.get("endpointSecurity");
    let security = security.filter(|security| security.get("enabled").and_then(Node::text) != Some("false"));
    spec.extend(security.and_then(|security| self::security(security, report)).map(|security| ("security", security)));
    spec
}

/// Returns the credential of an endpoint, which is in a Secret.
fn security(security: &Node, report: &mut Report) -> Option<Node> {
    const KEYS: [&str; 6] = ["secretName", "in", "apiKeyNameKey", "apiKeyValueKey", "userNameKey", "passwordKey"];
    honoured(security, &["enabled", "securityType"], "`endpointSecurity`", &[], report);
    let kind = security.get("securityType")?;
    honoured(kind, &KEYS, "`securityType`", &[], report);
    let secret = required(kind, "secretName", "`securityType`", report)?;
    let of = |key: &str, name: &'static str| Some((name, kind.get(key)?.clone()));
    if kind.get("userNameKey").is_some() {
        let keys = [of("userNameKey", "usernameKey"), of("passwordKey", "passwordKey")];
        let entries = std::iter::once(("name", secret.clone())).chain(keys.into_iter().flatten()).collect();
        let reference = map(kind.place, entries);
        return Some(map(kind.place, vec![("basic", map(kind.place, vec![("secretRef", reference)]))]));
    }
    let name = required(kind, "apiKeyNameKey", "`securityType`", report)?;
    let value = required(kind, "apiKeyValueKey", "`securityType`", report)?;
    let source = map(kind.place, vec![("name", secret.clone()), ("valueKey", value.clone())]);
    let mut entries = vec![("name", name.clone()), ("valueFrom", source)];
    entries.extend(of("in", "in"));
    Some(map(kind.place, vec![("apiKey", map(kind.place, entries))]))
}
