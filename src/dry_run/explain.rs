//! An explanation: one request taken through the exchange as Envoy would, with all that was decided on the way, and
//! sent nowhere.

mod changes;
mod rehearsal;
mod request;
mod text;

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use bytes::Bytes;

use crate::classifier::{Classification, RouteScore, Scores, Second, Sorter};
use crate::envoy::ext_proc;
use crate::gateway::Gateway;
use crate::gateway::capacity::Capacity;
use crate::gateway::exchange::{Action, Event, Exchange, Incoming, Mutation, Next};
use crate::gateway::router::{Admission, Attempt, CandidateState, Route, Router};
use crate::gateway::usage;
use crate::routing::endpoint::{Credential, Endpoint};
use changes::Change;
pub use rehearsal::rehearsal;
pub use request::RawRequest;

/// The explanation of a request. It contains no credential.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Method, host and path of the request, and the length of its body.
    pub request: String,
    /// The request's API, environment and policy; absent if there is none.
    pub route: Option<Routed>,
    /// The question to the classifier.
    pub classification: Option<Asked>,
    /// Where the key of its session was found, or that there is none; absent if the policy has no affinity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<String>,
    /// The candidates in order.
    pub candidates: Vec<Candidate>,
    /// The outcome.
    pub outcome: Outcome,
    /// The changes of its body.
    pub body: Vec<Change>,
    /// Headers that would be set.
    pub set_headers: Vec<(String, String)>,
    /// Headers that would be removed, of those that it has.
    pub removed_headers: Vec<String>,
}

/// The API, environment and policy of a request.
#[derive(Debug, Serialize)]
pub struct Routed {
    /// The API.
    pub api: String,
    /// The environment.
    pub environment: &'static str,
    /// The kind of policy, or `stateful_endpoint` for a request that exists at one account only; absent if the router
    /// answers before any policy is asked.
    pub policy: Option<&'static str>,
    /// The entry of `by_model` that the request belongs to, by its first model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

/// The classification of a request.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// The kind of what was asked: `classifier` or `embedder`.
    pub kind: &'static str,
    /// Its name.
    pub asked: String,
    /// Its URL, without a query; the directory of a model in this process.
    pub url: String,
    /// The content found in the request; absent if there was none.
    pub content: Option<String>,
    /// The whole request to it; absent where none was needed.
    pub prompt: Option<Value>,
    /// Its words, as they came.
    pub answer: Option<String>,
    /// The label of the verdict, or `not_asked`.
    pub verdict: &'static str,
    /// The error, for `error`.
    pub error: Option<String>,
    /// The rule or route that matched.
    pub rule: Option<String>,
    /// The scores of all routes, the best first, where vectors were compared.
    pub scores: Vec<Scored>,
    /// What the classifier said that was asked because the scores were too close.
    pub unsure: Option<String>,
    /// The time it took.
    pub milliseconds: Option<u64>,
    /// The tokens of prompt and answer, where it reports them.
    pub tokens: Option<(u64, u64)>,
}

/// A route's score.
#[derive(Debug, Serialize)]
pub struct Scored {
    /// The route.
    pub route: String,
    /// The mean of the next two.
    pub score: f32,
    /// The largest cosine over its utterances.
    pub nearest: f32,
    /// The cosine with their centroid.
    pub centroid: f32,
    /// What the score must reach.
    pub threshold: f32,
}

/// A target that a request could go to.
#[derive(Debug, Serialize)]
pub struct Candidate {
    /// The model.
    pub model: String,
    /// The endpoint.
    pub endpoint: String,
    /// `taken`, the reason why it was skipped, or when it would be tried.
    pub fate: String,
}

/// The outcome of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Envoy sends it on.
    Sent {
        /// To the cluster of this name.
        cluster: String,
    },
    /// The router replies to the client itself.
    Answered {
        /// Its status.
        status: u16,
        /// Its body.
        body: String,
    },
    /// It belongs to no API and is forwarded unchanged.
    Unchanged,
}

/// Takes a request through a router that serves nobody else. `ask` says whether a classifier is really asked.
pub async fn explain(router: Arc<Router>, request: &RawRequest, ask: bool) -> Explanation {
    let capacity = Capacity::new(usize::MAX / 2, 1, usize::MAX / 2);
    let headers = ext_proc::request_headers(&request.headers, !request.has_body);
    let (route, place) = (route(&router, &headers), place(&router, &headers));
    let mut exchange =
        Exchange::new(Arc::new(Gateway { router, telemetry: Arc::default(), capacity, reading: usage::capacity() }));
    let mut recorded = Recorded::default();
    let mut next = recorded.note(exchange.on(headers, Instant::now()));
    if next == Next::More && request.has_body {
        let whole = Event::RequestBody { bytes: request.body.clone().into(), end_of_stream: true };
        next = recorded.note(exchange.on(whole, Instant::now()));
    }
    let mut asked = None;
    if let Some(question) = exchange.question() {
        let seen = (question.content().to_owned(), question.request());
        let classification = if ask { question.answer().await } else { Classification::not_asked() };
        asked = Some((seen, ask));
        next = recorded.note(exchange.on(Event::Classified(classification), Instant::now()));
    }
    let attempt = if next == Next::More { exchange.attempt() } else { None };
    let explained = recorded.explained(request, route.as_ref(), attempt, asked);
    Explanation { route: explained.route.or(place), ..explained }
}

/// Returns the API that a request belongs to, even if the router answers it itself.
fn place(router: &Router, headers: &Event) -> Option<Routed> {
    let Event::RequestHeaders(Incoming { head, .. }) = headers else { return None };
    let (api, environment) = router.place(head)?;
    Some(Routed { api: api.name.to_string(), environment: environment.name(), policy: None, entry: None })
}

/// Returns where the request belongs, even if it is refused.
fn route(router: &Router, headers: &Event) -> Option<Route> {
    let Event::RequestHeaders(Incoming { head, .. }) = headers else { return None };
    match router.admit(&mut head.clone(), Instant::now()) {
        Admission::First(route) | Admission::Pinned(route) => Some(route),
        Admission::Further(_) | Admission::Reply(_) | Admission::Refuse(_) | Admission::Continue => None,
    }
}

/// The action for Envoy.
#[derive(Default)]
struct Recorded {
    mutation: Mutation,
    body: Option<Bytes>,
    reply: Option<(u16, String)>,
}

impl Recorded {
    fn note(&mut self, (answer, next): (Action, Next)) -> Next {
        match answer {
            Action::RequestHeaders(mutation) => self.add(mutation),
            Action::RequestBody(mutation, body) => {
                self.add(mutation);
                self.body = body.map(|body| body.whole());
            }
            Action::Reply(reply) => {
                self.reply = Some((reply.status.as_u16(), String::from_utf8_lossy(&reply.body).into_owned()));
            }
            _ => {}
        }
        next
    }

    fn add(&mut self, mutation: Mutation) {
        self.mutation.set.extend(mutation.set);
        self.mutation.remove.extend(mutation.remove);
    }

    fn explained(
        self,
        request: &RawRequest,
        route: Option<&Route>,
        attempt: Option<&Attempt>,
        asked: Option<((String, Option<Value>), bool)>,
    ) -> Explanation {
        let endpoint = attempt.map(|attempt| &*attempt.target().endpoint).or_else(|| pinned(route));
        let set = self.mutation.set.iter().map(|(name, value)| (name.to_string(), masked(name, value, endpoint)));
        let set_headers: Vec<_> = set.collect();
        // What is removed and set again is set.
        let was_sent = |name: &&str| {
            request.headers.iter().any(|(header, _)| header == name) && !set_headers.iter().any(|(set, _)| set == name)
        };
        let removed = self.mutation.remove.iter().map(|name| &**name).filter(was_sent).map(str::to_owned);
        let cluster = set_headers.iter().find(|(name, _)| name == crate::gateway::exchange::private::CLUSTER);
        let outcome = match (self.reply, cluster) {
            (Some((status, body)), _) => Outcome::Answered { status, body },
            (None, Some((_, cluster))) => Outcome::Sent { cluster: cluster.clone() },
            (None, None) => Outcome::Unchanged,
        };
        Explanation {
            request: request.summary(),
            route: attempt
                .map(|attempt| &attempt.request.route)
                .or(route)
                .map(|route| Routed::of(route, attempt.is_none() && matches!(outcome, Outcome::Sent { .. }))),
            classification: attempt.and_then(|attempt| Asked::of(attempt, asked)),
            affinity: attempt.and_then(affinity),
            candidates: attempt.map(candidates).unwrap_or_default(),
            outcome,
            body: self.body.map(|body| changes::between(&request.body, &body)).unwrap_or_default(),
            removed_headers: removed.collect(),
            set_headers,
        }
    }
}

/// Returns the endpoint for a request that refers to state at one account.
fn pinned(route: Option<&Route>) -> Option<&Endpoint> {
    Some(&*route?.policy().stateful.as_ref()?.endpoint)
}

impl Routed {
    fn of(route: &Route, pinned: bool) -> Self {
        let policy = if pinned { "stateful_endpoint" } else { route.policy().kind() };
        let entry = route.policy().entry.as_ref().map(ToString::to_string);
        Self { api: route.api.name.to_string(), environment: route.environment.name(), policy: Some(policy), entry }
    }
}

impl Asked {
    fn of(attempt: &Attempt, asked: Option<((String, Option<Value>), bool)>) -> Option<Self> {
        let (classification, sorter) = (attempt.request.classification.as_ref()?, attempt.sorter()?);
        let service = *sorter.services().first()?;
        let really = asked.as_ref().is_none_or(|(_, really)| *really);
        let (content, prompt) = asked.map(|(seen, _)| seen).unzip();
        let milliseconds = u64::try_from(classification.took.as_millis()).ok();
        let second = |second: &Second| format!("{} said {}", second.classifier, second.verdict.label());
        Some(Self {
            kind: service.kind().name(),
            asked: service.name().to_string(),
            url: service.address(),
            milliseconds: milliseconds.filter(|_| really && content.is_some()),
            content,
            prompt: prompt.flatten(),
            answer: classification.answer.clone(),
            verdict: if really { classification.verdict.label() } else { "not_asked" },
            error: classification.verdict.error().map(str::to_owned),
            rule: attempt.rule().map(str::to_owned),
            scores: classification.scores.as_ref().map(|scores| scored(sorter, scores)).unwrap_or_default(),
            unsure: classification.unsure.as_ref().map(second),
            tokens: classification.tokens,
        })
    }
}

/// Returns the scores of all routes, the best first.
fn scored(sorter: &Sorter, scores: &Scores) -> Vec<Scored> {
    let index = sorter.routes().and_then(|routes| routes.index());
    let score = |(route, score): (usize, &RouteScore)| Scored {
        route: sorter.name(route).unwrap_or_default().to_owned(),
        score: score.score(),
        nearest: score.nearest,
        centroid: score.centroid,
        threshold: index.map_or(scores.threshold, |index| index.threshold_of(route)),
    };
    let mut all: Vec<_> = scores.routes.iter().enumerate().map(score).collect();
    all.sort_by(|left, right| right.score.total_cmp(&left.score));
    all
}

/// Returns where the key was found of which the candidates' order comes.
fn affinity(attempt: &Attempt) -> Option<String> {
    let sources = attempt.request.route.policy().strategy.affinity()?.sources();
    Some(match attempt.affinity() {
        Some(source) => format!("by {source}"),
        None => {
            let names: Vec<_> = sources.iter().map(ToString::to_string).collect();
            format!("none: no key in {}", names.join(" or "))
        }
    })
}

fn candidates(attempt: &Attempt) -> Vec<Candidate> {
    let candidate = |(target, fate): (&crate::routing::policy::Target, CandidateState)| Candidate {
        model: target.model.to_string(),
        endpoint: target.endpoint.name.to_string(),
        fate: match fate {
            CandidateState::Taken => "taken".to_owned(),
            CandidateState::Skipped(availability) => format!("passed over: {}", availability.describe(Instant::now())),
            CandidateState::Behind => "if those before it fail".to_owned(),
        },
    };
    attempt.candidates().map(candidate).collect()
}

/// Returns a header's value without the endpoint's credential.
fn masked(name: &str, value: &str, endpoint: Option<&Endpoint>) -> String {
    match endpoint.map(|endpoint| &endpoint.credential) {
        Some(Credential::Header(header, _)) if header == name => match value.split_once(' ') {
            Some((scheme, _)) => format!("{scheme} ***"),
            None => "***".to_owned(),
        },
        Some(Credential::Query(parameter, _)) if name == ":path" => without_parameter(value, parameter),
        _ => value.to_owned(),
    }
}

fn without_parameter(path: &str, name: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let is_it = |pair: &str| url::form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(key, _)| key == name);
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if is_it(pair) => format!("{key}=***"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}
