//! An endpoint: one base URL of a provider with one credential, served by one Envoy cluster.

use std::fmt;
use std::sync::Arc;

use crate::health::EndpointState;
use crate::provider::ProviderType;

/// A value that must never be printed: `Debug` shows a mask and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself, for the one header that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
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
    /// Host, and port where the URL gives one, for `:authority`.
    pub authority: String,
    /// Path of the URL without a trailing slash; what an API's base path is replaced by.
    pub path: String,
    /// The header that carries the credential, complete (`authorization`, `Bearer …`); `None` sends none.
    pub credential: Option<(&'static str, Secret)>,
    /// What is known of its standing; shared across reloads while URL and credential stay.
    pub state: Arc<EndpointState>,
}
