//! What attempts and inspection cost, as ratios from one run: `make cost`.

use std::time::{Duration, Instant};

use crate::check::production;
use crate::rig::Rig;
use crate::rig::ask::chat;
use crate::rig::envoy::Topology;
use crate::rig::load::load;

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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run by `make cost`"]
async fn cost_of_attempts_and_inspection() {
    let rigs = [
        ("attach", Rig::start(Topology::Attach, &policy(""), &["east", "west"]).await),
        ("failover", Rig::start(Topology::Failover, &policy(""), &["east", "west"]).await),
        ("inspecting", Rig::start(Topology::Failover, &policy("inspect_first_event: true,"), &["east", "west"]).await),
    ];
    for (_, rig) in &rigs {
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
        for (over, base) in [(1, 0), (2, 1)] {
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
