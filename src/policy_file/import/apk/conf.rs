//! `apk-conf`: an API as people write it, from which APK generates its resources. It becomes the same resources here,
//! as far as they say which model serves a request; each part has the place of what it was made of.

mod backends;

use std::collections::HashMap;

use super::kinds::Kind;
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::names::slug;
use crate::policy_file::import::objects::Kind as _;
use crate::policy_file::import::tree::{list, map, text};
use backends::Backends;

/// Keys of an API that are read, and those that say nothing of how requests are routed and served.
const KEYS: [&str; 13] = [
    "name",
    "basePath",
    "version",
    "type",
    "aiProvider",
    "endpointConfigurations",
    "operations",
    "apiPolicies",
    "id",
    "definitionPath",
    "environment",
    "additionalProperties",
    "keyManagers",
];
/// What does the work of keys that are not honoured.
const ELSEWHERE: [(&str, &str); 6] = [
    ("corsConfiguration", "use Envoy's CORS filter"),
    ("rateLimit", "limit rates in Envoy, before the router's filter"),
    ("authentication", "authenticate clients in Envoy, before the router's filter"),
    ("scopes", "authorize clients in Envoy, before the router's filter"),
    ("subscriptionValidation", "authorize clients in Envoy, before the router's filter"),
    ("defaultVersion", "requests need the version in their path"),
];
/// The policy that picks models.
const POLICY: &str = "ModelBasedRoundRobin";

/// Returns whether a document is an `apk-conf`.
pub(in crate::policy_file::import) fn is_conf(document: &Node) -> bool {
    ["basePath", "operations"].iter().all(|key| document.get(key).is_some()) && document.get("kind").is_none()
}

/// Returns the documents with every `apk-conf` replaced by its resources.
pub(super) fn resources(documents: &[Node], report: &mut Report) -> Vec<Node> {
    let (confs, mut found): (Vec<Node>, Vec<Node>) = documents.iter().cloned().partition(is_conf);
    let mut vendors: HashMap<String, String> = found.iter().flat_map(known_vendors).collect();
    let mut backends = Backends::default();
    for conf in &confs {
        let Some(vendor) = vendor(conf, &mut vendors, &mut found, report) else { continue };
        found.extend(Conf { conf, vendor }.resources(&mut backends, report));
    }
    found.extend(backends.into_resources());
    found
}

/// Returns the names that an AIProvider may be called by, with that of its resource.
fn known_vendors(document: &Node) -> Vec<(String, String)> {
    let of = |section: &str, key: &str| Some(document.get(section)?.get(key)?.text()?.to_owned());
    let is_vendor = document.get("kind").and_then(Node::text) == Some(Kind::AiProvider.name());
    let Some(name) = of("metadata", "name").filter(|_| is_vendor) else { return Vec::new() };
    let labels = [of("spec", "providerName"), Some(name.clone())];
    labels.into_iter().flatten().map(|label| (label, name.clone())).collect()
}

/// Returns the name of the AIProvider that a document names; one that is not there is added.
fn vendor(
    conf: &Node,
    known: &mut HashMap<String, String>,
    resources: &mut Vec<Node>,
    report: &mut Report,
) -> Option<String> {
    let Some(vendor) = conf.get("aiProvider") else {
        let help = "name the vendor, such as `{ name: OpenAI, apiVersion: v1 }`".to_owned();
        report.error_with(conf.place, "this API has no `aiProvider`", help);
        return None;
    };
    honoured(vendor, &["name", "apiVersion"], "`aiProvider`", &[], report);
    let name = required(vendor, "name", "`aiProvider`", report)?;
    let label = name.text()?;
    if let Some(known) = known.get(label) {
        return Some(known.clone());
    }
    let named = slug(label);
    let spec = vec![("providerName", name.clone())];
    resources.push(resource(vendor.place, Kind::AiProvider, text(name.place, named.as_str()), spec));
    known.insert(label.to_owned(), named.clone());
    Some(named)
}

/// An `apk-conf`, and the AIProvider whose API it is.
struct Conf<'a> {
    conf: &'a Node,
    vendor: String,
}

impl Conf<'_> {
    fn resources(&self, backends: &mut Backends, report: &mut Report) -> Vec<Node> {
        let conf = self.conf;
        honoured(conf, &KEYS, "this API", &ELSEWHERE, report);
        let (name, base_path) =
            (required(conf, "name", "this API", report), required(conf, "basePath", "this API", report));
        let Some((name, base_path)) = name.zip(base_path) else { return Vec::new() };
        let label = slug(name.text().unwrap_or_default());
        let mut found = Vec::new();
        let target = vec![("kind", text(name.place, "API")), ("name", text(name.place, &*label))];
        let mut refers = Vec::new();
        if let Some(section) = self.section(conf.get("apiPolicies"), conf, backends, report) {
            let spec = vec![("default", section), ("targetRef", map(name.place, target))];
            found.push(resource(name.place, Kind::ApiPolicy, text(name.place, format!("{label}-policy")), spec));
        }
        let mut rules = Vec::new();
        for (index, operation) in conf.get("operations").map_or(&[][..], Node::items).iter().enumerate() {
            let Some(mut rule) = rule(operation, report) else { continue };
            if let Some(section) = self.section(operation.get("operationPolicies"), operation, backends, report) {
                let policy = text(operation.place, format!("{label}-policy-{index}"));
                rule.push(("filters", filter(operation.place, policy.clone())));
                found.push(resource(operation.place, Kind::ApiPolicy, policy, vec![("default", section)]));
            }
            rules.push(map(operation.place, rule));
        }
        for (environment, is_used) in [("production", true), ("sandbox", self.has_sandbox(&found))] {
            if is_used {
                let route = text(name.place, format!("{label}-{environment}"));
                let spec = vec![("rules", list(conf.place, rules.clone()))];
                found.push(resource(name.place, Kind::HttpRoute, route.clone(), spec));
                let routes = map(name.place, vec![("routeRefs", list(name.place, vec![route]))]);
                refers.push((environment, list(name.place, vec![routes])));
            }
        }
        let mut spec = vec![("basePath", full_path(base_path, conf.get("version")))];
        spec.extend(conf.get("type").map(|kind| ("apiType", kind.clone())));
        spec.extend(refers);
        found.push(resource(conf.place, Kind::Api, text(name.place, label), spec));
        found
    }

    /// Returns whether some policy has models for the sandbox.
    fn has_sandbox(&self, resources: &[Node]) -> bool {
        let sections = resources.iter().filter_map(|one| one.get("spec")?.get("default")?.get(super::attach::POOLS));
        sections.into_iter().any(|pools| pools.get("sandboxModels").is_some_and(|models| !models.items().is_empty()))
    }

    /// Returns the section of an APIPolicy that the policies of a flow become; `None` if none of them picks models.
    fn section(
        &self,
        flows: Option<&Node>,
        holder: &Node,
        backends: &mut Backends,
        report: &mut Report,
    ) -> Option<Node> {
        let flows = flows?;
        honoured(flows, &["request"], "these policies", &[("response", "change responses in Envoy")], report);
        let mut section = None;
        for policy in flows.get("request").map_or(&[][..], Node::items) {
            honoured(policy, &["policyName", "policyVersion", "policyId", "parameters"], "this policy", &[], report);
            let name = policy.get("policyName").and_then(Node::text).unwrap_or_default();
            if name != POLICY {
                report.warning(policy.place, format!("the policy {} is not honoured", shown(name)), None);
                continue;
            }
            let Some(parameters) = policy.get("parameters") else {
                report.error(policy.place, format!("the policy {} has no `parameters`", shown(name)));
                continue;
            };
            if section.is_some() {
                report.error_with(
                    policy.place,
                    format!("this {} is the second one here", shown(name)),
                    "keep one".to_owned(),
                );
                continue;
            }
            let pools = self.pools(parameters, holder, backends, report);
            let vendor = map(policy.place, vec![("name", text(policy.place, self.vendor.as_str()))]);
            section = Some(map(policy.place, vec![("aiProvider", vendor), (super::attach::POOLS, pools)]));
        }
        section
    }

    fn pools(&self, parameters: &Node, holder: &Node, backends: &mut Backends, report: &mut Report) -> Node {
        let duration = "onQuotaExceedSuspendDuration";
        honoured(parameters, &[duration, "productionModels", "sandboxModels"], "this policy", &[], report);
        let mut pools: Vec<_> = parameters.get(duration).map(|node| (duration, node.clone())).into_iter().collect();
        for (key, environment) in [("productionModels", "production"), ("sandboxModels", "sandbox")] {
            let Some(models) = parameters.get(key) else { continue };
            let configured = [holder, self.conf].map(|one| one.get("endpointConfigurations")?.get(environment));
            let configured: Vec<_> = configured.into_iter().flatten().flat_map(Node::items).collect();
            let model = |model: &Node| {
                honoured(model, &["model", "endpoint", "weight"], "this model", &[], report);
                let endpoint = required(model, "endpoint", "this model", report)?;
                let backend = backends.named(endpoint, &configured, report)?;
                let mut entries = vec![("backendRef", map(endpoint.place, vec![("name", backend)]))];
                entries.extend(["model", "weight"].into_iter().filter_map(|key| Some((key, model.get(key)?.clone()))));
                Some(map(model.place, entries))
            };
            pools.push((key, list(models.place, models.items().iter().filter_map(model).collect())));
        }
        map(parameters.place, pools)
    }
}

/// Returns an operation as a rule of a route.
fn rule(operation: &Node, report: &mut Report) -> Option<Vec<(&'static str, Node)>> {
    let keys = ["target", "verb", "secured", "operationPolicies", "endpointConfigurations"];
    honoured(operation, &keys, "this operation", &ELSEWHERE, report);
    let target = required(operation, "target", "this operation", report)?;
    let verb = required(operation, "verb", "this operation", report)?;
    let path = map(target.place, vec![("type", text(target.place, "Exact")), ("value", target.clone())]);
    let one = map(operation.place, vec![("path", path), ("method", verb.clone())]);
    Some(vec![("matches", list(operation.place, vec![one]))])
}

/// Returns the filter of a rule that refers to an APIPolicy.
fn filter(place: Place, policy: Node) -> Node {
    let reference = map(place, vec![("kind", text(place, Kind::ApiPolicy.name())), ("name", policy)]);
    list(place, vec![map(place, vec![("type", text(place, "ExtensionRef")), ("extensionRef", reference)])])
}

/// Returns the path of an API: its base path, then its version.
fn full_path(base_path: &Node, version: Option<&Node>) -> Node {
    let path = base_path.text().unwrap_or_default().trim_end_matches('/');
    match version.and_then(Node::text) {
        Some(version) if path.rsplit('/').next() != Some(version) => text(base_path.place, format!("{path}/{version}")),
        _ => text(base_path.place, path),
    }
}

/// Returns a resource of the newest version.
fn resource(place: Place, kind: Kind, name: Node, spec: Vec<(&str, Node)>) -> Node {
    let versions = Kind::KINDS.iter().find(|(known, ..)| *known == kind).map_or(&[][..], |(.., versions)| versions);
    let metadata = map(place, vec![("name", name)]);
    map(
        place,
        vec![
            ("apiVersion", text(place, versions.last().copied().unwrap_or_default())),
            ("kind", text(place, kind.name())),
            ("metadata", metadata),
            ("spec", map(place, spec)),
        ],
    )
}
