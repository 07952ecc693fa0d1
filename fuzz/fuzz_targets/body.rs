//! A body is any bytes: accepted or refused as two other parsers say, and edited in the right places only.

#![no_main]

#[path = "../../tests/it/json_suite/second.rs"]
mod second;
#[path = "../../tests/it/json_suite/verdict.rs"]
mod verdict;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = verdict::check(bytes);
});
