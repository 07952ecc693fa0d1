//! Credentials: what an endpoint is shown, made of a key and of how that travels.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::providers::{header_name, parameter_name};
use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw::{self, Auth};
use crate::routing::endpoint::{AwsSigV4, Credential};
use crate::routing::provider::{DefaultAuth, ProviderType};
use crate::secret::Secret;

/// The service's name in signatures for Bedrock.
const BEDROCK: &str = "bedrock";

/// Returns the credential of an endpoint, of the key that was found; `None` if it cannot be made, which is then
/// reported.
pub(super) fn credential(
    raw: &raw::Endpoint,
    kind: &ProviderType,
    key: Option<Secret>,
    report: &mut Report,
) -> Option<Credential> {
    let Some(auth) = &raw.auth else { return Some(by_default(kind, key)) };
    let form = auth.get()?;
    match (needs_key(form), &raw.api_key) {
        (true, None) => {
            let help = "add `api_key: { env: NAME }`, or leave `auth` out".to_owned();
            report.error_with(auth.place, "`auth` says how a key travels, and there is no `api_key`", help);
            return None;
        }
        (false, Some(key)) => {
            let message = "`auth` says that the router has no key here, and there is an `api_key`";
            report.error_with(key.place, message, "leave it out".to_owned());
            return None;
        }
        _ => {}
    }
    match form {
        Auth::Passthrough => Some(Credential::Passthrough),
        Auth::AwsSigv4(signature) => sigv4(signature, report).map(Credential::AwsSigV4),
        // A missing secret has already been reported.
        keyed => match key {
            Some(key) => with_key(keyed, &key, raw.api_key.as_ref().map_or(auth.place, |key| key.place), report),
            None => Some(Credential::None),
        },
    }
}

fn needs_key(form: &Auth) -> bool {
    match form {
        Auth::Bearer | Auth::Basic | Auth::Header(_) | Auth::Query(_) => true,
        Auth::Passthrough | Auth::AwsSigv4(_) => false,
    }
}

fn by_default(kind: &ProviderType, key: Option<Secret>) -> Credential {
    match (key, kind.auth) {
        (None, _) => Credential::None,
        (Some(key), DefaultAuth::Bearer) => bearer(&key),
        (Some(key), DefaultAuth::Header(name)) => Credential::Header(name.into(), key),
    }
}

fn with_key(form: &Auth, key: &Secret, place: Place, report: &mut Report) -> Option<Credential> {
    Some(match form {
        Auth::Basic => return basic(key, place, report),
        Auth::Header(name) => Credential::Header(header_name(name, report)?.as_str().to_owned().into(), key.clone()),
        Auth::Query(name) => Credential::Query(parameter_name(name, report)?, key.clone()),
        Auth::Bearer | Auth::Passthrough | Auth::AwsSigv4(_) => bearer(key),
    })
}

fn bearer(key: &Secret) -> Credential {
    Credential::Header("authorization".into(), Secret::new(format!("Bearer {}", key.expose())))
}

fn basic(key: &Secret, place: Place, report: &mut Report) -> Option<Credential> {
    if !key.expose().contains(':') && !key.is_assumed() {
        report.error(place, "`auth: basic` needs a key of the form `user:password`");
        return None;
    }
    let value = format!("Basic {}", STANDARD.encode(key.expose()));
    Some(Credential::Header("authorization".into(), Secret::new(value)))
}

fn sigv4(at: &At<raw::AwsSigv4>, report: &mut Report) -> Option<AwsSigV4> {
    let raw = at.get()?;
    let region = name(&raw.region, "region", "us-east-1", report);
    let service = raw.service.as_ref().map_or(Some(BEDROCK.to_owned()), |at| name(at, "service", BEDROCK, report));
    Some(AwsSigV4 { region: region?, service: service? })
}

fn name(at: &At<String>, key: &str, example: &str, report: &mut Report) -> Option<String> {
    let name = at.get()?;
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(legal) {
        report.error(at.place, format!("expected a `{key}` such as {}", shown(example)));
        return None;
    }
    Some(name.clone())
}
