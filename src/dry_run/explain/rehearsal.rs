//! A rehearsal: a copy of the live policy for a request that is not really sent.

use std::sync::Arc;
use std::time::Instant;

use crate::gateway::router::Router;
use crate::routing::api::{Api, Apis};
use crate::routing::policy::{Policy, Strategy, Target};
use crate::routing::snapshot::Snapshot;

/// Returns a separate router for a dry run. Turns and suspensions start as they are in the live router, and a request's
/// outcome stays in the copy. Classifiers are shared: they are really asked.
#[must_use]
pub fn rehearsal(live: &Snapshot, now: Instant) -> Router {
    let apis = live.apis.iter().map(|api| copied_api(api, now)).collect();
    let snapshot = Snapshot {
        apis: Apis::new(apis, live.apis.unmatched()),
        version: live.version,
        hash: live.hash.clone(),
        fingerprint: live.fingerprint,
        cluster_names: live.cluster_names,
    };
    Router::new(snapshot)
}

fn copied_api(api: &Api, now: Instant) -> Api {
    Api {
        name: Arc::clone(&api.name),
        hosts: api.hosts.clone(),
        sandbox_hosts: api.sandbox_hosts.clone(),
        base_path: api.base_path.clone(),
        headers: api.headers.clone(),
        operations: api.operations.clone(),
        production: api.production.as_ref().map(|policy| Arc::new(copied_policy(policy, now))),
        sandbox: api.sandbox.as_ref().map(|policy| Arc::new(copied_policy(policy, now))),
        forward_headers: api.forward_headers.clone(),
    }
}

fn copied_policy(policy: &Policy, now: Instant) -> Policy {
    let copied = |target: &Target| Target {
        model: target.model.clone(),
        endpoint: Arc::clone(&target.endpoint),
        edits: target.edits.clone(),
        state: Arc::new(target.state.copied(now)),
    };
    Policy {
        targets: policy.targets.map(copied),
        strategy: copied_strategy(&policy.strategy, now),
        limits: policy.limits,
        budget: policy.budget.clone(),
        all_suspended: policy.all_suspended,
        inspect_first_event: policy.inspect_first_event,
        next_on: policy.next_on,
        requests_usage: policy.requests_usage,
        decision_headers: policy.decision_headers,
        stateful: policy.stateful.clone(),
        entry: policy.entry.clone(),
    }
}

fn copied_strategy(strategy: &Strategy, now: Instant) -> Strategy {
    match strategy {
        Strategy::ByModel(entries) => Strategy::ByModel(entries.map(|policy| copied_policy(policy, now))),
        other => other.clone(),
    }
}
