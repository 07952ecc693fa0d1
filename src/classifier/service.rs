//! A service: an HTTP API that is asked about requests, with its breaker, its bound of calls and its remembered
//! answers. Classifiers and embedders differ only in what they ask and how they read the answer.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use url::Url;

use super::call::{self, CallError};
use super::completion::Reply;
use super::state::{Bounds, Breaker, ServiceKey, ServiceState};
use super::verdict::Verdict;
use crate::secret::Secret;

/// The vendors whose APIs can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceType {
    /// OpenAI, and whatever speaks its API.
    OpenAi,
    /// Mistral.
    Mistral,
    /// Azure OpenAI: the URL names the deployment.
    AzureOpenAi,
}

impl ServiceType {
    /// Every type with its name in the policy file.
    pub const ALL: [(&'static str, Self); 3] =
        [("openai", Self::OpenAi), ("mistral", Self::Mistral), ("azure_openai", Self::AzureOpenAi)];

    /// Returns whether requests name a model.
    #[must_use]
    pub fn needs_model(self) -> bool {
        self != Self::AzureOpenAi
    }

    /// Returns the header that carries the key, and the prefix before the key.
    fn credential(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenAi | Self::Mistral => ("authorization", "Bearer "),
            Self::AzureOpenAi => ("api-key", ""),
        }
    }
}

/// The declaration of a service. It has no `Debug`, because the query of its URL may hold a credential.
pub struct ServiceDeclaration {
    /// The vendor.
    pub kind: ServiceType,
    /// The whole URL, operation included.
    pub url: Url,
    /// The API key.
    pub key: Option<Secret>,
    /// Its bounds.
    pub bounds: Bounds,
}

/// A service as the policy file declares it, checked. `T` is what it answers.
pub(super) struct Service<T> {
    pub(super) name: Arc<str>,
    pub(super) bounds: Bounds,
    /// Its state; shared across reloads while its declaration stays the same.
    pub(super) state: Arc<ServiceState<T>>,
    url: Url,
    credential: Option<(&'static str, Secret)>,
}

impl<T> fmt::Debug for Service<T> {
    /// Without the URL's query, which may hold a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, address, bounds) = (&self.name, &self.address(), &self.bounds);
        f.debug_struct("Service")
            .field("name", name)
            .field("address", address)
            .field("bounds", bounds)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    Unparsable(Reply),
    Timeout,
    Error(String),
    BreakerOpen,
    OverCapacity,
}

impl Failure {
    pub(super) fn verdict(&self) -> (Verdict, Option<Reply>) {
        match self {
            Self::Unparsable(reply) => (Verdict::Unparsable, Some(reply.clone())),
            Self::Timeout => (Verdict::Timeout, None),
            Self::Error(why) => (Verdict::Error(why.clone()), None),
            Self::BreakerOpen => (Verdict::BreakerOpen, None),
            Self::OverCapacity => (Verdict::OverCapacity, None),
        }
    }
}

/// The time before a request's deadline at which its call is given up.
const MARGIN: Duration = Duration::from_millis(5);

impl<T> Service<T> {
    /// Returns where it is asked. The query is left out: it may hold a credential.
    pub(super) fn address(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }
}

impl<T: Send + Sync + 'static> Service<T> {
    /// Creates a service with its state, which `state_of` finds or makes. `own` is what else is declared of it.
    pub(super) fn new(
        name: &str,
        declaration: ServiceDeclaration,
        own: &str,
        state_of: impl FnOnce(&ServiceKey, &Bounds) -> Arc<ServiceState<T>>,
    ) -> Self {
        let ServiceDeclaration { kind, url, key, bounds } = declaration;
        let secret = key.as_ref().map_or("", Secret::expose);
        let declared = format!("{kind:?}\0{url}\0{own}\0{bounds:?}\0{secret}");
        let key_of_state = ServiceKey { name: name.into(), fingerprint: Sha256::digest(declared).into() };
        let (header, before) = kind.credential();
        let credential = key.map(|key| (header, Secret::new(format!("{before}{}", key.expose()))));
        let state = state_of(&key_of_state, &bounds);
        Self { name: key_of_state.name, url, credential, bounds, state }
    }

    /// Makes ready for the first call.
    ///
    /// # Errors
    /// The certificates of the system can't be read, and the URL needs them.
    pub(super) fn ready(&self) -> Result<(), &str> {
        self.state.client(&self.url).map(drop)
    }

    /// Returns the time at which the call of a request that began then is given up: before the request's own time is
    /// over, so that the breaker learns of it.
    pub(super) fn deadline(&self, began: Instant) -> Instant {
        let timeout = self.bounds.timeout;
        began + timeout.saturating_sub(MARGIN.min(timeout / 10))
    }

    /// Returns the answer under a key: remembered, awaited from another request, or asked for. It takes no longer than
    /// the service's timeout. Returns too whether this request made the call.
    pub(super) async fn answer(
        &self,
        key: [u8; 32],
        ask: impl Future<Output = Result<Arc<T>, Failure>>,
    ) -> (Result<Arc<T>, Arc<Failure>>, bool) {
        let mut called = false;
        let ask = async {
            called = true;
            ask.await
        };
        let answered = tokio::time::timeout(self.bounds.timeout, self.state.answer(key, ask)).await;
        (answered.unwrap_or_else(|_| Err(Arc::new(Failure::Timeout))), called)
    }

    /// Calls the service until a deadline, and again after failures that may be temporary, up to `retries` times.
    /// `read` makes something of a response's body, of which there are at most `most` bytes.
    pub(super) async fn ask<R>(
        &self,
        (deadline, breaker): (Instant, Breaker),
        body: impl Fn() -> Vec<u8>,
        (most, read): (usize, impl Fn(&[u8]) -> Result<R, String>),
    ) -> Result<R, Failure> {
        let Self { url, credential, bounds, state, .. } = self;
        let client = state.client(url).map_err(|why| Failure::Error(format!("TLS cannot be used: {why}")))?;
        let credential = credential.as_ref().map(|(name, value)| (*name, value.expose()));
        let mut retries = bounds.retries;
        loop {
            let turn = state.begin(bounds, breaker)?;
            let left = deadline.saturating_duration_since(Instant::now());
            let called = call::call(client, url, credential, body(), (left, most)).await;
            match called.and_then(|body| read(&body).map_err(CallError::Permanent)) {
                Ok(answer) => {
                    turn.answered();
                    return Ok(answer);
                }
                Err(CallError::Temporary(_)) if retries > 0 => {
                    turn.failed(bounds);
                    retries -= 1;
                }
                Err(trouble) => {
                    if !matches!(trouble, CallError::Refused(_)) {
                        turn.failed(bounds);
                    }
                    return Err(trouble.into());
                }
            }
        }
    }
}

impl From<CallError> for Failure {
    fn from(trouble: CallError) -> Self {
        match trouble {
            CallError::Timeout => Self::Timeout,
            CallError::Temporary(why) | CallError::Permanent(why) | CallError::Refused(why) => Self::Error(why),
        }
    }
}
