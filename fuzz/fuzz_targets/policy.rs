//! A policy file is any bytes: loading and compiling them gives a policy or problems, and never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_router::policy_file;
use model_router::routing::registry::Registry;

fuzz_target!(|bytes: &[u8]| {
    let _ = policy_file::read_bytes("policy.yaml", bytes, &Registry::default());
});
