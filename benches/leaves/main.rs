//! How long the leaves take: `cargo bench --bench leaves`, with a part of a name to choose.

#[path = "meaning.rs"]
mod semantic;
mod work;

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::Method;
use model_router::body::BodyFacts;
use model_router::classifier::content::ContentPath;
use model_router::routing::policy::weighted::Weighted;
use model_router::telemetry::Json;
use serde::de::IgnoredAny;
use tracing::{Dispatch, info};

use work::ModelAt;

const SIZES: [usize; 4] = [1 << 10, 32 << 10, 256 << 10, 2 << 20];

/// Reading a body, beside a parser that builds nothing either.
fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    for bytes in SIZES {
        group.throughput(Throughput::Bytes(bytes as u64));
        for at in [ModelAt::Start, ModelAt::End] {
            let body = work::body(bytes, at);
            group.bench_with_input(
                BenchmarkId::new(format!("prompt, model at {at:?}"), bytes),
                &body,
                |bencher, body| {
                    bencher.iter(|| BodyFacts::read(black_box(body)).expect("a good body").model.is_some());
                },
            );
        }
        let body = work::body(bytes, ModelAt::End);
        group.bench_with_input(BenchmarkId::new("prompt, serde_json", bytes), &body, |bencher, body| {
            bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(body)).is_ok());
        });
        let body = work::structure(bytes);
        group.bench_with_input(BenchmarkId::new("structure", bytes), &body, |bencher, body| {
            bencher.iter(|| BodyFacts::read(black_box(body)).expect("a good body").model.is_some());
        });
        group.bench_with_input(BenchmarkId::new("structure, serde_json", bytes), &body, |bencher, body| {
            bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(body)).is_ok());
        });
    }
    group.finish();
}

fn edit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("edit");
    for bytes in SIZES {
        group.throughput(Throughput::Bytes(bytes as u64));
        for at in [ModelAt::Start, ModelAt::End] {
            let body = work::body(bytes, at);
            let facts = BodyFacts::read(&body).expect("a good body");
            group.bench_function(BenchmarkId::new(format!("model at {at:?}"), bytes), |bencher| {
                bencher.iter(|| facts.with_model(black_box("gpt-4o")));
            });
        }
    }
    group.finish();
}

/// A request's way through the router, gRPC apart, log lines apart.
fn exchange(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exchange");
    let body = work::body(1 << 10, ModelAt::End);
    for weighted in [false, true] {
        for targets in [1, 10, 1_000] {
            let gateway = work::gateway(work::router(1, targets, weighted));
            let name = if weighted { "weighted, targets" } else { "round robin, targets" };
            group.bench_function(BenchmarkId::new(name, targets), |bencher| {
                bencher.iter(|| work::exchange(&gateway, black_box(&body)));
            });
        }
    }
    group.finish();
}

/// Finding the API of a request.
fn find(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("find");
    for apis in [1, 100, 10_000] {
        let snapshot = work::snapshot(apis, 1, false);
        let path = format!("/tenants/{}/v1/chat/completions", apis.saturating_sub(1).max(1));
        group.bench_function(BenchmarkId::new("apis", apis), |bencher| {
            bencher.iter(|| {
                let found = snapshot.apis.find(&Method::POST, "llm.example.com:443", black_box(&path), &[]);
                black_box(std::mem::discriminant(&found))
            });
        });
    }
    group.finish();
}

/// What a classifier is asked about, the body's first reading included.
fn content(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("content");
    for source in ["$.messages[-1].content", "$.messages[?(@.role == 'user')].content"] {
        let path = ContentPath::parse(source).expect("a good path");
        for bytes in [1 << 10, 32 << 10] {
            let body = work::body(bytes, ModelAt::End);
            group.throughput(Throughput::Bytes(bytes as u64));
            group.bench_with_input(BenchmarkId::new(source, bytes), &body, |bencher, body| {
                bencher.iter(|| BodyFacts::read(black_box(body)).map(|facts| path.find(&facts)));
            });
        }
    }
    group.finish();
}

/// One policy's turns, taken by one thread, and by as many at once as a cell of `make bench` has requests: what a turn
/// costs where all meet.
fn turns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a turn of one policy");
    let (weighted, available) = (Weighted::new((1..=10).collect()), [true; 10]);
    for threads in [1, 256] {
        group.bench_function(BenchmarkId::new("weighted", threads), |bencher| {
            bencher.iter_custom(|turns| {
                let (begin, each) = (Barrier::new(threads + 1), turns.div_ceil(threads as u64));
                std::thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| {
                            begin.wait();
                            (0..each).for_each(|_| drop(black_box(weighted.candidates(&available))));
                        });
                    }
                    begin.wait();
                    Instant::now()
                })
                .elapsed()
            });
        });
    }
    group.finish();
}

/// A decision's line, beside the formatter that `tracing-subscriber` has.
fn log(criterion: &mut Criterion) {
    let tell = || {
        info!(
            request_id = "5d9b4f0c-17a4-4f3f-8e0b-0a3c7f6f9b1d",
            api = "chat",
            environment = "production",
            policy = "round_robin",
            requested = "any",
            model = "gpt-4o",
            endpoint = "east",
            attempt = 1,
            probe = false,
            waited_ms = 0,
            worked_us = 12,
            policy_version = 1,
            "decision"
        );
    };
    let mut group = criterion.benchmark_group("a line of the log");
    let builder = || tracing_subscriber::fmt().with_writer(std::io::sink);
    let ours = Dispatch::new(builder().event_format(Json).finish());
    let theirs = Dispatch::new(builder().json().finish());
    for (name, log) in [("ours", ours), ("tracing-subscriber's", theirs)] {
        group.bench_function(name, |bencher| tracing::dispatcher::with_default(&log, || bencher.iter(tell)));
    }
    group.finish();
}

/// Turns of one policy, taken by two threads at once.
fn contention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("two threads at one policy");
    for (name, weighted) in [("round robin", false), ("weighted", true)] {
        let (gateway, body) = (work::gateway(work::router(1, 10, weighted)), work::body(64, ModelAt::End));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|requests| {
                let begun = Instant::now();
                std::thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| (0..requests).for_each(|_| drop(work::exchange(&gateway, &body))));
                    }
                });
                begun.elapsed()
            });
        });
    }
    group.finish();
}

/// Which route a prompt fits: its vector by a static model, beside the crate whose form of models that is, and its
/// scores.
#[allow(clippy::print_stdout)] // What is left out, and the memory, are results too.
fn meaning(criterion: &mut Criterion) {
    // First, while no benchmark has left memory to be used again.
    let before = semantic::resident_kib();
    let index = semantic::index(1_000, 10, 384);
    println!("memory of 10 000 vectors of 384 numbers and 1 000 centroids: {} KiB", semantic::resident_kib() - before);
    drop(index);
    let mut group = criterion.benchmark_group("meaning");
    let prompt = semantic::prompt();
    match semantic::model() {
        Some(model) => {
            group.bench_function("vector of a prompt of 200 tokens", |bencher| {
                bencher.iter(|| model.embed(black_box(&prompt)).is_ok());
            });
            let theirs = model2vec_rs::model::StaticModel::from_pretrained(semantic::MODEL, None, None, None);
            let theirs = theirs.expect("the same model");
            group.bench_function("vector of a prompt of 200 tokens, model2vec-rs", |bencher| {
                bencher.iter(|| theirs.encode_single(black_box(&prompt)));
            });
            let index = semantic::index(150, 10, model.dimensions());
            group.bench_function("decision of a prompt of 200 tokens, 150 routes x 10 utterances", |bencher| {
                bencher.iter(|| model.embed(black_box(&prompt)).map(|vector| index.scores(&vector).matched()));
            });
        }
        None => println!("meaning: left out, because there is no model under {}: make model", semantic::MODEL),
    }
    for routes in [150, 1_000] {
        let (index, vector) = (semantic::index(routes, 10, 384), semantic::vector(384, 7));
        group.bench_function(BenchmarkId::new("scores, routes x 10 utterances x 384", routes), |bencher| {
            bencher.iter(|| index.scores(black_box(&vector)).matched());
        });
    }
    group.finish();
}

criterion_group!(leaves, read, edit, exchange, find, content, log, turns, contention, meaning);
criterion_main!(leaves);
