//! What the kernel knows of this process, under the names that Prometheus' own clients give it. Read from `/proc` for
//! each scrape; where there is none, these metrics are absent.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// A second in the ticks of `/proc`: USER_HZ, which is 100 on every architecture that the router is built for.
const TICKS: f64 = 100.0;

/// The metrics of this process.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(seconds) = stat().and_then(|stat| cpu_seconds(&stat)) {
            let help = "Seconds of CPU time, in user and in system mode";
            let metric = ConstCounter::new(seconds);
            metric.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, metric.metric_type())?)?;
        }
        type Read = fn() -> Option<f64>;
        let gauges: [(&str, &str, Read); 5] = [
            ("process_resident_memory_bytes", "Bytes of memory in use", || memory("VmRSS:")),
            ("process_virtual_memory_bytes", "Bytes of address space in use", || memory("VmSize:")),
            ("process_open_fds", "Open file descriptors", open_descriptors),
            ("process_max_fds", "The most file descriptors that may be open", max_descriptors),
            ("process_start_time_seconds", "When the process started, in seconds since 1970", started_at),
        ];
        for (name, help, read) in gauges {
            let Some(value) = read() else { continue };
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

/// Returns the fields of `/proc/self/stat` behind the command's name, which may itself have spaces and brackets.
fn stat() -> Option<Vec<String>> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Returns a field by its number in proc(5), of which the first behind the name is 3.
fn ticks(stat: &[String], number: usize) -> Option<f64> {
    stat.get(number - 3)?.parse().ok()
}

fn cpu_seconds(stat: &[String]) -> Option<f64> {
    Some((ticks(stat, 14)? + ticks(stat, 15)?) / TICKS)
}

fn started_at() -> Option<f64> {
    let since_boot = ticks(&stat()?, 22)? / TICKS;
    let kernel = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + since_boot)
}

/// Returns a line of `/proc/self/status` that counts kibibytes.
fn memory(key: &str) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

#[allow(clippy::cast_precision_loss)] // Of more than 2^52 descriptors.
fn open_descriptors() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(count.saturating_sub(1) as f64) // less the one that lists them
}

fn max_descriptors() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        limit => limit.parse().ok(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_plausible() {
        let mapped = vec![1_u8; 32 << 20];
        assert!(memory("VmRSS:").is_some_and(|bytes| bytes > 32e6), "{:?}", memory("VmRSS:"));
        assert!(memory("VmSize:") >= memory("VmRSS:"));
        assert!(cpu_seconds(&stat().expect("Linux has it")).is_some_and(|seconds| (0.0..1e6).contains(&seconds)));
        let before = open_descriptors().expect("Linux has it");
        let files: Vec<_> = (0..100).map(|_| fs::File::open("/proc/self/stat").expect("open")).collect();
        let now = open_descriptors().expect("Linux has it");
        assert!(now >= before + 50.0, "other tests may close some: {before}, {now}");
        assert!(max_descriptors().is_some_and(|most| most >= now));
        drop((files, mapped));
    }

    #[test]
    fn the_start_is_a_moment_ago() {
        let now = humantime::parse_rfc3339("2020-01-01T00:00:00Z").expect("an instant");
        let earliest = now.duration_since(std::time::UNIX_EPOCH).expect("later").as_secs_f64();
        let first = started_at().expect("Linux has it");
        assert!(first > earliest && started_at() == Some(first), "{first}");
    }
}
