//! The router: chooses a target for each attempt of a request, and learns from the answers.

mod attempts;
mod models;
mod trial;

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use http::Method;

use crate::api::{Api, Environment, Match, Unmatched};
use crate::body::BodyFacts;
use crate::endpoint::Endpoint;
use crate::health::Registry;
use crate::outcome::Outcome;
use crate::policy::{AllSuspended, Policy};
use crate::refusal::{Refusal, Reply};
use crate::snapshot::Snapshot;
use attempts::Attempts;
pub use trial::{Attempt, Trial};

/// What all streams share.
#[derive(Debug)]
pub struct Router {
    snapshot: ArcSwap<Snapshot>,
    attempts: Attempts,
    /// The state of every endpoint and target.
    pub registry: Arc<Registry>,
}

/// What is known of a request before its body.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// Its method.
    pub method: Method,
    /// Host, perhaps with a port.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// What the body claims to be.
    pub content_type: Option<String>,
    /// How the body is encoded.
    pub content_encoding: Option<String>,
    /// How long the body claims to be.
    pub content_length: Option<usize>,
    /// The environment header, which only Envoy sets.
    pub environment: Option<String>,
    /// What all attempts of one request have in common; absent where Envoy can't be asked for another attempt.
    pub stream_id: Option<String>,
    /// Which attempt this is, as Envoy counts; absent where it makes only one.
    pub attempt_count: Option<u32>,
    /// Whether the start of an answer can be looked at before the client gets its headers.
    pub answer_can_be_held: bool,
    /// Envoy's id of the request, for the log.
    pub request_id: Option<String>,
}

/// Where a request belongs: its API and environment in one snapshot.
#[derive(Clone, Debug)]
pub struct Route {
    snapshot: Arc<Snapshot>,
    /// The API.
    pub api: Arc<Api>,
    /// The environment.
    pub environment: Environment,
}

/// What is to be done with a request, decided by its head.
#[derive(Debug)]
pub enum Admission {
    /// Its first attempt: choose when the body is there.
    First(Route),
    /// A further attempt: the choice was made when the one before failed.
    Further(Box<Attempt>),
    /// It goes to the endpoint that keeps its state, or is refused if the policy names none.
    Pinned(Route),
    /// The router answers itself.
    Reply(Reply),
    /// It is refused.
    Refuse(Refusal),
    /// It is none of ours and goes on as it is.
    Continue,
}

impl Router {
    /// A router with its first policy.
    #[must_use]
    pub fn new(snapshot: Snapshot, registry: Arc<Registry>) -> Self {
        Self { snapshot: ArcSwap::from_pointee(snapshot), attempts: Attempts::default(), registry }
    }

    /// The policy that new requests get.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Swaps the policy: requests that have begun keep the one that they began with.
    pub fn replace(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// Says what is to be done with a request.
    pub fn admit(&self, head: &RequestHead, now: Instant) -> Admission {
        if let Some(attempt) = head.stream_id.as_deref().and_then(|id| self.attempts.take(id, now)) {
            return Admission::Further(attempt);
        }
        let signal = match head.environment.as_deref().map(Environment::named) {
            Some(None) => return Admission::Refuse(Refusal::UnknownEnvironment),
            signal => signal.flatten(),
        };
        let (snapshot, path) = (self.snapshot(), head.path_only());
        match snapshot.apis.find(&head.method, &head.authority, path) {
            Match::Operation { api, environment } => {
                let route = Route::new(&snapshot, api, either(environment, signal));
                route.admit(head)
            }
            Match::Other { apis, environment, operation } => {
                let environment = either(environment, signal);
                if head.method == Method::GET && operation == "/models" {
                    return Admission::Reply(models::list(&apis, environment));
                }
                match stateful(&snapshot, &apis, environment, operation) {
                    Some(route) => Admission::Pinned(route),
                    None => Admission::Refuse(Refusal::NoOperation { method: head.method.clone(), path: path.into() }),
                }
            }
            Match::NoApi(Unmatched::Refuse) => Admission::Refuse(Refusal::NoApi { path: path.into() }),
            Match::NoApi(Unmatched::Continue) => Admission::Continue,
        }
    }

    /// The attempt that has come to wait since the request's headers were here. Where Envoy itself saw an answer break
    /// off, the end of that stream and the next attempt arrive at the same moment.
    pub fn waiting(&self, head: &RequestHead, now: Instant) -> Option<Box<Attempt>> {
        let further = head.attempt_count.is_some_and(|count| count > 1);
        head.stream_id.as_deref().filter(|_| further).and_then(|id| self.attempts.take(id, now))
    }

    /// Chooses the target of a request's first attempt.
    ///
    /// # Errors
    /// The policy does not serve the model asked for, or every candidate is suspended.
    pub fn choose(&self, route: Route, facts: &BodyFacts<'_>, now: Instant) -> Result<Box<Attempt>, Refusal> {
        let all_suspended = route.policy().all_suspended;
        let trial = Trial::begin(route, facts.model.as_deref(), facts.streamed, now)?;
        trial
            .next(now)
            .or_else(|trial| match all_suspended {
                AllSuspended::LeastBad => trial.least_bad(now),
                AllSuspended::Refuse => Err(trial),
            })
            .map_err(|trial| Refusal::AllSuspended(trial.until_available(now)))
    }

    /// Takes note of an attempt's answer. True asks Envoy for another attempt, whose target is chosen already: were it
    /// chosen only when that attempt arrives, the client could lose a real answer for a refusal of ours.
    pub fn observe(&self, attempt: Attempt, outcome: &Outcome, stream_id: Option<&str>, now: Instant) -> bool {
        let trial = attempt.settle(outcome, now);
        let fails =
            outcome.is_failure() || (*outcome == Outcome::TooLong && trial.route.policy().next_on_context_length);
        fails && stream_id.is_some_and(|id| self.wait_for_next(id.to_owned(), trial, now))
    }

    /// The stream ended while the attempt's answer was held: if the provider broke off, Envoy asks again by itself.
    pub fn abandon(&self, stream_id: String, attempt: Attempt, now: Instant) {
        self.wait_for_next(stream_id, attempt.abandon(), now);
    }

    fn wait_for_next(&self, stream_id: String, trial: Trial, now: Instant) -> bool {
        if !self.attempts.has_room(now) || !trial.may_go_on(now) {
            return false;
        }
        let next = trial.next(now);
        let chosen = next.is_ok();
        if let Ok(next) = next {
            self.attempts.put(stream_id, next, now);
        }
        chosen
    }
}

/// The route of a path that belongs to what exists only at one account: by the API that says which, if one does.
fn stateful(snapshot: &Arc<Snapshot>, apis: &[&Arc<Api>], environment: Environment, operation: &str) -> Option<Route> {
    let policies = apis.iter().filter_map(|api| Some((*api, api.policy(environment)?)));
    let mut stateful = policies.filter(|(_, policy)| policy.targets[0].endpoint.provider.is_stateful(operation));
    let first = stateful.next()?;
    let (api, _) =
        stateful.find(|(_, policy)| first.1.stateful.is_none() && policy.stateful.is_some()).unwrap_or(first);
    Some(Route::new(snapshot, api, environment))
}

/// Sandbox if either says so: what is meant for trying out must never reach production by a missing second signal.
fn either(host: Environment, signal: Option<Environment>) -> Environment {
    match (host, signal) {
        (Environment::Sandbox, _) | (_, Some(Environment::Sandbox)) => Environment::Sandbox,
        _ => Environment::Production,
    }
}

impl RequestHead {
    /// The path without its query, which may carry a credential.
    #[must_use]
    pub fn path_only(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

impl Route {
    fn new(snapshot: &Arc<Snapshot>, api: &Arc<Api>, environment: Environment) -> Self {
        Self { snapshot: Arc::clone(snapshot), api: Arc::clone(api), environment }
    }

    /// A first attempt, also where one that came before left nothing here: this router has been started since, or
    /// Envoy itself saw the answer break off.
    fn admit(self, head: &RequestHead) -> Admission {
        match self.api.policy(self.environment) {
            None => Admission::Refuse(self.no_targets()),
            Some(policy) if head.attempt_count.is_some_and(|count| count > policy.limits.attempts.get()) => {
                Admission::Refuse(Refusal::AttemptsUsedUp)
            }
            Some(_) => Admission::First(self),
        }
    }

    /// The policy that the request goes through.
    ///
    /// # Panics
    /// Never: a route is made only where there is one.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.api.policy(self.environment).expect("a route has a policy")
    }

    /// The version of the policy file that the request goes by.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.snapshot.version
    }

    fn unknown_model(&self, requested: Option<&str>) -> Refusal {
        let mut served: Vec<_> = self.api.models(self.environment).map(|(model, _)| model.to_string()).collect();
        served.dedup();
        Refusal::UnknownModel { asked: requested.unwrap_or_default().to_owned(), served }
    }

    fn no_targets(&self) -> Refusal {
        Refusal::NoTargets { api: self.api.name.to_string(), environment: self.environment }
    }

    /// The path at the endpoint: its own, then the client's below the base path, byte for byte but for query
    /// parameters that carry a credential.
    #[must_use]
    pub fn upstream_path(&self, endpoint: &Endpoint, path: &str) -> String {
        let below = path.strip_prefix(&*self.api.base_path).unwrap_or(path);
        let (path, query) = below.split_once('?').map_or((below, None), |(path, query)| (path, Some(query)));
        let mut upstream = format!("{}{path}", endpoint.path);
        if let Some(query) = query {
            push_query(&mut upstream, query);
        }
        upstream
    }
}

fn push_query(path: &mut String, query: &str) {
    let kept = query.split('&').filter(|parameter| !carries_credential(parameter));
    for (index, parameter) in kept.enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(parameter);
    }
}

/// Compared as a provider reads it: decoded.
fn carries_credential(parameter: &str) -> bool {
    // Some servers take `;` for `&`.
    let names = parameter.split(';').filter_map(|part| url::form_urlencoded::parse(part.as_bytes()).next());
    names.into_iter().any(|(name, _)| crate::provider::is_credential_parameter(&name))
}
