//! APIs: name, hosts, base path, operations and policies of each.

use std::collections::HashMap;
use std::sync::Arc;

use super::operations::{self, Claim};
use super::policies::{PolicyCompiler, Tables, Usage};
use super::{claims, header_rules, headers, hosts, shapes};
use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw;
use crate::routing::api::{Api, Environment, HeaderRules, HostPattern};
use crate::routing::policy::Policy;
use crate::routing::registry::Registry;

/// An API before it is known which operations others take; the parts that were wrong are `None`.
pub(super) struct Draft<'a> {
    pub(super) name: &'a str,
    pub(super) place: Place,
    hosts: Option<Vec<HostPattern>>,
    sandbox_hosts: Option<Vec<HostPattern>>,
    pub(super) base_path: Option<String>,
    pub(super) headers: Option<HeaderRules>,
    /// Whether it names its operations; else they come with its provider types.
    pub(super) explicit: bool,
    pub(super) operations: Option<Vec<Claim>>,
    production: Option<Policy>,
    sandbox: Option<Policy>,
    forward_headers: Vec<String>,
}

/// Compiles all APIs, and returns what their policies refer to; APIs with problems, which are reported, may be left
/// out.
pub(super) fn apis<'a>(
    list: Option<&'a At<Vec<At<raw::Api>>>>,
    tables: &Tables<'a>,
    registry: &Registry,
    report: &mut Report,
) -> (Vec<Api>, Usage<'a>) {
    let mut usage = Usage::default();
    let Some((list, raws)) = list.and_then(|list| Some((list, list.get()?))) else { return (Vec::new(), usage) };
    if raws.is_empty() {
        let help = "name at least one, with a `name` and a policy under `production`".to_owned();
        report.error_with(list.place, "`apis` is empty", help);
    }
    let mut drafts = Vec::new();
    for raw in raws {
        let mut used = Usage::default();
        drafts.extend(draft(raw, tables, registry, &mut used, report));
        shapes::one_shape(&used, tables, report);
        usage.endpoints.append(&mut used.endpoints);
        usage.classifiers.append(&mut used.classifiers);
        usage.embedders.append(&mut used.embedders);
    }
    unique_names(&drafts, report);
    claims::leave_to_others(&mut drafts, report);
    claims::disjoint(&drafts, report);
    claims::reachable(&drafts, report);
    (drafts.into_iter().filter_map(Draft::finish).collect(), usage)
}

fn draft<'a>(
    at: &'a At<raw::Api>,
    tables: &Tables<'a>,
    registry: &Registry,
    usage: &mut Usage<'a>,
    report: &mut Report,
) -> Option<Draft<'a>> {
    let raw = at.get()?;
    let name = raw.name.get().map_or("", String::as_str);
    if raw.name.get().is_some() && name.is_empty() {
        report.error(raw.name.place, "the name of an API is empty");
    }
    let hosts = hosts::hosts(raw.hosts.as_ref(), "hosts", report);
    let sandbox_hosts = hosts::hosts(raw.sandbox_hosts.as_ref(), "sandbox_hosts", report);
    hosts::one_environment_each(raw, report);
    let base_path = raw.base_path.as_ref().map_or(Some(String::new()), |path| hosts::base_path(path, report));
    let headers = header_rules::rules(raw.headers.as_ref(), report);
    let mut policy = |raw: &'a Option<At<raw::Policy>>, environment| {
        raw.as_ref().and_then(|raw| PolicyCompiler { tables, registry, environment, usage, report }.policy(raw))
    };
    let production = policy(&raw.production, Environment::Production);
    let sandbox = policy(&raw.sandbox, Environment::Sandbox);
    environments(at.place, raw, name, report);
    let endpoints = operations::endpoints(production.iter().chain(&sandbox));
    let operations = match &raw.operations {
        Some(list) => {
            let named = operations::named(list, base_path.as_deref().unwrap_or_default(), report);
            named.map(|claims| operations::of_endpoints(claims, &endpoints, report))
        }
        None => {
            let compiled =
                production.is_some() == raw.production.is_some() && sandbox.is_some() == raw.sandbox.is_some();
            compiled.then(|| operations::built_in(at.place, name, &endpoints, report))
        }
    };
    let forward_headers = raw.forward_headers.as_ref().map_or_else(Vec::new, |list| headers::headers(list, report));
    Some(Draft {
        name,
        place: raw.name.place,
        hosts,
        sandbox_hosts,
        base_path,
        headers,
        explicit: raw.operations.is_some(),
        operations,
        production,
        sandbox,
        forward_headers,
    })
}

fn environments(place: Place, raw: &raw::Api, name: &str, report: &mut Report) {
    match (&raw.production, &raw.sandbox, &raw.sandbox_hosts) {
        (None, None, _) => {
            let help = "give it one, such as `production: { round_robin: { targets: […] } }`".to_owned();
            report.error_with(place, format!("API {} has neither `production` nor `sandbox`", shown(name)), help);
        }
        (Some(_), None, Some(hosts)) => {
            let message = format!("API {} has no `sandbox`: requests to these hosts are refused", shown(name));
            report.warning(hosts.place, message, None);
        }
        _ => {}
    }
}

fn unique_names(drafts: &[Draft<'_>], report: &mut Report) {
    let mut seen = HashMap::new();
    for draft in drafts.iter().filter(|draft| !draft.name.is_empty()) {
        if let Some(first) = seen.insert(draft.name, draft.place) {
            let first = report.locate(first, draft.place);
            let message = format!("API {} is already defined at {first}", shown(draft.name));
            report.error_with(draft.place, message, "give this one another name".to_owned());
        }
    }
}

/// Of an API whose own could not be read.
static ANY: HeaderRules = HeaderRules::any();

impl Draft<'_> {
    /// Returns what it asks of a request's headers.
    pub(super) fn rules(&self) -> &HeaderRules {
        self.headers.as_ref().unwrap_or(&ANY)
    }

    /// Returns its operations; none if they are not known.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.operations.iter().flatten()
    }

    /// Every host pattern with the base path, `None` being any host; nothing if one of them, or what it asks of headers,
    /// was wrong.
    pub(super) fn spots(&self) -> impl Iterator<Item = (Option<&HostPattern>, &str)> {
        let known = self.hosts.as_ref().zip(self.sandbox_hosts.as_ref()).zip(self.base_path.as_deref());
        let known = known.filter(|_| self.headers.is_some());
        known.into_iter().flat_map(|((hosts, sandbox_hosts), base_path)| {
            let any = hosts.is_empty().then_some(None);
            any.into_iter().chain(hosts.iter().chain(sandbox_hosts).map(Some)).map(move |host| (host, base_path))
        })
    }

    fn finish(self) -> Option<Api> {
        Some(Api {
            name: self.name.into(),
            hosts: self.hosts?,
            sandbox_hosts: self.sandbox_hosts?,
            base_path: self.base_path?,
            headers: self.headers?,
            operations: self.operations?.into_iter().map(|claim| claim.operation).collect(),
            production: self.production.map(Arc::new),
            sandbox: self.sandbox.map(Arc::new),
            forward_headers: self.forward_headers,
        })
    }
}
