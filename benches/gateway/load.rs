//! The load generator: oha, as a process of its own.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use std::{env, io};

use serde::Serialize;
use serde_json::Value;

/// What came of one load.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sent {
    pub(crate) requests: f64,
    pub(crate) failed: f64,
    /// What failed, by status or error.
    pub(crate) failures: Vec<(String, f64)>,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
}

/// How requests follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Each as soon as one before it is answered.
    Closed,
    /// So many a second, whatever becomes of those before; time that one waits for its turn counts as its own.
    Rate(f64),
    /// One for each connection.
    Once,
}

/// What is sent where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) url: &'a str,
    pub(crate) body: &'a Path,
    pub(crate) concurrency: usize,
    /// Whether each request belongs to a sampled trace.
    pub(crate) traced: bool,
}

/// Sends requests for so long.
pub(crate) async fn send(target: Target<'_>, pace: Pace, duration: Duration) -> Result<Sent, String> {
    let mut command = tokio::process::Command::new(oha());
    command.args(["--no-tui", "--output-format", "json", "-m", "POST", "-T", "application/json"]);
    let concurrency = target.concurrency.to_string();
    command.args(["-c", &concurrency]);
    match pace {
        Pace::Once => command.args(["-n", &concurrency]),
        Pace::Closed | Pace::Rate(_) => command.args(["-w", "-z", &format!("{}ms", duration.as_millis())]),
    };
    command.arg("-D").arg(target.body);
    if target.traced {
        command.args(["-H", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]);
    }
    if let Pace::Rate(rate) = pace {
        command.args(["-q", &format!("{}", rate.max(1.0).round()), "--latency-correction"]);
    }
    let output = command.arg(target.url).stdin(Stdio::null()).output().await;
    read(output).map_err(|problem| format!("the load generator: {problem}"))
}

fn read(output: io::Result<Output>) -> Result<Sent, String> {
    let output = output.map_err(|error| format!("{error}; `make bench` installs it"))?;
    let told: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("no figures: {}", String::from_utf8_lossy(&output.stderr)))?;
    let codes = told["statusCodeDistribution"].as_object().cloned().unwrap_or_default();
    let count = |of: &dyn Fn(&str) -> bool| -> f64 {
        codes.iter().filter(|(code, _)| of(code)).filter_map(|(_, count)| count.as_f64()).fold(0.0, |sum, it| sum + it)
    };
    let errors = told["errorDistribution"].as_object().cloned().unwrap_or_default();
    let failures = codes.iter().filter(|(code, _)| *code != "200").chain(&errors);
    let failures = failures.map(|(what, count)| (what.clone(), count.as_f64().unwrap_or_default())).collect();
    let broken = errors.values().filter_map(Value::as_f64).fold(0.0, |sum, count| sum + count);
    let percentile = |name: &str| told["latencyPercentiles"][name].as_f64().unwrap_or_default() * 1e3;
    let requests = count(&|_| true);
    Ok(Sent {
        requests,
        failed: broken + count(&|code| code != "200"),
        failures,
        per_second: requests / told["summary"]["total"].as_f64().unwrap_or(f64::NAN),
        p50_ms: percentile("p50"),
        p99_ms: percentile("p99"),
        p999_ms: percentile("p99.9"),
    })
}

/// `OHA_BIN`, else what `make bench` installed.
fn oha() -> std::ffi::OsString {
    env::var_os("OHA_BIN")
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| crate::rig::envoy::root().join("target/oha/bin/oha").into())
}
