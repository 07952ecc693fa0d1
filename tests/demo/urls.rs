//! Where the endpoints of a policy are.
//!
//! A compiled endpoint knows host and path, which is all that the router needs; whether there is TLS is a matter of
//! Envoy's cluster. For that the file's text is asked: which URL in it has this host and this path.

use std::collections::BTreeMap;

use model_router::endpoint::Endpoint;
use model_router::snapshot::Snapshot;
use url::Url;

use crate::rig::clusters::Cluster;

/// One cluster for each that the policy's targets need.
pub(crate) fn clusters(snapshot: &Snapshot, file: &str) -> Result<Vec<Cluster>, String> {
    let policies = snapshot.apis.iter().flat_map(|api| api.production.iter().chain(&api.sandbox));
    let endpoints = policies.flat_map(|policy| {
        let stateful = policy.stateful.iter().map(|stateful| &stateful.endpoint);
        policy.targets.iter().map(|target| &target.endpoint).chain(stateful)
    });
    let by_cluster: BTreeMap<_, _> = endpoints.map(|endpoint| (&endpoint.cluster, endpoint)).collect();
    let urls = urls(file);
    by_cluster.into_iter().map(|(cluster, endpoint)| Cluster::from_url(cluster, url_of(endpoint, &urls)?)).collect()
}

fn url_of<'a>(endpoint: &Endpoint, urls: &'a [Url]) -> Result<&'a str, String> {
    let fits = |url: &&Url| authority(url) == endpoint.authority && url.path().trim_end_matches('/') == endpoint.path;
    let mut found: Vec<&str> = urls.iter().filter(fits).map(Url::as_str).collect();
    found.sort_unstable();
    found.dedup_by_key(|url| url.trim_end_matches('/'));
    match &*found {
        [url] => Ok(url),
        [] => Err(format!("the URL of endpoint `{}` must stand in the file on one line", endpoint.name)),
        _ => Err(format!("endpoint `{}` could be either of {}", endpoint.name, found.join(" and "))),
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Every URL in a policy file, comments apart.
fn urls(file: &str) -> Vec<Url> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ',' | '{' | '}');
    let lines = file.lines().map(|line| line.split(" #").next().unwrap_or_default());
    let lines = lines.filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(|line| line.split(ends));
    words.filter(|word| word.contains("://")).filter_map(|word| Url::parse(word).ok()).collect()
}
