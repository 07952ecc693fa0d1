//! The request half of an exchange: admitted by its headers, decided by its body, sent or refused.

use std::time::Instant;

use super::headers::{is_identity, is_json, less_forwarded, send, strip};
use super::{Answer, BodyMode, Exchange, Mutation, Next, Sent, State, private, refuse};
use crate::body::BodyFacts;
use crate::refusal::Refusal;
use crate::router::{Admission, Attempt, RequestHead, Route};
use crate::telemetry;

/// A request whose target its body decides.
#[derive(Debug)]
pub(super) enum Admitted {
    First(Route),
    Further(Box<Attempt>),
}

/// A request that has been read.
struct Whole {
    head: RequestHead,
    mode: BodyMode,
    mutation: Mutation,
    body: Vec<u8>,
    trailers: bool,
}

impl Admitted {
    fn route(&self) -> &Route {
        match self {
            Self::First(route) => route,
            Self::Further(attempt) => &attempt.trial.route,
        }
    }
}

impl Exchange {
    pub(super) fn on_request_headers(
        &mut self,
        head: RequestHead,
        unwanted: Vec<&'static str>,
        end_of_stream: bool,
        mode: BodyMode,
        now: Instant,
    ) -> (Answer, Next) {
        let admission = self.router.admit(&head, now);
        self.place = self.capacity.enter();
        match admission {
            Admission::Reply(reply) => (Answer::Reply(reply), Next::End),
            Admission::Refuse(refusal) => refuse(&head, &refusal),
            Admission::Continue => self.pass_on(head, unwanted, end_of_stream, mode),
            Admission::First(_) | Admission::Pinned(_) if self.place.is_none() => refuse(&head, &Refusal::OverCapacity),
            Admission::Pinned(route) => self.pin(head, route, unwanted, (end_of_stream, mode), now),
            Admission::First(route) => {
                self.begin_reading(head, Admitted::First(route), unwanted, (end_of_stream, mode))
            }
            // It was let in once; to refuse it now would lose the client an answer.
            Admission::Further(attempt) => {
                self.begin_reading(head, Admitted::Further(attempt), unwanted, (end_of_stream, mode))
            }
        }
    }

    /// None of ours: it keeps everything but the private headers.
    fn pass_on(
        &mut self,
        head: RequestHead,
        mut unwanted: Vec<&'static str>,
        end_of_stream: bool,
        mode: BodyMode,
    ) -> (Answer, Next) {
        unwanted.retain(|name| private::ALL.contains(name));
        // Full duplex, a stream that ends here would take the body along.
        let next = if mode == BodyMode::FullDuplex && !end_of_stream { Next::More } else { Next::End };
        if next == Next::More {
            self.state = State::Passing { head, route: None, mode };
        }
        (Answer::RequestHeaders(strip(unwanted)), next)
    }

    /// A request that exists only at one account goes there, whatever the policy's turns.
    fn pin(
        &mut self,
        head: RequestHead,
        route: Route,
        unwanted: Vec<&'static str>,
        (end_of_stream, mode): (bool, BodyMode),
        now: Instant,
    ) -> (Answer, Next) {
        let Some(stateful) = &route.policy().stateful else {
            return refuse(&head, &Refusal::Stateful { what: head.path_only().to_owned() });
        };
        let mut mutation = strip(less_forwarded(unwanted, &route.api));
        send(&mut mutation, &head, &route, &stateful.endpoint, route.policy().limits.request_timeout);
        telemetry::pinned(&head, &route, &stateful.endpoint);
        self.state = if end_of_stream {
            State::AwaitingAnswer { head, sent: Sent::Pinned(route), begun: now }
        } else {
            State::Passing { head, route: Some(route), mode }
        };
        (Answer::RequestHeaders(mutation), Next::More)
    }

    fn begin_reading(
        &mut self,
        head: RequestHead,
        admitted: Admitted,
        unwanted: Vec<&'static str>,
        (end_of_stream, mode): (bool, BodyMode),
    ) -> (Answer, Next) {
        if let Some(refusal) = self.refusal_of_head(&head, end_of_stream, mode) {
            return refuse(&head, &refusal);
        }
        let mutation = strip(less_forwarded(unwanted, &admitted.route().api));
        let (answer, mutation) = match mode {
            BodyMode::FullDuplex => (Answer::Nothing, mutation),
            _ => (Answer::RequestHeaders(mutation), Mutation::default()),
        };
        self.state = State::Reading { head, admitted, mode, mutation, body: Vec::new() };
        (answer, Next::More)
    }

    /// What can be refused before the body is sent.
    fn refusal_of_head(&self, head: &RequestHead, end_of_stream: bool, mode: BodyMode) -> Option<Refusal> {
        if end_of_stream {
            return BodyFacts::read(&[]).err().map(Refusal::Body);
        }
        if mode == BodyMode::Other {
            return Some(Refusal::BodyMode);
        }
        let limit = self.capacity.max_body_bytes;
        if head.content_length.is_some_and(|length| length > limit) {
            return Some(Refusal::TooLarge(limit));
        }
        if let Some(encoding) = head.content_encoding.as_deref().filter(|encoding| !is_identity(encoding)) {
            return Some(Refusal::ContentEncoding(encoding.to_owned()));
        }
        let content_type = head.content_type.as_deref().filter(|content_type| !is_json(content_type))?;
        Some(Refusal::ContentType(content_type.to_owned()))
    }

    pub(super) fn on_request_body(
        &mut self,
        reading: State,
        bytes: Vec<u8>,
        end_of_stream: bool,
        now: Instant,
    ) -> (Answer, Next) {
        let State::Reading { head, admitted, mode, mutation, mut body } = reading else {
            return (Answer::Nothing, Next::End);
        };
        if body.len() + bytes.len() > self.capacity.max_body_bytes {
            return refuse(&head, &Refusal::TooLarge(self.capacity.max_body_bytes));
        }
        if body.is_empty() {
            body = bytes;
        } else {
            body.extend_from_slice(&bytes);
        }
        if mode == BodyMode::FullDuplex && !end_of_stream {
            self.state = State::Reading { head, admitted, mode, mutation, body };
            return (Answer::Nothing, Next::More);
        }
        self.decide(Whole { head, mode, mutation, body, trailers: false }, admitted, now)
    }

    /// Full duplex, trailers end a body.
    pub(super) fn on_request_trailers(&mut self, reading: State, now: Instant) -> (Answer, Next) {
        let State::Reading { head, admitted, mode, mutation, body } = reading else {
            return (Answer::Nothing, Next::End);
        };
        self.decide(Whole { head, mode, mutation, body, trailers: true }, admitted, now)
    }

    /// The request is whole: choose, edit, send.
    fn decide(&mut self, whole: Whole, admitted: Admitted, now: Instant) -> (Answer, Next) {
        let (sent, body) = match self.choose(&whole, admitted, now) {
            Ok(decided) => decided,
            Err(refusal) => return refuse(&whole.head, &refusal),
        };
        let Whole { head, mode, mut mutation, trailers, .. } = whole;
        match &sent {
            Sent::Target(attempt) => {
                send(&mut mutation, &head, &attempt.trial.route, &attempt.target().endpoint, attempt.time_limit);
            }
            Sent::Pinned(route) => {
                if let Some(stateful) = &route.policy().stateful {
                    send(&mut mutation, &head, route, &stateful.endpoint, route.policy().limits.request_timeout);
                }
            }
        }
        // Envoy answers 500 to a length that is not the body's, and full duplex it may send what is left over as
        // another request.
        mutation.set.push(("content-length", body.len().to_string()));
        self.state = State::AwaitingAnswer { head, sent, begun: now };
        let answer = match mode {
            BodyMode::FullDuplex => Answer::Request { mutation, body, trailers },
            _ => Answer::RequestBody(mutation, body),
        };
        (answer, Next::More)
    }

    /// Where a request goes, and with which body.
    fn choose(&self, whole: &Whole, admitted: Admitted, now: Instant) -> Result<(Sent, Vec<u8>), Refusal> {
        let facts = BodyFacts::read(&whole.body).map_err(Refusal::Body)?;
        let attempt = match admitted {
            Admitted::Further(attempt) => attempt,
            Admitted::First(route) => {
                if let Some(key) = facts.stateful {
                    return pinned(&whole.head, route, &facts, key).map(|sent| (sent, whole.body.clone()));
                }
                match self.router.waiting(&whole.head, now) {
                    Some(attempt) => attempt,
                    None => self.router.choose(route, &facts, now)?,
                }
            }
        };
        telemetry::decision(&whole.head, &attempt, facts.model.as_deref(), now);
        let body = facts.edited(attempt.target().model.as_str(), &attempt.target().edits);
        Ok((Sent::Target(attempt), body))
    }

    pub(super) fn pass_body(
        &mut self,
        head: RequestHead,
        route: Option<Route>,
        mode: BodyMode,
        (bytes, end_of_stream): (Vec<u8>, bool),
        now: Instant,
    ) -> (Answer, Next) {
        if mode != BodyMode::FullDuplex {
            return (Answer::Unchanged(super::Phase::RequestBody), self.await_pinned(head, route, now));
        }
        let next = if end_of_stream {
            self.await_pinned(head, route, now)
        } else {
            self.state = State::Passing { head, route, mode };
            Next::More
        };
        (Answer::Chunk { bytes, end_of_stream }, next)
    }

    /// The body has gone on; where we sent it, the answer's headers are of interest.
    pub(super) fn await_pinned(&mut self, head: RequestHead, route: Option<Route>, now: Instant) -> Next {
        let Some(route) = route else { return Next::End };
        self.state = State::AwaitingAnswer { head, sent: Sent::Pinned(route), begun: now };
        Next::More
    }
}

/// The body refers to something at one account: its own model stays, if that account's provider has it.
fn pinned(head: &RequestHead, route: Route, facts: &BodyFacts<'_>, key: &str) -> Result<Sent, Refusal> {
    let Some(stateful) = &route.policy().stateful else {
        return Err(Refusal::Stateful { what: key.to_owned() });
    };
    let asked = facts.model.as_deref().unwrap_or_default();
    if !stateful.models.iter().any(|model| model.as_str() == asked) {
        let served = stateful.models.iter().map(ToString::to_string).collect();
        return Err(Refusal::UnknownModel { asked: asked.to_owned(), served });
    }
    telemetry::pinned(head, &route, &stateful.endpoint);
    Ok(Sent::Pinned(route))
}
