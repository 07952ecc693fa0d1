//! What attempts and inspection cost, as ratios from one run: `make cost`.

use std::time::{Duration, Instant};

use crate::check::production;
use crate::rig::Rig;
use crate::rig::ask::chat;
use crate::rig::envoy::Topology;
use crate::rig::load::load;
use crate::rig::router::Settings;
use crate::rig::script::Script;
use crate::traces::{Collector, traced};

const ROUNDS: usize = 5;

fn policy(option: &str) -> String {
    let targets = "{ model: gpt-4o, endpoint: east }, { model: o1-mini, endpoint: west }";
    production(&format!("    round_robin: {{ {option} targets: [ {targets} ] }}"))
}

/// Requests a second and the median time of one.
async fn measure(rig: &Rig, requests: usize, concurrency: usize) -> (f64, Duration) {
    let begun = Instant::now();
    let answers = load(rig.envoy.addr(), requests, concurrency, |_| chat("any").streamed()).await;
    let rate = requests as f64 / begun.elapsed().as_secs_f64();
    let mut took: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().took).collect();
    took.sort();
    (rate, took[took.len() / 2])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures all rigs in turns, and prints each pair's ratio.
async fn compare(rigs: &[(&str, Rig)], pairs: &[(usize, usize)]) {
    for (_, rig) in rigs {
        rig.providers().for_each(|provider| provider.count_only(true));
        measure(rig, 500, 16).await;
    }
    for (requests, concurrency) in [(500, 1), (3_000, 16)] {
        let mut results = vec![(Vec::new(), Vec::new()); rigs.len()];
        for _ in 0..ROUNDS {
            for ((_, rig), (rates, medians)) in rigs.iter().zip(&mut results) {
                let (rate, p50) = measure(rig, requests, concurrency).await;
                rates.push(rate);
                medians.push(p50.as_secs_f64());
            }
        }
        let results: Vec<_> = results.into_iter().map(|(rates, medians)| (median(rates), median(medians))).collect();
        for &(over, base) in pairs {
            println!(
                "concurrency {concurrency}: {} over {}: RPS {:.2}, p50 {:.2} ({ROUNDS} rounds of {requests}, interleaved)",
                rigs[over].0,
                rigs[base].0,
                results[over].0 / results[base].0,
                results[over].1 / results[base].1,
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run by `make cost`"]
async fn cost_of_attempts_and_inspection() {
    let rigs = [
        ("attach", Rig::start(Topology::Attach, &policy(""), &["east", "west"]).await),
        ("failover", Rig::start(Topology::Failover, &policy(""), &["east", "west"]).await),
        ("inspecting", Rig::start(Topology::Failover, &policy("inspect_first_event: true,"), &["east", "west"]).await),
    ];
    compare(&rigs, &[(1, 0), (2, 1)]).await;
}

/// A policy that asks a classifier, which is never asked again for an hour once it has failed.
fn classified() -> String {
    let rules = "rules: [ { name: A, context: b, model: o1-mini, endpoint: west } ], default: { model: gpt-4o, endpoint: east }";
    let triage = r#"{ type: openai, url: "{{triage}}/v1/chat/completions", model: m, suspend: 1h, suspend_after: 1 }"#;
    let policy = production(&format!("    intelligent: {{ classifier: triage, {rules} }}"));
    format!("classifiers: {{ triage: {triage} }}\n{policy}")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run by `make cost`"]
async fn cost_of_classification() {
    let endpoints = ["east", "west", "triage"];
    let rigs = [
        ("round robin", Rig::start(Topology::Attach, &policy(""), &["east", "west"]).await),
        ("a classifier that is down", Rig::start(Topology::Attach, &classified(), &endpoints).await),
        ("remembered decisions", Rig::start(Topology::Attach, &classified(), &endpoints).await),
    ];
    rigs[1].1.provider("triage").answer(Script::status(500));
    rigs[2].1.provider("triage").answer(Script::says("A"));
    compare(&rigs, &[(1, 0), (2, 0)]).await;
    assert!(rigs[1].1.provider("triage").hits() <= 16 && rigs[2].1.provider("triage").hits() == 1);
}

/// A policy that compares each request with 150 routes of 10 utterances, by a model in the router's process.
fn semantic() -> String {
    let route = |route: usize| {
        let utterances: Vec<_> = (0..10).map(|it| format!("topic {route} of word{it} and words{route}")).collect();
        format!(
            "        - {{ name: R{route}, utterances: [{}], model: o1-mini, endpoint: west }}\n",
            utterances.join(", ")
        )
    };
    let routes: String = (0..150).map(route).collect();
    let policy = production(&format!(
        "    semantic:\n      embedder: local\n      default: {{ model: gpt-4o, endpoint: east }}\n      routes:\n{routes}"
    ));
    format!("embedders: {{ local: {{ type: static, path: {} }} }}\n{policy}", crate::semantic::model().display())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run by `make cost`"]
async fn cost_of_meaning() {
    let rigs = [
        ("round robin", Rig::start(Topology::Attach, &policy(""), &["east", "west"]).await),
        ("semantic, 150 routes x 10 utterances", Rig::start(Topology::Attach, &semantic(), &["east", "west"]).await),
    ];
    compare(&rigs, &[(1, 0)]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run by `make cost`"]
async fn cost_of_telemetry() {
    let collector = Collector::default();
    let traces = format!("http://{}", collector.start().await);
    let settings = |args: &[&str]| Settings { args: args.iter().map(|&it| it.into()).collect(), ..Settings::default() };
    let mut rigs = Vec::new();
    for args in [
        &["--log", "off,model_router::cli=info"][..],
        &["--log", "info"],
        &["--log", "info", "--otlp-endpoint", &traces],
    ] {
        rigs.push(Rig::start_with(Topology::Failover, &policy(""), &["east", "west"], settings(args)).await);
    }
    let mut spent = vec![Vec::new(); rigs.len()];
    for round in 0..=ROUNDS {
        for (rig, spent) in rigs.iter_mut().zip(&mut spent) {
            rig.providers().for_each(|provider| provider.count_only(true));
            let admin = rig.router.admin();
            let reader = tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    for path in ["/metrics", "/status.json"] {
                        crate::rig::client::send(admin, crate::rig::ask::get(path)).await;
                    }
                }
            });
            let before = rig.router.process().cpu_seconds();
            load(rig.envoy.addr(), 5_000, 16, |_| traced(chat("any"))).await;
            reader.abort();
            if round > 0 {
                spent.push((rig.router.process().cpu_seconds() - before) / 5_000.0);
            }
        }
    }
    let spent: Vec<_> = spent.into_iter().map(median).collect();
    for (name, at) in [("log, metrics and page", 1), ("log, metrics, page and traces", 2)] {
        println!(
            "router CPU with {name} over no log: {:.2} ({ROUNDS} rounds of 5000, interleaved)",
            spent[at] / spent[0]
        );
    }
    println!("router CPU without log: {:.0} us per request", spent[0] * 1e6);
    assert!(!collector.spans().is_empty());
}
