//! A snapshot: one policy file, compiled. Immutable, swapped whole, and it cannot be wrong.

use std::borrow::Cow;
use std::sync::Arc;

use crate::routing::api::Apis;
use crate::routing::endpoint::{AwsSigV4, Credential, Endpoint};

/// What the router needs of a policy file.
#[derive(Debug)]
pub struct Snapshot {
    /// The APIs, indexed for matching.
    pub apis: Apis,
    /// Counts the policies applied since start, from 1.
    pub version: u64,
    /// SHA-256 of the policy file, in hex; of several see [`crate::policy_file::Loaded`].
    pub hash: String,
    /// How its requests name the clusters of endpoints.
    pub cluster_names: ClusterNames,
}

/// How requests name the clusters of endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterNames {
    /// As the policy file does.
    #[default]
    AsGiven,
    /// With where they lead. While the policy changes and Envoy follows, a name never leads elsewhere than the request
    /// was meant for, so its key does not either.
    WithOrigin,
}

impl Snapshot {
    /// Whether it does the same as the other: it comes of the same file, and of the same secrets, because an endpoint
    /// keeps its state exactly while its credential stays.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.endpoints().zip(other.endpoints()).all(|(one, other)| Arc::ptr_eq(&one.state, &other.state))
    }

    /// The name of an endpoint's cluster.
    #[must_use]
    pub fn cluster<'a>(&self, endpoint: &'a Endpoint) -> Cow<'a, str> {
        match self.cluster_names {
            ClusterNames::AsGiven => Cow::Borrowed(&endpoint.cluster),
            ClusterNames::WithOrigin => {
                let Endpoint { cluster, origin, .. } = endpoint;
                Cow::Owned(match &endpoint.credential {
                    Credential::AwsSigV4(AwsSigV4 { region, service }) => {
                        format!("{cluster}@{origin};aws_sigv4={region}/{service}")
                    }
                    _ => format!("{cluster}@{origin}"),
                })
            }
        }
    }

    /// The endpoints that requests may be sent to, in the order of the policy, perhaps more than once.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let policies = self.apis.iter().flat_map(|api| api.production.iter().chain(&api.sandbox));
        policies.flat_map(|policy| {
            let stateful = policy.stateful.iter().map(|stateful| &*stateful.endpoint);
            policy.targets.iter().map(|target| &*target.endpoint).chain(stateful)
        })
    }
}
