//! Rate-limit headers: when a provider says that it can be asked again. Every dialect comes down to two questions.

use std::time::{Duration, SystemTime};

use super::wait;

/// The target's quota, as a response's headers report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// The wait that the response asks for explicitly (`Retry-After`, `retry-after-ms`).
    pub retry_after: Option<Duration>,
    /// The time until a used-up quota is available again; zero if the response does not say. `None` if nothing is used
    /// up.
    pub exhausted: Option<Duration>,
}

/// One kind of allowance: the headers that say how much there is in all, how much is left, and when it is whole again.
struct Allowance {
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
}

const fn allowance(limit: &'static str, remaining: &'static str, reset: &'static str) -> Allowance {
    Allowance { limit, remaining, reset }
}

/// Sources: OpenAI's "Rate limits in headers" (resets are durations such as `6m0s`), Anthropic's "Rate limits" (resets
/// are instants by RFC 3339), Cerebras's "Rate limits" (resets in seconds), OpenRouter's "Limits" (resets in
/// milliseconds since 1970), the IETF's draft "RateLimit header fields", Mistral's, WSO2's and Fireworks's remaining
/// headers without a reset.
const ALLOWANCES: &[Allowance] = &[
    allowance("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    allowance("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    allowance(
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    allowance(
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    allowance(
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    allowance(
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
    allowance("x-ratelimit-limit-requests-day", "x-ratelimit-remaining-requests-day", "x-ratelimit-reset-requests-day"),
    allowance(
        "x-ratelimit-limit-tokens-minute",
        "x-ratelimit-remaining-tokens-minute",
        "x-ratelimit-reset-tokens-minute",
    ),
    allowance("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    allowance("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
    allowance("x-ratelimitbysize-limit-minute", "x-ratelimitbysize-remaining-minute", ""),
    allowance("x-ratelimitbysize-limit-month", "x-ratelimitbysize-remaining-month", ""),
    allowance("ratelimitbysize-limit", "ratelimitbysize-remaining", "ratelimitbysize-reset"),
    allowance("x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute", ""),
    allowance("x-ratelimit-limit-tokens-month", "x-ratelimit-remaining-tokens-month", ""),
    allowance("x-ratelimit-limit-tokens-prompt", "x-ratelimit-remaining-tokens-prompt", ""),
    allowance("x-ratelimit-limit-tokens-generated", "x-ratelimit-remaining-tokens-generated", ""),
];

/// Returns whether a header of this name says something of a quota.
#[must_use]
pub fn concerns(name: &str) -> bool {
    matches!(name, "retry-after" | "retry-after-ms" | "x-ms-retry-after-ms")
        || (name.contains("ratelimit") && ALLOWANCES.iter().any(|allowance| allowance.has(name)))
}

impl Allowance {
    fn has(&self, name: &str) -> bool {
        name == self.remaining || name == self.reset || name == self.limit
    }
}

impl Quota {
    /// Reads the headers that [`concerns`] named; `now` is for those that give an instant. What can't be read counts as
    /// absent, and a past instant as now.
    #[must_use]
    pub fn read(headers: &[(String, String)], now: SystemTime) -> Self {
        let value = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        let millis = value("retry-after-ms")
            .or(value("x-ms-retry-after-ms"))
            .and_then(|text| text.parse().ok())
            .and_then(from_millis);
        let retry_after = millis.or_else(|| value("retry-after").and_then(|text| wait::until(text, now)));
        let is_limited = |allowance: &&Allowance| value(allowance.limit).is_none_or(is_some_limit);
        let used_up = ALLOWANCES.iter().filter(|allowance| value(allowance.remaining).is_some_and(is_none_left));
        let resets = used_up.filter(is_limited).filter_map(|allowance| {
            match value(allowance.reset).map(|text| (text, wait::until(text, now))) {
                // It is whole again already: the two headers contradict each other, so nothing is known.
                Some((_, Some(Duration::ZERO))) => None,
                Some((text, None)) if text.starts_with('-') || text.parse::<f64>().is_ok() => None,
                reset => Some(reset.and_then(|(_, reset)| reset).unwrap_or_default()),
            }
        });
        Self { retry_after, exhausted: resets.max() }
    }

    /// Returns how long to wait, as the headers have it.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after.or(self.exhausted.filter(|reset| !reset.is_zero()))
    }
}

/// Returns whether nothing is left. A negative number means that nothing is known: Azure sends `-1`.
fn is_none_left(text: &str) -> bool {
    text.parse::<f64>() == Ok(0.0)
}

/// Returns whether a limit is one. A limit of nothing, or less, or in words (`unlimited`), is how some servers say that
/// there is none. The IETF's draft has more than a number: `100, 100;w=60`.
fn is_some_limit(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+')).unwrap_or(text.len());
    text[..end].parse::<f64>().is_ok_and(|limit| limit > 0.0)
}

fn from_millis(millis: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(millis / 1e3).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the date of the HTTP specification's examples.
    const NOW: u64 = 784_111_777;

    fn read(headers: &[(&str, &str)]) -> Quota {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert!(headers.iter().all(|(name, _)| concerns(name)));
        Quota::read(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }

    fn check_retry_after(value: &str, expected_ms: Option<u64>) {
        let expected = expected_ms.map(Duration::from_millis);
        assert_eq!(read(&[("retry-after", value)]).retry_after, expected, "{value:?}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check_retry_after("7", Some(7_000));
        check_retry_after(" 0 ", Some(0));
        check_retry_after("0.5", Some(500));
        check_retry_after("99999999999999999999999999", Some(1_000_000_000_000));
        check_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000));
        check_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
        for nonsense in ["", "-1", "soon", "NaN", "Sun, 99 Nov 1994"] {
            check_retry_after(nonsense, None);
        }
    }

    #[test]
    fn milliseconds_are_more_exact_than_seconds() {
        let quota = read(&[("retry-after", "1"), ("retry-after-ms", "250")]);
        assert_eq!(quota.wait(), Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_used_up_says_when_it_is_there_again() {
        for (reset, millis) in [("6m0s", 360_000), ("120ms", 120), ("1h2m3.5s", 3_723_500), ("2", 2_000), ("x", 0)] {
            let quota = read(&[
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", reset),
                ("x-ratelimit-remaining-tokens", "17"),
                ("x-ratelimit-reset-tokens", "9h"),
            ]);
            assert_eq!(quota.exhausted, Some(Duration::from_millis(millis)), "{reset}");
        }
    }

    #[test]
    fn anthropics_resets_are_instants() {
        let quota = read(&[
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "1994-11-06T08:50:07Z"),
        ]);
        assert_eq!(quota.wait(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn the_longest_of_several_resets_counts() {
        let quota = read(&[
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "5s"),
        ]);
        assert_eq!(quota.exhausted, Some(Duration::from_secs(5)));
    }

    #[test]
    fn nonsense_says_nothing() {
        let sets: [&[(&str, &str)]; 15] = [
            &[("x-ratelimit-remaining-tokens", "-1"), ("x-ratelimit-reset-tokens", "0")],
            &[("x-ratelimit-remaining-tokens", "-3"), ("x-ratelimit-reset-tokens", "5s")],
            &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "0s")],
            &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-limit-tokens", "-1")],
            &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-limit-requests", "0")],
            &[("x-ratelimit-remaining-requests", "unlimited")],
            &[("x-ratelimit-remaining-requests", "")],
            &[("x-ratelimit-remaining-requests", "NaN")],
            &[("x-ratelimit-remaining-requests", "0.5")],
            &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-limit-requests", "unlimited")],
            &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-limit-requests", "")],
            &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "-1")],
            &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "-5s")],
            &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "NaN")],
            &[
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "1994-11-06T08:00:00Z"),
            ],
        ];
        for headers in sets {
            assert_eq!(read(headers), Quota::default(), "{headers:?}");
        }
    }

    #[test]
    fn a_limit_may_have_more_than_a_number() {
        let headers = [("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "60")];
        assert_eq!(read(&headers).exhausted, Some(Duration::from_secs(60)));
    }

    #[test]
    fn with_something_left_nothing_is_said() {
        assert_eq!(
            read(&[("x-ratelimit-remaining-requests", "1"), ("x-ratelimit-reset-requests", "1s")]),
            Quota::default()
        );
    }
}
