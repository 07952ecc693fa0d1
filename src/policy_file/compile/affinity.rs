//! Affinity: where keys of sessions are looked for.

use std::ops::RangeInclusive;

use http::HeaderName;

use super::headers::READ_BY_THE_ROUTER;
use super::limits::number;
use crate::classifier::content::ContentPath;
use crate::document::decode::{At, OneOrMore};
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw::Affinity;
use crate::routing::policy::affinity::Source;

/// Less says too little of a conversation, and more is not worth the hashing.
const PREFIX: RangeInclusive<u64> = 16..=65_536;

/// Returns where keys are looked for, in this order; what cannot be is reported.
pub(super) fn sources(raw: &At<OneOrMore<Affinity>>, report: &mut Report) -> Option<Vec<Source>> {
    let OneOrMore(list) = raw.get()?;
    if list.is_empty() {
        report.error_with(
            raw.place,
            "`affinity` is empty",
            "leave it out, or write `{ header: x-session }`".to_owned(),
        );
    }
    let (mut sources, mut complete): (Vec<Source>, _) = (Vec::new(), true);
    for at in list {
        match at.get().and_then(|raw| source(raw, report)) {
            Some(source) if sources.iter().any(|other| other.to_string() == source.to_string()) => {
                report.warning(at.place, format!("`{source}` is there twice"), "remove one".to_owned());
            }
            Some(source) => sources.push(source),
            None => complete = false,
        }
    }
    complete.then_some(sources)
}

fn source(raw: &Affinity, report: &mut Report) -> Option<Source> {
    match raw {
        Affinity::Header(at) => header(at.get()?, at.place, report).map(Source::Header),
        Affinity::Body(at) => {
            let path = ContentPath::parse(at.get()?).map_err(|message| report.error(at.place, message)).ok()?;
            Some(Source::Body(path))
        }
        Affinity::PromptPrefix(at) => {
            let bytes = number(Some(at), "prompt_prefix", &PREFIX, report)?;
            Some(Source::Opening(ContentPath::opening(bytes as usize)))
        }
    }
}

fn header(name: &str, place: Place, report: &mut Report) -> Option<Box<str>> {
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        let help = "use letters, digits and `-`, as in `x-session`".to_owned();
        report.error_with(place, format!("{} is not the name of a header", shown(name)), help);
        return None;
    };
    let header = header.as_str();
    if READ_BY_THE_ROUTER.contains(&header) || header.starts_with("x-model-router-") {
        let help = "name one that the requests of a session share, such as `x-session`".to_owned();
        report.error_with(place, format!("header {} tells no session from another", shown(header)), help);
        return None;
    }
    Some(header.into())
}
