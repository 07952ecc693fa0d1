//! APIs: hosts, base path and policies of each, and that no two of them could take the same request.

use std::collections::HashMap;

use super::hosts;
use super::operations::{self, Claim};
use super::policies::Names;
use crate::api::{Api, Environment, HostPattern};
use crate::config::decode::At;
use crate::config::problem::{Place, Report};
use crate::config::raw;
use crate::config::words::shown;
use crate::policy::Policy;

/// An API before it is known which operations others take; the parts that were wrong are `None`.
struct Draft<'a> {
    name: &'a str,
    place: Place,
    hosts: Option<Vec<HostPattern>>,
    sandbox_hosts: Option<Vec<HostPattern>>,
    base_path: Option<String>,
    /// Whether it names its operations; else they come with its provider types.
    explicit: bool,
    operations: Option<Vec<Claim<'a>>>,
    production: Option<Policy>,
    sandbox: Option<Policy>,
}

/// Compiles all APIs; those with problems, which are reported, may be left out.
pub(super) fn apis<'a>(list: &'a At<Vec<At<raw::Api>>>, names: &mut Names<'a, '_>, report: &mut Report) -> Vec<Api> {
    let Some(raws) = list.get() else { return Vec::new() };
    if raws.is_empty() {
        report.error(list.place, "`apis` is empty");
    }
    let mut drafts: Vec<_> = raws.iter().filter_map(|raw| draft(raw, names, report)).collect();
    unique_names(&drafts, report);
    leave_to_others(&mut drafts, report);
    for (index, draft) in drafts.iter().enumerate() {
        drafts[..index].iter().for_each(|earlier| disjoint(earlier, draft, report));
    }
    drafts.into_iter().filter_map(Draft::finish).collect()
}

fn draft<'a>(at: &'a At<raw::Api>, names: &mut Names<'a, '_>, report: &mut Report) -> Option<Draft<'a>> {
    let raw = at.get()?;
    let name = raw.name.get().map_or("", String::as_str);
    if raw.name.get().is_some() && name.is_empty() {
        report.error(raw.name.place, "the name of an API is empty");
    }
    let hosts = hosts::hosts(raw.hosts.as_ref(), "hosts", report);
    let sandbox_hosts = hosts::hosts(raw.sandbox_hosts.as_ref(), "sandbox_hosts", report);
    hosts::one_environment_each(raw, report);
    let base_path = raw.base_path.as_ref().map_or(Some(String::new()), |path| hosts::base_path(path, report));
    let mut policy = |raw: &'a Option<At<raw::Policy>>, environment| {
        raw.as_ref().and_then(|raw| names.policy(raw, environment, report))
    };
    let production = policy(&raw.production, Environment::Production);
    let sandbox = policy(&raw.sandbox, Environment::Sandbox);
    environments(at.place, raw, name, report);
    let operations = match &raw.operations {
        Some(list) => operations::named(list, base_path.as_deref().unwrap_or_default(), report),
        None => {
            let compiled =
                production.is_some() == raw.production.is_some() && sandbox.is_some() == raw.sandbox.is_some();
            compiled.then(|| operations::built_in(production.iter().chain(&sandbox)))
        }
    };
    let (place, explicit) = (raw.name.place, raw.operations.is_some());
    Some(Draft { name, place, hosts, sandbox_hosts, base_path, explicit, operations, production, sandbox })
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
        if let Some(Place { line, column }) = seen.insert(draft.name, draft.place) {
            let message = format!("API {} is there already, at {line}:{column}", shown(draft.name));
            report.error_with(draft.place, message, "give this one another name".to_owned());
        }
    }
}

/// Takes from the APIs that name no operations those that another API of the same host and base path names.
fn leave_to_others(drafts: &mut [Draft<'_>], report: &mut Report) {
    for index in 0..drafts.len() {
        let draft = &drafts[index];
        let Some(claims) = draft.operations.as_ref().filter(|claims| !draft.explicit && !claims.is_empty()) else {
            continue;
        };
        let others = drafts.iter().filter(|other| other.explicit && draft.shared_host(other).is_some());
        let taken: Vec<_> = others.flat_map(|other| other.operations.iter().flatten()).collect();
        let left = claims.iter().filter(|claim| !taken.iter().any(|other| claim.shared_method(other).is_some()));
        let left: Vec<_> = left.cloned().collect();
        if left.is_empty() {
            let message = format!("API {} is left with no operations: other APIs name them all", shown(draft.name));
            report.error(draft.place, message);
        }
        drafts[index].operations = Some(left);
    }
}

fn disjoint(earlier: &Draft<'_>, later: &Draft<'_>, report: &mut Report) {
    let Some(host) = earlier.shared_host(later).filter(|_| earlier.name != later.name) else { return };
    let (Some(one), Some(other)) = (&earlier.operations, &later.operations) else { return };
    let pairs = other.iter().flat_map(|claim| one.iter().map(move |against| (claim, claim.shared_method(against))));
    let mut shared = pairs.filter_map(|(claim, method)| Some((claim, method?)));
    let Some((claim, method)) = shared.next() else { return };
    let base_path = later.base_path.as_deref().unwrap_or_default();
    let request = shown(&format!("{method} {base_path}{}", claim.path));
    let more = match shared.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (earlier, name) = (shown(earlier.name), shown(later.name));
    let message = format!("APIs {earlier} and {name} both take {request}{more} on {host}");
    let help = "give one of them other `hosts`, another `base_path` or `operations` of its own".to_owned();
    report.error_with(claim.place.unwrap_or(later.place), message, help);
}

impl Draft<'_> {
    /// A host that both take at the same base path, in words.
    fn shared_host(&self, other: &Self) -> Option<String> {
        let same_path = self.base_path.is_some() && self.base_path == other.base_path;
        if std::ptr::eq(self, other) || !same_path {
            return None;
        }
        let (any, hosts) = self.claimed()?;
        let (other_any, other_hosts) = other.claimed()?;
        if any && other_any {
            return Some("any host".to_owned());
        }
        let shared = hosts.into_iter().find(|host| other_hosts.contains(host))?;
        Some(match shared {
            HostPattern::Exact(host) => format!("host {}", shown(host)),
            HostPattern::Below(domain) => format!("hosts {}", shown(&format!("*.{domain}"))),
        })
    }

    /// Whether it takes any host, and the hosts that it names.
    fn claimed(&self) -> Option<(bool, Vec<&HostPattern>)> {
        let (hosts, sandbox_hosts) = (self.hosts.as_ref()?, self.sandbox_hosts.as_ref()?);
        Some((hosts.is_empty(), hosts.iter().chain(sandbox_hosts).collect()))
    }

    fn finish(self) -> Option<Api> {
        Some(Api {
            name: self.name.into(),
            hosts: self.hosts?,
            sandbox_hosts: self.sandbox_hosts?,
            base_path: self.base_path?,
            operations: self.operations?.into_iter().map(|claim| claim.operation).collect(),
            production: self.production,
            sandbox: self.sandbox,
            forward_headers: Vec::new(),
        })
    }
}
