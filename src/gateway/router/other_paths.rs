//! Paths below an API's base path that are no operation of it for the request's method.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;

use super::Route;
use crate::routing::api::{Api, Environment};
use crate::routing::snapshot::Snapshot;

/// Returns the route of a path that belongs to state at one account. Of several APIs the first one counts, unless only
/// a later one names the endpoint that keeps the state.
pub(super) fn stateful(
    snapshot: &Arc<Snapshot>,
    apis: &[&Arc<Api>],
    environment: Environment,
    operation: &str,
) -> Option<Route> {
    let policies = apis.iter().filter_map(|api| Some((*api, api.policy(environment)?)));
    let concerned: Vec<_> = policies
        .filter(|(_, policy)| policy.targets.provider().is_stateful(policy.targets.endpoint_path(), operation))
        .collect();
    let naming = concerned.iter().find(|(_, policy)| policy.stateful.is_some());
    let (api, policy) = naming.or(concerned.first())?;
    Some(Route::new(snapshot, api, environment, policy))
}

/// Returns the methods that a path takes, if some operation of these APIs has it.
pub(super) fn methods_at(apis: &[&Arc<Api>], path: &str) -> Option<String> {
    let operations = apis.iter().flat_map(|api| &api.operations).filter(|operation| operation.path.matches(path));
    let methods: BTreeSet<_> = operations.flat_map(|operation| &operation.methods).map(Method::as_str).collect();
    (!methods.is_empty()).then(|| methods.into_iter().chain(["OPTIONS"]).collect::<Vec<_>>().join(", "))
}
