//! An exchange: what one stream of Envoy's goes through, as `Event -> Action`, free of Envoy's types.

mod headers;
pub mod private;
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

/// The time limit of a full-duplex body, for which Envoy has no timer. It equals the shipped listeners'
/// `request_timeout`.
const BODY_TIME: Duration = Duration::from_secs(120);

/// The mode in which Envoy's filter sends a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyMode {
    /// Whole, in one message, after the action for the headers.
    Buffered,
    /// In chunks as it arrives, without waiting for actions, which must follow in the order headers, body, trailers.
    FullDuplex,
    /// In a way that the router does not serve.
    Other,
}

/// A request of which the headers have arrived.
#[derive(Debug)]
pub struct Incoming {
    /// The part of the headers that the router reads.
    pub head: RequestHead,
    /// The headers present that must not be forwarded.
    pub unwanted: Vec<&'static str>,
    /// Whether the request has no body.
    pub end_of_stream: bool,
    /// The mode in which its body will arrive.
    pub body_mode: BodyMode,
}

/// A message from Envoy, or the result of what the exchange awaited.
#[derive(Debug)]
pub enum Event {
    /// The request's headers have arrived.
    RequestHeaders(Incoming),
    /// The request's body has arrived, or a chunk of it.
    RequestBody {
        /// The bytes.
        bytes: Bytes,
        /// Whether they are the last.
        end_of_stream: bool,
    },
    /// A response's headers have arrived.
    ResponseHeaders(ResponseHead),
    /// A chunk of a response's body has arrived.
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
    /// What was awaited did not arrive within [`Exchange::deadline`].
    Late,
    /// The router holds as many bytes of bodies as it may.
    OverCapacity,
    /// The request's body is longer than any message may be.
    TooLarge,
}

/// The kind of a message, where nothing else of it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Headers of a request.
    RequestHeaders,
    /// A body in the wrong place.
    RequestBody,
    /// Trailers of a request.
    RequestTrailers,
    /// Headers of a response.
    ResponseHeaders,
    /// A part of a response's body.
    ResponseBody,
    /// Trailers of a response.
    ResponseTrailers,
}

/// Our action for Envoy: one for each message, of its kind, unless the router replies to the client itself. Only with
/// [`BodyMode::FullDuplex`] may a message have no action yet, or several.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// To request headers.
    RequestHeaders(Mutation),
    /// To a buffered request body, which is replaced, or is forwarded unchanged.
    RequestBody(Mutation, Option<Pieces>),
    /// Full duplex: to the headers and all of the body, which is replaced, and to the trailers if there were some.
    Request {
        /// The change of headers.
        mutation: Mutation,
        /// The body.
        body: Pieces,
        /// Whether trailers await their action.
        trailers: bool,
    },
    /// Full duplex: forwards a chunk of the body unchanged.
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
    /// Holds the response's headers back until its start has arrived, for this long at most. Envoy sends chunks of the
    /// body meanwhile, and its own timer must allow for it.
    Hold(Duration),
    /// Sends nothing: the action follows later, or none is due.
    Nothing,
    /// Ends the request: Envoy sends this reply to the client and asks no provider.
    Reply(Reply),
}

/// A change of headers. Envoy removes first, then sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mutation {
    /// Names and values; each overwrites.
    pub set: Vec<(Cow<'static, str>, String)>,
    /// Names.
    pub remove: Vec<Cow<'static, str>>,
    /// Makes Envoy match its routes again, which it does only if something else changes as well.
    pub clear_route_cache: bool,
    /// Dynamic metadata that Envoy can write into its log, if its filter is configured to accept it.
    pub metadata: Option<Box<Metadata>>,
}

/// Whether the router has more to send on a stream. It ends a stream as soon as it has not: the loss of an open stream
/// would cut a client's response.
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
    Reading(Box<Reading>),
    Classifying(Box<Classifying>),
    Passing(Box<Passing>),
    AwaitingResponse(Box<Awaiting>),
    Inspecting(Box<Inspection>),
    Ended,
}

/// A request that will go to a target that its body decides. In full-duplex mode the action for its headers waits as
/// well.
#[derive(Debug)]
struct Reading {
    head: RequestHead,
    admitted: Admitted,
    mode: BodyMode,
    mutation: Mutation,
    /// The chunks that have arrived of a body that is sent in chunks.
    body: BytesMut,
}

/// A request whose body is forwarded as it is.
#[derive(Debug)]
struct Passing {
    head: RequestHead,
    /// Set if the router chose the endpoint, and so awaits the response's headers.
    route: Option<Route>,
    mode: BodyMode,
}

/// A request that was sent and whose response's headers are awaited.
#[derive(Debug)]
struct Awaiting {
    head: RequestHead,
    sent: Sent,
    begun: Instant,
}

/// The destination of a request.
#[derive(Debug)]
enum Sent {
    /// A target, which learns from the response.
    Target(Box<Attempt>),
    /// The endpoint that keeps the state that the request refers to.
    Pinned(Route),
}

impl Exchange {
    /// Creates a new stream.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, place: None, began: None, state: State::Begun }
    }

    /// Returns whether a body is held.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        matches!(self.state, State::Reading(_) | State::Classifying(_))
    }

    /// Returns the question that has to be answered, by [`Event::Classified`], before the request can go on; given
    /// once.
    pub fn question(&mut self) -> Option<Question> {
        match &mut self.state {
            State::Classifying(classifying) => classifying.question.take(),
            _ => None,
        }
    }

    /// Returns the attempt whose response is awaited.
    #[must_use]
    pub fn attempt(&self) -> Option<&Attempt> {
        match &self.state {
            State::AwaitingResponse(awaiting) => match &awaiting.sent {
                Sent::Target(attempt) => Some(attempt),
                Sent::Pinned(_) => None,
            },
            _ => None,
        }
    }

    /// Returns the time limit of the current wait, where Envoy has no timer of its own or must not decide.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Reading(reading) if reading.mode == BodyMode::FullDuplex => Some(BODY_TIME),
            State::Inspecting(inspection) => Some(inspection.time_limit),
            _ => None,
        }
    }

    /// Ends a stream that Envoy ended without an action of ours: the client left, or the provider broke off a response
    /// that Envoy holds, and then Envoy asks for the next attempt by itself. Which of the two is known when that
    /// attempt arrives.
    pub fn abandon(&mut self, now: Instant) {
        let (head, attempt, begun, may_be_lost) = match std::mem::replace(&mut self.state, State::Ended) {
            State::Inspecting(inspection) => inspection.abandoned(),
            State::AwaitingResponse(awaiting) => {
                let Awaiting { head, sent: Sent::Target(attempt), begun } = *awaiting else { return };
                // The headers of that response may have been lost with the stream.
                let may_be_lost = head.response_can_be_held && attempt.request.route.policy().inspect_first_event;
                (head, *attempt, begun, may_be_lost)
            }
            _ => return,
        };
        let (from, took) = (attempt.decision.clone(), now.saturating_duration_since(begun));
        let stream_id = head.stream_id.filter(|_| may_be_lost);
        let next = stream_id.and_then(|stream_id| self.gateway.router.abandon(stream_id, attempt, now));
        let Some(from) = from else { return };
        self.gateway.telemetry.unanswered(&from, took, next.is_some());
        if let Some(next) = next {
            self.gateway.telemetry.failed_over(&from, &next.model, &next.endpoint, BROKEN_OFF);
        }
    }

    /// Takes an event and returns the action for Envoy, and whether the stream continues.
    pub fn on(&mut self, event: Event, now: Instant) -> (Action, Next) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        match (state, event) {
            (State::Begun, Event::RequestHeaders(incoming)) => self.on_request_headers(incoming, now),
            (State::Reading(reading), event) => self.on_while_reading(*reading, event, now),
            (State::Classifying(classifying), Event::Classified(classification)) => {
                self.on_classified(*classifying, classification, now)
            }
            (State::Passing(passing), event) => self.on_while_passing(*passing, event, now),
            (State::AwaitingResponse(awaiting), Event::ResponseHeaders(response)) => {
                self.on_response(*awaiting, response, now)
            }
            (State::Inspecting(inspection), Event::ResponseBody { bytes, end_of_stream }) => {
                self.on_response_body(inspection, &bytes, end_of_stream, now)
            }
            (State::Inspecting(inspection), Event::Late) => self.on_late_response(inspection, now),
            // Buffered, trailers arrive between body and response; in full-duplex mode the end of the body may come
            // twice.
            (
                state @ (State::AwaitingResponse(_) | State::Classifying(_)),
                event @ (Event::Other(Phase::RequestTrailers) | Event::RequestBody { .. }),
            ) => {
                self.state = state;
                (event.ignored(), Next::More)
            }
            // The stream began in another phase (an earlier filter replied), or a message is out of order: Envoy
            // continues with what it has, and gets no target from us.
            (_, event) => (event.unchanged(), Next::End),
        }
    }

    fn on_while_reading(&mut self, reading: Reading, event: Event, now: Instant) -> (Action, Next) {
        match event {
            Event::RequestBody { bytes, end_of_stream } => self.on_request_body(reading, bytes, end_of_stream, now),
            Event::Other(Phase::RequestTrailers) => self.on_request_trailers(reading, now),
            Event::Late => self.refuse(&reading.head, &Refusal::Late),
            Event::OverCapacity => self.refuse(&reading.head, &Refusal::OverCapacity),
            Event::TooLarge => self.refuse(&reading.head, &Refusal::TooLarge(self.gateway.capacity.max_body_bytes)),
            event => (event.unchanged(), Next::End),
        }
    }

    fn on_while_passing(&mut self, passing: Passing, event: Event, now: Instant) -> (Action, Next) {
        match (event, passing) {
            (Event::RequestBody { bytes, end_of_stream }, passing) => {
                self.pass_body(passing, bytes, end_of_stream, now)
            }
            (Event::Other(phase @ Phase::RequestTrailers), passing) => {
                let next = self.await_pinned(passing, now);
                (Action::Unchanged(phase), next)
            }
            (Event::ResponseHeaders(response), Passing { head, route: Some(route), .. }) => {
                self.on_response(Awaiting { head, sent: Sent::Pinned(route), begun: now }, response, now)
            }
            (event, _) => (event.unchanged(), Next::End),
        }
    }
}

impl Event {
    /// Returns the action that changes nothing, except that request headers lose everything that could choose a
    /// cluster.
    fn unchanged(self) -> Action {
        match self {
            Self::RequestHeaders(_) => Action::RequestHeaders(headers::strip(private::ALL.to_vec())),
            Self::RequestBody { .. } => Action::Unchanged(Phase::RequestBody),
            Self::ResponseHeaders(_) => Action::Unchanged(Phase::ResponseHeaders),
            Self::ResponseBody { .. } => Action::Unchanged(Phase::ResponseBody),
            Self::Other(phase) => Action::Unchanged(phase),
            Self::Classified(_) | Self::Late | Self::OverCapacity | Self::TooLarge => Action::Nothing,
        }
    }

    /// Returns the action for a message that came after the one that mattered.
    fn ignored(self) -> Action {
        match self {
            Self::RequestBody { .. } => Action::Nothing,
            event => event.unchanged(),
        }
    }
}

impl Exchange {
    /// Refuses a request: Envoy sends our reply to the client and asks no provider.
    fn refuse(&self, head: &RequestHead, refusal: &Refusal) -> (Action, Next) {
        self.gateway.telemetry.refused(&RefusedRequest {
            request_id: head.request_id.as_deref(),
            method: head.method.as_str(),
            path: head.path_only(),
            code: refusal.code(),
        });
        reply(head, refusal.reply(head.shape))
    }
}

/// Ends a request with this reply, which gets the request's id.
fn reply(head: &RequestHead, mut reply: Reply) -> (Action, Next) {
    reply.headers.extend(headers::request_id(head));
    (Action::Reply(reply), Next::End)
}

#[cfg(test)]
mod tests;
