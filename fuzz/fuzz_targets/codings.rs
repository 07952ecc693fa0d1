//! Compressed bodies and bombs: no more than the bound comes out, and what was compressed comes out again.

#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use model_router::body::coding::{Coding, CodingError};

const BOUND: usize = 64 << 10;
const CODINGS: [Coding; 5] = [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fuzz_target!(|data: &[u8]| {
    for coding in CODINGS {
        assert!(coding.decode_start(data, BOUND).len() <= BOUND);
        assert!(
            coding.decode(data, BOUND).is_ok_and(|decoded| decoded.len() <= BOUND)
                || coding.decode(data, BOUND).is_err()
        );
    }
    // The first bytes say how often the rest is repeated: a bomb.
    let Some((&times, seed)) = data.split_first() else { return };
    let plain = seed.repeat(usize::from(times) * 64);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&plain).expect("memory");
    let all = [
        (Coding::Gzip, gzip.finish().expect("memory")),
        (Coding::Zstd, zstd::encode_all(&plain[..], 1).expect("memory")),
    ];
    for (coding, encoded) in all {
        match coding.decode(&encoded, BOUND) {
            Ok(decoded) => assert_eq!(decoded, plain),
            Err(error) => assert!(error == CodingError::TooLarge && plain.len() > BOUND, "{error:?}"),
        }
    }
});
