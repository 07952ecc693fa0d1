//! An exchange: what one stream of Envoy's goes through, as `Event -> Answer`, free of Envoy's types.

use std::sync::Arc;
use std::time::Instant;

use crate::body::BodyFacts;
use crate::outcome::{Origin, Outcome};
use crate::provider;
use crate::refusal::{Refusal, Reply};
use crate::router::{Admission, Attempt, RequestHead, Route, Router};
use crate::telemetry;

/// The headers that Envoy and the router keep between themselves.
pub mod private {
    /// The cluster that serves the request; Envoy's route reads it.
    pub const CLUSTER: &str = "x-model-router-cluster";
    /// On an answer: asks the outer listener for another attempt.
    pub const RETRY: &str = "x-model-router-retry";
    /// What all attempts of one request have in common; the outer listener sets it.
    pub const STREAM: &str = "x-model-router-stream";
    /// Production or sandbox; Envoy sets it.
    pub const ENVIRONMENT: &str = "x-model-router-environment";
    /// All of them: none may reach a provider.
    pub const ALL: [&str; 4] = [CLUSTER, RETRY, STREAM, ENVIRONMENT];
}

/// Envoy's own header that bounds the time until an attempt's answer headers. It does so without a retry policy too,
/// and unlike the route's timeout it does not cut a stream that has begun.
const TIME_LIMIT: &str = "x-envoy-upstream-rq-per-try-timeout-ms";

/// What Envoy tells.
#[derive(Debug)]
pub enum Event {
    /// The request's headers have come.
    RequestHeaders {
        /// What the router reads of them.
        head: RequestHead,
        /// Those present that must not be forwarded.
        unwanted: Vec<&'static str>,
        /// Whether the request has no body.
        end_of_stream: bool,
        /// Whether the filter sends the body whole, in one message.
        buffered: bool,
    },
    /// The request's body has come, whole.
    RequestBody(Vec<u8>),
    /// An answer's headers have come.
    ResponseHeaders {
        /// Its status.
        status: u16,
        /// Its `Retry-After`.
        retry_after: Option<String>,
        /// Who made it.
        origin: Origin,
        /// Those headers present that the client must not see.
        unwanted: Vec<&'static str>,
    },
    /// A message that the router has no use for.
    Other(Phase),
}

/// What a message was about, where that is all there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A body in the wrong place.
    RequestBody,
    /// Trailers of a request.
    RequestTrailers,
    /// Headers of an answer.
    ResponseHeaders,
    /// A part of an answer's body.
    ResponseBody,
    /// Trailers of an answer.
    ResponseTrailers,
}

/// What Envoy is told: one answer to each message, of its kind, unless the router answers the client itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// To request headers.
    RequestHeaders(Mutation),
    /// To a request body, which is replaced.
    RequestBody(Mutation, Vec<u8>),
    /// To response headers.
    ResponseHeaders(Mutation),
    /// To anything else: go on.
    Unchanged(Phase),
    /// Ends the request: Envoy sends this to the client and asks no provider.
    Reply(Reply),
}

/// A change of headers. Envoy removes first, then sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mutation {
    /// Names and values; each overwrites.
    pub set: Vec<(&'static str, String)>,
    /// Names.
    pub remove: Vec<&'static str>,
    /// Makes Envoy match its routes again, which it does only if there is something else to change as well.
    pub clear_route_cache: bool,
}

/// Whether the router has anything more to say on a stream. It ends a stream as soon as it has not: a stream left open
/// would be one more thing whose loss cuts a client's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More messages are expected.
    More,
    /// None is.
    End,
}

/// One stream.
#[derive(Debug)]
pub struct Exchange {
    router: Arc<Router>,
    max_body_bytes: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Begun,
    AwaitingBody { head: RequestHead, admitted: Admitted },
    AwaitingAnswer { head: RequestHead, attempt: Attempt, begun: Instant },
    Ended,
}

/// A request that will be forwarded.
#[derive(Debug)]
enum Admitted {
    First(Route),
    Further(Attempt),
}

impl Exchange {
    /// A new stream; bodies longer than `max_body_bytes` are refused.
    #[must_use]
    pub fn new(router: Arc<Router>, max_body_bytes: usize) -> Self {
        Self { router, max_body_bytes, state: State::Begun }
    }

    /// Takes what Envoy tells and says what to answer.
    pub fn on(&mut self, event: Event, now: Instant) -> (Answer, Next) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        match (state, event) {
            (State::Begun, Event::RequestHeaders { head, unwanted, end_of_stream, buffered }) => {
                self.on_request_headers(head, unwanted, end_of_stream, buffered, now)
            }
            (State::AwaitingBody { head, admitted }, Event::RequestBody(body)) => {
                self.on_request_body(head, admitted, &body, now)
            }
            (
                State::AwaitingAnswer { head, attempt, begun },
                Event::ResponseHeaders { status, retry_after, origin, unwanted },
            ) => {
                let outcome = Outcome::of(status, retry_after.as_deref(), origin);
                telemetry::answer(&head, &attempt, status, &outcome, now.saturating_duration_since(begun));
                let retry = self.router.observe(attempt, &outcome, head.stream_id.as_deref(), now);
                (Answer::ResponseHeaders(answer_mutation(unwanted, retry)), Next::End)
            }
            // Trailers between body and answer: nothing to do, and the exchange goes on.
            (state, Event::Other(phase @ Phase::RequestTrailers)) => {
                self.state = state;
                (Answer::Unchanged(phase), Next::More)
            }
            // A stream that begins in another phase (an earlier filter answered), or a message out of order: Envoy
            // goes on with what it has, and gets no target from us.
            (_, event) => (event.unchanged(), Next::End),
        }
    }

    fn on_request_headers(
        &mut self,
        head: RequestHead,
        unwanted: Vec<&'static str>,
        end_of_stream: bool,
        buffered: bool,
        now: Instant,
    ) -> (Answer, Next) {
        let admitted = match self.router.admit(&head, now) {
            Admission::First(route) => Admitted::First(route),
            Admission::Further(attempt) => Admitted::Further(attempt),
            Admission::Reply(reply) => return (Answer::Reply(reply), Next::End),
            Admission::Refuse(refusal) => return refuse(&head, &refusal),
            Admission::Continue => {
                let unwanted = unwanted.into_iter().filter(|name| private::ALL.contains(name)).collect();
                return (Answer::RequestHeaders(head_mutation(unwanted)), Next::End);
            }
        };
        if let Some(refusal) = self.refusal_of_head(&head, end_of_stream, buffered) {
            return refuse(&head, &refusal);
        }
        self.state = State::AwaitingBody { head, admitted };
        (Answer::RequestHeaders(head_mutation(unwanted)), Next::More)
    }

    /// What can be refused before the body is sent.
    fn refusal_of_head(&self, head: &RequestHead, end_of_stream: bool, buffered: bool) -> Option<Refusal> {
        if end_of_stream {
            return BodyFacts::read(&[]).err().map(Refusal::Body);
        }
        if !buffered {
            return Some(Refusal::BodyMode);
        }
        if head.content_length.is_some_and(|length| length > self.max_body_bytes) {
            return Some(Refusal::TooLarge(self.max_body_bytes));
        }
        if let Some(encoding) = head.content_encoding.as_deref().filter(|encoding| !is_identity(encoding)) {
            return Some(Refusal::ContentEncoding(encoding.to_owned()));
        }
        let content_type = head.content_type.as_deref().filter(|content_type| !is_json(content_type))?;
        Some(Refusal::ContentType(content_type.to_owned()))
    }

    fn on_request_body(&mut self, head: RequestHead, admitted: Admitted, body: &[u8], now: Instant) -> (Answer, Next) {
        if body.len() > self.max_body_bytes {
            return refuse(&head, &Refusal::TooLarge(self.max_body_bytes));
        }
        let facts = match BodyFacts::read(body) {
            Ok(facts) => facts,
            Err(error) => return refuse(&head, &Refusal::Body(error)),
        };
        let attempt = match admitted {
            Admitted::Further(attempt) => attempt,
            Admitted::First(route) => {
                let limits = &route.policy().limits;
                let limit = if facts.streamed { limits.first_byte_timeout } else { limits.request_timeout };
                match self.router.choose(route, limit, now) {
                    Ok(attempt) => attempt,
                    Err(refusal) => return refuse(&head, &refusal),
                }
            }
        };
        telemetry::decision(&head, &attempt, facts.model.as_deref(), now);
        let body = facts.edited(attempt.target().model.as_str(), &attempt.target().edits);
        let mutation = dispatch_mutation(&head, &attempt, body.len());
        self.state = State::AwaitingAnswer { head, attempt, begun: now };
        (Answer::RequestBody(mutation, body), Next::More)
    }
}

impl Event {
    /// The answer that changes nothing; request headers still lose what could choose a cluster.
    fn unchanged(self) -> Answer {
        match self {
            Self::RequestHeaders { .. } => Answer::RequestHeaders(head_mutation(private::ALL.to_vec())),
            Self::RequestBody(_) => Answer::Unchanged(Phase::RequestBody),
            Self::ResponseHeaders { .. } => Answer::Unchanged(Phase::ResponseHeaders),
            Self::Other(phase) => Answer::Unchanged(phase),
        }
    }
}

/// Every answer to request headers removes the cluster header and clears the route: otherwise a client picks any
/// cluster by sending that header (seen on all supported versions of Envoy where nothing else strips it).
fn head_mutation(mut remove: Vec<&'static str>) -> Mutation {
    if !remove.contains(&private::CLUSTER) {
        remove.push(private::CLUSTER);
    }
    Mutation { set: Vec::new(), remove, clear_route_cache: true }
}

/// Sends the request to its target. `content-length` must be the new body's: Envoy answers 500 to any other.
fn dispatch_mutation(head: &RequestHead, attempt: &Attempt, content_length: usize) -> Mutation {
    let (route, endpoint) = (&attempt.trial.route, &attempt.target().endpoint);
    let mut set = vec![
        (private::CLUSTER, endpoint.cluster.clone()),
        (":authority", endpoint.authority.clone()),
        (":path", route.upstream_path(endpoint, &head.path)),
        ("content-length", content_length.to_string()),
        (TIME_LIMIT, attempt.trial.time_limit.as_millis().to_string()),
    ];
    if let Some((name, secret)) = &endpoint.credential {
        set.push((name, secret.expose().to_owned()));
    }
    Mutation { set, remove: Vec::new(), clear_route_cache: true }
}

fn answer_mutation(remove: Vec<&'static str>, retry: bool) -> Mutation {
    let set = if retry { vec![(private::RETRY, "1".to_owned())] } else { Vec::new() };
    Mutation { set, remove, clear_route_cache: false }
}

fn refuse(head: &RequestHead, refusal: &Refusal) -> (Answer, Next) {
    telemetry::refused(head, refusal);
    (Answer::Reply(refusal.reply()), Next::End)
}

fn is_identity(encoding: &str) -> bool {
    encoding.trim().eq_ignore_ascii_case("identity")
}

/// `application/json`, with parameters or without, and its relatives with `+json`.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Whether a request header of this name must not be forwarded; gives the name as a constant.
#[must_use]
pub fn unwanted_request_header(name: &str) -> Option<&'static str> {
    private::ALL.iter().chain(provider::CLIENT_HEADERS_REMOVED).copied().find(|unwanted| *unwanted == name)
}

/// Whether an answer's header of this name must not reach the client; gives the name as a constant.
#[must_use]
pub fn unwanted_answer_header(name: &str) -> Option<&'static str> {
    private::ALL.iter().chain(provider::ANSWER_HEADERS_REMOVED).copied().find(|unwanted| *unwanted == name)
}

#[cfg(test)]
mod tests;
