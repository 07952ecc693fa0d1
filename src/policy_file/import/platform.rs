//! WSO2 API Platform: LLM proxies, LLM providers and REST APIs, as far as their policies pick models.

mod access;
mod attached;
mod endpoints;
mod kinds;
mod paths;
mod policies;
mod services;
mod sorted;
mod targets;
mod templates;
mod turns;

use std::collections::BTreeSet;

use super::honoured::honoured;
use super::operations::operations;
use super::tree::{map, text};
use super::{Draft, Part, settings};
use crate::document::problem::{Place, Report};
use crate::document::yaml::Node;
use attached::Group;
use kinds::{GROUP, Kind, Object, Objects};
pub(super) use services::SETTINGS;
use services::Services;
use targets::{AllUsed, Targets, Upstream};

/// Returns whether a document is one of API Platform.
pub(super) fn is_document(document: &Node) -> bool {
    let version = document.get("apiVersion").and_then(Node::text);
    document.get("kind").is_some() && version.is_some_and(|version| version.starts_with(GROUP))
}

/// Makes a draft of all documents together. What is wrong, and what is not honoured, is reported. `is_whole` says that
/// no policy file stands beside them.
pub(super) fn translate(documents: &[Node], is_whole: bool, report: &mut Report) -> Draft {
    documents.iter().for_each(|document| report.may_hold_secrets(document.place.file));
    let (found, others): (Vec<_>, Vec<_>) = documents.iter().partition(|document| settings::data(document).is_some());
    let settings = found.into_iter().filter_map(settings::data).collect();
    let objects = Objects::read(others, report);
    let mut all = Apis { used: AllUsed::default(), services: Services::new(settings, is_whole), parts: Vec::new() };
    objects.of(Kind::Proxy).for_each(|proxy| all.add_proxy(proxy, &objects, report));
    objects.of(Kind::Provider).for_each(|provider| all.add_provider(provider, &objects, report));
    objects.of(Kind::RestApi).for_each(|api| all.add_rest_api(api, report));
    unused(&objects, &all.used, report);
    let mut draft = Draft { apis: all.parts, ..Draft::default() };
    all.used.list.iter().for_each(|used| endpoints::add(used, &objects, &mut draft, report));
    all.services.into_draft(&mut draft);
    draft
}

/// Reports documents, of which this is the first, that yield no API.
pub(super) fn nothing(first: Place, report: &mut Report) {
    let place = Place { line: 0, column: 0, ..first };
    let help =
        "expected an `LlmProxy`, `LlmProvider` or `RestApi` with a policy such as `model-round-robin`".to_owned();
    report.error_with(place, "no API of these documents is routed by model", help);
}

/// What the documents become.
struct Apis<'a> {
    used: AllUsed<'a>,
    services: Services<'a>,
    parts: Vec<Part>,
}

/// An API as clients see it, with one policy for each group of operations.
struct Exposed<'e, 'a> {
    api: &'a Object<'a>,
    groups: Vec<Group<'a>>,
    /// What may serve each environment.
    upstreams: Vec<(&'static str, &'e [(&'a str, Upstream<'a>)])>,
    hosts: Vec<(&'static str, Node)>,
    timeout: Option<&'a Node>,
}

/// Keys that say nothing of how requests are routed and served.
const DESCRIPTIVE: [&str; 3] = ["displayName", "version", "description"];
/// Keys of LlmProxies and LlmProviders.
const LLM: [&str; 7] =
    ["context", "vhost", "policies", "operationPolicies", "globalPolicies", "resilience", "deploymentState"];

impl<'a> Apis<'a> {
    fn add_proxy(&mut self, proxy: &'a Object<'a>, objects: &'a Objects<'a>, report: &mut Report) {
        let keys = [&DESCRIPTIVE[..], &LLM, &["provider", "additionalProviders"]].concat();
        honoured(proxy.spec, &keys, &proxy.describe(), &[], report);
        if is_undeployed(proxy, report) {
            return;
        }
        let Some(upstreams) = targets::of_proxy(proxy, objects, report) else { return };
        let Some((_, Upstream::Provider(primary))) = upstreams.first().copied() else { return };
        let bodiless = templates::is_bodiless(primary, objects);
        let mut groups = attached::of_llm(proxy, bodiless, report);
        if groups.is_empty() {
            groups = attached::of_llm(primary, bodiless, report);
        } else {
            translated(proxy, report);
            again(proxy, &upstreams, bodiless, report);
        }
        let timeout = timeout(proxy.spec, report).or_else(|| timeout(primary.spec, report));
        self.add_llm(proxy, primary, groups, (&upstreams, timeout), report);
    }

    fn add_provider(&mut self, provider: &'a Object<'a>, objects: &'a Objects<'a>, report: &mut Report) {
        let own = ["template", "upstream", "upstreamDefinitions", "accessControl"];
        honoured(provider.spec, &[&DESCRIPTIVE[..], &LLM, &own].concat(), &provider.describe(), &[], report);
        if is_undeployed(provider, report) {
            return;
        }
        let groups = attached::of_llm(provider, templates::is_bodiless(provider, objects), report);
        if groups.is_empty() {
            return; // it serves proxies
        }
        let upstreams = [(provider.name, Upstream::Provider(provider))];
        self.add_llm(provider, provider, groups, (&upstreams, timeout(provider.spec, report)), report);
    }

    fn add_llm(
        &mut self,
        api: &'a Object<'a>,
        primary: &'a Object<'a>,
        groups: Vec<Group<'a>>,
        (upstreams, timeout): (&[(&'a str, Upstream<'a>)], Option<&'a Node>),
        report: &mut Report,
    ) {
        if groups.is_empty() {
            if !report.has_errors() {
                report.warning(api.place, format!("no policy of {} picks a model", api.describe()), None);
            }
            return;
        }
        let allowed =
            |group: Group<'a>| Group { operations: access::allowed(primary, group.operations, report), ..group };
        let groups: Vec<_> = groups.into_iter().map(allowed).filter(|group| !group.operations.is_empty()).collect();
        let hosts = paths::hosts(api.spec.get("vhost")).map(|hosts| ("hosts", hosts)).into_iter().collect();
        let exposed = Exposed { api, groups, upstreams: vec![("production", upstreams)], hosts, timeout };
        self.add(&exposed, report);
    }

    fn add_rest_api(&mut self, api: &'a Object<'a>, report: &mut Report) {
        let own = ["context", "vhosts", "upstream", "upstreamDefinitions", "policies", "operations", "resilience"];
        let keys = [&DESCRIPTIVE[..], &own, &["deploymentState"]].concat();
        honoured(api.spec, &keys, &api.describe(), &[], report);
        if is_undeployed(api, report) {
            return;
        }
        let groups = attached::of_rest_api(api, report);
        if groups.is_empty() {
            if !report.has_errors() {
                report.warning(api.place, format!("no policy of {} picks a model", api.describe()), None);
            }
            return;
        }
        let vhosts = api.spec.get("vhosts");
        let of = |key: &str| paths::hosts(vhosts.and_then(|vhosts| vhosts.get(key)));
        let hosts = [("hosts", of("main")), ("sandbox_hosts", of("sandbox"))];
        let hosts = hosts.into_iter().filter_map(|(key, hosts)| Some((key, hosts?))).collect();
        let (main, sandbox) = ([("main", Upstream::Api(api, "main"))], [("sandbox", Upstream::Api(api, "sandbox"))]);
        let mut upstreams = vec![("production", &main[..])];
        if api.spec.get("upstream").is_some_and(|upstream| upstream.get("sandbox").is_some()) {
            upstreams.push(("sandbox", &sandbox[..]));
        }
        self.add(&Exposed { api, groups, upstreams, hosts, timeout: timeout(api.spec, report) }, report);
    }

    fn add(&mut self, exposed: &Exposed<'_, 'a>, report: &mut Report) {
        let api = exposed.api;
        for (index, group) in exposed.groups.iter().enumerate() {
            let suffix = if index == 0 { String::new() } else { format!(" {}", index + 1) };
            let mut entries = vec![("name", text(api.name_node.place, format!("{}{suffix}", api.name)))];
            entries.extend(exposed.hosts.iter().cloned());
            entries.extend(paths::base_path(api).map(|path| ("base_path", path)));
            entries.extend(operations(&group.operations, group.attached.place).map(|all| ("operations", all)));
            for (environment, upstreams) in &exposed.upstreams {
                let mut targets = Targets {
                    upstreams,
                    operations: &group.operations,
                    request_model: group.attached.params.get("requestModel"),
                    timeout: exposed.timeout,
                    used: &mut self.used,
                    services: &mut self.services,
                };
                let policy = policies::policy(&group.attached, &mut targets, report);
                entries.extend(policy.map(|policy| (*environment, policy)));
            }
            let place = report.origin(group.attached.place);
            let origin = format!("{}, {} ({place})", api.origin(report), group.attached.name);
            let value = map(api.place, entries);
            self.parts.push(Part { name: api.name_node.clone(), value, origin, secret: None });
        }
    }
}

/// Returns the time limit of an API's requests.
fn timeout<'a>(spec: &'a Node, report: &mut Report) -> Option<&'a Node> {
    let resilience = spec.get("resilience")?;
    honoured(resilience, &["timeout"], "`resilience`", &[("idleTimeout", "set it in Envoy's route")], report);
    resilience.get("timeout")
}

fn is_undeployed(api: &Object<'_>, report: &mut Report) -> bool {
    let state = api.spec.get("deploymentState").filter(|state| state.text() == Some("undeployed"));
    if let Some(state) = state {
        report.warning(state.place, format!("{} is not deployed there, and left out", api.describe()), None);
    }
    state.is_some()
}

/// Tells of translations between vendors' APIs, which the router does not make.
fn translated(proxy: &Object<'_>, report: &mut Report) {
    let additional = proxy.spec.get("additionalProviders").map_or(&[][..], Node::items);
    for transformer in additional.iter().filter_map(|entry| entry.get("transformer")) {
        let help = "give the provider the vendor's own URL for OpenAI's API".to_owned();
        report.warning(transformer.place, "`transformer` is not honoured: requests are not translated", help);
    }
}

/// Tells of providers that pick a model once more, after a proxy has picked one.
fn again(proxy: &Object<'_>, upstreams: &[(&str, Upstream<'_>)], bodiless: bool, report: &mut Report) {
    for (_, upstream) in upstreams {
        let provider = upstream.object();
        if !attached::of_llm(provider, bodiless, report).is_empty() {
            let message =
                format!("{} picks models after {} has there, and not here", provider.describe(), proxy.describe());
            report.warning(proxy.place, message, None);
        }
    }
}

/// Reports LlmProviders and templates that have no effect.
fn unused(objects: &Objects<'_>, used: &AllUsed<'_>, report: &mut Report) {
    if report.has_errors() {
        return; // it may be a name that is wrong
    }
    let places: BTreeSet<_> = used.list.iter().map(|used| used.upstream.object().place).collect();
    for provider in objects.of(Kind::Provider).filter(|provider| !places.contains(&provider.place)) {
        report.warning(provider.place, format!("{} is not used by any policy", provider.describe()), None);
    }
    let named: BTreeSet<_> =
        objects.of(Kind::Provider).filter_map(|provider| provider.spec.get("template")?.text()).collect();
    for template in objects.of(Kind::Template).filter(|template| !named.contains(template.name)) {
        report.warning(template.place, format!("{} is not used by any LlmProvider", template.describe()), None);
    }
}
