//! Several files, one policy: their declarations are merged, and none may be declared twice.

use std::collections::{HashMap, HashSet};

use super::Extent;
use super::raw::Config;
use crate::document::decode::{At, Named};
use crate::document::problem::{Place, Report};
use crate::document::words::{all_of, nearest, shown};
use crate::document::yaml::Node;

/// Keys that at least one file must have.
const NEEDED: [&str; 3] = ["providers", "endpoints", "apis"];
/// Keys that at most one file may have.
const KEYS: [&str; 8] =
    ["defaults", "unmatched", "providers", "endpoints", "classifiers", "embedders", "prices", "apis"];

/// Puts files together; there is at least one. `roots` are their trees.
pub(super) fn merge(files: Vec<Config>, roots: &[Node], extent: Extent, report: &mut Report) -> Config {
    let (mut defaults, mut unmatched) = (None, None);
    let (mut providers, mut endpoints, mut classifiers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut embedders, mut prices, mut apis) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        once(&mut defaults, file.defaults, "defaults", report);
        once(&mut unmatched, file.unmatched, "unmatched", report);
        providers.extend(file.providers);
        endpoints.extend(file.endpoints);
        classifiers.extend(file.classifiers);
        embedders.extend(file.embedders);
        prices.extend(file.prices);
        apis.extend(file.apis);
    }
    let present = [!providers.is_empty(), !endpoints.is_empty(), !apis.is_empty()];
    let config = Config {
        defaults,
        unmatched,
        providers: names(providers, "provider", report),
        endpoints: names(endpoints, "endpoint", report),
        classifiers: names(classifiers, "classifier", report),
        embedders: names(embedders, "embedder", report),
        prices: names(prices, "a list of prices", report),
        apis: joined(apis, |lists| lists.into_iter().flatten().collect()),
    };
    if extent == Extent::Whole {
        missing(present, roots, report);
    }
    config
}

fn once<T>(kept: &mut Option<At<T>>, found: Option<At<T>>, key: &str, report: &mut Report) {
    match (&kept, found) {
        (Some(first), Some(second)) => {
            let first = report.locate(first.place, second.place);
            let message = format!("`{key}` is given already, at {first}");
            report.error_with(second.place, message, "give it in one file, for all".to_owned());
        }
        (None, found) => *kept = found,
        (Some(_), None) => {}
    }
}

/// Returns the names of all files; within a file the reader has seen to it that none is there twice.
fn names<T>(maps: Vec<At<Named<T>>>, what: &str, report: &mut Report) -> Option<At<Named<T>>> {
    let mut seen: HashMap<String, Place> = HashMap::new();
    for (place, name, _) in maps.iter().filter_map(At::get).flat_map(Named::iter) {
        if let Some(first) = seen.get(name) {
            let message = format!("{what} {} is already defined at {}", shown(name), report.locate(*first, place));
            report.error_with(place, message, "names are shared by all files; give this one another".to_owned());
            continue;
        }
        seen.insert(name.to_owned(), place);
    }
    joined(maps, Named::concat)
}

/// Returns one value of many, at the place of the first. A part that was wrong makes the whole unknown: what it would
/// have declared cannot be called unknown elsewhere.
fn joined<T>(parts: Vec<At<T>>, join: impl FnOnce(Vec<T>) -> T) -> Option<At<T>> {
    let place = parts.first()?.place;
    let values: Option<Vec<T>> = parts.into_iter().map(At::into_value).collect();
    Some(At::new(place, values.map(join)))
}

/// Reports keys that are in no file, unless a misspelling of one has been reported.
fn missing(present: [bool; 3], roots: &[Node], report: &mut Report) {
    let Some(first) = roots.first() else { return };
    let meant: HashSet<_> = roots.iter().flat_map(Node::keys).filter_map(|key| nearest(key, KEYS)).collect();
    let missing = NEEDED.iter().zip(present).filter(|(key, present)| !present && !meant.contains(*key));
    let keys: Vec<_> = missing.map(|(key, _)| *key).collect();
    let place = Place { line: 0, column: 0, ..first.place };
    let message = match keys[..] {
        [] => return,
        [key] => format!("key {} is missing", shown(key)),
        _ => format!("keys {} are missing", all_of(keys)),
    };
    let help = match roots.len() {
        1 => "if the file is a part of a policy, give the other files too, or check it with `--part`",
        _ => "one of the files has to have it",
    };
    report.error_with(place, message, Some(help.to_owned()));
}
