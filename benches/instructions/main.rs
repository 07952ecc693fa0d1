//! How many instructions the leaves take, which is the same on a busy machine: `make bench-instructions`.

#![allow(missing_docs, clippy::disallowed_methods)] // of the modules and the `main` that its macros make

#[path = "../leaves/work.rs"]
mod work;

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use gungraun::{library_benchmark, library_benchmark_group, main};
use http::Method;
use model_router::body::BodyFacts;
use model_router::classifier::content::ContentPath;
use model_router::gateway::Gateway;
use model_router::routing::snapshot::Snapshot;

use work::ModelAt;

const KIB: usize = 1 << 10;

#[library_benchmark]
#[bench::prompt_1k(work::body(KIB, ModelAt::End))]
#[bench::prompt_32k(work::body(32 * KIB, ModelAt::End))]
#[bench::prompt_32k_model_first(work::body(32 * KIB, ModelAt::Start))]
#[bench::structure_32k(work::structure(32 * KIB))]
fn read(body: Bytes) -> Bytes {
    black_box(BodyFacts::read(&body).expect("a good body").model.is_some());
    body
}

#[library_benchmark]
#[bench::copied_32k(work::body(32 * KIB, ModelAt::End))]
fn edit(body: Bytes) -> (Bytes, Vec<u8>) {
    let edited = BodyFacts::read(&body).expect("a good body").with_model("gpt-4o");
    (body, edited)
}

type Served = (Arc<Gateway>, Bytes);

/// A router that has served before: what is made once is made.
fn warm(targets: usize, weighted: bool) -> Served {
    let served = (work::gateway(work::router(1, targets, weighted)), work::body(KIB, ModelAt::End));
    black_box(work::exchange(&served.0, &served.1));
    served
}

#[library_benchmark]
#[bench::round_robin_1(warm(1, false))]
#[bench::round_robin_10(warm(10, false))]
#[bench::round_robin_1000(warm(1_000, false))]
#[bench::weighted_10(warm(10, true))]
#[bench::weighted_1000(warm(1_000, true))]
fn exchange((gateway, body): Served) -> Served {
    black_box(work::exchange(&gateway, &body));
    (gateway, body)
}

#[library_benchmark]
#[bench::of_1(work::snapshot(1, 1, false), "/v1/chat/completions")]
#[bench::of_10000(work::snapshot(10_000, 1, false), "/tenants/9999/v1/chat/completions")]
fn find(snapshot: Snapshot, path: &str) -> Snapshot {
    black_box(std::mem::discriminant(&snapshot.apis.find(&Method::POST, "llm.example.com:443", path, &[])));
    snapshot
}

fn searched(path: &str) -> (ContentPath, Bytes) {
    (ContentPath::parse(path).expect("a good path"), work::body(32 * KIB, ModelAt::End))
}

#[library_benchmark]
#[bench::last_message_32k(searched("$.messages[-1].content"))]
fn content((path, body): (ContentPath, Bytes)) -> (ContentPath, Bytes) {
    let _ = black_box(BodyFacts::read(&body).map(|facts| path.find(&facts)));
    (path, body)
}

library_benchmark_group!(name = leaves, benchmarks = [read, edit, exchange, find, content]);
main!(library_benchmark_groups = leaves);
