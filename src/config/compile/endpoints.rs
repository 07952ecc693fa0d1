//! Providers and endpoints: the names that targets refer to.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::base_url::BaseUrl;
use crate::api::Environment;
use crate::config::decode::{At, Named};
use crate::config::problem::{Place, Report};
use crate::config::raw;
use crate::config::secrets::Secrets;
use crate::config::words::{instead, shown};
use crate::endpoint::{Endpoint, Secret};
use crate::health::{EndpointKey, Registry};
use crate::provider::ProviderType;

/// Declared names with what is known of each; the parts that were wrong are `None`.
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
}

/// A provider.
#[derive(Debug, Default)]
pub(super) struct Provider<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Option<&'static ProviderType>,
    /// `None` when the list is not known, so that nothing can be said about a model.
    pub(super) models: Option<Vec<&'a str>>,
}

/// An endpoint.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    pub(super) endpoint: Option<(EndpointKey, Arc<Endpoint>)>,
    pub(super) provider: Option<&'a str>,
    /// The environment that it is reserved for, and where that stands.
    pub(super) reserved: Option<(Environment, Place)>,
}

/// What endpoints are made with.
#[derive(Debug)]
pub(in crate::config) struct Means<'a> {
    pub(in crate::config) secrets: &'a Secrets,
    pub(in crate::config) files: &'a mut Vec<PathBuf>,
    pub(in crate::config) registry: &'a Registry,
}

/// All providers by name.
pub(super) fn providers<'a>(
    named: Option<&'a Named<raw::Provider>>,
    report: &mut Report,
) -> Declared<'a, Provider<'a>> {
    let all = named.into_iter().flat_map(Named::iter);
    let names = all.map(|(place, name, provider)| (name, (place, self::provider(place, name, provider, report))));
    Declared { names: names.collect(), complete: named.is_some() }
}

fn provider<'a>(place: Place, name: &'a str, provider: Option<&'a raw::Provider>, report: &mut Report) -> Provider<'a> {
    let Some(provider) = provider else { return Provider { name, ..Provider::default() } };
    let kind = provider.r#type.get().and_then(|kind| {
        let found = ProviderType::named(kind);
        if found.is_none() {
            let help = instead(kind, ProviderType::ALL.iter().map(|kind| kind.name));
            report.error_with(provider.r#type.place, format!("unknown provider type {}", shown(kind)), help);
        }
        found
    });
    let list_place = provider.models.as_ref().map_or(place, |models| models.place);
    let models = match &provider.models {
        Some(models) => models.get().map(|models| self::models(models, report)),
        None => Some(Vec::new()),
    };
    if models.as_ref().is_some_and(Vec::is_empty) {
        let message = format!("provider {} has no models", shown(name));
        let help = "list those that may be asked for, such as `models: [gpt-4o, gpt-4o-mini]`".to_owned();
        report.error_with(list_place, message, help);
    }
    Provider { name, kind, models: models.filter(|models| !models.is_empty()) }
}

fn models<'a>(list: &'a [At<String>], report: &mut Report) -> Vec<&'a str> {
    let (mut models, mut seen) = (Vec::new(), HashSet::new());
    for model in list {
        match model.get().map(String::as_str) {
            Some("") => report.error(model.place, "the name of a model is empty"),
            Some(name) if !seen.insert(name) => {
                report.warning(model.place, format!("model {} is listed twice", shown(name)), None);
            }
            Some(name) => models.push(name),
            None => {}
        }
    }
    models
}

/// All endpoints by name.
pub(super) fn endpoints<'a>(
    named: Option<&'a Named<raw::Endpoint>>,
    providers: &Declared<'a, Provider<'a>>,
    means: &mut Means<'_>,
    report: &mut Report,
) -> Declared<'a, Known<'a>> {
    let mut known = HashMap::new();
    for (place, name, endpoint) in named.into_iter().flat_map(Named::iter) {
        header_safe(place, "the name of an endpoint", name, report);
        let made = endpoint.map(|endpoint| self::endpoint(name, endpoint, providers, means, report));
        known.insert(name, (place, made.unwrap_or_default()));
    }
    Declared { names: known, complete: named.is_some() }
}

fn endpoint<'a>(
    name: &str,
    raw: &'a raw::Endpoint,
    providers: &Declared<'a, Provider<'a>>,
    means: &mut Means<'_>,
    report: &mut Report,
) -> Known<'a> {
    let provider = provider_of(&raw.provider, providers, report);
    let kind = provider.and_then(|provider| provider.kind);
    let key = raw.api_key.as_ref().and_then(|key| means.secrets.key(key, means.files, report));
    let cluster = raw.cluster.as_ref().map_or(Some(name), |cluster| {
        cluster
            .get()
            .filter(|name| header_safe(cluster.place, "the name of a cluster", name, report))
            .map(|name| &**name)
    });
    let url = raw
        .url
        .get()
        .and_then(|text| BaseUrl::parse(text, kind).map_err(|message| report.error(raw.url.place, message)).ok());
    if let Some(host) = url.as_ref().and_then(BaseUrl::host_in_the_clear).filter(|_| raw.api_key.is_some()) {
        let message = format!("the key goes to {} unencrypted", shown(host));
        report.warning(raw.url.place, message, "write `https://`, and see that Envoy's cluster uses TLS".to_owned());
    }
    let made = kind.zip(cluster).zip(url);
    let endpoint = made.map(|((kind, cluster), url)| assemble(name, kind, cluster, url, key, means.registry));
    let reserved = raw.environment.as_ref().and_then(|at| Some(((*at.get()?).into(), at.place)));
    Known { endpoint, provider: provider.map(|provider| provider.name), reserved }
}

fn provider_of<'p, 'a>(
    name: &At<String>,
    providers: &'p Declared<'a, Provider<'a>>,
    report: &mut Report,
) -> Option<&'p Provider<'a>> {
    let text = name.get()?;
    let found = providers.get(text);
    if found.is_none() && providers.complete {
        let help = instead(text, sorted(providers));
        report.error_with(name.place, format!("unknown provider {}", shown(text)), help);
    }
    found.map(|(_, provider)| provider)
}

fn assemble(
    name: &str,
    provider: &'static ProviderType,
    cluster: &str,
    url: BaseUrl,
    key: Option<Secret>,
    registry: &Registry,
) -> (EndpointKey, Arc<Endpoint>) {
    let mut hash = Sha256::new_with_prefix(url.text.as_bytes());
    hash.update([0]); // which no URL holds
    hash.update(key.as_ref().map_or("", Secret::expose));
    let identity = EndpointKey { name: name.into(), fingerprint: hash.finalize().into() };
    let endpoint = Endpoint {
        name: Arc::clone(&identity.name),
        provider,
        cluster: cluster.to_owned(),
        authority: url.authority,
        path: url.path,
        credential: key.map(|key| ("authorization", Secret::new(format!("Bearer {}", key.expose())))),
        state: registry.endpoint(&identity),
    };
    (identity, Arc::new(endpoint))
}

/// Declared names in order, for messages that do not change from run to run.
pub(super) fn sorted<'a, T>(declared: &Declared<'a, T>) -> Vec<&'a str> {
    let mut names: Vec<_> = declared.names.iter().map(|(name, (place, _))| (*place, *name)).collect();
    names.sort_unstable();
    names.into_iter().map(|(_, name)| name).collect()
}

/// Whether a name may stand in a header; if not, that is reported.
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
