//! From what the file says to what the router uses. What comes out cannot be wrong.
//!
//! Everything is compiled as far as it goes, so that one run reports all there is to report; whether the result may be
//! used is decided once, at the end, by the report having no error.

mod apis;
mod base_url;
mod claims;
mod classifiers;
mod common;
mod credentials;
mod edits;
pub(super) mod endpoints;
mod failover;
mod headers;
mod hosts;
mod intelligent;
mod limits;
mod operations;
mod policies;
mod pool;
mod providers;
mod shapes;

use std::collections::HashSet;

use super::raw::{self, Config};
use crate::document::decode::At;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::routing::api::{Apis, Unmatched};
use crate::routing::policy::Limits;
use endpoints::{CompiledEndpoint, Context, Declared};
use limits::Bounds;
use policies::Names;
use providers::Provider;

/// Compiles a configuration. The result may be used only if the report has no error.
pub(super) fn compile(config: &Config, context: &mut Context<'_>, report: &mut Report) -> Apis {
    let providers = providers::providers(config.providers.as_ref().and_then(At::get), report);
    let endpoints = endpoints::endpoints(config.endpoints.as_ref().and_then(At::get), &providers, context, report);
    let classifiers = classifiers::classifiers(config.classifiers.as_ref(), context, report);
    let base = Limits::default();
    let set = config.defaults.as_ref().and_then(At::get);
    let defaults = set.map_or(base, |set| Bounds::from(set).over(base, report));
    let mut names = Names {
        providers: &providers,
        endpoints: &endpoints,
        registry: context.registry,
        defaults,
        classifiers: &classifiers,
        used: HashSet::new(),
        used_classifiers: HashSet::new(),
        named: Vec::new(),
    };
    let apis = apis::apis(config.apis.as_ref(), &mut names, report);
    let (used, used_classifiers) = (names.used, names.used_classifiers);
    if !report.has_errors() {
        unused(&providers, &endpoints, &used, report); // with errors it may be the name that is wrong
        for (name, (place, _)) in classifiers.names.iter().filter(|(name, _)| !used_classifiers.contains(*name)) {
            report.warning(*place, format!("classifier {} is not used by any policy", shown(name)), None);
        }
    }
    let unmatched = config.unmatched.as_ref().and_then(At::get);
    Apis::new(apis, unmatched.map_or(Unmatched::default(), |&unmatched| unmatched.into()))
}

fn unused(
    providers: &Declared<'_, Provider<'_>>,
    endpoints: &Declared<'_, CompiledEndpoint<'_>>,
    used: &HashSet<&str>,
    report: &mut Report,
) {
    for (name, (place, _)) in endpoints.names.iter().filter(|(name, _)| !used.contains(*name)) {
        report.warning(*place, format!("endpoint {} is not used by any API", shown(name)), None);
    }
    let served: HashSet<_> = endpoints.names.values().filter_map(|(_, endpoint)| endpoint.provider).collect();
    for (name, (place, _)) in providers.names.iter().filter(|(name, _)| !served.contains(*name)) {
        report.warning(*place, format!("provider {} is not used by any endpoint", shown(name)), None);
    }
}

impl From<raw::Unmatched> for Unmatched {
    fn from(unmatched: raw::Unmatched) -> Self {
        match unmatched {
            raw::Unmatched::Refuse => Self::Refuse,
            raw::Unmatched::Continue => Self::Continue,
        }
    }
}
