//! One map that is decoded into two structs, so that keys which several maps share are declared once.
//!
//! Serde's `flatten` would do it too, but buffers the values and so loses their places.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::{BOTH, Decoder, Mistake};

/// The keys that a map shares with other maps, and those of its own. A key that neither has is reported once.
#[derive(Clone, Debug)]
pub struct Both<A, B> {
    /// The keys that other maps have too.
    pub shared: A,
    /// The keys of this map alone.
    pub own: B,
}

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Deserialize<'de> for Both<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(BOTH, BothVisitor(PhantomData))
    }
}

struct BothVisitor<A, B>(PhantomData<(A, B)>);

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>> Visitor<'de> for BothVisitor<A, B> {
    type Value = Both<A, B>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut access: S) -> Result<Both<A, B>, S::Error> {
        let shared = access.next_element()?.ok_or_else(|| S::Error::custom("a map without its shared keys"))?;
        let own = access.next_element()?.ok_or_else(|| S::Error::custom("a map without its own keys"))?;
        Ok(Both { shared, own })
    }
}

/// Gives [`BothVisitor`] the same map twice. The structs only note the keys that they know; the outermost `Halves`
/// reports the keys that none of them knows, after the last.
pub(super) struct Halves<'de> {
    map: Decoder<'de>,
    outermost: bool,
    left: usize,
}

impl<'de> Halves<'de> {
    pub(super) fn new(map: Decoder<'de>) -> Self {
        let outermost = !map.half;
        if outermost {
            map.context.known.borrow_mut().push(Vec::new());
        }
        Self { map: Decoder { half: true, ..map }, outermost, left: 2 }
    }
}

impl<'de> SeqAccess<'de> for Halves<'de> {
    type Error = Mistake;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mistake> {
        let half = seed.deserialize(self.map);
        self.left -= 1;
        if self.outermost && (self.left == 0 || half.is_err()) {
            let known = self.map.context.known.borrow_mut().pop().unwrap_or_default();
            if half.is_ok() {
                self.map.unknown_keys(&known);
            }
        }
        half.map(Some)
    }
}
