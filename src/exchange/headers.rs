//! Which headers change on the way: what is taken from a request, what it gets, what an answer loses.

use std::time::Duration;

use super::{Mutation, private};
use crate::api::Api;
use crate::endpoint::Endpoint;
use crate::provider;
use crate::router::{Attempt, RequestHead, Route};

/// Envoy's own header that bounds the time until an attempt's answer headers. It does so without a retry policy too,
/// and unlike the route's timeout it does not cut a stream that has begun.
pub(super) const TIME_LIMIT: &str = "x-envoy-upstream-rq-per-try-timeout-ms";

/// Whether a request header of this name must not be forwarded; gives the name as a constant.
#[must_use]
pub fn unwanted_request_header(name: &str) -> Option<&'static str> {
    private::ALL.iter().chain(provider::CLIENT_HEADERS_REMOVED).copied().find(|unwanted| *unwanted == name)
}

/// Whether an answer's header of this name must not reach the client; gives the name as a constant.
#[must_use]
pub fn unwanted_answer_header(name: &str) -> Option<&'static str> {
    let private = private::ALL.iter().chain(&private::SERVED);
    private.chain(provider::ANSWER_HEADERS_REMOVED).copied().find(|unwanted| *unwanted == name)
}

/// Those of the unwanted headers that the API does not forward all the same.
pub(super) fn less_forwarded(mut unwanted: Vec<&'static str>, api: &Api) -> Vec<&'static str> {
    unwanted
        .retain(|name| private::ALL.contains(name) || !api.forward_headers.iter().any(|forwarded| forwarded == name));
    unwanted
}

/// Every answer to request headers removes the cluster header and clears the route: otherwise a client picks any
/// cluster by sending that header (seen on all supported versions of Envoy where nothing else strips it).
pub(super) fn strip(mut remove: Vec<&'static str>) -> Mutation {
    if !remove.contains(&private::CLUSTER) {
        remove.push(private::CLUSTER);
    }
    Mutation { set: Vec::new(), remove, clear_route_cache: true }
}

/// Sends the request to an endpoint, with its own host, path and credential.
pub(super) fn send(mutation: &mut Mutation, head: &RequestHead, route: &Route, endpoint: &Endpoint, limit: Duration) {
    mutation.remove.retain(|name| *name != private::CLUSTER);
    mutation.set.extend([
        (private::CLUSTER, endpoint.cluster.clone()),
        (":authority", endpoint.authority.clone()),
        (":path", route.upstream_path(endpoint, &head.path)),
        (TIME_LIMIT, limit.as_millis().to_string()),
    ]);
    if let Some((name, secret)) = &endpoint.credential {
        mutation.remove.retain(|removed| removed != name);
        mutation.set.push((name, secret.expose().to_owned()));
    }
    mutation.clear_route_cache = true;
}

/// What an answer loses, and whether Envoy is asked for another attempt.
pub(super) fn answer(remove: Vec<&'static str>, retry: bool) -> Mutation {
    let set = if retry { vec![(private::RETRY, "1".to_owned())] } else { Vec::new() };
    Mutation { set, remove, clear_route_cache: false }
}

/// What the client is told of who served it.
pub(super) fn decision(attempt: &Attempt) -> Vec<(&'static str, String)> {
    if !attempt.trial.route.policy().decision_headers {
        return Vec::new();
    }
    vec![
        (private::SERVED_MODEL, attempt.target().model.to_string()),
        (private::SERVED_ENDPOINT, attempt.target().endpoint.name.to_string()),
        (private::SERVED_ATTEMPTS, attempt.number().to_string()),
    ]
}

/// Whether a content encoding leaves the body readable.
pub(super) fn is_identity(encoding: &str) -> bool {
    encoding.trim().eq_ignore_ascii_case("identity")
}

/// `application/json`, with parameters or without, and its relatives with `+json`.
pub(super) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}
