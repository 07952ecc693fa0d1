//! What an API asks of a request's headers.

use std::collections::HashMap;

use http::{HeaderName, HeaderValue};

use super::headers::READ_BY_THE_ROUTER;
use crate::document::decode::{At, Named};
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw::{HeaderKind, HeaderRule as Raw};
use crate::routing::api::{HeaderRule, HeaderRules, ValueRule};

/// Returns the rules; what cannot be one is reported.
pub(super) fn rules(raw: Option<&At<Named<Raw>>>, report: &mut Report) -> Option<HeaderRules> {
    let Some(at) = raw else { return Some(HeaderRules::default()) };
    let (mut rules, mut seen, mut complete) = (Vec::new(), HashMap::new(), true);
    for (name, value) in at.get()?.entries() {
        let (rule, text) = (value.get().and_then(|raw| self::value(raw, value.place, report)), name.get());
        let name = text.and_then(|text| Some((self::name(text, name.place, report)?, name.place)));
        let Some(((name, place), value)) = name.zip(rule) else {
            complete = false;
            continue;
        };
        if let Some(first) = seen.insert(name.clone(), place) {
            let message = format!("header {} is there already, at {}", shown(&name), report.locate(first, place));
            report.error_with(place, message, "names of headers are the same in upper and lower case".to_owned());
        }
        rules.push(HeaderRule { name, value });
    }
    if complete && rules.is_empty() {
        report.error_with(at.place, "`headers` is empty", "leave it out, or write `{ x-tier: gold }`".to_owned());
    }
    complete.then(|| HeaderRules::new(rules))
}

fn name(text: &str, place: Place, report: &mut Report) -> Option<Box<str>> {
    let Ok(header) = HeaderName::from_bytes(text.as_bytes()) else {
        let help = "use letters, digits and `-`, as in `x-tier`".to_owned();
        report.error_with(place, format!("{} is not the name of a header", shown(text)), help);
        return None;
    };
    let header = header.as_str();
    if READ_BY_THE_ROUTER.contains(&header) || header.starts_with("x-model-router-") {
        let help = "name one that Envoy sets, such as `x-tier`".to_owned();
        report.error_with(
            place,
            format!("{} cannot distinguish APIs: the router itself reads it", shown(header)),
            help,
        );
        return None;
    }
    Some(header.into())
}

fn value(raw: &Raw, place: Place, report: &mut Report) -> Option<ValueRule> {
    match raw {
        Raw::Exact(value) => text(value, place, report).map(ValueRule::Exact),
        Raw::Kind(HeaderKind::Exact(at)) => text(at.get()?, at.place, report).map(ValueRule::Exact),
        Raw::Kind(HeaderKind::Prefix(at)) => text(at.get()?, at.place, report).map(ValueRule::Prefix),
        Raw::Kind(HeaderKind::Present(at)) => {
            if !*at.get()? {
                let help = "an API without `headers` takes what no other one takes".to_owned();
                report.error_with(at.place, "`present` must be `true`", help);
                return None;
            }
            Some(ValueRule::Present)
        }
    }
}

fn text(value: &str, place: Place, report: &mut Report) -> Option<Box<str>> {
    if value.is_empty() || HeaderValue::from_str(value).is_err() || value.trim() != value {
        let help = "write the characters of the value, or `{ present: true }` for any".to_owned();
        report.error_with(place, format!("{} is not the value of a header", shown(value)), help);
        return None;
    }
    Some(value.into())
}
