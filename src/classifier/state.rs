//! The state that outlives a policy: a classifier's breaker, its permits, its cached decisions and its counters.

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

use super::answer::ParsedAnswer;
use super::call::{self, Reply};
use super::question::Failure;
use super::verdict::Verdict;
use crate::gate::Availability;
use crate::gate::{Gate, Pass, SuspensionLength, Trigger};

/// The identity of a classifier across reloads: its name and its whole declaration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClassifierKey {
    /// Its name in the policy file.
    pub name: Arc<str>,
    /// A hash over all that is declared of it.
    pub fingerprint: [u8; 32],
}

/// The bounds of a classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Until a request goes to the default, whatever the classifier does.
    pub timeout: Duration,
    /// Calls at once; further requests go to the default.
    pub concurrency: NonZeroU32,
    /// The number of failures in a row that suspend it.
    pub suspend_after: NonZeroU32,
    /// For how long; zero means never.
    pub suspend: Duration,
    /// The number of retries of a call that failed for a temporary reason.
    pub retries: u32,
    /// The time for which a decision is cached; zero means not at all.
    pub cache_ttl: Duration,
    /// The most decisions that are cached.
    pub cache_entries: u64,
    /// The characters of a content that are shown to it.
    pub max_content_chars: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        Self {
            timeout: Duration::from_secs(3),
            concurrency: number(256),
            suspend_after: number(5),
            suspend: Duration::from_secs(30),
            retries: 0,
            cache_ttl: Duration::from_secs(600),
            cache_entries: 10_000,
            max_content_chars: 8_000,
        }
    }
}

/// A decision: the classifier's verdict and its words.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) said: ParsedAnswer,
    pub(super) reply: Reply,
}

/// Whether a classifier that has failed too often is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// The service asks.
    Obeyed,
    /// An evaluation asks, which needs an answer for each case.
    Ignored,
}

/// The state of a classifier, kept while any snapshot names it.
#[derive(Debug)]
pub struct ClassifierState {
    name: Arc<str>,
    client: OnceLock<Result<Client, String>>,
    gate: Gate,
    permits: Semaphore,
    decisions: Cache<[u8; 32], Arc<Decision>>,
    calls: AtomicU64,
    shared: AtomicU64,
    verdicts: [AtomicU64; Verdict::LABELS.len()],
}

/// The counters of a classifier since it became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassifierCounts {
    /// Calls made.
    pub calls: u64,
    /// Requests that needed none of their own: the decision was remembered, or another request was asking the same.
    pub shared: u64,
    /// Requests by [label](Verdict::LABELS).
    pub verdicts: Vec<(&'static str, u64)>,
}

impl ClassifierState {
    /// Creates a classifier without any history.
    #[must_use]
    pub fn new(name: Arc<str>, bounds: &Bounds) -> Self {
        let remembers = !bounds.cache_ttl.is_zero();
        // One that remembers nothing still lets requests wait for the same call.
        let decisions = Cache::builder().max_capacity(if remembers { bounds.cache_entries } else { 0 });
        let ttl = if remembers { bounds.cache_ttl } else { Duration::from_secs(1) };
        Self {
            name,
            client: OnceLock::new(),
            gate: Gate::default(),
            permits: Semaphore::new(bounds.concurrency.get() as usize),
            decisions: decisions.time_to_live(ttl).build(),
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
    pub fn counts(&self) -> ClassifierCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ClassifierCounts {
            calls: load(&self.calls),
            shared: load(&self.shared),
            verdicts: Verdict::LABELS.into_iter().zip(self.verdicts.iter().map(load)).collect(),
        }
    }

    /// Connections for the classifier's URL, made when they are first needed.
    pub(super) fn client(&self, url: &Url) -> Result<&Client, &str> {
        self.client.get_or_init(|| call::client(url)).as_ref().map_err(|why| &**why)
    }

    /// Counts a request's verdict.
    pub(super) fn count(&self, verdict: &Verdict, shared: bool) {
        self.verdicts[verdict.index()].fetch_add(1, Ordering::Relaxed);
        self.shared.fetch_add(shared.into(), Ordering::Relaxed);
    }

    /// Returns the decision under this key, where it takes no waiting to find it.
    pub(super) fn remembered(&self, key: &[u8; 32]) -> Option<Arc<Decision>> {
        match pin!(self.decisions.get(key)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(decision) => decision,
            Poll::Pending => None,
        }
    }

    /// Returns the decision under this key: remembered, or awaited from the request that asks already, or asked for. A
    /// request that leaves while it asks leaves the asking to the next that waits.
    pub(super) async fn decide(
        &self,
        key: [u8; 32],
        ask: impl Future<Output = Result<Arc<Decision>, Failure>>,
    ) -> Result<Arc<Decision>, Arc<Failure>> {
        self.decisions.try_get_with(key, ask).await
    }

    /// Takes part in the breaker and in the bound of calls for one call.
    pub(super) fn begin(&self, bounds: &Bounds, breaker: Breaker) -> Result<Turn<'_>, Failure> {
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
pub(super) struct Turn<'s> {
    state: &'s ClassifierState,
    pass: Pass,
    _permit: tokio::sync::SemaphorePermit<'s>,
}

impl Turn<'_> {
    /// It brought an answer.
    pub(super) fn answered(self) {
        if self.state.gate.served(self.pass) {
            info!(classifier = &*self.state.name, "classifier restored");
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
            warn!(classifier = &*self.state.name, suspended_ms, "classifier suspended");
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.state.gate.release(self.pass);
    }
}
