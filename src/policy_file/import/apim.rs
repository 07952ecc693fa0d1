//! WSO2 API Manager: the parts of an export that say which model serves a request.

mod content_based;
mod documents;
mod embedded;
mod endpoints;
mod failover;
mod intelligent;
mod policies;
mod semantic;
mod settings;
mod turns;
mod vendors;

use super::honoured::{honoured, required};
use super::operations::{Operation, carries_model, operations};
use super::tree::{map, text};
use super::{Draft, Part};
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::document::yaml::Node;
use documents::Documents;
pub(super) use documents::is_document;
use endpoints::Endpoints;
use policies::Attached;
pub(super) use settings::NAME as SETTINGS;
use vendors::Vendor;

/// Keys of an API that are read.
const KEYS: &str = "name context version operations apiPolicies endpointConfig endpoints primaryProductionEndpointId \
    primarySandboxEndpointId subtypeConfiguration";

/// Keys of an API that say nothing of how requests are routed and served.
const DESCRIPTIVE: &str = "accessControl accessControlRoles additionalProperties additionalPropertiesMap advertiseInfo \
    aiConfiguration apiKeyHeader asyncTransportProtocols audience audiences authorizationHeader businessInformation \
    cacheTimeout categories createdTime description displayName egress enableStore enableSubscriberVerification gatewayType \
    gatewayVendor hasThumbnail id initiatedFromGateway isLatest isRevision keyManagers lastUpdatedTime lifeCycleStatus \
    monetization policies provider revisionId revisionedApiId serviceInfo subscriptionAvailability \
    subscriptionAvailableTenants tags testKey transport type versionTimestamp visibility visibleRoles visibleTenants \
    websubSubscriptionConfiguration workflowStatus wsdlInfo wsdlUrl";

/// The same of an operation; who may call it is said for the whole API.
const OPERATION: &str = "target verb operationPolicies id authType payloadSchema uriMapping usedProductIds \
    amznResourceName amznResourceTimeout";

/// What does the work of keys that are not honoured.
const ELSEWHERE: &[(&str, &str)] = &[
    ("corsConfiguration", "use Envoy's CORS filter"),
    ("maxTps", "limit rates in Envoy, before the router's filter"),
    ("apiThrottlingPolicy", "limit rates in Envoy, before the router's filter"),
    ("throttlingPolicy", "limit rates in Envoy, before the router's filter"),
    ("securityScheme", "authenticate clients in Envoy, before the router's filter"),
    ("scopes", "authorize clients in Envoy, before the router's filter"),
    ("isDefaultVersion", "requests need the version in their path"),
];

/// Reports documents, of which this is the first, that no API comes of.
pub(super) fn nothing(first: Place, report: &mut Report) {
    let place = Place { line: 0, column: 0, ..first };
    let help = "expected an `api.yaml` whose operations or `apiPolicies` pick models".to_owned();
    report.error_with(place, "no API of these documents is routed by model", help);
}

/// Makes a draft of all documents together. What is wrong, and what is not honoured, is reported.
pub(super) fn translate(documents: &[Node], report: &mut Report) -> Draft {
    let documents = Documents::read(documents, report);
    let mut draft = Draft::default();
    let mut vendors = Vec::new();
    let classifier = settings::classifier(&documents, &mut draft, report);
    let embedder = settings::embedder(&documents, &mut draft, report);
    let services = (classifier.as_deref(), embedder.as_deref());
    for document in &documents.apis {
        api(document, &documents, services, &mut vendors, &mut draft, report);
    }
    endpoints::unused(&documents, &draft.endpoints, report);
    draft.providers = vendors.into_iter().map(Vendor::into_part).collect();
    if draft.apis.iter().all(|api| !intelligent::is_used(&api.value)) && !report.has_errors() {
        draft.classifiers.clear(); // the setting holds for the whole gateway, whether an API uses it or not
    }
    if draft.apis.iter().all(|api| !semantic::is_used(&api.value)) && !report.has_errors() {
        draft.embedders.clear();
    }
    draft
}

/// What the policies of an API refer to.
struct Context<'a, 'd> {
    endpoints: &'d mut Endpoints<'a>,
    vendor: &'d mut Vendor,
    classifier: Option<&'d str>,
    embedder: Option<&'d str>,
    /// The gateway's own time limit, in seconds.
    timeout: Option<&'a Node>,
}

fn api<'a>(
    api: &'a Node,
    documents: &Documents<'a>,
    (classifier, embedder): (Option<&str>, Option<&str>),
    vendors: &mut Vec<Vendor>,
    draft: &mut Draft,
    report: &mut Report,
) {
    let keys: Vec<_> = KEYS.split(' ').chain(DESCRIPTIVE.split(' ')).collect();
    honoured(api, &keys, "this API", ELSEWHERE, report);
    let (Some(name), Some(context)) =
        (required(api, "name", "this API", report), required(api, "context", "this API", report))
    else {
        return;
    };
    let groups = groups(api, report);
    if groups.is_empty() {
        if !report.has_errors() {
            let message = format!("no policy of API {} picks a model", shown(name.text().unwrap_or_default()));
            report.warning(name.place, message, None);
        }
        return;
    }
    let Some(vendor) = Vendor::of(api, documents, vendors, report) else { return };
    let mut endpoints = Endpoints::read(api, documents, report);
    let base_path = base_path(context, api.get("version").and_then(Node::text));
    let of = format!("API {} ({})", shown(name.text().unwrap_or_default()), report.origin(name.place));
    for (index, (attached, all)) in groups.iter().enumerate() {
        let mut context = Context {
            endpoints: &mut endpoints,
            vendor: &mut *vendor,
            classifier,
            embedder,
            timeout: documents.timeout(),
        };
        let suffix = if index == 0 { String::new() } else { format!(" {}", index + 1) };
        let mut entries = vec![
            ("name", text(name.place, format!("{}{suffix}", name.text().unwrap_or_default()))),
            ("base_path", base_path.clone()),
        ];
        entries.extend(operations(all, api.place).map(|operations| ("operations", operations)));
        for environment in ["production", "sandbox"] {
            let policy = policies::policy(attached, environment, &mut context, report);
            report_environment(name, environment, policy.is_some(), report);
            entries.extend(policy.map(|policy| (environment, policy)));
        }
        let policies: Vec<_> =
            attached.iter().map(|one| format!("{} ({})", one.name, report.origin(one.place))).collect();
        let origin = format!("{of}, {}", policies.join(", "));
        draft.apis.push(Part { name: name.clone(), value: map(api.place, entries), origin, secret: None });
    }
    draft.endpoints.extend(endpoints.into_parts(&vendor.name, name, &draft.endpoints, report));
}

/// Reports an environment that is decided there by the client's key, and here by Envoy or not at all.
fn report_environment(name: &Node, environment: &str, has_policy: bool, report: &mut Report) {
    let api = shown(name.text().unwrap_or_default());
    match (environment, has_policy) {
        ("sandbox", true) => {
            let message = format!("the sandbox of API {api} is chosen by the client's key there");
            let help = "have Envoy set `x-model-router-environment`, or add `sandbox_hosts`".to_owned();
            report.warning(name.place, message, help);
        }
        ("production", false) if !report.has_errors() => {
            let message = format!("production of API {api} has no models");
            report.warning(name.place, message, "its requests are refused with 403".to_owned());
        }
        _ => {}
    }
}

/// Returns the path of an API: its context, then its version.
fn base_path(context: &Node, version: Option<&str>) -> Node {
    let path = context.text().unwrap_or_default().trim_end_matches('/');
    let version = version.unwrap_or_default();
    let path = if path.contains("{version}") {
        path.replace("{version}", version)
    } else if version.is_empty() || path.rsplit('/').next() == Some(version) {
        path.to_owned()
    } else {
        format!("{path}/{version}")
    };
    text(context.place, if path.starts_with('/') { path } else { format!("/{path}") })
}

/// Returns what the same policies decide on: those of an operation itself, else those of its API.
fn groups<'a>(api: &'a Node, report: &mut Report) -> Vec<(Vec<Attached<'a>>, Vec<Operation>)> {
    let of_api = policies::attached(api.get("apiPolicies"), report);
    let mut groups: Vec<(Vec<Attached<'a>>, Vec<Operation>)> = Vec::new();
    for operation in api.get("operations").into_iter().flat_map(Node::items) {
        honoured(operation, &OPERATION.split(' ').collect::<Vec<_>>(), "this operation", ELSEWHERE, report);
        let Some(target) = required(operation, "target", "this operation", report) else { continue };
        let method = operation.get("verb").and_then(Node::text).unwrap_or("POST").to_ascii_uppercase();
        let own = policies::attached(operation.get("operationPolicies"), report);
        let attached = if own.is_empty() { of_api.clone() } else { own };
        let path = target.text().unwrap_or_default();
        let all = ["/*", "/"].contains(&path);
        if attached.is_empty() || !carries_model(&method) {
            let is_answered = all || (method.as_str(), path) == ("GET", "/models");
            if !is_answered && !report.has_errors() {
                let message =
                    format!("{} is not honoured: no policy picks a model there", shown(&format!("{method} {path}")));
                report.warning(target.place, message, "its requests are answered with 404".to_owned());
            }
            continue;
        }
        let found = if all { Operation::All } else { Operation::One { path: path.to_owned(), method } };
        let places = |list: &[Attached<'_>]| list.iter().map(|one| one.place).collect::<Vec<_>>();
        match groups.iter_mut().find(|(known, _)| places(known) == places(&attached)) {
            Some((_, known)) if known.contains(&found) => {}
            Some((_, known)) => known.push(found),
            None => groups.push((attached, vec![found])),
        }
    }
    if api.get("operations").is_none() && !of_api.is_empty() {
        groups.push((of_api, vec![Operation::All]));
    }
    groups
}
