//! Headers: those removed from a request, those added to it, and those removed from a response.

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::{Mutation, private};
use crate::gateway::record;
use crate::gateway::router::{Attempt, RequestHead, Route};
use crate::routing::api::Api;
use crate::routing::endpoint::{Credential, Endpoint};
use crate::routing::operation::ModelPlace;
use crate::routing::provider;

/// Envoy's own header that bounds the time until an attempt's response headers. It does so without a retry policy too,
/// and unlike the route's timeout it does not cut a stream that has begun.
pub(super) const TIME_LIMIT: &str = "x-envoy-upstream-rq-per-try-timeout-ms";

/// Returns whether a request header of this name must not be forwarded; gives the name as a constant.
#[must_use]
pub fn unwanted_request_header(name: &str) -> Option<&'static str> {
    private::ALL.iter().chain(provider::CLIENT_HEADERS_REMOVED).copied().find(|unwanted| *unwanted == name)
}

/// Returns whether a response's header of this name must not reach the client; gives the name as a constant.
#[must_use]
pub fn unwanted_response_header(name: &str) -> Option<&'static str> {
    let private = private::ALL.iter().chain(&private::SERVED);
    private.chain(provider::RESPONSE_HEADERS_REMOVED).copied().find(|unwanted| *unwanted == name)
}

/// Returns those of the unwanted headers that the API does not forward all the same.
pub(super) fn less_forwarded(mut unwanted: Vec<&'static str>, api: &Api) -> Vec<&'static str> {
    unwanted
        .retain(|name| private::ALL.contains(name) || !api.forward_headers.iter().any(|forwarded| forwarded == name));
    unwanted
}

/// Returns those of a response's headers that the client must not see. A redirection may repeat the path that was asked
/// for, with a key in its query.
pub(super) fn unseen(unwanted: Vec<&'static str>, api: &Api, endpoint: Option<&Endpoint>) -> Vec<&'static str> {
    let mut unwanted = less_forwarded(unwanted, api);
    if endpoint.is_some_and(|endpoint| matches!(endpoint.credential, Credential::Query(..))) {
        unwanted.extend(["location", "content-location"]);
    }
    unwanted
}

/// Whatever changes a request's headers removes the cluster header, or sets it, and clears the route: otherwise a
/// client picks any cluster by sending that header (seen on all supported versions of Envoy where nothing else strips
/// it).
pub(super) fn strip(mut remove: Vec<&'static str>) -> Mutation {
    if !remove.contains(&private::CLUSTER) {
        remove.push(private::CLUSTER);
    }
    let remove = remove.into_iter().map(Cow::Borrowed).collect();
    Mutation { remove, clear_route_cache: true, ..Mutation::default() }
}

/// Takes from what is removed at once the headers that some endpoint of the policy may get; they are to be removed, or
/// not, with the choice.
pub(super) fn clients_own(mutation: &mut Mutation, route: &Route) -> Vec<Cow<'static, str>> {
    let endpoints = route.endpoints().filter(|endpoint| endpoint.credential.is_clients());
    let own: Vec<&str> = endpoints.flat_map(|endpoint| endpoint.provider.client_headers).copied().collect();
    let (later, now) = mutation.remove.drain(..).partition(|name| own.contains(&&**name));
    mutation.remove = now;
    later
}

/// Sends the request to an endpoint, with its own host, path and credential, and the model where that is not in the
/// body.
pub(super) fn send(
    mutation: &mut Mutation,
    head: &RequestHead,
    route: &Route,
    endpoint: &Endpoint,
    model: Option<&str>,
    limit: Duration,
) {
    mutation.remove.retain(|name| name != private::CLUSTER);
    mutation.set.push((private::CLUSTER.into(), route.cluster(endpoint).into_owned()));
    if head.tls != Some(endpoint.origin.tls) {
        // HTTP/2 sends the scheme to the provider, and Envoy would send the client's.
        mutation.set.push((":scheme".into(), endpoint.origin.scheme().to_owned()));
    }
    change(mutation, ":authority", &head.authority, endpoint.authority.as_str().into());
    change(mutation, ":path", &head.path, route.upstream_path(endpoint, &head.path, model).into());
    mutation.set.push((TIME_LIMIT.into(), limit.as_millis().to_string()));
    if let (Some(ModelPlace::Header(name)), Some(model)) = (route.operation().map(|it| &it.form.model), model) {
        mutation.set.push((name.as_str().to_owned().into(), header_text(model).into_owned()));
    }
    authenticate(mutation, route, endpoint);
    mutation.clear_route_cache = true;
}

/// Sets a header unless it has the value already, which saves Envoy's work for it.
fn change(mutation: &mut Mutation, name: &'static str, is: &str, to: Cow<'_, str>) {
    if is != to {
        mutation.set.push((name.into(), to.into_owned()));
    }
}

fn authenticate(mutation: &mut Mutation, route: &Route, endpoint: &Endpoint) {
    // A header that carries another endpoint's credential must not reach this endpoint when the client sends it.
    for other in route.endpoints() {
        if let Credential::Header(name, _) = &other.credential
            && !provider::CLIENT_HEADERS_REMOVED.contains(&&**name)
            && !mutation.remove.contains(name)
        {
            mutation.remove.push(name.clone());
        }
    }
    match &endpoint.credential {
        Credential::Header(name, secret) => {
            mutation.remove.retain(|removed| removed != name);
            mutation.set.push((name.clone(), secret.expose().to_owned()));
        }
        Credential::Passthrough => {
            mutation.remove.retain(|name| !endpoint.provider.client_headers.contains(&&**name));
        }
        // In the path, Envoy's to make, or none.
        Credential::Query(..) | Credential::AwsSigV4(_) | Credential::None => {}
    }
}

/// Returns a text as a header can carry it: what is not visible ASCII is percent-encoded. Envoy resets a stream whose
/// headers hold anything else.
fn header_text(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, CONTROLS).into()
}

/// Returns the mutation of a response: the headers that it loses, and the request for another attempt.
pub(super) fn answer(remove: Vec<&'static str>, retry: bool) -> Mutation {
    let set = if retry { vec![(private::RETRY.into(), "1".to_owned())] } else { Vec::new() };
    Mutation { set, remove: remove.into_iter().map(Cow::Borrowed).collect(), ..Mutation::default() }
}

/// Returns the header that reports the request's id to the client, if Envoy gave it one.
pub(super) fn request_id(head: &RequestHead) -> Option<(&'static str, String)> {
    head.request_id.clone().map(|id| (private::REQUEST_ID, id))
}

/// Returns the headers that report the decision to the client.
pub(super) fn decision(attempt: &Attempt) -> Vec<(Cow<'static, str>, String)> {
    if !attempt.request.route.policy().decision_headers {
        return Vec::new();
    }
    let mut headers = vec![
        (private::SERVED_MODEL.into(), header_text(attempt.target().model.as_str()).into_owned()),
        (private::SERVED_ENDPOINT.into(), attempt.target().endpoint.name.to_string()),
        (private::SERVED_ATTEMPTS.into(), attempt.number().to_string()),
    ];
    let classification = attempt.request.classification.as_ref();
    headers.extend(classification.map(|it| (private::SERVED_CLASSIFICATION.into(), it.verdict.label().to_owned())));
    let scores = record::closeness(attempt).map(|closeness| header_text(&closeness.to_string()).into_owned());
    headers.extend(scores.map(|scores| (private::SERVED_SCORES.into(), scores)));
    headers
}
