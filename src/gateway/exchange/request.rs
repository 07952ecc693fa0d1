//! The request half of an exchange: admitted by its headers, decided by its body, sent or refused.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::headers::{clients_own, less_forwarded, send, strip};
use super::reading::{BodyKind, body_edits, coding, facts, form_of, model_edit, readable, state_of};
use super::{
    Action, Awaiting, BodyMode, Exchange, Incoming, Mutation, Next, Passing, Phase, Reading, Sent, State, private,
};
use crate::body::{BodyError, BodyFacts, Pieces};
use crate::classifier::{Classification, Classify, Question};
use crate::gateway::capacity::Held;
use crate::gateway::record;
use crate::gateway::refusal::Refusal;
use crate::gateway::router::{Admission, Attempt, RequestHead, Route};
use crate::routing::decision::Decision;
use crate::routing::operation::ModelPlace;

/// A request whose target its body decides.
#[derive(Debug)]
pub(super) enum Admitted {
    First(Route),
    Classified(Route, Classification),
    Further(Box<Attempt>),
}

/// A request whose target the answer to a question decides.
#[derive(Debug)]
pub(super) struct Classifying {
    /// `None` once it is being asked.
    pub(super) question: Option<Question>,
    whole: Whole,
    route: Route,
}

/// The destination of a request and its body, or the question that must be answered first.
enum Choice {
    /// `None`: the body is forwarded unchanged, if there is one.
    Sent(Sent, Option<Pieces>),
    Ask(Route, Question),
}

/// A request that has been read.
#[derive(Debug)]
struct Whole {
    head: RequestHead,
    mode: BodyMode,
    mutation: Mutation,
    /// `None` where there is none, and its headers still await their answer.
    body: Option<Bytes>,
    /// Set if the body was decoded and so is no longer what Envoy has: the account of its bytes.
    decoded: Option<Arc<Held>>,
    trailers: bool,
}

impl Admitted {
    fn route(&self) -> &Route {
        match self {
            Self::First(route) | Self::Classified(route, _) => route,
            Self::Further(attempt) => &attempt.request.route,
        }
    }
}

impl Exchange {
    pub(super) fn on_request_headers(&mut self, mut incoming: Incoming, now: Instant) -> (Action, Next) {
        self.began = Some(now);
        let admission = self.gateway.router.admit(&mut incoming.head, now);
        self.place = self.gateway.capacity.enter();
        match admission {
            Admission::Reply(reply) => super::reply(&incoming.head, reply),
            Admission::Refuse(refusal) => self.refuse(&incoming.head, &refusal),
            Admission::Continue => self.pass_on(incoming),
            Admission::First(_) | Admission::Pinned(_) if self.place.is_none() => {
                self.refuse(&incoming.head, &Refusal::OverCapacity)
            }
            Admission::Pinned(route) => self.pin(incoming, route, now),
            Admission::First(route) => self.begin_reading(incoming, Admitted::First(route), now),
            // Already admitted on the first attempt: refusing now would drop a response that the client could still
            // get.
            Admission::Further(attempt) => self.begin_reading(incoming, Admitted::Further(attempt), now),
        }
    }

    /// Lets a request pass that belongs to no API. It keeps everything but the private headers.
    fn pass_on(&mut self, incoming: Incoming) -> (Action, Next) {
        let Incoming { head, mut unwanted, end_of_stream, body_mode: mode } = incoming;
        unwanted.retain(|name| private::ALL.contains(name));
        // In full-duplex mode a stream that ends here would take the body along.
        let next = if mode == BodyMode::FullDuplex && !end_of_stream { Next::More } else { Next::End };
        if next == Next::More {
            self.state = State::Passing(Box::new(Passing { head, route: None, mode }));
        }
        (Action::RequestHeaders(strip(unwanted)), next)
    }

    /// Sends a request that refers to state at one account to that account, independently of the policy's strategy.
    fn pin(&mut self, incoming: Incoming, route: Route, now: Instant) -> (Action, Next) {
        let Incoming { head, unwanted, end_of_stream, body_mode: mode } = incoming;
        let Some(stateful) = &route.policy().stateful else {
            return self.refuse(&head, &Refusal::Stateful { what: head.path_only().to_owned() });
        };
        let mut mutation = strip(less_forwarded(unwanted, &route.api));
        send(&mut mutation, &head, &route, &stateful.endpoint, None, route.policy().limits.request_timeout);
        let decision = self.decided(record::pinned(&head, &route, &stateful.endpoint), now);
        mutation.metadata = Some(Box::new(decision.metadata()));
        self.state = if end_of_stream {
            State::AwaitingResponse(Box::new(Awaiting { head, sent: Sent::Pinned(route), begun: now }))
        } else {
            State::Passing(Box::new(Passing { head, route: Some(route), mode }))
        };
        (Action::RequestHeaders(mutation), Next::More)
    }

    fn begin_reading(&mut self, incoming: Incoming, admitted: Admitted, now: Instant) -> (Action, Next) {
        let Incoming { head, unwanted, end_of_stream, body_mode: mode } = incoming;
        if let Some(refusal) = self.refusal_of_head(&head, admitted.route(), end_of_stream, mode) {
            return self.refuse(&head, &refusal);
        }
        let chosen_by_client = unwanted.contains(&private::CLUSTER);
        let mut mutation = strip(less_forwarded(unwanted, &admitted.route().api));
        if end_of_stream {
            let whole = Whole { head, mode, mutation, body: None, decoded: None, trailers: false };
            return self.decide(whole, admitted, now);
        }
        let (action, mutation) = match mode {
            BodyMode::FullDuplex => (Action::Nothing, mutation),
            // Whatever becomes of this stream, no client may choose a cluster. Whether the choice will fall on an
            // endpoint that gets the client's credential is not known yet.
            _ if chosen_by_client => {
                let remove = clients_own(&mut mutation, admitted.route());
                (Action::RequestHeaders(mutation), Mutation { remove, ..Mutation::default() })
            }
            // Envoy keeps the headers until the body's action, and then changes all at once: changing them twice costs
            // a tenth of its time for a request (`make bench`).
            _ => (Action::Unchanged(Phase::RequestHeaders), mutation),
        };
        self.state = State::Reading(Box::new(Reading { head, admitted, mode, mutation, body: BytesMut::new() }));
        (action, Next::More)
    }

    /// Returns the refusal that the headers alone decide, before the body is sent.
    fn refusal_of_head(
        &self,
        head: &RequestHead,
        route: &Route,
        end_of_stream: bool,
        mode: BodyMode,
    ) -> Option<Refusal> {
        let form = form_of(route)?;
        if end_of_stream {
            let needed = form.model == ModelPlace::Body;
            return needed.then(|| Refusal::Body(BodyError::missing()));
        }
        if mode == BodyMode::Other {
            return Some(Refusal::BodyMode);
        }
        let limit = self.gateway.capacity.max_body_bytes;
        if head.content_length.is_some_and(|length| length > limit) {
            return Some(Refusal::TooLarge(limit));
        }
        match (BodyKind::of(head.content_type.as_deref(), form), coding(head)) {
            (Some(BodyKind::Opaque), _) | (Some(_), Some(_)) => None,
            (Some(_), None) => Some(Refusal::ContentEncoding(head.content_encoding.clone().unwrap_or_default())),
            (None, _) => Some(Refusal::ContentType(head.content_type.clone().unwrap_or_default())),
        }
    }

    pub(super) fn on_request_body(
        &mut self,
        reading: Reading,
        bytes: Bytes,
        end_of_stream: bool,
        now: Instant,
    ) -> (Action, Next) {
        let Reading { head, admitted, mode, mutation, mut body } = reading;
        if body.len() + bytes.len() > self.gateway.capacity.max_body_bytes {
            return self.refuse(&head, &Refusal::TooLarge(self.gateway.capacity.max_body_bytes));
        }
        let is_whole = mode != BodyMode::FullDuplex || end_of_stream;
        if !(is_whole && body.is_empty()) {
            body.extend_from_slice(&bytes);
        }
        if !is_whole {
            self.state = State::Reading(Box::new(Reading { head, admitted, mode, mutation, body }));
            return (Action::Nothing, Next::More);
        }
        let body = if body.is_empty() { bytes } else { body.freeze() };
        self.read(Whole { head, mode, mutation, body: Some(body), decoded: None, trailers: false }, admitted, now)
    }

    /// In full duplex mode trailers end a body. In the other modes they follow it.
    pub(super) fn on_request_trailers(&mut self, reading: Reading, now: Instant) -> (Action, Next) {
        let Reading { head, admitted, mode, mutation, body } = reading;
        if mode != BodyMode::FullDuplex {
            return self.refuse(&head, &Refusal::Body(BodyError::missing()));
        }
        let whole = Whole { head, mode, mutation, body: Some(body.freeze()), decoded: None, trailers: true };
        self.read(whole, admitted, now)
    }

    pub(super) fn on_classified(
        &mut self,
        classifying: Classifying,
        classification: Classification,
        now: Instant,
    ) -> (Action, Next) {
        let Classifying { whole, route, .. } = classifying;
        self.decide(whole, Admitted::Classified(route, classification), now)
    }

    /// Makes the body of a complete request readable, and decides.
    fn read(&mut self, mut whole: Whole, admitted: Admitted, now: Instant) -> (Action, Next) {
        let Some(body) = &whole.body else { return self.decide(whole, admitted, now) };
        match readable(&whole.head, body, admitted.route(), self.gateway.capacity.max_body_bytes) {
            Ok(None) => {}
            Ok(Some(decoded)) => {
                let held = self.gateway.capacity.account();
                if !held.grow(decoded.len()) {
                    return self.refuse(&whole.head, &Refusal::OverCapacity);
                }
                (whole.body, whole.decoded) = (Some(decoded), Some(held));
                whole.mutation.remove.push("content-encoding".into());
            }
            Err(refusal) => return self.refuse(&whole.head, &refusal),
        }
        self.decide(whole, admitted, now)
    }

    /// Decides on a complete request: asks the classifier if the policy needs it, else chooses, edits and sends.
    fn decide(&mut self, whole: Whole, admitted: Admitted, now: Instant) -> (Action, Next) {
        if let (Some(body), Admitted::First(_)) = (&whole.body, &admitted) {
            self.gateway.telemetry.body(body.len());
        }
        match self.choose(&whole, admitted, now) {
            Ok(Choice::Sent(sent, changed)) => self.dispatch(whole, sent, changed, now),
            Ok(Choice::Ask(route, question)) => {
                self.state = State::Classifying(Box::new(Classifying { question: Some(question), whole, route }));
                (Action::Nothing, Next::More)
            }
            Err(refusal) => self.refuse(&whole.head, &refusal),
        }
    }

    fn dispatch(&mut self, whole: Whole, sent: Sent, changed: Option<Pieces>, now: Instant) -> (Action, Next) {
        let Whole { head, mode, mut mutation, trailers, body, decoded } = whole;
        match &sent {
            Sent::Target(attempt) => {
                let (route, target) = (&attempt.request.route, attempt.target());
                send(&mut mutation, &head, route, &target.endpoint, Some(target.model.as_str()), attempt.time_limit);
                mutation.metadata = attempt.decision.as_ref().map(|decision| Box::new(decision.metadata()));
            }
            Sent::Pinned(route) => {
                if let Some(stateful) = &route.policy().stateful {
                    let limit = route.policy().limits.request_timeout;
                    let model = route.named_model(&head); // its own
                    send(&mut mutation, &head, route, &stateful.endpoint, model.as_deref(), limit);
                    let decision = self.decided(record::pinned(&head, route, &stateful.endpoint), now);
                    mutation.metadata = Some(Box::new(decision.metadata()));
                }
            }
        }
        self.state = State::AwaitingResponse(Box::new(Awaiting { head, sent, begun: now }));
        let Some(body) = body else { return (Action::RequestHeaders(mutation), Next::More) };
        let changed = changed.or_else(|| decoded.is_some().then(|| body.clone().into()));
        // Envoy answers 500 to a length that is not the body's, and full duplex it may send what is left over as
        // another request.
        let length = changed.as_ref().map_or(body.len(), Pieces::len);
        mutation.set.push(("content-length".into(), length.to_string()));
        let answer = match mode {
            BodyMode::FullDuplex => {
                Action::Request { mutation, body: changed.unwrap_or_else(|| body.into()), trailers }
            }
            // What Envoy has already need not travel back to it.
            _ => Action::RequestBody(mutation, changed),
        };
        (answer, Next::More)
    }

    /// Returns the target of a request and the body to send.
    fn choose(&self, whole: &Whole, admitted: Admitted, now: Instant) -> Result<Choice, Refusal> {
        let facts = facts(&whole.head, whole.body.as_deref().unwrap_or_default(), admitted.route())?;
        let mut attempt = match admitted {
            Admitted::Further(attempt) => attempt,
            Admitted::Classified(route, classification) => {
                self.gateway.router.choose(route, &facts, Some(classification), now)?
            }
            Admitted::First(route) => {
                if let Some(key) = state_of(&facts, route.policy()) {
                    let sent = pinned(route, &facts, key)?;
                    return Ok(Choice::Sent(sent, None));
                }
                match self.gateway.router.waiting(&whole.head, now)? {
                    Some(attempt) => attempt,
                    None => match self.gateway.router.ask(&route, &facts) {
                        Some(Classify::Question(question)) => return Ok(Choice::Ask(route, question)),
                        Some(Classify::Known(known)) => self.gateway.router.choose(route, &facts, Some(known), now)?,
                        None => self.gateway.router.choose(route, &facts, None, now)?,
                    },
                }
            }
        };
        let mut decision = record::attempt(&whole.head, &attempt, facts.model.as_deref(), now);
        decision.body_bytes = whole.body.as_ref().map_or(0, |body| body.len() as u64);
        attempt.decision = Some(self.decided(decision, now));
        let (target, route) = (attempt.target(), &attempt.request.route);
        let edited = whole
            .body
            .as_ref()
            .map(|body| (facts.edited(&model_edit(target, route), &body_edits(&facts, target, route)), body));
        let changed = edited.filter(|(edited, _)| !edited.is_unchanged()).map(|(edited, body)| edited.share(body));
        Ok(Choice::Sent(Sent::Target(attempt), changed))
    }

    /// Completes a decision's times and reports it.
    fn decided(&self, mut decision: Decision, now: Instant) -> Arc<Decision> {
        decision.waited = now.saturating_duration_since(self.began.unwrap_or(now));
        decision.worked = now.elapsed();
        let decision = Arc::new(decision);
        self.gateway.telemetry.decided(&decision);
        decision
    }

    pub(super) fn pass_body(
        &mut self,
        passing: Passing,
        bytes: Bytes,
        end_of_stream: bool,
        now: Instant,
    ) -> (Action, Next) {
        if passing.mode != BodyMode::FullDuplex {
            return (Action::Unchanged(Phase::RequestBody), self.await_pinned(passing, now));
        }
        let next = if end_of_stream {
            self.await_pinned(passing, now)
        } else {
            self.state = State::Passing(Box::new(passing));
            Next::More
        };
        (Action::Chunk { bytes, end_of_stream }, next)
    }

    /// Awaits the response's headers of a request whose body was forwarded, where the router chose its endpoint.
    pub(super) fn await_pinned(&mut self, passing: Passing, now: Instant) -> Next {
        let Passing { head, route: Some(route), .. } = passing else { return Next::End };
        self.state = State::AwaitingResponse(Box::new(Awaiting { head, sent: Sent::Pinned(route), begun: now }));
        Next::More
    }
}

/// Pins a request whose body refers to state at one account. It keeps its own model, if that account's provider has it.
fn pinned(route: Route, facts: &BodyFacts<'_>, key: &str) -> Result<Sent, Refusal> {
    let Some(stateful) = &route.policy().stateful else {
        return Err(Refusal::Stateful { what: key.to_owned() });
    };
    let asked = facts.model.as_deref().unwrap_or_default();
    if !stateful.models.iter().any(|model| model.as_str() == asked) {
        let served = stateful.models.iter().map(ToString::to_string).collect();
        return Err(Refusal::UnknownModel { asked: asked.to_owned(), served });
    }
    Ok(Sent::Pinned(route))
}
