//! A spot: the APIs of one host pattern and base path, which differ in headers or operations.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::headers::Headers;
use super::{Api, Environment};

/// APIs, those first that ask for more of a request's headers.
#[derive(Debug, Default)]
pub(super) struct Spot {
    /// Those that ask for one value of a header, by that header and value: however many they are, only those of the
    /// request's own value are looked at.
    by_value: Vec<(Box<str>, ByValue)>,
    others: Vec<Entry>,
}

/// APIs by the value of a header.
type ByValue = HashMap<Box<[u8]>, Vec<Entry>>;

/// An API, and the environment that the host belongs to.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) api: Arc<Api>,
    pub(super) environment: Environment,
}

impl Spot {
    pub(super) fn insert(&mut self, entry: Entry) {
        let entries = match entry.api.headers.exact() {
            None => &mut self.others,
            Some((name, value)) => {
                let known = self.by_value.iter().position(|(known, _)| **known == *name);
                let index = known.unwrap_or_else(|| {
                    self.by_value.push((name.into(), HashMap::new()));
                    self.by_value.len() - 1
                });
                self.by_value[index].1.entry(value.as_bytes().into()).or_default()
            }
        };
        let strictness = entry.api.headers.strictness();
        let place = entries.partition_point(|other| other.api.headers.strictness() >= strictness);
        entries.insert(place, entry);
    }

    /// Returns the APIs that a request with these headers fits, those first that ask for more. One that asks for a value
    /// is never less strict than one that asks for none and takes the same requests.
    pub(super) fn fitting<'s>(&'s self, headers: &Headers) -> impl Iterator<Item = &'s Entry> {
        let mut named: Vec<_> =
            self.by_value.iter().flat_map(|(name, values)| of_value(name, values, headers)).collect();
        named.retain(|entry| entry.api.headers.fit(headers));
        named.sort_by_key(|entry| Reverse(entry.api.headers.strictness()));
        named.into_iter().chain(self.others.iter().filter(move |entry| entry.api.headers.fit(headers)))
    }
}

fn of_value<'s>(name: &str, values: &'s ByValue, headers: &Headers) -> &'s [Entry] {
    let value = headers.iter().find(|(header, _)| **header == *name.as_bytes()).map(|(_, value)| value);
    value.and_then(|value| values.get(&**value)).map_or(&[], Vec::as_slice)
}
