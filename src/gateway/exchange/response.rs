//! The response half of an exchange: the outcome for the target, and whether the client receives the response.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use super::headers::{self, unseen};
use super::{Action, Awaiting, Exchange, Mutation, Next, Sent, State};
use crate::body::coding::Coding;
use crate::gateway::router::{Attempt, RequestHead};
use crate::routing::decision::Metadata;
use crate::routing::outcome::error::ErrorFacts;
use crate::routing::outcome::inspection::{BodyFormat, MAX_BYTES, Start};
use crate::routing::outcome::quota::Quota;
use crate::routing::outcome::{Origin, Outcome};
use crate::routing::provider::ProviderType;
use crate::routing::suspension::Cause;

/// The time limit of an error's body, which usually arrives with its headers. Without it the status decides.
const ERROR_BODY_TIME: Duration = Duration::from_secs(2);

/// The longest that headers are held back: below `message_timeout` (60 s) of the shipped Envoy files.
const MAX_HOLD: Duration = Duration::from_secs(50);

/// The headers of a response.
#[derive(Debug)]
pub struct ResponseHead {
    /// Its status.
    pub status: u16,
    /// The target's quota, as the headers report it.
    pub quota: Quota,
    /// The origin of the response.
    pub origin: Origin,
    /// When it arrived.
    pub at: SystemTime,
    /// The headers present that the client must not see.
    pub unwanted: Vec<&'static str>,
    /// Whether it has no body.
    pub end_of_stream: bool,
    /// The error type in a header, as AWS sends it.
    pub error_type: Option<String>,
    /// The format of its body, if the router can read it.
    pub kind: Option<BodyFormat>,
    /// The coding of its body.
    pub coding: Coding,
}

/// A response whose headers are held back while its start is inspected.
#[derive(Debug)]
pub(super) struct Inspection {
    head: RequestHead,
    attempt: Attempt,
    answer: ResponseHead,
    outcome: Outcome,
    /// What the error states, if it is one.
    facts: ErrorFacts,
    begun: Instant,
    seen: Vec<u8>,
    pub(super) time_limit: Duration,
}

/// The cause of a response that came to nothing while it was held.
const STALLED: &str = "stalled";

impl Exchange {
    pub(super) fn on_response(&mut self, awaiting: Awaiting, answer: ResponseHead, now: Instant) -> (Action, Next) {
        let Awaiting { head, sent, begun } = awaiting;
        let attempt = match sent {
            Sent::Target(attempt) => *attempt,
            Sent::Pinned(route) => {
                let endpoint = route.policy().stateful.as_ref().map(|stateful| &*stateful.endpoint);
                let unwanted = unseen(answer.unwanted, &route.api, endpoint);
                let mut mutation = headers::answer(unwanted, false);
                mutation.set.extend(headers::request_id(&head).map(|(name, id)| (name.into(), id)));
                return (Action::ResponseHeaders(mutation), Next::End);
            }
        };
        let mut outcome = Outcome::of(answer.status, answer.quota, answer.origin);
        let facts = answer.error_type.as_deref().map(ErrorFacts::of_code).unwrap_or_default();
        if answer.status >= 400 {
            outcome = outcome.refined(&facts, attempt.target().endpoint.provider);
        }
        let can_be_read = answer.kind.is_some_and(|kind| kind != BodyFormat::Text);
        let looked_at = attempt.request.route.policy().inspect_first_event && can_be_read;
        if answer.end_of_stream && outcome.is_served() && looked_at {
            // A response that can be read and has nothing to read.
            outcome = Outcome::Failed { asked: None };
        }
        let time_limit = self.inspection_time(&head, &attempt, &answer, &outcome, begun, now);
        let inspection = Inspection {
            head,
            attempt,
            answer,
            outcome,
            facts,
            begun,
            seen: Vec::new(),
            time_limit: time_limit.unwrap_or_default(),
        };
        match time_limit {
            Some(time_limit) => {
                self.state = State::Inspecting(Box::new(inspection));
                (Action::Hold(time_limit), Next::More)
            }
            None => (Action::ResponseHeaders(self.conclude(inspection, now)), Next::End),
        }
    }

    /// Returns the longest wait for the start of a response; `None` if it is not inspected.
    fn inspection_time(
        &self,
        head: &RequestHead,
        attempt: &Attempt,
        answer: &ResponseHead,
        outcome: &Outcome,
        begun: Instant,
        now: Instant,
    ) -> Option<Duration> {
        if !head.response_can_be_held || answer.end_of_stream || answer.origin != Origin::Provider {
            return None;
        }
        let kind = answer.kind?;
        if answer.status >= 400 {
            return (kind != BodyFormat::Frames).then_some(ERROR_BODY_TIME);
        }
        // Without a further attempt there is nothing that could be done about it.
        let inspected = attempt.request.route.policy().inspect_first_event && head.stream_id.is_some();
        let inspected = inspected && kind != BodyFormat::Text;
        let left = attempt.time_limit.saturating_sub(now.saturating_duration_since(begun));
        (outcome.is_served() && inspected).then_some(left.clamp(Duration::from_millis(1), MAX_HOLD))
    }

    pub(super) fn on_response_body(
        &mut self,
        mut inspection: Box<Inspection>,
        bytes: &[u8],
        end_of_stream: bool,
        now: Instant,
    ) -> (Action, Next) {
        let room = MAX_BYTES - inspection.seen.len();
        inspection.seen.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let full = inspection.seen.len() >= MAX_BYTES;
        let is_decided = match inspection.answer.status {
            400.. => (end_of_stream || full) && inspection.read_error(),
            _ => inspection.judge(end_of_stream || full, false),
        };
        if is_decided {
            return (Action::ResponseHeaders(self.conclude(*inspection, now)), Next::End);
        }
        // Each chunk starts Envoy's timer again, with the filter's `message_timeout`, and Envoy grants more time only
        // once: the shipped files have a `message_timeout` that is longer than any hold.
        self.state = State::Inspecting(inspection);
        (Action::Nothing, Next::More)
    }

    /// Decides when the start of a response is late: an error's status decides, with what has arrived of its body, a
    /// stream that has begun passes, and a success that stalls is a failure.
    pub(super) fn on_late_response(&mut self, mut inspection: Box<Inspection>, now: Instant) -> (Action, Next) {
        if inspection.answer.status >= 400 {
            inspection.read_error();
        } else if !inspection.judge(false, true) {
            inspection.outcome = Outcome::Failed { asked: None };
            inspection.facts = ErrorFacts::of_code(STALLED);
        }
        (Action::ResponseHeaders(self.conclude(*inspection, now)), Next::End)
    }

    /// Settles the attempt and decides on the response: the client gets it, or the next candidate is tried.
    fn conclude(&self, inspection: Inspection, now: Instant) -> Mutation {
        let Inspection { head, attempt, answer, mut outcome, facts, begun, .. } = inspection;
        if attempt.target().endpoint.credential.is_clients() {
            outcome = outcome.of_clients_own(answer.status);
        }
        let cause = outcome.is_failure().then(|| cause(&answer, &facts, &outcome));
        let (recorded, took) = (attempt.decision.clone(), now.saturating_duration_since(begun));
        if let Some(recorded) = &recorded {
            self.gateway.telemetry.answered(recorded, answer.status, &outcome, took);
        }
        let unwanted = unseen(answer.unwanted, &attempt.request.route.api, Some(&attempt.target().endpoint));
        let decision = headers::decision(&attempt);
        let next = self.gateway.router.observe(attempt, &outcome, cause, head.stream_id.as_deref(), now);
        let goes_on = next.is_some();
        if let (Some(from), Some(next)) = (&recorded, &next) {
            self.gateway.telemetry.failed_over(from, &next.model, &next.endpoint, outcome.label());
        }
        if let Some(recorded) = &recorded {
            recorded.answered(answer.status, &outcome, took, goes_on);
            self.gateway.telemetry.awaits_usage(recorded);
        }
        if goes_on {
            let mut mutation = headers::answer(unwanted, true);
            if answer.status < 400 {
                // For Envoy's log; the outer route discards the response.
                mutation.set.push((":status".into(), "503".to_owned()));
            }
            mutation.metadata = Some(Box::new(Metadata::of("outcome", outcome.label())));
            return mutation;
        }
        let mut mutation = headers::answer(unwanted, false);
        mutation.set.extend(decision);
        mutation.set.extend(headers::request_id(&head).map(|(name, id)| (name.into(), id)));
        mutation.metadata = Some(Box::new(Metadata::of("outcome", outcome.label())));
        mutation
    }
}

/// Returns what an operator is shown as the reason of a suspension: the vendor's code, or else our word for it.
fn cause(answer: &ResponseHead, facts: &ErrorFacts, outcome: &Outcome) -> Cause {
    Cause { at: answer.at, status: answer.status, code: facts.code().unwrap_or(outcome.label()).into() }
}

impl Inspection {
    fn provider(&self) -> &'static ProviderType {
        self.attempt.target().endpoint.provider
    }

    /// Reads an error's body, which decides.
    fn read_error(&mut self) -> bool {
        let mut facts = ErrorFacts::read(&self.decoded(), self.answer.at);
        facts.codes.append(&mut self.facts.codes);
        self.outcome = self.outcome.refined(&facts, self.provider());
        self.facts = facts;
        true
    }

    /// Judges the start of a success. Returns whether that decides; when it is `late`, a stream that has begun passes.
    fn judge(&mut self, ended: bool, late: bool) -> bool {
        let Some(kind) = self.answer.kind else { return true };
        match kind.judge(&self.decoded(), ended, self.provider().responses.openings, self.answer.at) {
            Start::Undecided => false,
            Start::Opened => late,
            Start::Good => true,
            Start::Bad(facts) => {
                self.outcome = Outcome::of_hidden_error(&facts, self.provider());
                self.facts = facts;
                true
            }
        }
    }

    fn decoded(&self) -> Cow<'_, [u8]> {
        match self.answer.coding {
            Coding::Identity => Cow::Borrowed(&self.seen),
            coding => Cow::Owned(coding.decode_start(&self.seen, MAX_BYTES)),
        }
    }

    pub(super) fn abandoned(self) -> (RequestHead, Attempt, Instant, bool) {
        (self.head, self.attempt, self.begun, true)
    }
}
