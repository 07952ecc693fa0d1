//! Waits: durations and instants, as headers and messages of vendors have them.

use std::time::{Duration, SystemTime};

/// Longer waits are as good as this one.
const LONGEST_SECONDS: f64 = 1e9;

/// From here on a number is an instant and not a wait: seconds since 1970, or milliseconds.
const EPOCH_SECONDS: f64 = 1e9;
const EPOCH_MILLIS: f64 = 1e12;

/// Returns a wait: seconds (`7`, `0.5`), a duration (`6m0s`, `120ms`), or an instant as an HTTP date, by RFC 3339 or
/// in seconds or milliseconds since 1970. A past instant is no wait.
pub(super) fn until(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let seconds = match number {
            // Far beyond any date: a wait that is as good as for ever.
            number if number > EPOCH_MILLIS * 10.0 => LONGEST_SECONDS,
            number if number >= EPOCH_MILLIS => (number / 1e3 - since).max(0.0),
            number if number >= EPOCH_SECONDS => (number - since).max(0.0),
            number => number,
        };
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let instant = httpdate::parse_http_date(text).ok().or_else(|| rfc3339(text));
    match (instant, text.strip_prefix('P')) {
        (Some(instant), _) => Some(instant.duration_since(now).unwrap_or_default()),
        // By ISO 8601: `PT1M30S`.
        (None, Some(iso)) => duration(&iso.replace('T', "").to_ascii_lowercase()),
        (None, None) => duration(text),
    }
}

/// Returns the instant of a date by RFC 3339, in UTC unless it says another offset.
fn rfc3339(text: &str) -> Option<SystemTime> {
    if let Ok(instant) = humantime::parse_rfc3339_weak(text) {
        return Some(instant);
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<u64>().ok()? * 3_600 + minutes.parse::<u64>().ok()? * 60;
    let local = humantime::parse_rfc3339_weak(local).ok()?;
    match offset.as_bytes()[0] {
        b'+' => local.checked_sub(Duration::from_secs(seconds)),
        b'-' => local.checked_add(Duration::from_secs(seconds)),
        _ => None,
    }
}

/// Returns a duration as Go and protobuf write it, or in words: `1h2m3.5s`, `6m0s`, `120ms`, `26 seconds`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    match leading(text)? {
        (found, "") => Some(found),
        _ => None,
    }
}

/// Returns the duration with which a text begins, and the rest.
fn leading(text: &str) -> Option<(Duration, &str)> {
    let (mut total, mut rest, mut found) = (0.0, text, false);
    while let Some((seconds, after)) = part(rest) {
        (total, rest, found) = (total + seconds, after, true);
    }
    let total = Duration::try_from_secs_f64(total).ok().filter(|_| found)?;
    Some((total, rest))
}

/// Returns the seconds of a number with its unit, and the rest.
fn part(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start_matches(' ');
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].trim_start_matches(' ');
    let length = unit.find(|c: char| !c.is_alphabetic()).unwrap_or(unit.len());
    Some((number * unit_seconds(&unit[..length])?, &unit[length..]))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "d" | "day" | "days" => 86_400.0,
        "h" | "hour" | "hours" => 3_600.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "us" | "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}

/// The words before a wait in a message, in lower case. Sources: responses of OpenAI, Groq and Azure ("Please try again
/// in 6m0s", "Please retry after 26 seconds"), of Gemini ("Please retry in 34.07s"), of Replicate ("Your rate limit
/// resets in ~30s"), of GitHub ("Please wait 26 seconds before retrying"), of Azure ("Quota will be replenished in 10
/// days").
const BEFORE_DURATION: [&str; 9] = [
    "try again in ",
    "retry after ",
    "retry in ",
    "try again after ",
    "available in ",
    "resets in ~",
    "resets in ",
    "please wait ",
    "replenished in ",
];

/// The words before a date. Sources: responses of Anthropic ("You will regain access on 2025-06-01 at 00:00 UTC"), of
/// MiniMax and Zhipu ("resets at", "will reset at"), of LiteLLM ("Limit resets at: 2025-06-01 00:00:00 UTC").
const BEFORE_DATE: [&str; 4] = ["regain access on ", "resets at: ", "resets at ", "reset at "];

/// Returns the wait that a message in lower case names, where its form is known.
pub(super) fn in_message(message: &str, now: SystemTime) -> Option<Duration> {
    let after = |words: &&str| message.find(*words).map(|at| &message[at + words.len()..]);
    let duration = BEFORE_DURATION.iter().filter_map(after).find_map(|rest| leading(rest).map(|(found, _)| found));
    duration.or_else(|| BEFORE_DATE.iter().filter_map(after).find_map(|rest| date(rest, now)))
}

/// Returns the time until a date with which a text begins: `2025-06-01`, perhaps with a time (`at 00:00 utc`,
/// `t00:00:00z`).
fn date(text: &str, now: SystemTime) -> Option<Duration> {
    let day = text.get(..10)?;
    let rest = text[10..].trim_start_matches([' ', 't', ',']).trim_start_matches("at ");
    let time = rest.get(..5).filter(|time| time.as_bytes()[2] == b':').unwrap_or("00:00");
    let instant = humantime::parse_rfc3339_weak(&format!("{day} {time}:00")).ok()?;
    Some(instant.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2025-05-31, 23:59:00 UTC.
    const NOW: u64 = 1_748_735_940;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    #[test]
    fn a_wait_is_read_in_each_form() {
        for (text, millis) in [
            ("7", Some(7_000)),
            ("0.5", Some(500)),
            ("6m0s", Some(360_000)),
            ("120ms", Some(120)),
            ("1h2m3.5s", Some(3_723_500)),
            ("2m59.56s", Some(179_560)),
            ("26 seconds", Some(26_000)),
            ("1748735950", Some(10_000)),
            ("1748735950000", Some(10_000)),
            ("1748730000", Some(0)),
            ("2025-06-01T00:00:00Z", Some(60_000)),
            ("Sun, 01 Jun 2025 00:00:00 GMT", Some(60_000)),
            ("2025-06-01T00:00:00.500Z", Some(60_500)),
            ("2025-06-01T00:00:00+00:00", Some(60_000)),
            ("2025-06-01T02:00:00+02:00", Some(60_000)),
            ("2025-05-31T19:00:00-05:00", Some(60_000)),
            ("2025-06-01T00:00:00*00:00", None),
            ("PT1M30S", Some(90_000)),
            ("P1DT2H", Some(93_600_000)),
            ("1m30s500ms", Some(90_500)),
            ("-1", None),
            ("-5s", None),
            ("soon", None),
            ("", None),
            ("NaN", None),
            ("5 apples", None),
        ] {
            assert_eq!(until(text, now()), millis.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn a_wait_in_a_message_is_read_where_its_form_is_known() {
        for (message, millis) in [
            ("rate limit reached … please try again in 1.242s. visit", Some(1_242)),
            ("please try again in 6m0s.", Some(360_000)),
            ("please retry after 26 seconds. please go here", Some(26_000)),
            ("please retry in 34.5s.", Some(34_500)),
            ("try again in 20ms", Some(20)),
            ("your rate limit resets in ~30s.", Some(30_000)),
            ("you will regain access on 2025-06-01 at 00:00 utc.", Some(60_000)),
            ("you will regain access on 2025-06-02.", Some(86_460_000)),
            ("regain access on 2020-01-01", Some(0)),
            ("please wait 26 seconds before retrying.", Some(26_000)),
            ("usage limit exceeded, resets at 2025-06-01t01:00:00z (2056)", Some(3_660_000)),
            ("quota will be replenished in 10 days.", Some(864_000_000)),
            ("limit resets at: 2025-06-01 00:00:00 utc", Some(60_000)),
            ("your limit will reset at 2025-06-01 00:01:30", Some(120_000)),
            ("try again in a moment", None),
            ("regain access on monday", None),
            ("retry after the weekend", None),
            ("", None),
        ] {
            assert_eq!(in_message(message, now()), millis.map(Duration::from_millis), "{message:?}");
        }
    }
}
