//! Endpoints: ids, URLs and credentials.

use super::documents::Documents;
use super::embedded;
use crate::document::problem::{Place, Report};
use crate::document::words::{instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::credential::{self, Form, Key};
use crate::policy_file::import::honoured::required;
use crate::policy_file::import::names::slug;
use crate::policy_file::import::tree::{map, text};
use crate::policy_file::import::{Part, Reference};

/// The ids of the endpoints that an API has in its own `endpointConfig`.
const DEFAULTS: [(&str, &str); 2] =
    [("production", "default_production_endpoint"), ("sandbox", "default_sandbox_endpoint")];

/// An endpoint by its id.
#[derive(Debug)]
struct Known {
    id: String,
    /// What it is called here.
    name: Node,
    config: Node,
    stage: &'static str,
    used: bool,
}

/// The endpoints that the policies of an API may name.
#[derive(Debug)]
pub(super) struct Endpoints<'a> {
    list: Vec<Known>,
    api: &'a Node,
}

impl<'a> Endpoints<'a> {
    pub(super) fn read(api: &'a Node, documents: &Documents<'a>, report: &mut Report) -> Self {
        let mut all = Self { list: Vec::new(), api };
        let api_name = api.get("name").and_then(Node::text).unwrap_or_default();
        if let Some(config) = api.get("endpointConfig").and_then(|node| embedded::json("endpointConfig", node, report))
        {
            for (stage, id) in DEFAULTS {
                if url(&config, stage).is_some() {
                    let name = text(config.place, slug(&format!("{api_name}-{stage}")));
                    all.list.push(Known { id: id.to_owned(), name, config: config.clone(), stage, used: false });
                }
            }
        }
        let own = api.get("endpoints").map_or(&[][..], Node::items);
        for endpoint in own.iter().chain(documents.endpoints.iter().copied()) {
            all.add(endpoint, report);
        }
        all
    }

    fn add(&mut self, endpoint: &Node, report: &mut Report) {
        let id = required(endpoint, "id", "this endpoint", report).and_then(Node::text);
        let config = endpoint.get("endpointConfig").and_then(|node| embedded::json("endpointConfig", node, report));
        let (Some(id), Some(config)) = (id, config) else { return };
        if self.list.iter().any(|known| known.id == id) {
            report.error(endpoint.place, format!("endpoint {} is already defined", shown(id)));
            return;
        }
        let is_sandbox = endpoint.get("deploymentStage").and_then(Node::text) == Some("SANDBOX");
        let label = endpoint.get("name").filter(|name| !slug(name.text().unwrap_or_default()).is_empty());
        let (place, label) = label.map_or((endpoint.place, id), |name| (name.place, name.text().unwrap_or_default()));
        let mut name = slug(label);
        if self.list.iter().any(|known| known.name.text() == Some(&name)) {
            name = format!("{name}-{}", slug(id));
        }
        let stage = if is_sandbox { "sandbox" } else { "production" };
        self.list.push(Known { id: id.to_owned(), name: text(place, name), config, stage, used: false });
    }

    /// Returns the name of an endpoint by its id, which is given at a node. An unknown one is reported.
    pub(super) fn named(&mut self, id: &Node, report: &mut Report) -> Option<Node> {
        let label = id.text().unwrap_or_default();
        let Some(known) = self.list.iter_mut().find(|known| known.id == label) else {
            let help = instead(label, self.list.iter().map(|known| known.id.as_str()));
            report.error_with(id.place, format!("unknown endpoint {}", shown(label)), help);
            return None;
        };
        known.used = true;
        Some(text(id.place, known.name.text().unwrap_or_default()))
    }

    /// Returns where requests go that no policy decides on.
    pub(super) fn default(&mut self, environment: &str) -> Option<Node> {
        let key = if environment == "sandbox" { "primarySandboxEndpointId" } else { "primaryProductionEndpointId" };
        let primary = self.api.get(key).and_then(Node::text);
        let built_in = DEFAULTS.iter().find(|(stage, _)| *stage == environment).map(|(_, id)| *id);
        let known = self.list.iter_mut().find(|known| Some(known.id.as_str()) == primary.or(built_in))?;
        known.used = true;
        Some(known.name.clone())
    }

    /// Returns the endpoints that are used, but for those that another API has brought already.
    pub(super) fn into_parts(self, provider: &str, api: &Node, there: &[Part], report: &mut Report) -> Vec<Part> {
        let is_new = |known: &Known| !there.iter().any(|part| part.name.place == known.name.place);
        let used = self.list.into_iter().filter(|known| known.used && is_new(known));
        used.filter_map(|known| part(&known, provider, api, report)).collect()
    }
}

/// Tells of endpoints that no API uses.
pub(super) fn unused(documents: &Documents<'_>, used: &[Part], report: &mut Report) {
    if report.has_errors() {
        return; // it may be an id that is wrong
    }
    for endpoint in &documents.endpoints {
        let places = [Some(endpoint.place), endpoint.get("name").map(|name| name.place)];
        if !used.iter().any(|part| places.contains(&Some(part.name.place))) {
            let id = endpoint.get("id").and_then(Node::text).unwrap_or_default();
            report.warning(endpoint.place, format!("endpoint {} is not used by any policy", shown(id)), None);
        }
    }
}

fn part(known: &Known, provider: &str, api: &Node, report: &mut Report) -> Option<Part> {
    let Some(url) = url(&known.config, known.stage) else {
        report.error(known.config.place, format!("endpoint {} has no URL", shown(&known.id)));
        return None;
    };
    let place = known.name.place;
    let mut entries = vec![("provider", text(place, provider)), ("url", url.clone())];
    let security = known.config.get("endpoint_security").and_then(|security| security.get(known.stage));
    let mut secret = None;
    if let Some(security) = security.filter(|security| is_on(security)) {
        match credential(security, known, api, report)? {
            Security::Key(key) => {
                entries.extend([("api_key", key.source), ("auth", key.auth)]);
                secret = Some(key.reference);
            }
            Security::Signed(auth) => entries.push(("auth", auth)),
            Security::None => {}
        }
    }
    let origin = format!("endpoint {} ({})", shown(&known.id), report.origin(place));
    Some(Part { name: known.name.clone(), value: map(place, entries), origin, secret })
}

fn is_on(security: &Node) -> bool {
    security.get("enabled").and_then(Node::text) != Some("false")
        && security.get("type").and_then(Node::text).is_some_and(|kind| !kind.eq_ignore_ascii_case("none"))
}

fn url<'a>(config: &'a Node, stage: &str) -> Option<&'a Node> {
    config.get(&format!("{stage}_endpoints"))?.get("url")
}

/// What an endpoint is shown.
enum Security {
    Key(Key),
    Signed(Node),
    None,
}

fn credential(security: &Node, known: &Known, api: &Node, report: &mut Report) -> Option<Security> {
    let kind = security.get("type").and_then(Node::text).unwrap_or_default().to_ascii_lowercase();
    let name = known.name.text().unwrap_or_default();
    let label =
        format!("the credential of endpoint {} of API {}", shown(&known.id), shown(api.text().unwrap_or_default()));
    let reference = Reference { variable: credential::variable(&[name, "key"]), label };
    let value = |key: &str| {
        let node = security.get(key)?;
        let text = node.text().filter(|text| !text.is_empty() && !text.chars().all(|letter| letter == '*'))?;
        Some((node.place, text.to_owned()))
    };
    match kind.as_str() {
        "apikey" => {
            let header = required(security, "apiKeyIdentifier", "`endpoint_security`", report)?;
            let is_query = security.get("apiKeyIdentifierType").and_then(Node::text) == Some("QUERY_PARAMETER");
            let form = if is_query { Form::Query(header) } else { Form::Header(header) };
            let value = value("apiKeyValue");
            report_missing(value.is_none(), security.place, &reference, report);
            Some(Security::Key(credential::key(form, value, security.place, reference, report)?))
        }
        "basic" => {
            let pair = value("username").zip(value("password"));
            let pair = pair.map(|((place, user), (_, password))| (place, format!("{user}:{password}")));
            report_missing(pair.is_none(), security.place, &reference, report);
            let form = Form::Basic(security.place);
            Some(Security::Key(credential::key(form, pair, security.place, reference, report)?))
        }
        "aws" => {
            let region = required(security, "region", "`endpoint_security`", report)?;
            let message = "AWS keys are not imported: Envoy signs, with its own credentials";
            report.warning(security.place, message, "see its filter `aws_request_signing`".to_owned());
            let entries = [("region", Some(region)), ("service", security.get("service"))];
            let entries = entries.into_iter().filter_map(|(key, node)| Some((key, node?.clone()))).collect();
            let auth = map(security.place, vec![("aws_sigv4", map(security.place, entries))]);
            Some(Security::Signed(auth))
        }
        other => {
            let message = format!("`endpoint_security` of the type {} is not honoured", shown(other));
            report.warning(security.place, message, "no credential is sent to this endpoint".to_owned());
            Some(Security::None)
        }
    }
}

/// Exports leave credentials out.
fn report_missing(missing: bool, place: Place, reference: &Reference, report: &mut Report) {
    if missing {
        let help = format!("the environment variable {} is read in its place", shown(&reference.variable));
        report.warning(place, "the credential is not in this document", help);
    }
}
