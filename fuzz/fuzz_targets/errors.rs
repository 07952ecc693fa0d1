//! Error bodies: whatever a provider sends is read within bounds, by every vendor's table.

#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use model_router::routing::outcome::error::ErrorFacts;
use model_router::routing::outcome::quota::Quota;
use model_router::routing::outcome::{Origin, Outcome};
use model_router::routing::provider::ProviderType;

fuzz_target!(|data: &[u8]| {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000);
    let facts = ErrorFacts::read(data, now);
    assert!(facts.codes.len() <= 16 && facts.codes.iter().all(|code| code.chars().count() <= 100));
    assert!(facts.message.chars().count() <= 3 * 4_096, "lower case may take more characters");
    let text = String::from_utf8_lossy(data).into_owned();
    let headers = ["retry-after", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
    let quota = Quota::read(&headers.map(|name| (name.to_owned(), text.clone())), now);
    for provider in ProviderType::ALL {
        for status in [400, 401, 404, 413, 429, 500] {
            let _ = Outcome::of(status, quota, Origin::Provider).refined(&facts, provider).asked();
        }
        let _ = Outcome::of_hidden_error(&facts, provider).label();
    }
});
