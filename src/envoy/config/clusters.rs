//! The clusters of a policy: one for each endpoint that requests may be sent to.

mod blocks;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use url::Host;

use super::Conflicts;
use super::text::{indented, scalar};
use crate::routing::endpoint::{AwsSigV4, Credential, Endpoint, Origin};
use crate::routing::snapshot::Snapshot;
use blocks::{Block, Blocks};

/// Clusters that the shipped files declare themselves.
const RESERVED: [&str; 2] = ["attempt", "model-router"];

/// The header of a file of clusters.
const HEAD: &str = "\
# clusters: where the endpoints of the policy file are. One cluster per endpoint, and the endpoint's name is the
# cluster's.
#
# Envoy reads this file when it starts and whenever it is replaced (see dynamic_resources in attach.yaml and
# failover.yaml). The router chooses among these clusters by name; it sets path, host and credential itself.
#
# Two endpoints at one host are two clusters all the same: connections, breakers and statistics of their own.
#
# Written by: model-router envoy-config --policy FILE --output clusters
# `model-router serve --envoy-clusters-dir DIRECTORY` keeps such a file up to date with the policy.

";

/// A cluster that a policy needs.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    name: Cow<'a, str>,
    /// Under which name it is counted, if not its own.
    counted_as: Option<&'a str>,
    origin: &'a Origin,
    /// The scopes for which Envoy signs requests.
    signature: Option<&'a AwsSigV4>,
}

/// Returns the clusters of policies that requests go through at the same time, in the order of their names.
pub(super) fn of<'a>(snapshots: &[&'a Snapshot]) -> Result<Vec<Cluster<'a>>, Conflicts> {
    let (mut first, mut conflicts) = (BTreeMap::<_, &Endpoint>::new(), Vec::new());
    let endpoints = snapshots.iter().flat_map(|snapshot| snapshot.endpoints().map(|endpoint| (*snapshot, endpoint)));
    for (snapshot, endpoint) in endpoints {
        let name = snapshot.cluster(endpoint);
        if RESERVED.contains(&&*name) {
            conflicts.push(reserved(endpoint));
        }
        let other = *first.entry(name).or_insert(endpoint);
        if other.origin != endpoint.origin {
            conflicts.push(contradiction(other, endpoint));
        } else if signature(other) != signature(endpoint) {
            conflicts.push(two_signatures(other, endpoint));
        }
    }
    conflicts.sort();
    conflicts.dedup();
    if !conflicts.is_empty() {
        return Err(Conflicts(conflicts));
    }
    let clusters = first.into_iter().map(|(name, endpoint)| {
        let counted_as = (name != *endpoint.cluster).then_some(&*endpoint.cluster);
        Cluster { name, counted_as, origin: &endpoint.origin, signature: signature(endpoint) }
    });
    Ok(clusters.collect())
}

fn signature(endpoint: &Endpoint) -> Option<&AwsSigV4> {
    match &endpoint.credential {
        Credential::AwsSigV4(signature) => Some(signature),
        _ => None,
    }
}

fn two_signatures(one: &Endpoint, other: &Endpoint) -> String {
    format!(
        "endpoints `{}` and `{}` share the cluster `{}`, where Envoy signs all requests alike or none; give one of them \
         another `cluster`",
        one.name, other.name, one.cluster
    )
}

fn reserved(endpoint: &Endpoint) -> String {
    let Endpoint { name, cluster, .. } = endpoint;
    format!(
        "endpoint `{name}`: the cluster `{cluster}` is one of model-router's own; give the endpoint another `cluster`"
    )
}

fn contradiction(one: &Endpoint, other: &Endpoint) -> String {
    format!(
        "endpoints `{}` ({}) and `{}` ({}) share the cluster `{}`, which leads to one place; give one of them another `cluster`",
        one.name, one.origin, other.name, other.origin, one.cluster
    )
}

/// Returns the clusters as items of a list.
pub(super) fn list(clusters: &[Cluster<'_>], ca_file: &Path) -> String {
    let mut blocks = Blocks::new(ca_file);
    let item = |cluster: &Cluster<'_>| format!("- name: {}\n{}", scalar(&cluster.name), cluster.body(&mut blocks));
    clusters.iter().map(item).collect::<Vec<_>>().join("\n")
}

/// Returns the clusters as a file for file CDS.
pub(super) fn file(clusters: &[Cluster<'_>], ca_file: &Path) -> String {
    const TYPE: &str = "- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n";
    let mut blocks = Blocks::new(ca_file);
    let item =
        |cluster: &Cluster<'_>| format!("{TYPE}  name: {}\n{}", scalar(&cluster.name), cluster.body(&mut blocks));
    let items: Vec<_> = clusters.iter().map(item).collect();
    if items.is_empty() { format!("{HEAD}resources: []\n") } else { format!("{HEAD}resources:\n{}", items.join("\n")) }
}

impl Cluster<'_> {
    /// Everything but the name.
    fn body(&self, blocks: &mut Blocks) -> String {
        let counted = self.counted_as.map(|name| format!("alt_stat_name: {}\n", scalar(name)));
        let mut parts = Vec::from_iter(counted);
        parts.extend([blocks.say(Block::ConnectTimeout), self.discovery(blocks), self.address()]);
        if self.origin.tls {
            parts.push(self.tls(blocks));
        }
        let protocol = if self.origin.tls { Block::Alpn } else { Block::Http1 };
        match self.signature {
            None => parts.push(blocks.say(protocol)),
            Some(signature) => parts.push(Blocks::signed(protocol, signature)),
        }
        parts.push(blocks.say(Block::Keepalive));
        parts.push(blocks.say(Block::Breakers));
        indented(&parts.concat(), 2)
    }

    fn discovery(&self, blocks: &mut Blocks) -> String {
        match (&self.origin.host, self.origin.tls) {
            (Host::Domain(_), true) => blocks.say(Block::OneByName),
            (Host::Domain(_), false) => blocks.say(Block::Replicas),
            (Host::Ipv4(_) | Host::Ipv6(_), _) => "type: STATIC\n".to_owned(),
        }
    }

    fn address(&self) -> String {
        let (host, port) = (scalar(&self.host()), self.origin.port);
        let hostname = match &self.origin.host {
            // A name may end in a dot, which keeps the resolver from appending domains; a certificate's has none.
            Host::Domain(name) if self.origin.tls => {
                format!("        hostname: {}\n", scalar(name.trim_end_matches('.')))
            }
            _ => String::new(),
        };
        format!(
            "load_assignment:\n  cluster_name: {}\n  endpoints:\n  - lb_endpoints:\n    - endpoint:\n{hostname}        \
             address:\n          socket_address: {{ address: {host}, port_value: {port} }}\n",
            scalar(&self.name)
        )
    }

    fn tls(&self, blocks: &mut Blocks) -> String {
        match &self.origin.host {
            Host::Domain(_) => blocks.say(Block::Tls),
            Host::Ipv4(_) | Host::Ipv6(_) => blocks.tls_of_address(&self.host()),
        }
    }

    fn host(&self) -> String {
        match &self.origin.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        }
    }
}
