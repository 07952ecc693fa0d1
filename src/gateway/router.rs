//! The router: chooses a target for each attempt of a request, and learns from the responses.

mod attempts;
mod models;
mod nearest;
mod other_paths;
mod path;
mod request_attempts;
mod route;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Method;

use crate::body::BodyFacts;
use crate::classifier::{Classification, Classify};
use crate::gateway::refusal::{Refusal, Reply};
use crate::routing::api::{Api, Environment, Headers, Match, Unmatched};
use crate::routing::decision::Parent;
use crate::routing::endpoint::Endpoint;
use crate::routing::operation::{ModelPlace, Operation};
use crate::routing::outcome::Outcome;
use crate::routing::policy::affinity::HeaderKey;
use crate::routing::policy::{AllSuspended, Policy};
use crate::routing::provider::Shape;
use crate::routing::snapshot::Snapshot;
use crate::routing::suspension::Cause;
pub use attempts::NextTarget;
use attempts::{Attempts, NextAttempt};
pub use request_attempts::{Attempt, BROKEN_OFF, CandidateState, RequestAttempts};

/// What all exchanges share: the live policy, and the attempts that wait.
#[derive(Debug)]
pub struct Router {
    snapshot: ArcSwap<Snapshot>,
    /// Policies that were replaced and that requests may still use.
    replaced: Mutex<Vec<Arc<Snapshot>>>,
    attempts: Attempts,
}

/// The facts of a request that are known before its body.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// Its method.
    pub method: Method,
    /// Host, perhaps with a port.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Whether its scheme is `https`, as the client came to Envoy; `None` where that is not known.
    pub tls: Option<bool>,
    /// The declared content type of the body.
    pub content_type: Option<String>,
    /// The declared content encoding of the body.
    pub content_encoding: Option<String>,
    /// The declared length of the body in bytes.
    pub content_length: Option<usize>,
    /// Whether the client wants another protocol, such as WebSocket.
    pub wants_upgrade: bool,
    /// The environment header, which only Envoy sets.
    pub environment: Option<String>,
    /// The id that all attempts of one request share; absent where Envoy cannot be asked for another attempt.
    pub stream_id: Option<String>,
    /// The attempt's number as Envoy counts it; absent where Envoy makes only one.
    pub attempt_count: Option<u32>,
    /// Whether the start of a response can be inspected before the client gets its headers.
    pub response_can_be_held: bool,
    /// The client's span, where the request is traced.
    pub parent: Option<Box<Parent>>,
    /// Envoy's id of the request, for the log.
    pub request_id: Option<String>,
    /// The other headers; once the request is admitted, only one that names its model. Never logged.
    pub headers: Vec<(Bytes, Bytes)>,
    /// The shape of the API that the client speaks, as far as that is known.
    pub shape: Shape,
}

/// The route of a request: its API and environment in one snapshot.
#[derive(Clone, Debug)]
pub struct Route {
    snapshot: Arc<Snapshot>,
    /// The API.
    pub api: Arc<Api>,
    /// The environment.
    pub environment: Environment,
    policy: Arc<Policy>,
    /// The index of the API's operation; `None` for a path that exists only at one account.
    operation: Option<usize>,
    /// The operation's name with the version that the client asks for, where the vendor has several.
    versioned: Option<Arc<str>>,
    /// Hashes of the headers in which the policy looks for a session's key.
    keys: Vec<HeaderKey>,
}

/// The admission of a request, decided by its headers.
#[derive(Debug)]
pub enum Admission {
    /// Its first attempt: choose when the body is there.
    First(Route),
    /// A further attempt: the choice was made when the one before failed.
    Further(Box<Attempt>),
    /// It goes to the endpoint that keeps its state, or is refused if the policy names none.
    Pinned(Route),
    /// The router replies itself.
    Reply(Reply),
    /// It is refused.
    Refuse(Refusal),
    /// It belongs to no API and is forwarded unchanged.
    Continue,
}

impl Router {
    /// Creates a router with its first policy.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        let (snapshot, attempts) = (ArcSwap::from_pointee(snapshot), Attempts::default());
        Self { snapshot, replaced: Mutex::default(), attempts }
    }

    /// Returns the policy that new requests get.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the policy. Requests in flight keep the one with which they began.
    pub fn replace(&self, snapshot: Snapshot) {
        let replaced = self.snapshot.swap(Arc::new(snapshot));
        self.lock_replaced().push(replaced);
    }

    /// Frees replaced policies that no request uses any more. Call it regularly where nothing waits: freeing thousands
    /// of APIs takes milliseconds, which the last request that used them would spend otherwise.
    ///
    /// Do not call it on a thread of low priority: others wait for the locks that such a thread holds while it returns
    /// memory to the kernel (p99.9 under the reloads of `make bench-scenes`: 9 to 79 ms in four runs instead of 5 to
    /// 7).
    pub fn forget_replaced(&self) {
        let unused: Vec<_> = self.lock_replaced().extract_if(.., |snapshot| Arc::strong_count(snapshot) == 1).collect();
        drop(unused);
    }

    fn lock_replaced(&self) -> MutexGuard<'_, Vec<Arc<Snapshot>>> {
        self.replaced.lock().expect("no panic while the replaced policies are held")
    }

    /// Admits a request by its headers, and records the shape of the API that it speaks.
    pub fn admit(&self, head: &mut RequestHead, now: Instant) -> Admission {
        let headers = std::mem::take(&mut head.headers);
        let mut admission = self.admission(head, &headers, now);
        if let Admission::First(route) = &mut admission {
            route.note_keys(&headers);
        }
        let route = match &admission {
            Admission::First(route) | Admission::Pinned(route) => Some(route),
            Admission::Further(attempt) => Some(&attempt.request.route),
            Admission::Reply(_) | Admission::Refuse(_) | Admission::Continue => None,
        };
        if let Some(route) = route {
            head.shape = route.api.shape();
            if let Some(ModelPlace::Header(name)) = route.operation().map(|operation| &operation.form.model) {
                head.headers.extend(headers.into_iter().filter(|(header, _)| header == name.as_str()));
            }
        }
        admission
    }

    fn admission(&self, head: &mut RequestHead, headers: &Headers, now: Instant) -> Admission {
        if head.wants_upgrade {
            return match self.snapshot().apis.find(&head.method, &head.authority, head.path_only(), headers) {
                // Of another application behind the same listener.
                Match::NoApi(Unmatched::Continue) => Admission::Continue,
                _ => Admission::Refuse(Refusal::Upgrade),
            };
        }
        match head.stream_id.as_deref().and_then(|id| self.attempts.take(id, now)) {
            Some(NextAttempt::Attempt(attempt)) => return Admission::Further(attempt),
            Some(NextAttempt::UsedUp) => return Admission::Refuse(Refusal::AttemptsUsedUp),
            // A first one. Or those before it found no router, which cost no target anything, or one that is gone.
            None => {}
        }
        let signal = match head.environment.as_deref().map(Environment::named) {
            Some(None) => return Admission::Refuse(Refusal::UnknownEnvironment),
            signal => signal.flatten(),
        };
        let (snapshot, path) = (self.snapshot(), without_query(&head.path));
        match snapshot.apis.find(&head.method, &head.authority, path, headers) {
            Match::Operation { api, environment, operation } => {
                head.shape = api.shape();
                let environment = either(environment, signal);
                match api.policy(environment) {
                    Some(policy) => {
                        let route = Route::new(&snapshot, api, environment, policy);
                        Admission::First(Route { operation: Some(operation), ..route }.versioned(&head.path))
                    }
                    None => Admission::Refuse(Refusal::NoTargets { api: api.name.to_string(), environment }),
                }
            }
            Match::Other { apis, environment, operation } => {
                let environment = either(environment, signal);
                let shape = apis.first().map_or(Shape::OpenAi, |api| api.shape());
                if head.method == Method::GET && apis.iter().any(|api| api.lists_models_at(operation)) {
                    return Admission::Reply(models::list(&apis, environment, shape));
                }
                head.shape = shape;
                if head.method == Method::OPTIONS
                    && let Some(methods) = other_paths::methods_at(&apis, environment, operation)
                {
                    return Admission::Reply(Reply::options(&methods));
                }
                let model = apis.iter().find_map(|api| api.model_at(operation)).filter(|_| head.method == Method::GET);
                let model = model.map(|model| models::one(&apis, environment, shape, model));
                match (model, other_paths::stateful(&snapshot, &apis, environment, operation)) {
                    (Some(Ok(reply)), _) => Admission::Reply(reply),
                    (_, Some(route)) => Admission::Pinned(route),
                    (Some(Err(refusal)), None) => Admission::Refuse(refusal),
                    (None, None) => {
                        let nearest = nearest::nearest(&snapshot, head, headers, path);
                        let method = head.method.clone();
                        Admission::Refuse(Refusal::NoOperation { method, path: path.into(), nearest })
                    }
                }
            }
            Match::NoApi(Unmatched::Refuse) => {
                let nearest = nearest::nearest(&snapshot, head, headers, path);
                Admission::Refuse(Refusal::NoApi { path: path.into(), nearest })
            }
            Match::NoApi(Unmatched::Continue) => Admission::Continue,
        }
    }

    /// Returns the API and environment that a request belongs to by host and path, whatever becomes of it.
    #[must_use]
    pub fn place(&self, head: &RequestHead) -> Option<(Arc<Api>, Environment)> {
        let signal = head.environment.as_deref().and_then(Environment::named);
        let snapshot = self.snapshot();
        match snapshot.apis.find(&head.method, &head.authority, head.path_only(), &head.headers) {
            Match::Operation { api, environment, .. } => Some((Arc::clone(api), either(environment, signal))),
            Match::Other { apis, environment, .. } => {
                apis.first().map(|api| (Arc::clone(api), either(environment, signal)))
            }
            Match::NoApi(_) => None,
        }
    }

    /// Returns the attempt that began to wait after the request's headers arrived. Where Envoy itself saw a response
    /// break off, the end of that stream and the next attempt arrive at the same moment.
    ///
    /// # Errors
    /// The request has used all its attempts.
    pub fn waiting(&self, head: &RequestHead, now: Instant) -> Result<Option<Box<Attempt>>, Refusal> {
        let further = head.attempt_count.is_none_or(|count| count > 1);
        match head.stream_id.as_deref().filter(|_| further).and_then(|id| self.attempts.take(id, now)) {
            Some(NextAttempt::Attempt(attempt)) => Ok(Some(attempt)),
            Some(NextAttempt::UsedUp) => Err(Refusal::AttemptsUsedUp),
            None => Ok(None),
        }
    }

    /// Returns the question, if any, that must be answered before a target can be chosen for a new request.
    #[must_use]
    pub fn ask(&self, route: &Route, body: &BodyFacts<'_>) -> Option<Classify> {
        let sorted = route.policy.of_model(body.model.as_deref())?.strategy.sorted()?;
        let asked = sorted.ask(body, &format!("{}/{}", route.environment.name(), route.api.name));
        Some(match asked {
            Classify::Question(question) => question.remembered().map_or(Classify::Question(question), Classify::Known),
            known @ Classify::Known(_) => known,
        })
    }

    /// Chooses the target of a request's first attempt, by its classification if there is one.
    ///
    /// # Errors
    /// The policy does not serve the model asked for, or every candidate is suspended.
    pub fn choose(
        &self,
        route: Route,
        facts: &BodyFacts<'_>,
        classification: Option<Classification>,
        now: Instant,
    ) -> Result<Box<Attempt>, Refusal> {
        let request = RequestAttempts::begin(route.of_model(facts.model.as_deref())?, facts, classification, now)?;
        let all_suspended = request.route.policy().all_suspended;
        request
            .next(now)
            .or_else(|request| match all_suspended {
                AllSuspended::LeastBad => request.least_bad(now),
                AllSuspended::Refuse => Err(request),
            })
            .map_err(|request| {
                let is_open = request.route.policy().decision_headers;
                let causes = if is_open { request.causes() } else { Vec::new() };
                Refusal::AllSuspended { remaining: request.until_available(now), causes }
            })
    }

    /// Records an attempt's response. Where the request should go on, its next attempt is chosen here and now, and
    /// waits for Envoy to ask: were it chosen only when that attempt arrives, the client could get a refusal of ours
    /// instead of a real response. `None` lets this response reach the client.
    pub fn observe(
        &self,
        attempt: Attempt,
        outcome: &Outcome,
        cause: Option<Cause>,
        stream_id: Option<&str>,
        now: Instant,
    ) -> Option<NextTarget> {
        let request = attempt.settle(outcome, cause, now);
        let fails = outcome.is_failure() || request.route.policy().next_on.covers(outcome);
        let stream_id = stream_id.filter(|_| fails)?;
        let place = self.attempts.reserve(now)?;
        Some(place.choose(stream_id.to_owned(), request.next_attempt(now)?, now))
    }

    /// Records that the stream ended while the attempt's response was held. If the provider broke off, Envoy asks for
    /// the next attempt by itself, so that attempt is chosen here, or marked as used up.
    pub fn abandon(&self, stream_id: String, attempt: Attempt, now: Instant) -> Option<NextTarget> {
        let request = attempt.abandon();
        let place = self.attempts.reserve(now)?;
        match request.next_attempt(now) {
            Some(next) => Some(place.choose(stream_id, next, now)),
            None => {
                place.put(stream_id, NextAttempt::UsedUp, now);
                None
            }
        }
    }
}

/// Returns sandbox if either signal says so: a test request must never reach production because the second signal is
/// missing.
fn either(host: Environment, signal: Option<Environment>) -> Environment {
    match (host, signal) {
        (Environment::Sandbox, _) | (_, Some(Environment::Sandbox)) => Environment::Sandbox,
        _ => Environment::Production,
    }
}

impl RequestHead {
    /// Returns the path without its query, which may carry a credential.
    #[must_use]
    pub fn path_only(&self) -> &str {
        without_query(&self.path)
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

impl Route {
    fn new(snapshot: &Arc<Snapshot>, api: &Arc<Api>, environment: Environment, policy: &Arc<Policy>) -> Self {
        let (snapshot, api, policy) = (Arc::clone(snapshot), Arc::clone(api), Arc::clone(policy));
        Self { snapshot, api, environment, policy, operation: None, versioned: None, keys: Vec::new() }
    }

    /// Returns the name of the cluster that serves an endpoint.
    #[must_use]
    pub fn cluster<'a>(&self, endpoint: &'a Endpoint) -> Cow<'a, str> {
        self.snapshot.cluster(endpoint)
    }

    /// Returns the policy that the request goes through.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the operation of the request.
    #[must_use]
    pub fn operation(&self) -> Option<&Operation> {
        self.api.operations.get(self.operation?)
    }

    /// Returns the name of the operation, under which its failures are kept apart from those of others.
    #[must_use]
    pub fn operation_name(&self) -> &str {
        let plain = || self.operation().map_or("", |operation| operation.path.as_str());
        self.versioned.as_deref().unwrap_or_else(plain)
    }

    /// Returns the version of the policy that the request uses.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.snapshot.version
    }

    fn unknown_model(&self, requested: Option<&str>) -> Refusal {
        models::refusal(&self.api, self.environment, requested)
    }
}
