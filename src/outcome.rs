//! What an answer says of the target that gave it: one function decides (DESIGN: "Outcomes").

use std::time::Duration;

/// Retry-After is believed within these bounds: shorter would hammer, longer would lose a target to a typing error.
const RETRY_AFTER_FLOOR: Duration = Duration::from_secs(1);
const RETRY_AFTER_CAP: Duration = Duration::from_secs(600);

/// Who made an answer, as far as Envoy's response attributes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The provider.
    Provider,
    /// Envoy: nobody listens there, or the cluster is unknown.
    EnvoyRefused,
    /// Envoy, for another reason: a reset, a timeout.
    Envoy,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Served,
    /// 3xx: returned as it is, says nothing.
    Redirected,
    /// The request's own fault: returned as it is, says nothing of the target.
    RequestFault,
    /// The credential is refused or its account is empty: concerns every model of the endpoint.
    EndpointFault {
        /// The answer's own word on when to come back.
        retry_after: Option<Duration>,
    },
    /// Over the rate limit.
    RateLimited {
        /// The answer's own word on when to come back.
        retry_after: Option<Duration>,
    },
    /// Nobody listens there.
    Refused,
    /// May be the target's fault or the request's.
    Failed {
        /// The answer's own word on when to come back.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// Reads an answer's status, its `Retry-After` and who made it.
    #[must_use]
    pub fn of(status: u16, retry_after: Option<&str>, origin: Origin) -> Self {
        let retry_after = retry_after.and_then(parse_retry_after);
        match (status, origin) {
            (_, Origin::EnvoyRefused) => Self::Refused,
            (200..=299, _) => Self::Served,
            (300..=399, _) => Self::Redirected,
            (400 | 405 | 406 | 411 | 413 | 414 | 415 | 422 | 431, _) => Self::RequestFault,
            (401 | 402, Origin::Provider) => Self::EndpointFault { retry_after },
            (429, _) => Self::RateLimited { retry_after },
            _ => Self::Failed { retry_after },
        }
    }

    /// Whether the next candidate should be tried, and whether it counts against the target.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Served | Self::Redirected | Self::RequestFault)
    }

    /// How long to suspend, should this outcome lead to it: what the answer asks for, within bounds, else `suspend`.
    /// A `suspend` of zero means never, whatever the answer asks for.
    #[must_use]
    pub fn suspension(&self, suspend: Duration) -> Duration {
        let asked = match self {
            Self::EndpointFault { retry_after } | Self::RateLimited { retry_after } | Self::Failed { retry_after } => {
                *retry_after
            }
            _ => None,
        };
        match asked {
            Some(asked) if !suspend.is_zero() => asked.clamp(RETRY_AFTER_FLOOR, RETRY_AFTER_CAP),
            _ => suspend,
        }
    }

    /// A stable label for logs and metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Redirected => "redirected",
            Self::RequestFault => "request_fault",
            Self::EndpointFault { .. } => "endpoint_fault",
            Self::RateLimited { .. } => "rate_limited",
            Self::Refused => "refused",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Whole seconds (RFC 9110, 10.2.3). The form with a date is not read.
fn parse_retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(status: u16) -> Outcome {
        Outcome::of(status, None, Origin::Provider)
    }

    #[test]
    fn each_status_has_its_outcome() {
        for (statuses, outcome) in [
            (&[200_u16, 204][..], Outcome::Served),
            (&[301, 304], Outcome::Redirected),
            (&[400, 405, 406, 411, 413, 414, 415, 422, 431], Outcome::RequestFault),
            (&[401, 402], Outcome::EndpointFault { retry_after: None }),
            (&[429], Outcome::RateLimited { retry_after: None }),
            (&[403, 404, 408, 409, 410, 425, 500, 502, 503, 504, 529], Outcome::Failed { retry_after: None }),
        ] {
            for &status in statuses {
                assert_eq!(provider(status), outcome, "{status}");
            }
        }
    }

    #[test]
    fn envoys_own_answers_are_told_from_the_providers() {
        assert_eq!(Outcome::of(503, None, Origin::EnvoyRefused), Outcome::Refused);
        assert_eq!(Outcome::of(504, None, Origin::Envoy), Outcome::Failed { retry_after: None });
    }

    #[test]
    fn retry_after_is_believed_within_bounds_unless_nothing_is_ever_suspended() {
        let suspend = Duration::from_secs(30);
        for (value, seconds) in [("7", 7), ("0", 1), ("86400", 600), (" 2 ", 2), ("tomorrow", 30), ("-1", 30), ("", 30)]
        {
            assert_eq!(
                Outcome::of(429, Some(value), Origin::Provider).suspension(suspend),
                Duration::from_secs(seconds),
                "{value:?}"
            );
        }
        assert_eq!(Outcome::of(429, Some("7"), Origin::Provider).suspension(Duration::ZERO), Duration::ZERO);
    }
}
