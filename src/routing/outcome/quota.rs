//! Rate-limit headers: when a provider says that it can be asked again. Every dialect comes down to two questions.

use std::time::{Duration, SystemTime};

/// The target's quota, as a response's headers report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// The wait that the response asks for explicitly (`Retry-After`, `retry-after-ms`).
    pub retry_after: Option<Duration>,
    /// The time until a used-up quota is available again; zero if the response does not say. `None` if nothing is used
    /// up.
    pub exhausted: Option<Duration>,
}

/// One kind of allowance: the header that says how much is left, and the one that says when it is whole again.
struct Allowance {
    remaining: &'static str,
    reset: &'static str,
}

/// Sources: OpenAI's "Rate limits in headers" (resets are durations such as `6m0s`), Anthropic's "Rate limits" (resets
/// are instants in RFC 3339), Mistral's and WSO2's remaining headers without a reset.
const ALLOWANCES: &[Allowance] = &[
    Allowance { remaining: "x-ratelimit-remaining-requests", reset: "x-ratelimit-reset-requests" },
    Allowance { remaining: "x-ratelimit-remaining-tokens", reset: "x-ratelimit-reset-tokens" },
    Allowance { remaining: "anthropic-ratelimit-requests-remaining", reset: "anthropic-ratelimit-requests-reset" },
    Allowance { remaining: "anthropic-ratelimit-tokens-remaining", reset: "anthropic-ratelimit-tokens-reset" },
    Allowance {
        remaining: "anthropic-ratelimit-input-tokens-remaining",
        reset: "anthropic-ratelimit-input-tokens-reset",
    },
    Allowance {
        remaining: "anthropic-ratelimit-output-tokens-remaining",
        reset: "anthropic-ratelimit-output-tokens-reset",
    },
    Allowance { remaining: "x-ratelimitbysize-remaining-minute", reset: "" },
    Allowance { remaining: "x-ratelimitbysize-remaining-month", reset: "" },
];

/// Returns whether a header of this name says something of a quota.
#[must_use]
pub fn concerns(name: &str) -> bool {
    matches!(name, "retry-after" | "retry-after-ms")
        || ALLOWANCES.iter().any(|allowance| name == allowance.remaining || name == allowance.reset)
}

impl Quota {
    /// Reads the headers that [`concerns`] named; `now` is for those that give an instant. What can't be read counts as
    /// absent, and a past instant as now.
    #[must_use]
    pub fn read(headers: &[(String, String)], now: SystemTime) -> Self {
        let value = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        let millis = value("retry-after-ms").and_then(|text| text.parse().ok()).map(Duration::from_millis);
        let retry_after = millis.or_else(|| value("retry-after").and_then(|text| wait(text, now)));
        let used_up = ALLOWANCES.iter().filter(|allowance| value(allowance.remaining).is_some_and(is_none_left));
        let resets =
            used_up.map(|allowance| value(allowance.reset).and_then(|text| wait(text, now)).unwrap_or_default());
        Self { retry_after, exhausted: resets.max() }
    }

    /// Returns how long to wait, as the headers have it.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after.or(self.exhausted.filter(|reset| !reset.is_zero()))
    }
}

/// Longer waits are as good as this one.
const LONGEST_SECONDS: f64 = 1e9;

/// `0`, and less than it: some providers count below.
fn is_none_left(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|left| left <= 0.0)
}

/// Returns a wait in seconds (`7`, `0.5`), as a duration (`6m0s`, `120ms`), until an HTTP date or until an RFC 3339
/// instant.
fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        let seconds = if seconds > LONGEST_SECONDS { LONGEST_SECONDS } else { seconds };
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let instant = httpdate::parse_http_date(text).ok().or_else(|| humantime::parse_rfc3339_weak(text).ok());
    match instant {
        Some(instant) => Some(instant.duration_since(now).unwrap_or_default()),
        None => duration(text),
    }
}

/// Durations as Go and protobuf write them: `1h2m3.5s`, `6m0s`, `120ms`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |length| digits + length);
        total += number * unit_seconds(&rest[digits..unit])?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3_600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
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
            ("x-ratelimit-remaining-tokens", "-3"),
            ("x-ratelimit-reset-tokens", "5s"),
        ]);
        assert_eq!(quota.exhausted, Some(Duration::from_secs(5)));
    }

    #[test]
    fn with_something_left_nothing_is_said() {
        assert_eq!(
            read(&[("x-ratelimit-remaining-requests", "1"), ("x-ratelimit-reset-requests", "1s")]),
            Quota::default()
        );
    }
}
