//! Headers that an API lets pass although they are removed otherwise.

use http::HeaderName;

use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::{any_of, nearest, shown};
use crate::routing::provider::{CLIENT_HEADERS_REMOVED, RESPONSE_HEADERS_REMOVED};

/// Those that say on whose account a request is, without giving access to it. All others carry credentials.
const ACCOUNTS: [&str; 3] = ["openai-organization", "openai-project", "x-goog-user-project"];
/// Headers that the router reads for itself. Nothing else can depend on them.
pub(super) const READ_BY_THE_ROUTER: [&str; 8] = [
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "traceparent",
    "upgrade",
    "x-envoy-attempt-count",
    "x-request-id",
];
/// The start of the router's own headers.
const PRIVATE: &str = "x-model-router-";

/// Returns the headers of a list, in lower case; those that may not be in it are reported.
pub(super) fn headers(list: &At<Vec<At<String>>>, report: &mut Report) -> Vec<String> {
    let names = list.get().map_or(&[][..], Vec::as_slice);
    if list.get().is_some() && names.is_empty() {
        report.error_with(list.place, "`forward_headers` is empty", "leave it out".to_owned());
    }
    let mut headers: Vec<String> = Vec::new();
    for at in names {
        let Some(name) = at.get().and_then(|name| header(name, at.place, report)) else { continue };
        if headers.contains(&name) {
            report.warning(at.place, format!("header {} is listed twice", shown(&name)), None);
        } else {
            headers.push(name);
        }
    }
    headers
}

fn header(name: &str, place: Place, report: &mut Report) -> Option<String> {
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        let help = "use letters, digits and `-`, as in `openai-organization`".to_owned();
        report.error_with(place, format!("{} is not the name of a header", shown(name)), help);
        return None;
    };
    let header = header.as_str();
    let removed = || CLIENT_HEADERS_REMOVED.iter().chain(RESPONSE_HEADERS_REMOVED).copied();
    if header.starts_with(PRIVATE) {
        let help = "clients must not set these headers, and providers must not see them".to_owned();
        report.error_with(place, format!("{} is a private header of the router", shown(name)), help);
        return None;
    }
    if !removed().any(|other| other == header) {
        let help = nearest(header, removed()).map_or_else(
            || format!("leave it out; only removed headers can be listed, such as {}", any_of(ACCOUNTS)),
            |near| format!("did you mean {}?", shown(near)),
        );
        report.error_with(place, format!("header {} passes anyway: it is never removed", shown(name)), help);
        return None;
    }
    if !ACCOUNTS.contains(&header) {
        let (message, help) = warning(header);
        report.warning(place, message, help.to_owned());
    }
    Some(header.to_owned())
}

/// Describes the effect of forwarding a credential.
fn warning(header: &str) -> (String, &'static str) {
    if RESPONSE_HEADERS_REMOVED.contains(&header) {
        let message = format!("{} lets the providers of this API set cookies at its clients", shown(header));
        return (message, "leave it out unless they need it");
    }
    let message = format!("{} may carry a credential: all providers of this API get the client's", shown(header));
    (message, "leave it out unless they need it; the endpoint's own key is set in any case")
}
