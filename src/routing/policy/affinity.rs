//! Affinity: requests with the same key go to the same target while it is available.
//!
//! By weighted rendezvous hashing: from the key and its own name each target draws a number, and the largest one,
//! weighted, comes first. So routers that know the same targets agree without a word, a target that is left out moves no
//! key but its own, and one that is added takes only its share from each of the others.
//!
//! The hash is the same in every version and on every machine. A key is the first eight bytes of the SHA-256 of its text,
//! a target those of the SHA-256 of `ENDPOINT`, a zero byte and `MODEL`; both as numbers, the first byte being the
//! highest. The number that a target draws is the finalizer of SplitMix64 applied to the two, combined by exclusive or.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::body::BodyFacts;
use crate::classifier::content::ContentPath;

/// The hash of a request's key. The key itself is kept nowhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

/// A key may be guessed from its hash.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Hashes a key; `None` if there is nothing but space.
    #[must_use]
    pub fn of(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        (!text.is_empty()).then(|| Self(hash(&[text])))
    }
}

/// Where a request's key is looked for, and the places of the targets among which it chooses.
#[derive(Clone, Debug)]
pub struct Affinity {
    sources: Vec<Arc<Source>>,
    /// By the indices of the policy's targets.
    targets: Vec<Place>,
}

/// What a target draws its numbers with.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: u64,
    weight: u32,
}

/// Where a key is looked for.
#[derive(Debug)]
pub enum Source {
    /// In a header of this name, in lower case.
    Header(Box<str>),
    /// In the body.
    Body(ContentPath),
    /// In the first bytes of system prompt and first message of the user.
    Opening(ContentPath),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Body(path) => write!(f, "body {}", path.source()),
            Self::Opening(path) => f.write_str(path.source()),
        }
    }
}

impl Affinity {
    /// Creates the affinity to targets, given by endpoint, model and weight, of keys that are looked for in this order.
    #[must_use]
    pub fn new<'t>(sources: Vec<Source>, targets: impl IntoIterator<Item = (&'t str, &'t str, u32)>) -> Self {
        let place = |(endpoint, model, weight): (&str, &str, u32)| Place {
            name: hash(&[endpoint.as_bytes(), &[0], model.as_bytes()]),
            weight,
        };
        Self { sources: sources.into_iter().map(Arc::new).collect(), targets: targets.into_iter().map(place).collect() }
    }

    /// Returns where keys are looked for, in this order.
    #[must_use]
    pub fn sources(&self) -> &[Arc<Source>] {
        &self.sources
    }

    /// Returns the names of the headers in which keys are looked for.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(|source| match &**source {
            Source::Header(name) => Some(&**name),
            Source::Body(_) | Source::Opening(_) => None,
        })
    }

    /// Returns the first key that a request has, and where it was found. `headers` are those of [`headers`](Self::headers)
    /// that the request has.
    #[must_use]
    pub fn key(&self, headers: &[HeaderKey], body: &BodyFacts<'_>) -> Option<(&Arc<Source>, Key)> {
        let key = |source: &Source| match source {
            Source::Header(name) => headers.iter().find(|header| header.name == *name).map(|header| header.key),
            Source::Body(path) | Source::Opening(path) => Key::of(path.find(body)?.as_bytes()),
        };
        self.sources.iter().find_map(|source| Some((source, key(source)?)))
    }

    /// Puts targets in the order in which a key prefers them; those of weight 0 come last, in the order that they have.
    pub fn sort(&self, targets: &mut [usize], key: Key) {
        let mut scored: Vec<_> = targets.iter().map(|&target| (self.targets[target].score(key), target)).collect();
        scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        for (place, (_, target)) in targets.iter_mut().zip(scored) {
            *place = target;
        }
    }
}

impl Place {
    /// Returns the weight divided by an exponentially distributed number: the probability that it is the largest of
    /// several is the weight's share of their sum.
    #[allow(clippy::cast_precision_loss)] // of 53 bits, which all fit
    fn score(self, Key(key): Key) -> f64 {
        let drawn = ((finalized(key ^ self.name) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        f64::from(self.weight) / -drawn.ln()
    }
}

/// The hash of a header's value, as a key.
#[derive(Clone, Debug)]
pub struct HeaderKey {
    /// The header's name, in lower case.
    pub name: Box<str>,
    /// The key.
    pub key: Key,
}

fn hash(parts: &[&[u8]]) -> u64 {
    let digest = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
    digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// The finalizer of SplitMix64: each bit of the result depends on all bits of the number. Source: Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014, with the constants of Stafford's variant 13.
fn finalized(mut number: u64) -> u64 {
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests;
