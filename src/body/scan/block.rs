//! A block of text: the positions, within 64 bytes, of those that are special in a JSON string.

use wide::{CmpEq, CmpLt, i8x16};

/// Bytes in a block.
pub(super) const BYTES: usize = 64;

/// The facts of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// A bit for each byte, the first one lowest: a quote, a backslash or a control character.
    pub(super) special: u64,
    /// Whether there are other bytes than ASCII.
    pub(super) beyond_ascii: bool,
}

impl Block {
    /// Creates the block with this number, padded with bytes that are not special at the end of the text.
    pub(super) fn read(text: &[u8], number: usize) -> Self {
        let rest = text.get(number * BYTES..).unwrap_or_default();
        if let Some(block) = rest.first_chunk() {
            return Self::of(block);
        }
        let mut block = [b' '; BYTES];
        block[..rest.len()].copy_from_slice(rest);
        Self::of(&block)
    }

    /// 16 bytes at a time, on any processor.
    fn of(block: &[u8; BYTES]) -> Self {
        let [quote, backslash, space] = [b'"', b'\\', b' '].map(|byte| i8x16::splat(byte.cast_signed()));
        let mask = |bytes: i8x16| u64::from(bytes.move_mask().cast_unsigned());
        let (mut special, mut high) = (0, 0);
        for (lane, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
            let bytes = i8x16::new(bytes.map(u8::cast_signed));
            // As signed numbers those beyond ASCII are below zero: below a space, and no control characters.
            let (beyond_ascii, below_space) = (mask(bytes), mask(bytes.cmp_lt(space)));
            let named = mask(bytes.cmp_eq(quote) | bytes.cmp_eq(backslash));
            special |= (named | below_space & !beyond_ascii) << (16 * lane);
            high |= beyond_ascii;
        }
        Self { special, beyond_ascii: high != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte by byte, as a definition.
    fn expected(block: &[u8; BYTES]) -> Block {
        let is_special = |byte: u8| byte == b'"' || byte == b'\\' || byte < b' ';
        let bit = |(at, byte): (usize, &u8)| u64::from(is_special(*byte)) << at;
        let special = block.iter().enumerate().map(bit).sum();
        Block { special, beyond_ascii: !block.is_ascii() }
    }

    #[test]
    fn every_byte_is_told_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..BYTES {
                for around in [b'a', b'"', b' ', 0, 0xff, byte.wrapping_add(1), byte.wrapping_sub(1)] {
                    let mut block = [around; BYTES];
                    block[at] = byte;
                    assert_eq!(Block::of(&block), expected(&block), "{byte} at {at} among {around}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_special_behind_the_end() {
        let text = [b'"'; BYTES + 3];
        assert_eq!([0, 1, 2].map(|number| Block::read(&text, number).special), [u64::MAX, 0b111, 0]);
    }
}
