//! What reading usage costs, as ratios from one run, and what a hostile response can take: `make cost`.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::independence::without_copies;
use super::{policy, raw};
use crate::rig::Rig;
use crate::rig::ask::chat;
use crate::rig::client::stream;
use crate::rig::envoy::Topology;
use crate::rig::load::load;
use crate::rig::router::Settings;
use crate::rig::script::Script;

const ROUNDS: usize = 7;
const REQUESTS: usize = 2_000;

/// A stream of so many events that arrive at once, and its usage.
fn events(count: usize) -> String {
    let event = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":\
                 {\"content\":\" word\"},\"finish_reason\":null}]}\n\n";
    event.repeat(count) + super::STREAM
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of the router and of Envoy for a request, in seconds, and the median time to the headers.
async fn round(rig: &mut Rig) -> [f64; 3] {
    let spent = |rig: &mut Rig| [rig.router.process().cpu_seconds(), rig.envoy.process().cpu_seconds()];
    let before = spent(rig);
    let answers = load(rig.envoy.addr(), REQUESTS, 16, |_| chat("any").streamed()).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    let after = spent(rig);
    let [router, envoy] = [0, 1].map(|at| (after[at] - before[at]) / REQUESTS as f64);
    [router, envoy, first_byte(rig, 50).await]
}

/// The median time to the first byte, in seconds.
async fn first_byte(rig: &Rig, requests: usize) -> f64 {
    let mut first = Vec::new();
    for _ in 0..requests {
        let begun = Instant::now();
        let mut answer = stream(rig.envoy.addr(), chat("any").streamed()).await;
        assert!(answer.piece().await.is_some());
        first.push(begun.elapsed().as_secs_f64());
    }
    median(first)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run by `make cost`"]
async fn cost_of_usage_in_time_to_the_first_byte() {
    let with = Rig::start(Topology::Failover, &policy(""), &["east", "west"]).await;
    let settings = Settings::default();
    let without = Rig::start_edited(Topology::Failover, &policy(""), &["east", "west"], settings, without_copies).await;
    let rigs = [with, without];
    for (what, pause) in [("at once", 0), ("after 50 ms", 50)] {
        let piece = (pause, super::STREAM);
        for rig in &rigs {
            rig.providers().for_each(|it| it.answer(Script::pieces("text/event-stream", &[piece])));
            first_byte(rig, 20).await;
        }
        let mut results = [Vec::new(), Vec::new()];
        for number in 0..ROUNDS {
            for at in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
                results[at].push(first_byte(&rigs[at], 30).await);
            }
        }
        let [with, without] = results.map(median);
        println!(
            "a provider that answers {what}: time to the first byte with copies over without {:.3}, {:.0} us more \
             ({ROUNDS} rounds of 30, in both orders)",
            with / without,
            (with - without) * 1e6
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run by `make cost`"]
async fn cost_of_usage() {
    for (what, count) in [("a short stream", 0), ("a stream of 300 events", 300)] {
        let with = Rig::start(Topology::Failover, &policy(""), &["east", "west"]).await;
        let settings = Settings::default();
        let without =
            Rig::start_edited(Topology::Failover, &policy(""), &["east", "west"], settings, without_copies).await;
        let mut rigs = [with, without];
        for rig in &rigs {
            rig.providers().for_each(|provider| provider.answer(raw("text/event-stream", "", events(count).into())));
            rig.providers().for_each(|provider| provider.count_only(true));
        }
        let mut results = [Vec::new(), Vec::new()];
        for number in 0..=ROUNDS {
            // Each is first in turn.
            for at in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
                let result = round(&mut rigs[at]).await;
                if number > 0 {
                    results[at].push(result);
                }
            }
        }
        let [with, without] =
            results.map(|rounds| [0, 1, 2].map(|at| median(rounds.iter().map(|it| it[at]).collect())));
        println!(
            "{what}, with copies over without: CPU of router {:.2} and of Envoy {:.2}, of both {:.2}; time to the first \
             byte {:.2} of a provider that answers at once ({ROUNDS} rounds of {REQUESTS}, in both orders); router {:.0} us more, Envoy {:.0} us more",
            with[0] / without[0],
            with[1] / without[1],
            (with[0] + with[1]) / (without[0] + without[1]),
            with[2] / without[2],
            (with[0] - without[0]) * 1e6,
            (with[1] - without[1]) * 1e6,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run by `make cost`"]
async fn cost_of_usage_in_memory_of_open_streams() {
    const STREAMS: usize = 5_000;
    let mut memory = Vec::new();
    for has_copies in [false, true] {
        let settings = Settings::default();
        let edit = if has_copies { |text| text } else { without_copies };
        let mut rig = Rig::start_edited(Topology::Attach, &policy(""), &["east", "west"], settings, edit).await;
        let last = (Duration::from_secs(25), Bytes::from(super::STREAM));
        let pieces =
            vec![(Duration::ZERO, Bytes::from("data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n")), last];
        let script = Script::Pieces { content_type: "text/event-stream".into(), pieces };
        rig.providers().for_each(|provider| provider.answer(script.clone()));
        rig.providers().for_each(|provider| provider.count_only(true));
        let before = rig.router.process().peak_mib();
        let answers =
            load(rig.envoy.addr(), STREAMS, STREAMS, |_| chat("any").streamed().timeout(Duration::from_secs(120)))
                .await;
        let served = answers.iter().filter(|answer| answer.as_ref().is_ok_and(|it| it.status == 200)).count();
        let after = rig.router.process().peak_mib();
        println!(
            "{STREAMS} streams open at once, {} copies: {served} served, router {before} MiB before and {after} MiB at most",
            if has_copies { "with" } else { "without" }
        );
        memory.push(after - before);
    }
    let more = memory[1].saturating_sub(memory[0]) as f64;
    println!("memory of the router for an open stream with copies: {:.1} KiB more", more * 1024.0 / STREAMS as f64);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run by `make cost`"]
async fn cost_of_usage_in_hostile_responses() {
    let deep = format!("{{\"a\":{}", "[".repeat(64 << 20));
    let line = format!("data: {{\"a\":\"{}\"}}\n\n", "x".repeat(1 << 30));
    let bomb = zstd::encode_all(&vec![b' '; 1 << 30][..], 1).unwrap();
    let events = "text/event-stream";
    for (what, script) in [
        ("a line of 1 GiB", raw(events, "", line.into())),
        ("64 Mi levels of nesting", raw("application/json", "", deep.into())),
        ("1 GiB in zstd", raw("application/json", "zstd", bomb)),
    ] {
        let mut rig = Rig::start(Topology::Attach, &policy(""), &["east", "west"]).await;
        rig.providers().for_each(|provider| provider.answer(script.clone()));
        rig.providers().for_each(|provider| provider.count_only(true));
        let (memory, cpu) = (rig.router.process().peak_mib(), rig.router.process().cpu_seconds());
        let mut answer = stream(rig.envoy.addr(), chat("any").streamed()).await;
        let mut length = 0;
        while let Some(piece) = answer.piece().await {
            length += piece.unwrap().len();
        }
        let line = super::used(&rig, 1).await.remove(0);
        println!(
            "{what}: {length} bytes reached the client; usage {}; router {} MiB before, {} MiB at most, {:.2} s of CPU",
            line["fields"]["known"],
            memory,
            rig.router.process().peak_mib(),
            rig.router.process().cpu_seconds() - cpu
        );
    }
}
