//! An endpoint: one base URL of a provider with one credential, served by one Envoy cluster.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use url::Host;

use crate::routing::operation::Operation;
use crate::routing::provider::ProviderType;
use crate::routing::suspension::EndpointState;
use crate::routing::usage::Prices;
use crate::secret::Secret;

/// The network location of an endpoint: the part of its URL that Envoy's cluster needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether it is spoken to over TLS (`https`).
    pub tls: bool,
    /// Its name, in ASCII and lower case, or its address.
    pub host: Host,
    /// Its port; that of the scheme where the URL gives none.
    pub port: u16,
}

impl Origin {
    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme(), self.host, self.port)
    }
}

/// An endpoint as the policy file declares it, checked.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name in the policy file.
    pub name: Arc<str>,
    /// The vendor's API that it speaks.
    pub provider: &'static ProviderType,
    /// The Envoy cluster that serves it.
    pub cluster: String,
    /// The network location that the cluster must lead to.
    pub origin: Arc<Origin>,
    /// Host, and port where the URL gives one, for `:authority`.
    pub authority: String,
    /// Path of the URL without a trailing slash; what an API's base path is replaced by.
    pub path: String,
    /// The operations that it has for requests that name a model, as paths below its own.
    pub operations: Vec<Operation>,
    /// How the router authenticates to this endpoint.
    pub credential: Credential,
    /// The prices of its provider's models.
    pub prices: Arc<Prices>,
    /// Its suspension state; shared across reloads while URL and credential stay the same.
    pub state: Arc<EndpointState>,
}

/// How the router authenticates to an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing: a server nearby that wants none.
    None,
    /// A header, its value complete (`authorization`, `Bearer …`).
    Header(Cow<'static, str>, Secret),
    /// A query parameter, by its name and value as they are before they are encoded.
    Query(String, Secret),
    /// The client's own, which otherwise never goes on.
    Passthrough,
    /// A signature that Envoy makes in the endpoint's cluster, after everything else has been written.
    AwsSigV4(AwsSigV4),
}

/// The scope of an AWS signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSigV4 {
    /// The region, such as `us-east-1`.
    pub region: String,
    /// The service's name in signatures, such as `bedrock`.
    pub service: String,
}

impl Credential {
    /// Returns whether it is the client's own.
    #[must_use]
    pub fn is_clients(&self) -> bool {
        *self == Self::Passthrough
    }
}
