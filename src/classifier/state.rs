//! The state that outlives a policy: a service's breaker, its permits, its cached answers and its counters.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use moka::future::Cache;
use reqwest::Client;
use tokio::sync::Semaphore;
use tracing::{info, warn};
use url::Url;

use super::call;
use super::service::Failure;
use super::verdict::Verdict;
use crate::gate::Availability;
use crate::gate::{Gate, Pass, SuspensionLength, Trigger};

/// The identity of a service across reloads: its name and its whole declaration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceKey {
    /// Its name in the policy file.
    pub name: Arc<str>,
    /// A hash over all that is declared of it.
    pub fingerprint: [u8; 32],
}

/// The bounds of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Until a request goes to the default, whatever the service does.
    pub timeout: Duration,
    /// Calls at once; further requests go to the default.
    pub concurrency: NonZeroU32,
    /// The number of failures in a row that suspend it.
    pub suspend_after: NonZeroU32,
    /// For how long; zero means never.
    pub suspend: Duration,
    /// The number of retries of a call that failed for a temporary reason.
    pub retries: u32,
    /// The time for which an answer is cached; zero means not at all.
    pub cache_ttl: Duration,
    /// The most answers that are cached.
    pub cache_entries: u64,
    /// The characters of a content that are shown to it.
    pub max_content_chars: usize,
}

impl Bounds {
    /// The bounds of a classifier that sets none.
    pub const CLASSIFIER: Self = Self {
        timeout: Duration::from_secs(3),
        concurrency: NonZeroU32::new(256).expect("not zero"),
        suspend_after: NonZeroU32::new(5).expect("not zero"),
        suspend: Duration::from_secs(30),
        retries: 0,
        cache_ttl: Duration::from_secs(600),
        cache_entries: 10_000,
        max_content_chars: 8_000,
    };

    /// The bounds of an embedder that sets none.
    pub const EMBEDDER: Self = Self { timeout: Duration::from_secs(1), ..Self::CLASSIFIER };
}

/// Whether a service that has failed too often is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// The service asks.
    Obeyed,
    /// An evaluation asks, which needs an answer for each case.
    Ignored,
}

/// The kind of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceKind {
    /// An LLM.
    Classifier,
    /// An API of embeddings, or a model in this process.
    Embedder,
}

impl ServiceKind {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classifier => "classifier",
            Self::Embedder => "embedder",
        }
    }
}

/// The state of a service, kept while any snapshot names it. `T` is what it answers.
pub struct ServiceState<T> {
    kind: ServiceKind,
    name: Arc<str>,
    client: OnceLock<Result<Client, String>>,
    gate: Gate,
    permits: Semaphore,
    answers: Cache<[u8; 32], Arc<T>>,
    calls: AtomicU64,
    shared: AtomicU64,
    verdicts: [AtomicU64; Verdict::LABELS.len()],
}

impl<T> fmt::Debug for ServiceState<T> {
    /// Without the answers, which may repeat a client's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceState").field("kind", &self.kind).field("name", &self.name).finish_non_exhaustive()
    }
}

/// The counters of a service since it became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCounts {
    /// Calls made.
    pub calls: u64,
    /// Requests that needed none of their own: the answer was remembered, or another request was asking the same.
    pub shared: u64,
    /// Requests by [label](Verdict::LABELS).
    pub verdicts: Vec<(&'static str, u64)>,
}

impl<T: Send + Sync + 'static> ServiceState<T> {
    /// Creates a service without any history.
    #[must_use]
    pub fn new(kind: ServiceKind, name: Arc<str>, bounds: &Bounds) -> Self {
        let remembers = !bounds.cache_ttl.is_zero();
        // One that remembers nothing still lets requests wait for the same call.
        let answers = Cache::builder().max_capacity(if remembers { bounds.cache_entries } else { 0 });
        let ttl = if remembers { bounds.cache_ttl } else { Duration::from_secs(1) };
        Self {
            kind,
            name,
            client: OnceLock::new(),
            gate: Gate::default(),
            permits: Semaphore::new(bounds.concurrency.get() as usize),
            answers: answers.time_to_live(ttl).build(),
            calls: AtomicU64::new(0),
            shared: AtomicU64::new(0),
            verdicts: Default::default(),
        }
    }

    /// Returns whether it is asked, and until when not.
    #[must_use]
    pub fn availability(&self, now: Instant) -> Availability {
        self.gate.availability(now)
    }

    /// Returns its counters.
    #[must_use]
    pub fn counts(&self) -> ServiceCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServiceCounts {
            calls: load(&self.calls),
            shared: load(&self.shared),
            verdicts: Verdict::LABELS.into_iter().zip(self.verdicts.iter().map(load)).collect(),
        }
    }

    /// Connections for the service's URL, made when they are first needed.
    pub(super) fn client(&self, url: &Url) -> Result<&Client, &str> {
        self.client.get_or_init(|| call::client(url)).as_ref().map_err(|why| &**why)
    }

    /// Counts a request's verdict.
    pub(super) fn count(&self, verdict: &Verdict, shared: bool) {
        self.verdicts[verdict.index()].fetch_add(1, Ordering::Relaxed);
        self.shared.fetch_add(shared.into(), Ordering::Relaxed);
    }

    /// Returns the answer under this key, where it takes no waiting to find it.
    pub(super) fn remembered(&self, key: &[u8; 32]) -> Option<Arc<T>> {
        match pin!(self.answers.get(key)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => None,
        }
    }

    /// Returns the answer under this key: remembered, or awaited from the request that asks already, or asked for. A
    /// request that leaves while it asks leaves the asking to the next that waits.
    pub(super) async fn answer(
        &self,
        key: [u8; 32],
        ask: impl Future<Output = Result<Arc<T>, Failure>>,
    ) -> Result<Arc<T>, Arc<Failure>> {
        self.answers.try_get_with(key, ask).await
    }

    /// Takes part in the breaker and in the bound of calls for one call.
    pub(super) fn begin(&self, bounds: &Bounds, breaker: Breaker) -> Result<Turn<'_, T>, Failure> {
        if breaker == Breaker::Obeyed && !self.availability(Instant::now()).is_available() {
            return Err(Failure::BreakerOpen);
        }
        let permit = self.permits.try_acquire().map_err(|_| Failure::OverCapacity)?;
        let (now, lease) = (Instant::now(), bounds.timeout);
        let pass = match breaker {
            Breaker::Obeyed => self.gate.enter(now, lease).map_err(|_| Failure::BreakerOpen)?,
            Breaker::Ignored => self.gate.enter_closed(now, lease),
        };
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(Turn { state: self, pass, _permit: permit })
    }
}

/// One call under way. Dropped unsettled (the client left), it frees the probe that it may have been.
pub(super) struct Turn<'s, T> {
    state: &'s ServiceState<T>,
    pass: Pass,
    _permit: tokio::sync::SemaphorePermit<'s>,
}

impl<T> Turn<'_, T> {
    /// It brought an answer.
    pub(super) fn answered(self) {
        if self.state.gate.served(self.pass) {
            let name = &*self.state.name;
            match self.state.kind {
                ServiceKind::Classifier => info!(classifier = name, "classifier restored"),
                ServiceKind::Embedder => info!(embedder = name, "embedder restored"),
            }
        }
    }

    /// It brought none.
    pub(super) fn failed(self, bounds: &Bounds) {
        if bounds.suspend.is_zero() {
            return;
        }
        let (trigger, length) = (Trigger::InARow(bounds.suspend_after), SuspensionLength::Growing(bounds.suspend));
        if let Some(suspended) = self.state.gate.failed(self.pass, trigger, length, Instant::now()) {
            let suspended_ms = u64::try_from(suspended.as_millis()).unwrap_or(u64::MAX);
            let name = &*self.state.name;
            match self.state.kind {
                ServiceKind::Classifier => warn!(classifier = name, suspended_ms, "classifier suspended"),
                ServiceKind::Embedder => warn!(embedder = name, suspended_ms, "embedder suspended"),
            }
        }
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.state.gate.release(self.pass);
    }
}
