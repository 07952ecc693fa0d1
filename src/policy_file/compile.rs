//! Compiles the file into a policy that is valid by construction.
//!
//! Everything is compiled as far as possible, so that one run reports all problems; whether the result may be
//! used is decided once, at the end, by the report having no error.

mod affinity;
mod apis;
mod base_url;
mod by_model;
mod claims;
mod classifiers;
mod credentials;
mod edits;
mod embedders;
pub(super) mod endpoints;
mod failover;
mod header_rules;
mod headers;
mod hosts;
mod intelligent;
mod limits;
mod operations;
mod policies;
mod prices;
mod providers;
mod rotation;
mod semantic;
mod services;
mod shapes;
mod sorted;
mod vendors;

use std::collections::HashSet;

use super::Extent;
use super::raw::{self, Config};
use crate::document::decode::At;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::routing::api::{Apis, Unmatched};
use crate::routing::policy::Limits;
use endpoints::Context;
use limits::Bounds;
use policies::{Tables, Usage};

/// Compiles a configuration. The result may be used only if the report has no error.
pub(super) fn compile(config: &Config, context: &mut Context<'_>, report: &mut Report) -> Apis {
    let mut providers = providers::providers(config.providers.as_ref().and_then(At::get), report);
    providers.complete &= context.extent == Extent::Whole;
    prices::prices(config.prices.as_ref(), &mut providers, report);
    let endpoints = endpoints::endpoints(config.endpoints.as_ref().and_then(At::get), &providers, context, report);
    let mut classifiers = classifiers::classifiers(config.classifiers.as_ref(), context, report);
    classifiers.complete &= context.extent == Extent::Whole;
    let mut embedders = embedders::embedders(config.embedders.as_ref(), context, report);
    embedders.complete &= context.extent == Extent::Whole;
    let base = Limits::default();
    let set = config.defaults.as_ref().and_then(At::get);
    let defaults = set.map_or(base, |set| Bounds::from(set).over(base, report));
    let tables = Tables { providers, endpoints, classifiers, embedders, defaults, thorough: context.thorough };
    let (apis, usage) = apis::apis(config.apis.as_ref(), &tables, context.registry, report);
    if !report.has_errors() && context.extent == Extent::Whole {
        unused(&tables, &usage, report); // with errors it may be the name that is wrong
    }
    let unmatched = config.unmatched.as_ref().and_then(At::get);
    Apis::new(apis, unmatched.map_or(Unmatched::default(), |&unmatched| unmatched.into()))
}

/// Warns of declarations that nothing refers to.
fn unused(tables: &Tables<'_>, usage: &Usage<'_>, report: &mut Report) {
    let used: HashSet<_> = usage.endpoints.iter().map(|(_, name)| *name).collect();
    for (name, (place, _)) in tables.endpoints.names.iter().filter(|(name, _)| !used.contains(*name)) {
        report.warning(*place, format!("endpoint {} is not used by any API", shown(name)), None);
    }
    let served: HashSet<_> = tables.endpoints.names.values().filter_map(|(_, endpoint)| endpoint.provider).collect();
    for (name, (place, _)) in tables.providers.names.iter().filter(|(name, _)| !served.contains(*name)) {
        report.warning(*place, format!("provider {} is not used by any endpoint", shown(name)), None);
    }
    for (name, (place, _)) in tables.classifiers.names.iter().filter(|(name, _)| !usage.classifiers.contains(*name)) {
        report.warning(*place, format!("classifier {} is not used by any policy", shown(name)), None);
    }
    for (name, (place, _)) in tables.embedders.names.iter().filter(|(name, _)| !usage.embedders.contains(*name)) {
        report.warning(*place, format!("embedder {} is not used by any policy", shown(name)), None);
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
