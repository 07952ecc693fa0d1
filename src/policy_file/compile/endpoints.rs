//! Endpoints: the names that targets refer to.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::base_url::BaseUrl;
use super::credentials;
use super::providers::Provider;
use super::vendors;
use crate::document::decode::At;
use crate::document::decode::Named;
use crate::document::problem::{Place, Report};
use crate::document::words::{instead, shown};
use crate::policy_file::secrets::Resolver;
use crate::policy_file::{Extent, raw};
use crate::routing::api::Environment;
use crate::routing::endpoint::{Credential, Endpoint};
use crate::routing::registry::{EndpointKey, Registry};

/// Declared names with their compiled values; invalid parts are `None`.
#[derive(Debug)]
pub(super) struct Declared<'a, T> {
    pub(super) names: HashMap<&'a str, (Place, T)>,
    /// Whether these are all, so that another one is unknown.
    pub(super) complete: bool,
}

impl<'a, T> Declared<'a, T> {
    pub(super) fn get(&self, name: &str) -> Option<&(Place, T)> {
        self.names.get(name)
    }

    /// Returns the declared name that an undeclared one was probably meant to be.
    pub(super) fn instead(&self, name: &str) -> Option<String> {
        instead(name, sorted(self))
    }
}

/// An endpoint.
#[derive(Debug, Default)]
pub(super) struct CompiledEndpoint<'a> {
    pub(super) endpoint: Option<(EndpointKey, Arc<Endpoint>)>,
    pub(super) provider: Option<&'a str>,
    /// The environment that it is reserved for, and the place that says so.
    pub(super) reserved: Option<(Environment, Place)>,
}

/// What endpoints are made with.
#[derive(Debug)]
pub(in crate::policy_file) struct Context<'a> {
    pub(in crate::policy_file) secrets: Resolver<'a>,
    pub(in crate::policy_file) registry: &'a Registry,
    pub(in crate::policy_file) extent: Extent,
    /// Whether somebody waits for warnings that take a while to find.
    pub(in crate::policy_file) thorough: bool,
}

/// Returns all endpoints by name.
pub(super) fn endpoints<'a>(
    named: Option<&'a Named<raw::Endpoint>>,
    providers: &Declared<'a, Provider<'a>>,
    context: &mut Context<'_>,
    report: &mut Report,
) -> Declared<'a, CompiledEndpoint<'a>> {
    let mut known = HashMap::new();
    for (place, name, endpoint) in named.into_iter().flat_map(Named::iter) {
        header_safe(place, "the name of an endpoint", name, report);
        let made = endpoint.map(|endpoint| self::endpoint(name, endpoint, providers, context, report));
        known.insert(name, (place, made.unwrap_or_default()));
    }
    Declared { names: known, complete: named.is_some() && context.extent == Extent::Whole }
}

fn endpoint<'a>(
    name: &str,
    raw: &'a raw::Endpoint,
    providers: &Declared<'a, Provider<'a>>,
    context: &mut Context<'_>,
    report: &mut Report,
) -> CompiledEndpoint<'a> {
    let provider = provider_of(&raw.provider, providers, report);
    let kind = provider.and_then(|provider| provider.kind);
    let key = raw.api_key.as_ref().and_then(|key| context.secrets.key(key, report));
    let cluster = raw.cluster.as_ref().map_or(Some(name), |cluster| {
        cluster
            .get()
            .filter(|name| header_safe(cluster.place, "the name of a cluster", name, report))
            .map(|name| &**name)
    });
    let url = raw
        .url
        .get()
        .and_then(|text| BaseUrl::parse(text, provider).map_err(|message| report.error(raw.url.place, message)).ok());
    let credential = kind.and_then(|kind| credentials::credential(raw, kind, key, report));
    let has_key = raw.api_key.is_some() || credential.as_ref().is_some_and(Credential::is_clients);
    if let Some(host) = url.as_ref().and_then(BaseUrl::host_in_the_clear).filter(|_| has_key) {
        let message = format!("the key goes to {} unencrypted", shown(host));
        report.warning(raw.url.place, message, "write `https://`, and see that Envoy's cluster uses TLS".to_owned());
    }
    if let Some(meant) = url.as_ref().zip(kind).and_then(|(url, kind)| vendors::completed(url, kind)) {
        let message = "this vendor's API is below another path, and requests would get 404";
        report.warning(raw.url.place, message, format!("did you mean {}?", shown(&meant)));
    }
    let made = provider.zip(kind).zip(cluster).zip(url).zip(credential);
    let endpoint = made.map(|((((provider, kind), cluster), url), credential)| {
        let operations = provider.operations_at(&url.path);
        let identity = EndpointKey { name: name.into(), fingerprint: fingerprint(&url, &credential) };
        let endpoint = Endpoint {
            name: Arc::clone(&identity.name),
            provider: kind,
            cluster: cluster.to_owned(),
            origin: Arc::new(url.origin),
            authority: url.authority,
            path: url.path,
            operations,
            credential,
            prices: Arc::clone(&provider.prices),
            state: context.registry.endpoint(&identity),
        };
        (identity, Arc::new(endpoint))
    });
    let reserved = raw.environment.as_ref().and_then(|at| Some(((*at.get()?).into(), at.place)));
    CompiledEndpoint { endpoint, provider: provider.map(|provider| provider.name), reserved }
}

fn provider_of<'p, 'a>(
    name: &At<String>,
    providers: &'p Declared<'a, Provider<'a>>,
    report: &mut Report,
) -> Option<&'p Provider<'a>> {
    let text = name.get()?;
    let found = providers.get(text);
    if found.is_none() && providers.complete {
        report.error_with(name.place, format!("unknown provider {}", shown(text)), providers.instead(text));
    }
    found.map(|(_, provider)| provider)
}

/// Returns the part of an endpoint that gives it a new state when it changes.
fn fingerprint(url: &BaseUrl, credential: &Credential) -> [u8; 32] {
    let (form, name, secret) = match credential {
        Credential::None => ("none", "", ""),
        Credential::Header(name, secret) => ("header", &**name, secret.expose()),
        Credential::Query(name, secret) => ("query", &**name, secret.expose()),
        Credential::Passthrough => ("passthrough", "", ""),
        Credential::AwsSigV4(signature) => ("aws_sigv4", &*signature.region, &*signature.service),
    };
    let mut hash = Sha256::new();
    for part in [&url.text, form, name, secret] {
        hash.update(part.as_bytes());
        hash.update([0]); // which none of them holds
    }
    hash.finalize().into()
}

/// Declared names in order, for messages that do not change from run to run.
fn sorted<'a, T>(declared: &Declared<'a, T>) -> Vec<&'a str> {
    let mut names: Vec<_> = declared.names.iter().map(|(name, (place, _))| (*place, *name)).collect();
    names.sort_unstable();
    names.into_iter().map(|(_, name)| name).collect()
}

/// Returns whether a name can be part of a header; if not, that is reported.
fn header_safe(place: Place, what: &str, name: &str, report: &mut Report) -> bool {
    let safe = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if !safe {
        let help = "use letters, digits, `-`, `_` and `.`".to_owned();
        report.error_with(place, format!("{what} goes into a header, which {} cannot", shown(name)), help);
    }
    safe
}

impl From<raw::Environment> for Environment {
    fn from(environment: raw::Environment) -> Self {
        match environment {
            raw::Environment::Production => Self::Production,
            raw::Environment::Sandbox => Self::Sandbox,
        }
    }
}
