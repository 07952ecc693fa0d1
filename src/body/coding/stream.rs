//! Decoding a body as it arrives: each part at once, and what comes out is written on.

use std::fmt;
use std::io::Write;
use std::mem;

use super::{Coding, PIECE_BYTES, ZSTD_WINDOW_LOG, has_zlib_header};

/// The first bytes, which say how much memory the rest needs.
const HEAD_BYTES: usize = 6;

/// What a decoder needs beside its window: buffers and tables.
const TABLES_BYTES: usize = 128 << 10;

/// Why a body is not decoded any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It is damaged, or not what its header says, or what it is written to takes no more.
    Broken,
    /// It needs more memory than there is for it.
    NoMemory,
}

/// A decoder of a body that arrives in parts.
pub struct StreamDecoder<W: Write>(State<W>);

enum State<W: Write> {
    Head(Coding, Vec<u8>, W),
    Identity(W),
    Gzip(Box<flate2::write::MultiGzDecoder<W>>),
    Zlib(Box<flate2::write::ZlibDecoder<W>>),
    Deflate(Box<flate2::write::DeflateDecoder<W>>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<W>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, W>>),
    /// Only while one state becomes another.
    Changing,
}

impl<W: Write> fmt::Debug for StreamDecoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamDecoder")
    }
}

impl<W: Write> StreamDecoder<W> {
    /// Creates a decoder that writes to `to`.
    #[must_use]
    pub fn new(coding: Coding, to: W) -> Self {
        Self(match coding {
            Coding::Identity => State::Identity(to),
            coding => State::Head(coding, Vec::new(), to),
        })
    }

    /// Decodes the next bytes. Once, when the first ones are there, `allows` is asked for the memory that a compressed
    /// body needs, in bytes.
    ///
    /// # Errors
    /// See [`Stopped`]; nothing may be pushed after it.
    pub fn push(&mut self, bytes: &[u8], allows: impl FnOnce(usize) -> bool) -> Result<(), Stopped> {
        if let State::Head(coding, head, _) = &mut self.0 {
            head.extend_from_slice(bytes);
            if head.len() < HEAD_BYTES {
                return Ok(());
            }
            if !allows(memory(*coding, head)) {
                return Err(Stopped::NoMemory);
            }
            return self.start();
        }
        self.write(bytes)
    }

    /// Decodes what is left once the body is over.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(&mut self) -> Result<(), Stopped> {
        if matches!(self.0, State::Head(..)) { self.start() } else { Ok(()) }
    }

    /// Returns what is written to.
    ///
    /// # Panics
    /// Never: a state changes within one call.
    pub fn get_mut(&mut self) -> &mut W {
        match &mut self.0 {
            State::Head(_, _, to) | State::Identity(to) => to,
            State::Gzip(decoder) => decoder.get_mut(),
            State::Zlib(decoder) => decoder.get_mut(),
            State::Deflate(decoder) => decoder.get_mut(),
            State::Brotli(decoder) => decoder.get_mut(),
            State::Zstd(decoder) => decoder.get_mut(),
            State::Changing => unreachable!("a state changes within one call"),
        }
    }

    fn start(&mut self) -> Result<(), Stopped> {
        let State::Head(coding, head, to) = mem::replace(&mut self.0, State::Changing) else { return Ok(()) };
        self.0 = match coding {
            Coding::Identity => State::Identity(to),
            Coding::Gzip => State::Gzip(Box::new(flate2::write::MultiGzDecoder::new(to))),
            Coding::Deflate if has_zlib_header(&head) => State::Zlib(Box::new(flate2::write::ZlibDecoder::new(to))),
            Coding::Deflate => State::Deflate(Box::new(flate2::write::DeflateDecoder::new(to))),
            Coding::Brotli => State::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(to, PIECE_BYTES))),
            Coding::Zstd => {
                let mut raw = zstd::stream::raw::Decoder::new().map_err(|_| Stopped::NoMemory)?;
                let window = zstd::stream::raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG);
                raw.set_parameter(window).map_err(|_| Stopped::NoMemory)?;
                State::Zstd(Box::new(zstd::stream::write::Decoder::with_decoder(to, raw)))
            }
        };
        self.write(&head)
    }

    /// Writes, and has everything come out that can.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        fn all(to: &mut impl Write, bytes: &[u8]) -> Result<(), Stopped> {
            to.write_all(bytes).and_then(|()| to.flush()).map_err(|_| Stopped::Broken)
        }
        match &mut self.0 {
            State::Identity(to) => all(to, bytes),
            State::Gzip(decoder) => all(decoder, bytes),
            State::Zlib(decoder) => all(decoder, bytes),
            State::Deflate(decoder) => all(decoder, bytes),
            State::Brotli(decoder) => all(decoder, bytes),
            State::Zstd(decoder) => all(decoder, bytes),
            State::Head(..) | State::Changing => Err(Stopped::Broken),
        }
    }
}

/// Returns the memory that decoding a body with this beginning takes at most, in bytes.
fn memory(coding: Coding, head: &[u8]) -> usize {
    let window = match coding {
        Coding::Identity => 0,
        Coding::Gzip | Coding::Deflate => 32 << 10,
        Coding::Brotli => 1 << brotli_window_log(head[0]),
        Coding::Zstd => zstd_window(head),
    };
    window + TABLES_BYTES
}

/// Source: RFC 7932, section 9.1.
fn brotli_window_log(first: u8) -> u32 {
    match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, ..) => 16,
        (_, 0, 0) => 17,
        (_, 0, n) => 8 + u32::from(n),
        (_, n, _) => 17 + u32::from(n),
    }
}

/// Source: RFC 8878, section 3.1.1.1. A single-segment frame states its length instead of a window, so the longest window
/// is assumed.
fn zstd_window(head: &[u8]) -> usize {
    let is_single_segment = head[4] & 0x20 != 0;
    let log = if is_single_segment { ZSTD_WINDOW_LOG } else { 11 + u32::from(head[5] >> 3) };
    1 << log.min(ZSTD_WINDOW_LOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::best();
        let mut to = Vec::new();
        match coding {
            Coding::Identity | Coding::Brotli => to = body.to_vec(),
            Coding::Gzip => drop(flate2::write::GzEncoder::new(&mut to, level).write_all(body)),
            Coding::Deflate => drop(flate2::write::ZlibEncoder::new(&mut to, level).write_all(body)),
            Coding::Zstd => to = zstd::encode_all(body, 3).expect("memory"),
        }
        to
    }

    #[test]
    fn a_body_cut_anywhere_is_decoded() {
        let body = b"hello, hello, hello, what is this? ".repeat(20);
        for coding in [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Zstd] {
            let encoded = encoded(coding, &body);
            for cut in 0..encoded.len() {
                let mut decoder = StreamDecoder::new(coding, Vec::new());
                for part in [&encoded[..cut], &encoded[cut..]] {
                    assert_eq!(decoder.push(part, |_| true), Ok(()), "{coding:?} {cut}");
                }
                assert_eq!(decoder.finish(), Ok(()));
                assert_eq!(*decoder.get_mut(), body, "{coding:?} {cut}");
            }
        }
    }

    #[test]
    fn brotli_is_decoded_though_it_is_short() {
        let mut decoder = StreamDecoder::new(Coding::Brotli, Vec::new());
        for byte in [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03] {
            assert_eq!(decoder.push(&[byte], |_| true), Ok(()));
        }
        assert_eq!(*decoder.get_mut(), b"hello");
    }

    #[test]
    fn memory_is_asked_for_by_window() {
        for (coding, head, window) in [
            (Coding::Gzip, [0x1f, 0x8b, 8, 0, 0, 0], 32 << 10),
            (Coding::Brotli, [0x0b, 2, 0x80, 0, 0, 0], 1 << 22),
            (Coding::Brotli, [0x0e, 2, 0x80, 0, 0, 0], 1 << 16),
            (Coding::Brotli, [0x0f, 2, 0x80, 0, 0, 0], 1 << 24),
            (Coding::Zstd, [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58], 1 << 22),
            (Coding::Zstd, [0x28, 0xb5, 0x2f, 0xfd, 0x20, 5], 1 << 23),
            (Coding::Zstd, [0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3], 1 << 23),
        ] {
            let mut asked = 0;
            let mut decoder = StreamDecoder::new(coding, Vec::new());
            let refused = decoder.push(&head, |bytes| {
                asked = bytes;
                false
            });
            assert_eq!((refused, asked), (Err(Stopped::NoMemory), window + TABLES_BYTES), "{coding:?} {head:?}");
        }
    }

    #[test]
    fn damage_stops_it() {
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            let mut decoder = StreamDecoder::new(coding, Vec::new());
            let damaged = decoder.push(b"no such thing as this", |_| true).and_then(|()| decoder.finish());
            assert_eq!(damaged, Err(Stopped::Broken), "{coding:?}");
        }
    }
}
