//! What no cell shows: memory of open streams and over minutes of full load, and requests while a large policy is
//! reloaded.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cell::{Answers, BASE, Load, Policy, Setup};
use crate::load::{self, Pace, Target};
use crate::machine::memory_kib;
use crate::report;
use crate::rig::{ask, client};
use crate::stage::{Provider, Stage, Subject};
use crate::upstream::DELAY;

const STREAMS: [usize; 3] = [0, 1_000, 5_000];

/// How often the policy changes while requests are sent, and how many of them a second.
const RELOAD_EVERY: Duration = Duration::from_secs(3);
const RELOAD_RATE: f64 = 500.0;

/// Measures all and writes `scenes.json`.
pub(crate) async fn measure(into: &Path, quick: bool) -> Result<(), String> {
    let provider = Provider::start();
    let reload = reload(&provider, if quick { 10 } else { 30 }).await?;
    let streams = open_streams(&provider).await?;
    let minutes = if quick { 1 } else { 10 };
    let load = full_load(&provider, minutes).await?;
    let told = json!({ "head": report::head(1), "reload": reload, "open_streams": streams, "full_load": load });
    fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
    let file = into.join("scenes.json");
    fs::write(&file, format!("{told:#}\n")).map_err(|error| format!("{}: {error}", file.display()))
}

/// What the router holds while so many requests await their answers' headers.
async fn open_streams(provider: &Provider) -> Result<Vec<Value>, String> {
    let mut told = Vec::new();
    let stage = Stage::start(Setup { answers: Answers::Late, ..Setup::default() }, provider).await;
    let pid = stage.filter_pid(Subject::Router).unwrap_or_default();
    for streams in STREAMS {
        let (url, body) = (stage.url(Subject::Router), stage.body(1 << 10));
        let sending = tokio::spawn(async move {
            let target = Target { url: &url, body: &body, concurrency: streams, traced: false };
            if streams > 0 { load::send(target, Pace::Once, Duration::ZERO).await.map(Some) } else { Ok(None) }
        });
        let deadline = Instant::now() + DELAY;
        let mut open = open_requests(&stage).await;
        while open < streams && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
            open = open_requests(&stage).await;
        }
        let kib = memory_kib(pid, "VmRSS");
        println!("{open} open streams: router {:.1} MiB", mib(kib));
        told.push(json!({ "streams": streams, "open": open, "router_kib": kib }));
        if let Some(sent) = sending.await.map_err(|error| error.to_string())?? {
            println!("  {} answered, {} failed {:?}", sent.requests, sent.failed, sent.failures);
        }
    }
    Ok(told)
}

async fn open_requests(stage: &Stage) -> usize {
    metric(stage, "model_router_open_requests").await
}

async fn metric(stage: &Stage, name: &str) -> usize {
    let answer = client::send(stage.admin, ask::get("/metrics")).await.text();
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// A steady load under a policy of 10 000 APIs: as it is, and while it is replaced again and again.
async fn reload(provider: &Provider, seconds: u64) -> Result<Value, String> {
    let stage = Stage::start(Setup { policy: Policy::Tenants, ..Setup::default() }, provider).await;
    let (url, body) = (stage.url(Subject::Router), stage.body(1 << 10));
    let Load { concurrency, .. } = BASE;
    let target = Target { url: &url, body: &body, concurrency, traced: false };
    let (pace, duration) = (Pace::Rate(RELOAD_RATE), Duration::from_secs(seconds));
    load::send(target, pace, Duration::from_secs(2)).await?;
    let quiet = load::send(target, pace, duration).await?;
    let before = metric(&stage, "model_router_policy_version").await;
    let reloading = async {
        loop {
            tokio::time::sleep(RELOAD_EVERY).await;
            stage.change_policy();
        }
    };
    let changing = tokio::select! {
        sent = load::send(target, pace, duration) => sent?,
        () = reloading => unreachable!("it goes on for ever"),
    };
    let reloads = metric(&stage, "model_router_policy_version").await - before;
    for (name, sent) in [("as it is", &quiet), ("being replaced", &changing)] {
        println!(
            "10 000 APIs {name}: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, {} failed",
            sent.p50_ms, sent.p99_ms, sent.p999_ms, sent.failed
        );
    }
    println!("  {reloads} reloads; p99.9 ratio {:.2}", changing.p999_ms / quiet.p999_ms);
    Ok(json!({ "quiet": quiet, "changing": changing, "reloads": reloads, "rate": RELOAD_RATE }))
}

/// What the router holds, minute by minute, while it is asked as much as it can serve.
async fn full_load(provider: &Provider, minutes: usize) -> Result<Vec<Value>, String> {
    let stage = Stage::start(Setup::default(), provider).await;
    let (url, body) = (stage.url(Subject::Router), stage.body(BASE.body_bytes));
    let target = Target { url: &url, body: &body, concurrency: BASE.concurrency, traced: false };
    let pid = stage.filter_pid(Subject::Router).unwrap_or_default();
    let mut told = Vec::new();
    for minute in 1..=minutes {
        let sent = load::send(target, Pace::Closed, Duration::from_secs(60)).await?;
        let (now, peak) = (memory_kib(pid, "VmRSS"), memory_kib(pid, "VmHWM"));
        println!("minute {minute}: router {:.1} MiB, {:.0} requests a second", mib(now), sent.per_second);
        told.push(json!({
            "minute": minute, "router_kib": now, "peak_kib": peak, "rps": sent.per_second, "failed": sent.failed,
        }));
    }
    Ok(told)
}

#[allow(clippy::cast_precision_loss)] // Some GiB at most.
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
