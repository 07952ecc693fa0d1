//! An exchange: what one stream of Envoy's goes through, as `Event -> Action`, free of Envoy's types.

mod headers;
mod reading;
mod request;
mod response;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::body::Pieces;
use crate::classifier::{Classification, Question};
use crate::gateway::Gateway;
use crate::gateway::capacity::Place;
use crate::gateway::refusal::{Refusal, Reply};
use crate::gateway::router::{Attempt, BROKEN_OFF, RequestHead, Route};
use crate::routing::decision::Metadata;
use crate::telemetry::RefusedRequest;
pub use headers::{unwanted_request_header, unwanted_response_header};
use request::{Admitted, Classifying};
use response::Inspection;
pub use response::ResponseHead;

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
    /// On an answer to a client: the model that gave it.
    pub const SERVED_MODEL: &str = "x-model-router-model";
    /// On an answer to a client: the endpoint that served it.
    pub const SERVED_ENDPOINT: &str = "x-model-router-endpoint";
    /// On an answer to a client: how many attempts it took.
    pub const SERVED_ATTEMPTS: &str = "x-model-router-attempts";
    /// On an answer to a client: what came of classifying its request.
    pub const SERVED_CLASSIFICATION: &str = "x-model-router-classification";
    /// Those that a client sees: no provider may send them.
    pub const SERVED: [&str; 4] = [SERVED_MODEL, SERVED_ENDPOINT, SERVED_ATTEMPTS, SERVED_CLASSIFICATION];
}

/// How long a full-duplex body may take. Envoy has no timer of its own there; it is the shipped listeners'
/// `request_timeout`.
const BODY_TIME: Duration = Duration::from_secs(120);

/// How Envoy's filter sends a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// Whole, in one message, after the answer to the headers.
    Buffered,
    /// In chunks as it comes, without waiting for answers; these come in the order headers, body, trailers.
    FullDuplex,
    /// In a way that the router does not serve.
    Other,
}

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
        /// How its body will come.
        body_mode: BodyMode,
    },
    /// The request's body has come, or a chunk of it.
    RequestBody {
        /// The bytes.
        bytes: Bytes,
        /// Whether they are the last.
        end_of_stream: bool,
    },
    /// An answer's headers have come.
    ResponseHeaders(ResponseHead),
    /// A chunk of an answer's body has come.
    ResponseBody {
        /// The bytes.
        bytes: Bytes,
        /// Whether they are the last.
        end_of_stream: bool,
    },
    /// A message of which only the kind matters.
    Other(Phase),
    /// The [question](Exchange::question) has been answered.
    Classified(Classification),
    /// What was awaited, within [`Exchange::deadline`], did not come.
    Late,
    /// The router holds as many bytes of bodies as it may.
    OverCapacity,
    /// The request's body is longer than any message may be.
    TooLarge,
}

/// What a message was about, where that is all there is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Headers of a request.
    RequestHeaders,
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

/// What Envoy is told: one answer to each message, of its kind, unless the router answers the client itself. Only with
/// [`BodyMode::FullDuplex`] may a message have no answer yet, or several.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// To request headers.
    RequestHeaders(Mutation),
    /// To a buffered request body, which is replaced, or goes on as it came.
    RequestBody(Mutation, Option<Pieces>),
    /// Full duplex: to the headers and all of the body, which is replaced, and to the trailers if there were some.
    Request {
        /// The change of headers.
        mutation: Mutation,
        /// The body.
        body: Pieces,
        /// Whether trailers await their answer.
        trailers: bool,
    },
    /// Full duplex: a chunk of the body goes on as it is.
    Chunk {
        /// The bytes.
        bytes: Bytes,
        /// Whether they are the last.
        end_of_stream: bool,
    },
    /// To response headers.
    ResponseHeaders(Mutation),
    /// To anything else: go on.
    Unchanged(Phase),
    /// The answer's headers are held back, at most so long, until its start has come. Envoy sends chunks of the body
    /// meanwhile, and its own timer must allow for it.
    Hold(Duration),
    /// The answer comes later, or none is due.
    Nothing,
    /// Ends the request: Envoy sends this to the client and asks no provider.
    Reply(Reply),
}

/// A change of headers. Envoy removes first, then sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mutation {
    /// Names and values; each overwrites.
    pub set: Vec<(Cow<'static, str>, String)>,
    /// Names.
    pub remove: Vec<Cow<'static, str>>,
    /// Makes Envoy match its routes again, which it does only if there is something else to change as well.
    pub clear_route_cache: bool,
    /// What Envoy can write into its log: dynamic metadata, which its filter takes if it is told to.
    pub metadata: Option<Box<Metadata>>,
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
    gateway: Arc<Gateway>,
    place: Option<Place>,
    /// When the request's headers came.
    began: Option<Instant>,
    state: State,
}

#[derive(Debug)]
enum State {
    Begun,
    /// The request will go to a target that its body decides; full duplex, the answer to the headers is held back.
    Reading {
        head: RequestHead,
        admitted: Admitted,
        mode: BodyMode,
        mutation: Mutation,
        /// The chunks that have come of a body that is sent in chunks.
        body: BytesMut,
    },
    /// The request is whole; its target depends on the answer to a question.
    Classifying(Box<Classifying>),
    /// The body goes on as it is; then the answer's headers are awaited where the request was sent by us.
    Passing {
        head: RequestHead,
        route: Option<Route>,
        mode: BodyMode,
    },
    AwaitingResponse {
        head: RequestHead,
        sent: Sent,
        begun: Instant,
    },
    /// The answer's headers are held back while its start is looked at.
    Inspecting(Box<Inspection>),
    Ended,
}

/// Where a request went.
#[derive(Debug)]
enum Sent {
    /// To a target, which learns from the answer.
    Target(Box<Attempt>),
    /// To the endpoint that keeps its state.
    Pinned(Route),
}

impl Exchange {
    /// A new stream.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, place: None, began: None, state: State::Begun }
    }

    /// Whether a body is held.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        matches!(self.state, State::Reading { .. } | State::Classifying(_))
    }

    /// The question that has to be answered, by [`Event::Classified`], before the request can go on; given once.
    pub fn question(&mut self) -> Option<Question> {
        match &mut self.state {
            State::Classifying(classifying) => classifying.question.take(),
            _ => None,
        }
    }

    /// The attempt whose answer is awaited.
    #[must_use]
    pub fn attempt(&self) -> Option<&Attempt> {
        match &self.state {
            State::AwaitingResponse { sent: Sent::Target(attempt), .. } => Some(attempt),
            _ => None,
        }
    }

    /// How long what is awaited may take, where Envoy has no timer of its own or must not decide.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Reading { mode: BodyMode::FullDuplex, .. } => Some(BODY_TIME),
            State::Inspecting(inspection) => Some(inspection.time_limit),
            _ => None,
        }
    }

    /// The stream has ended without a word from us: the client left, or the provider broke off an answer that Envoy
    /// holds, and then Envoy asks for the next attempt by itself. Which it was is known when that attempt comes.
    pub fn abandon(&mut self, now: Instant) {
        let (head, attempt, begun, may_be_lost) = match std::mem::replace(&mut self.state, State::Ended) {
            State::Inspecting(inspection) => inspection.abandoned(),
            // The headers of that answer may have been lost with the stream.
            State::AwaitingResponse { head, sent: Sent::Target(attempt), begun } => {
                let may_be_lost = head.response_can_be_held && attempt.request.route.policy().inspect_first_event;
                (head, *attempt, begun, may_be_lost)
            }
            _ => return,
        };
        if let Some(decision) = &attempt.decision {
            self.gateway.telemetry.unanswered(decision, now.saturating_duration_since(begun));
        }
        if let Some(stream_id) = head.stream_id.filter(|_| may_be_lost) {
            let from = attempt.decision.clone();
            let next = self.gateway.router.abandon(stream_id, attempt, now);
            if let (Some(from), Some(next)) = (from, next) {
                self.gateway.telemetry.failed_over(&from, &next.model, &next.endpoint, BROKEN_OFF);
            }
        }
    }

    /// Takes what Envoy tells and says what to answer.
    pub fn on(&mut self, event: Event, now: Instant) -> (Action, Next) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        match (state, event) {
            (State::Begun, Event::RequestHeaders { head, unwanted, end_of_stream, body_mode }) => {
                self.on_request_headers(head, unwanted, end_of_stream, body_mode, now)
            }
            (State::Reading { head, .. }, Event::Late) => self.refuse(&head, &Refusal::Late),
            (State::Reading { head, .. }, Event::OverCapacity) => self.refuse(&head, &Refusal::OverCapacity),
            (State::Reading { head, .. }, Event::TooLarge) => {
                self.refuse(&head, &Refusal::TooLarge(self.gateway.capacity.max_body_bytes))
            }
            (reading @ State::Reading { .. }, Event::RequestBody { bytes, end_of_stream }) => {
                self.on_request_body(reading, bytes, end_of_stream, now)
            }
            (reading @ State::Reading { .. }, Event::Other(Phase::RequestTrailers)) => {
                self.on_request_trailers(reading, now)
            }
            (State::Classifying(classifying), Event::Classified(classification)) => {
                self.on_classified(*classifying, classification, now)
            }
            (State::Passing { head, route, mode }, Event::RequestBody { bytes, end_of_stream }) => {
                self.pass_body(head, route, mode, (bytes, end_of_stream), now)
            }
            (State::Passing { head, route, .. }, Event::Other(phase @ Phase::RequestTrailers)) => {
                let next = self.await_pinned(head, route, now);
                (Action::Unchanged(phase), next)
            }
            (State::Passing { head, route: Some(route), .. }, Event::ResponseHeaders(answer)) => {
                self.on_response(head, Sent::Pinned(route), answer, (now, now))
            }
            (State::AwaitingResponse { head, sent, begun }, Event::ResponseHeaders(answer)) => {
                self.on_response(head, sent, answer, (begun, now))
            }
            (State::Inspecting(inspection), Event::ResponseBody { bytes, end_of_stream }) => {
                self.on_response_body(inspection, &bytes, end_of_stream, now)
            }
            (State::Inspecting(inspection), Event::Late) => self.on_late_response(inspection, now),
            // Buffered, trailers come between body and answer; full duplex, an end of the body may be told twice.
            (
                state @ (State::AwaitingResponse { .. } | State::Classifying(_)),
                event @ (Event::Other(Phase::RequestTrailers) | Event::RequestBody { .. }),
            ) => {
                self.state = state;
                (event.ignored(), Next::More)
            }
            // A stream that begins in another phase (an earlier filter answered), or a message out of order: Envoy
            // goes on with what it has, and gets no target from us.
            (_, event) => (event.unchanged(), Next::End),
        }
    }
}

impl Event {
    /// The answer that changes nothing; request headers still lose what could choose a cluster.
    fn unchanged(self) -> Action {
        match self {
            Self::RequestHeaders { .. } => Action::RequestHeaders(headers::strip(private::ALL.to_vec())),
            Self::RequestBody { .. } => Action::Unchanged(Phase::RequestBody),
            Self::ResponseHeaders(_) => Action::Unchanged(Phase::ResponseHeaders),
            Self::ResponseBody { .. } => Action::Unchanged(Phase::ResponseBody),
            Self::Other(phase) => Action::Unchanged(phase),
            Self::Classified(_) | Self::Late | Self::OverCapacity | Self::TooLarge => Action::Nothing,
        }
    }

    /// The answer to a message that came after the one that mattered.
    fn ignored(self) -> Action {
        match self {
            Self::RequestBody { .. } => Action::Nothing,
            event => event.unchanged(),
        }
    }
}

impl Exchange {
    /// Envoy sends our answer to the client and asks no provider.
    fn refuse(&self, head: &RequestHead, refusal: &Refusal) -> (Action, Next) {
        self.gateway.telemetry.refused(&RefusedRequest {
            request_id: head.request_id.as_deref(),
            method: head.method.as_str(),
            path: head.path_only(),
            code: refusal.code(),
        });
        (Action::Reply(refusal.reply(head.shape)), Next::End)
    }
}

#[cfg(test)]
mod tests;
