//! Content codings: bodies that are compressed, decoded within bounds.

mod stream;

use std::io::{self, Read};

pub use stream::{Stopped, StreamDecoder};

/// zstd's window: 8 MiB, which is what RFC 9659 allows for `content-encoding`.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Compressed bodies are read in pieces of this size.
const PIECE_BYTES: usize = 16 << 10;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    #[default]
    Identity,
    /// `gzip`.
    Gzip,
    /// `deflate`: zlib's format, or, as some senders have it, without its header.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

/// Why a body could not be decoded.
#[derive(Debug, PartialEq, Eq)]
pub enum CodingError {
    /// It would be longer than allowed.
    TooLarge,
    /// It is damaged, or not what its header says.
    Broken,
}

impl Coding {
    /// Returns the coding that a `content-encoding` names; `None` for an unknown one, or several. An empty one is none.
    #[must_use]
    pub fn named(header: &str) -> Option<Self> {
        let mut names = header.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut names = names.by_ref().filter(|name| !name.eq_ignore_ascii_case("identity"));
        let coding = match names.next().map(str::to_ascii_lowercase).as_deref() {
            None => Self::Identity,
            Some("gzip" | "x-gzip") => Self::Gzip,
            Some("deflate") => Self::Deflate,
            Some("br") => Self::Brotli,
            Some("zstd") => Self::Zstd,
            Some(_) => return None,
        };
        names.next().is_none().then_some(coding)
    }

    /// Decodes a whole body.
    ///
    /// # Errors
    /// It has more than `most` bytes, or is damaged or cut off.
    pub fn decode(self, body: &[u8], most: usize) -> Result<Vec<u8>, CodingError> {
        let (decoded, whole) = self.read(body, most.saturating_add(1));
        match whole {
            _ if decoded.len() > most => Err(CodingError::TooLarge),
            true => Ok(decoded),
            false => Err(CodingError::Broken),
        }
    }

    /// Decodes the beginning of a body as far as it goes, up to `most` bytes.
    #[must_use]
    pub fn decode_start(self, body: &[u8], most: usize) -> Vec<u8> {
        self.read(body, most).0
    }

    /// Returns at most this many decoded bytes, and whether nothing was wrong with them.
    fn read(self, body: &[u8], most: usize) -> (Vec<u8>, bool) {
        match self {
            Self::Identity => (body[..body.len().min(most)].to_vec(), true),
            Self::Gzip => drain(flate2::read::MultiGzDecoder::new(body), most),
            // Zlib's header is 8 in the low bits of the first byte, and the first two divisible by 31.
            Self::Deflate if has_zlib_header(body) => drain(flate2::read::ZlibDecoder::new(body), most),
            Self::Deflate => drain(flate2::read::DeflateDecoder::new(body), most),
            Self::Brotli => drain(brotli_decompressor::Decompressor::new(body, PIECE_BYTES), most),
            Self::Zstd => match zstd::stream::read::Decoder::with_buffer(body) {
                Ok(mut decoder) => match decoder.window_log_max(ZSTD_WINDOW_LOG) {
                    Ok(()) => drain(decoder, most),
                    Err(_) => (Vec::new(), false),
                },
                Err(_) => (Vec::new(), false),
            },
        }
    }
}

fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

/// Reads until the end, an error or `most` bytes.
fn drain(mut from: impl Read, most: usize) -> (Vec<u8>, bool) {
    let (mut decoded, mut piece) = (Vec::new(), [0; PIECE_BYTES]);
    while decoded.len() < most {
        let room = piece.len().min(most - decoded.len());
        match from.read(&mut piece[..room]) {
            Ok(0) => return (decoded, true),
            Ok(length) => decoded.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return (decoded, false),
        }
    }
    (decoded, true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }

    fn deflate(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }

    /// `hello`, stored without compression. Source: RFC 7932, section 9.
    const BROTLI: &[u8] = &[0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];

    #[test]
    fn each_coding_is_decoded_and_bounded() {
        let zstd = zstd::encode_all(&b"hello"[..], 3).expect("memory");
        for (coding, encoded) in [
            (Coding::Identity, b"hello".to_vec()),
            (Coding::Gzip, gzip(b"hello")),
            (Coding::Deflate, deflate(b"hello")),
            (Coding::Deflate, zlib(b"hello")),
            (Coding::Brotli, BROTLI.to_vec()),
            (Coding::Zstd, zstd),
        ] {
            assert_eq!(coding.decode(&encoded, 5), Ok(b"hello".to_vec()), "{coding:?}");
            assert_eq!(coding.decode(&encoded, 4), Err(CodingError::TooLarge), "{coding:?}");
            assert_eq!(coding.decode_start(&encoded, 3), b"hel", "{coding:?}");
            if coding != Coding::Identity {
                assert_eq!(coding.decode(&encoded[..encoded.len() - 2], 5), Err(CodingError::Broken), "{coding:?}");
                assert!(coding.decode(b"no such thing", 100).is_err(), "{coding:?}");
            }
        }
    }

    #[test]
    fn what_has_been_flushed_is_decoded_before_the_end() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(b"hello").and_then(|()| gzip.flush()).expect("memory");
        let mut zstd = zstd::stream::Encoder::new(Vec::new(), 3).expect("memory");
        zstd.write_all(b"hello").and_then(|()| zstd.flush()).expect("memory");
        for (coding, begun) in [(Coding::Gzip, gzip.get_ref()), (Coding::Zstd, zstd.get_ref())] {
            assert_eq!(coding.decode_start(begun, 100), b"hello", "{coding:?}");
            assert_eq!(coding.decode(begun, 100), Err(CodingError::Broken), "{coding:?}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_its_bound() {
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(bomb.len() < 60_000);
        assert_eq!(Coding::Gzip.decode(&bomb, 1 << 20), Err(CodingError::TooLarge));
        assert_eq!(Coding::Gzip.decode_start(&bomb, 64 << 10).len(), 64 << 10);
    }

    #[test]
    fn a_zstd_frame_that_wants_a_huge_window_is_refused() {
        // A frame header that declares a window of 2 GiB (descriptor 0, window exponent 21).
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
        assert_eq!(Coding::Zstd.decode(&frame, 100), Err(CodingError::Broken));
    }

    #[test]
    fn the_header_names_one_coding() {
        for (header, expected) in [
            ("", Some(Coding::Identity)),
            (" ", Some(Coding::Identity)),
            ("identity", Some(Coding::Identity)),
            ("GZIP", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("identity, br", Some(Coding::Brotli)),
            ("zstd", Some(Coding::Zstd)),
            ("deflate", Some(Coding::Deflate)),
            ("gzip, br", None),
            ("compress", None),
        ] {
            assert_eq!(Coding::named(header), expected, "{header:?}");
        }
    }
}
