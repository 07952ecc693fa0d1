//! Outcomes: what a response says about its target. One function decides.

pub mod error;
pub mod inspection;
pub mod quota;
mod wait;
mod words;

use std::time::Duration;

use crate::routing::outcome::error::ErrorFacts;
use crate::routing::outcome::quota::Quota;
use crate::routing::provider::{Fault, ProviderType};

/// The bounds of a wait that a provider asks for: shorter would hammer it, longer would lose a target to a typing
/// error.
const ASKED_FLOOR: Duration = Duration::from_secs(1);
const ASKED_CAP: Duration = Duration::from_secs(600);

/// The origin of a response, as far as Envoy's response attributes reveal it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The provider.
    Provider,
    /// Envoy: nobody listens there, or the cluster is unknown.
    EnvoyRefused,
    /// Envoy: its own limit for the cluster is reached, which says nothing of the target.
    EnvoyOverflow,
    /// Envoy, for another reason: a reset, a timeout.
    Envoy,
}

/// The outcome of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Served,
    /// 2xx, and the quota is used up with it.
    ServedLast {
        /// When it is there again, where the response says so.
        reset: Option<Duration>,
    },
    /// 3xx: returned unchanged; says nothing about the target.
    Redirected,
    /// The request's own fault: returned unchanged; says nothing about the target.
    RequestFault,
    /// The request is too long for the model: its own fault, though another model may take it.
    TooLong,
    /// A content filter refused the prompt or the response: the request's own fault, though another vendor may take it.
    Filtered,
    /// The vendor does not serve the region that the request comes from.
    RegionRefused,
    /// The target does not have the operation, which says nothing of its other operations.
    Unsupported,
    /// The credential is refused or its account is empty: concerns every model of the endpoint.
    EndpointFault {
        /// The wait that the response asks for, if it does.
        asked: Option<Duration>,
    },
    /// Over the rate limit.
    RateLimited {
        /// The wait that the response asks for, if it does.
        asked: Option<Duration>,
    },
    /// The target is not there: nobody listens.
    Absent,
    /// The provider does not know the model, at least not for the operation.
    UnknownModel,
    /// The request could not be sent, through no fault of the target's.
    Unsent,
    /// May be the target's fault or the request's.
    Failed {
        /// The wait that the response asks for, if it does.
        asked: Option<Duration>,
    },
}

impl Outcome {
    /// Reads a response's status, what it says of its quota, and who made it.
    #[must_use]
    pub fn of(status: u16, quota: Quota, origin: Origin) -> Self {
        let asked = quota.wait();
        match (status, origin) {
            (_, Origin::EnvoyRefused) => Self::Absent,
            (_, Origin::EnvoyOverflow) => Self::Unsent,
            (200..=299, _) => match quota.exhausted {
                Some(reset) => Self::ServedLast { reset: Some(reset).filter(|reset| !reset.is_zero()) },
                None => Self::Served,
            },
            (300..=399, _) => Self::Redirected,
            (400 | 406 | 411 | 413 | 414 | 415 | 422 | 431, _) => Self::RequestFault,
            (401 | 402, Origin::Provider) => Self::EndpointFault { asked },
            (404 | 405 | 501, Origin::Provider) => Self::Unsupported,
            (429, _) => Self::RateLimited { asked },
            _ => Self::Failed { asked },
        }
    }

    /// Refines the outcome of an error by what its body states: a known code or message says more than a status.
    #[must_use]
    pub fn refined(self, facts: &ErrorFacts, provider: &ProviderType) -> Self {
        let asked = self.asked_as_stated().or(facts.wait);
        match (provider.responses.fault(facts), self) {
            // A rate limit's reset says nothing of an account.
            (Some(Fault::Endpoint), _) => Self::EndpointFault { asked: facts.wait },
            (Some(fault), _) => Self::of_fault(fault, asked),
            (None, Self::RateLimited { .. }) => Self::RateLimited { asked },
            // What the request refers to is not there: a stored item, a file.
            (None, Self::Unsupported) if facts.names_parameter => Self::RequestFault,
            (None, outcome) => outcome,
        }
    }

    /// Returns the outcome of an error under a success's status, which therefore has no status of its own.
    #[must_use]
    pub fn of_hidden_error(facts: &ErrorFacts, provider: &ProviderType) -> Self {
        let responses = provider.responses;
        if let Some(fault) = responses.fault(facts).or_else(|| responses.fault_without_status(facts)) {
            return Self::of_fault(fault, facts.wait);
        }
        match facts.status().map(|status| Self::of(status, Quota::default(), Origin::Provider)) {
            Some(Self::RateLimited { .. }) => Self::RateLimited { asked: facts.wait },
            Some(outcome) => outcome,
            None => Self::Failed { asked: facts.wait },
        }
    }

    fn of_fault(fault: Fault, asked: Option<Duration>) -> Self {
        match fault {
            Fault::Endpoint => Self::EndpointFault { asked },
            Fault::Target => Self::UnknownModel,
            Fault::Quota => Self::RateLimited { asked },
            Fault::Overloaded => Self::Failed { asked },
            Fault::Operation => Self::Unsupported,
            Fault::Length => Self::TooLong,
            Fault::Filter => Self::Filtered,
            Fault::Region => Self::RegionRefused,
            Fault::Request => Self::RequestFault,
        }
    }

    /// Adjusts the outcome of a request with the client's own credential, whose permissions and limits say nothing
    /// about the target.
    #[must_use]
    pub fn of_clients_own(self, status: u16) -> Self {
        match (self, status) {
            (Self::EndpointFault { .. }, _) | (Self::Failed { .. }, 401..=403) => Self::RequestFault,
            (Self::RateLimited { .. }, _) => Self::Unsent,
            (Self::ServedLast { .. }, _) => Self::Served,
            (outcome, _) => outcome,
        }
    }

    /// Returns whether the client got what it wanted.
    #[must_use]
    pub fn is_served(&self) -> bool {
        matches!(self, Self::Served | Self::ServedLast { .. })
    }

    /// Returns whether the next candidate should be tried.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        !self.is_served() && !self.is_neutral()
    }

    /// Returns whether it speaks against the target itself, whatever the operation.
    #[must_use]
    pub fn is_targets(&self) -> bool {
        let is_anothers = matches!(self, Self::Unsupported | Self::EndpointFault { .. } | Self::Unsent);
        (self.is_failure() && !is_anothers) || matches!(self, Self::ServedLast { .. })
    }

    /// Returns whether it says nothing about the target, and the response is returned unless the policy says otherwise.
    #[must_use]
    pub fn is_neutral(&self) -> bool {
        matches!(self, Self::Redirected | Self::RequestFault | Self::TooLong | Self::Filtered | Self::RegionRefused)
    }

    /// Returns how long the response asks to wait, within bounds.
    #[must_use]
    pub fn asked(&self) -> Option<Duration> {
        self.asked_as_stated().map(|asked| asked.clamp(ASKED_FLOOR, ASKED_CAP))
    }

    fn asked_as_stated(&self) -> Option<Duration> {
        match self {
            Self::ServedLast { reset: asked }
            | Self::EndpointFault { asked }
            | Self::RateLimited { asked }
            | Self::Failed { asked } => *asked,
            _ => None,
        }
    }

    /// Returns a stable label for logs and metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::ServedLast { .. } => "served_last",
            Self::Redirected => "redirected",
            Self::RequestFault => "request_fault",
            Self::TooLong => "too_long",
            Self::Filtered => "content_filter",
            Self::RegionRefused => "region",
            Self::Unsupported => "unsupported",
            Self::EndpointFault { .. } => "endpoint_fault",
            Self::RateLimited { .. } => "rate_limited",
            Self::Absent => "absent",
            Self::UnknownModel => "absent",
            Self::Unsent => "unsent",
            Self::Failed { .. } => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_outcome() {
        for (statuses, outcome) in [
            (&[200_u16, 204][..], Outcome::Served),
            (&[301, 304], Outcome::Redirected),
            (&[400, 406, 411, 413, 414, 415, 422, 431], Outcome::RequestFault),
            (&[404, 405, 501], Outcome::Unsupported),
            (&[401, 402], Outcome::EndpointFault { asked: None }),
            (&[429], Outcome::RateLimited { asked: None }),
            (&[403, 408, 409, 410, 425, 500, 502, 503, 504, 529], Outcome::Failed { asked: None }),
        ] {
            for &status in statuses {
                assert_eq!(Outcome::of(status, Quota::default(), Origin::Provider), outcome, "{status}");
            }
        }
    }

    #[test]
    fn envoys_own_answers_are_told_from_the_providers() {
        for (origin, outcome) in [
            (Origin::EnvoyRefused, Outcome::Absent),
            (Origin::EnvoyOverflow, Outcome::Unsent),
            (Origin::Envoy, Outcome::Failed { asked: None }),
        ] {
            assert_eq!(Outcome::of(503, Quota::default(), origin), outcome);
        }
    }

    #[test]
    fn what_is_asked_for_is_believed_within_bounds() {
        for (asked_ms, expected_ms) in [(7_000, 7_000), (0, 1_000), (250, 1_000), (86_400_000, 600_000)] {
            let quota = Quota { retry_after: Some(Duration::from_millis(asked_ms)), exhausted: None };
            let outcome = Outcome::of(429, quota, Origin::Provider);
            assert_eq!(outcome.asked(), Some(Duration::from_millis(expected_ms)));
        }
    }

    #[test]
    fn known_codes_say_more_than_a_status() {
        let openai = ProviderType::named("openai").expect("a type");
        let limited = Outcome::RateLimited { asked: None };
        for (status, code, message, expected) in [
            (429, "insufficient_quota", "", Outcome::EndpointFault { asked: None }),
            (429, "rate_limit_exceeded", "", limited),
            (429, "rate_limit_exceeded", "request too large for gpt-4o", Outcome::TooLong),
            (404, "model_not_found", "", Outcome::UnknownModel),
            (400, "context_length_exceeded", "", Outcome::TooLong),
            (400, "invalid_type", "", Outcome::RequestFault),
            (400, "content_policy_violation", "", Outcome::Filtered),
            (403, "unsupported_country_region_territory", "", Outcome::RegionRefused),
            (503, "", "", Outcome::Failed { asked: None }),
        ] {
            let (message, own_words) = (message.to_owned(), message.to_owned());
            let facts = ErrorFacts { message, own_words, ..ErrorFacts::of_code(code) };
            let outcome = Outcome::of(status, Quota::default(), Origin::Provider).refined(&facts, openai);
            assert_eq!(outcome, expected, "{status} {code}");
        }
    }

    #[test]
    fn an_error_under_a_200_is_judged_by_its_own_code() {
        let openai = ProviderType::named("openai").expect("a type");
        for (code, expected) in [
            ("server_error", Outcome::Failed { asked: None }),
            ("rate_limit_exceeded", Outcome::RateLimited { asked: None }),
            ("invalid_prompt", Outcome::RequestFault),
            ("402", Outcome::EndpointFault { asked: None }),
            ("429", Outcome::RateLimited { asked: None }),
            ("502", Outcome::Failed { asked: None }),
            ("400", Outcome::RequestFault),
            ("never heard of", Outcome::Failed { asked: None }),
        ] {
            assert_eq!(Outcome::of_hidden_error(&ErrorFacts::of_code(code), openai), expected, "{code}");
        }
    }

    #[test]
    fn what_a_clients_own_credential_may_do_says_nothing_of_the_target() {
        let quota = Quota { retry_after: None, exhausted: Some(Duration::ZERO) };
        for (status, quota, expected) in [
            (200, quota, Outcome::Served),
            (401, Quota::default(), Outcome::RequestFault),
            (403, Quota::default(), Outcome::RequestFault),
            (429, Quota::default(), Outcome::Unsent),
            (503, Quota::default(), Outcome::Failed { asked: None }),
        ] {
            assert_eq!(Outcome::of(status, quota, Origin::Provider).of_clients_own(status), expected, "{status}");
        }
    }

    #[test]
    fn a_success_that_uses_up_the_quota_is_one_all_the_same() {
        let quota = Quota { retry_after: None, exhausted: Some(Duration::from_secs(3)) };
        let outcome = Outcome::of(200, quota, Origin::Provider);
        assert!(outcome.is_served() && !outcome.is_failure());
        assert_eq!(outcome.asked(), Some(Duration::from_secs(3)));
        let unknown = Outcome::of(200, Quota { exhausted: Some(Duration::ZERO), ..quota }, Origin::Provider);
        assert_eq!(unknown, Outcome::ServedLast { reset: None });
    }
}
