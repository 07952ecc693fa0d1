//! Where an API is: its hosts and its base path.

use std::collections::HashMap;

use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw;
use crate::routing::api::HostPattern;

/// Returns the patterns of one list of hosts; `None` if one of them is wrong.
pub(super) fn hosts(list: Option<&At<Vec<At<String>>>>, key: &str, report: &mut Report) -> Option<Vec<HostPattern>> {
    let Some(list) = list else { return Some(Vec::new()) };
    let texts = list.get()?;
    if texts.is_empty() {
        let help = if key == "hosts" { "leave it out for any host" } else { "leave it out for none" };
        report.error_with(list.place, format!("`{key}` is empty"), help.to_owned());
    }
    texts.iter().map(|text| host(text, report)).collect::<Vec<_>>().into_iter().collect()
}

fn host(at: &At<String>, report: &mut Report) -> Option<HostPattern> {
    let text = at.get()?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*:[]/".contains(&byte);
    if !text.bytes().all(legal) {
        let help =
            "expected a host name such as `llm.example.com`; names beyond ASCII are written in their `xn--` form";
        report.error_with(at.place, format!("{} is no host", shown(text)), help.to_owned());
        return None;
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        report.error_with(
            at.place,
            format!("{} is a URL", shown(text)),
            format!("write the host alone: {}", shown(host)),
        );
        return None;
    }
    HostPattern::parse(text).map_err(|error| report.error(at.place, format!("{}: {error}", shown(text)))).ok()
}

/// Reports a host that is listed twice: within a list it says nothing, in both lists it says two things.
pub(super) fn one_environment_each(raw: &raw::Api, report: &mut Report) {
    let mut seen: HashMap<String, (Place, &str)> = HashMap::new();
    for (list, key) in [(&raw.hosts, "hosts"), (&raw.sandbox_hosts, "sandbox_hosts")] {
        for at in list.iter().filter_map(At::get).flatten() {
            let Some(host) = at.get() else { continue };
            if let Some((place, first)) = seen.insert(host.to_ascii_lowercase(), (at.place, key)) {
                let first_place = report.locate(place, at.place);
                let message = format!("host {} is listed already, under `{first}` at {first_place}", shown(host));
                let help = "a host belongs to one environment".to_owned();
                report.error_with(at.place, message, (first != key).then_some(help));
            }
        }
    }
}

/// Returns the base path without a trailing slash; the root is empty.
pub(super) fn base_path(at: &At<String>, report: &mut Report) -> Option<String> {
    let text = at.get()?;
    let path = text.strip_suffix('/').unwrap_or(text);
    let wrong = if !path.is_empty() && !path.starts_with('/') {
        Some(format!("a base path starts with `/`; write `/{}`", shown(path).trim_matches('`')))
    } else if path.contains(['?', '#']) {
        Some("a base path has no query and no fragment".to_owned())
    } else if path.contains(['{', '}', '*']) {
        Some("a base path is plain, without `*` or `{…}`; it covers everything below it".to_owned())
    } else if text.contains("//") || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        Some(format!("{} never matches: Envoy removes `//`, `.` and `..` from paths", shown(text)))
    } else if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("a base path is visible ASCII; write other characters as `%…`".to_owned())
    } else {
        None
    };
    match wrong {
        Some(message) => {
            report.error(at.place, message);
            None
        }
        None => Some(path.to_owned()),
    }
}
