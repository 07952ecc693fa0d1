//! Usage of responses, in any format and coding, cut anywhere: the same is read as of the whole.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use model_router::body::coding::Coding;
use model_router::routing::outcome::inspection::BodyFormat;
use model_router::routing::usage::{Reader, Usage};

const FORMATS: [BodyFormat; 4] = [BodyFormat::Events, BodyFormat::Json, BodyFormat::Lines, BodyFormat::Frames];
const CODINGS: [Coding; 5] = [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fn read(format: BodyFormat, coding: Coding, parts: &[&[u8]], ended: bool) -> (Usage, bool, Option<&'static str>) {
    let mut reader = Reader::new(Some(format), Some(coding));
    parts.iter().for_each(|part| reader.push(part, |bytes| bytes <= 32 << 20));
    let (failed, fault) = (reader.error().is_some(), reader.fault(ended, Duration::ZERO));
    (reader.usage(ended, Some(100)), failed, fault)
}

fuzz_target!(|data: &[u8]| {
    let [kind, cut, data @ ..] = data else { return };
    let format = FORMATS[usize::from(kind & 3)];
    // Most inputs are not compressed: what is, is mostly refused at its first bytes.
    let coding = CODINGS[if kind & 4 == 0 { 0 } else { usize::from(kind >> 4) % CODINGS.len() }];
    let ended = kind & 8 == 0;
    let cut = usize::from(*cut).min(data.len());
    let whole = read(format, coding, &[data], ended);
    let parts = read(format, coding, &[&data[..cut], &data[cut..]], ended);
    if coding == Coding::Identity {
        assert_eq!(whole, parts, "cut at {cut}");
        let bytes: Vec<&[u8]> = data.chunks(1).collect();
        assert_eq!(whole, read(format, coding, &bytes, ended), "byte by byte");
    }
});
