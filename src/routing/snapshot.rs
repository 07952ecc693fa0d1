//! A snapshot: one policy file, compiled. Immutable and valid by construction; replaced as a whole.

use std::borrow::Cow;
use std::sync::Arc;

use crate::classifier::Routes;
use crate::routing::api::Apis;
use crate::routing::endpoint::{AwsSigV4, Credential, Endpoint};

/// A compiled policy.
#[derive(Debug)]
pub struct Snapshot {
    /// The APIs, indexed for matching.
    pub apis: Apis,
    /// The number of the policy among those applied since the start, from 1.
    pub version: u64,
    /// SHA-256 of the policy file, in hex; of several see [`crate::policy_file::Loaded`].
    pub hash: String,
    /// A hash over [`hash`](Self::hash) and every secret that the policy refers to, as it was resolved. Never shown.
    pub fingerprint: [u8; 32],
    /// The form in which its requests name the clusters of endpoints.
    pub cluster_names: ClusterNames,
}

/// The form in which requests name the clusters of endpoints.
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
    /// Returns whether both were compiled from the same files and the same secrets, and so do the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// Returns the name of an endpoint's cluster.
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

    /// Returns the routes of its semantic policies; those of both environments of an API may be the same.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Routes>> {
        let policies = self.apis.iter().flat_map(|api| api.production.iter().chain(&api.sandbox));
        policies.flat_map(|policy| policy.sorted()).filter_map(|sorted| sorted.sorter.routes())
    }

    /// Returns the endpoints that requests may be sent to, in the order of the policy; one may appear more than once.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let policies = self.apis.iter().flat_map(|api| api.production.iter().chain(&api.sandbox));
        policies.flat_map(|policy| policy.endpoints()).map(|endpoint| &**endpoint)
    }
}
