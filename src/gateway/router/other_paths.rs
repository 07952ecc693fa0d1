//! Paths below an API's base path that are no operation of it for the request's method.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;

use super::Route;
use crate::routing::api::{Api, Environment};
use crate::routing::policy::Policy;
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
    let concerned: Vec<_> = policies.filter(|(_, policy)| is_stateful(policy, operation)).collect();
    let naming = concerned.iter().find(|(_, policy)| policy.stateful.is_some());
    let (api, policy) = naming.or(concerned.first())?;
    Some(Route::new(snapshot, api, environment, policy))
}

/// Returns the methods that a path takes, if these APIs have something there: an operation, models, or what exists only
/// at one account, of which the vendor decides.
pub(super) fn methods_at(apis: &[&Arc<Api>], environment: Environment, path: &str) -> Option<String> {
    let operations = apis.iter().flat_map(|api| &api.operations).filter(|operation| operation.path.matches(path));
    let mut methods: BTreeSet<_> = operations.flat_map(|operation| &operation.methods).map(Method::as_str).collect();
    if apis.iter().any(|api| api.lists_models_at(path) || api.model_at(path).is_some()) {
        methods.insert("GET");
    }
    if apis.iter().filter_map(|api| api.policy(environment)).any(|policy| is_stateful(policy, path)) {
        methods.extend(["DELETE", "GET", "PATCH", "POST"]);
    }
    (!methods.is_empty()).then(|| methods.into_iter().chain(["OPTIONS"]).collect::<Vec<_>>().join(", "))
}

fn is_stateful(policy: &Policy, path: &str) -> bool {
    policy.targets.provider().is_stateful(policy.targets.endpoint_path(), path)
}
