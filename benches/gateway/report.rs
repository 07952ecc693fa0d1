//! What is said of it: a line for each cell as it is done, then JSON, a table and plots.

use std::fmt::Write as _;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::{Value, json};

use crate::machine;
use crate::plot;
use crate::run::{MAX_OTHERS, Measured, Sample, Samples};
use crate::stage::Subject;

/// What a subject came to: medians over the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Medians {
    pub(crate) per_second: f64,
    pub(crate) filter_us: f64,
    pub(crate) envoy_us: f64,
    /// While half of the possible load is sent: 50th, 99th and 99.9th percentile.
    pub(crate) paced_ms: [f64; 3],
    /// While as much as possible is sent.
    pub(crate) closed_ms: [f64; 3],
}

impl Measured {
    pub(crate) fn of(&self, subject: Subject) -> Medians {
        let Samples { closed, paced, .. } = &self.subjects[subject as usize];
        let percentiles = |samples: &[Sample]| {
            [|it: &Sample| it.sent.p50_ms, |it: &Sample| it.sent.p99_ms, |it: &Sample| it.sent.p999_ms]
                .map(|read| median(samples.iter().map(read)))
        };
        Medians {
            per_second: median(closed.iter().map(|it| it.sent.per_second)),
            filter_us: median(closed.iter().map(|it| it.filter_us)),
            envoy_us: median(closed.iter().map(|it| it.envoy_us)),
            paced_ms: percentiles(paced),
            closed_ms: percentiles(closed),
        }
    }

    /// Router over floor, round by round: the median, and between which two it is in about nine of ten such runs.
    pub(crate) fn ratio(&self, read: impl Fn(&Sample) -> f64) -> [f64; 3] {
        let closed = |subject: Subject| &self.subjects[subject as usize].closed;
        let ratios =
            closed(Subject::Router).iter().zip(closed(Subject::Floor)).map(|(one, other)| read(one) / read(other));
        let mut ratios: Vec<_> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        let [least, most] = interval(&ratios);
        [median(ratios.iter().copied()), least, most]
    }

    pub(crate) fn cpu_ratio(&self) -> [f64; 3] {
        self.ratio(|it| it.filter_us)
    }

    pub(crate) fn speed_ratio(&self) -> [f64; 3] {
        self.ratio(|it| it.sent.per_second)
    }

    /// Whether others took too much of the machine in every try of some round.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.subjects.iter().flat_map(|it| it.closed.iter().chain(&it.paced)).any(|it| it.others > MAX_OTHERS)
    }

    fn verdict(&self) -> &'static str {
        match (self.is_disturbed(), self.is_missed(), self.is_settled()) {
            (true, ..) => "disturbed: not quoted",
            (_, true, true) => "missed",
            (_, true, false) => "missed, within the noise",
            (_, false, true) => "",
            (_, false, false) => "within the noise",
        }
    }

    /// The most processor time over the floor's that is aimed at: 1.15 times up to 32 KiB, a second for each 2 GB more
    /// above.
    fn cpu_aim(&self) -> f64 {
        let bytes = self.cell.load.body_bytes;
        #[allow(clippy::cast_precision_loss)] // Some MiB.
        let copying_us = bytes as f64 / 2e9 * 1e6;
        if bytes <= 32 << 10 { 1.15 } else { 1.0 + copying_us / self.of(Subject::Floor).filter_us }
    }

    /// Whether an aim is missed: of processor time, or 0.95 times the floor's requests a second.
    pub(crate) fn is_missed(&self) -> bool {
        self.cpu_ratio()[0] > self.cpu_aim() || self.speed_ratio()[0] < SPEED_AIM
    }

    /// Whether more rounds would hardly say something else: each aim is outside of where the ratio is.
    pub(crate) fn is_settled(&self) -> bool {
        let rounds = self.subjects[Subject::Router as usize].closed.len();
        let is_outside = |[_, least, most]: [f64; 3], aim: f64| rounds >= 5 && (most <= aim || least >= aim);
        is_outside(self.cpu_ratio(), self.cpu_aim()) && is_outside(self.speed_ratio(), SPEED_AIM)
    }
}

/// Of the floor's requests a second.
const SPEED_AIM: f64 = 0.95;

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => f64::midpoint(values[(count - 1) / 2], values[count / 2]),
    }
}

/// Between which of these the true median is, in nine of ten runs: so many of them are below it as a coin shows heads,
/// with the normal distribution in the place of the binomial. Five have to be taken whole, and fewer say less. As a
/// cell ends when it is settled, it is a little less than nine of ten.
fn interval(sorted: &[f64]) -> [f64; 2] {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Some rounds.
    let left_out = ((sorted.len() as f64 - 1.96 * (sorted.len() as f64).sqrt()) / 2.0).max(0.0) as usize;
    [sorted[left_out], sorted[sorted.len() - 1 - left_out]]
}

/// A cell in one line.
pub(crate) fn line(measured: &Measured) -> String {
    let [alone, floor, router] = Subject::ALL.map(|subject| measured.of(subject));
    let ([cpu, ..], [speed, ..]) = (measured.cpu_ratio(), measured.speed_ratio());
    format!(
        "{:32} CPU {cpu:5.2} ({:6.1} / {:6.1} us)  RPS {speed:5.2} ({:6.0} / {:6.0}, alone {:6.0})  p50 {:.2} / {:.2} ms  {}",
        measured.cell.name,
        router.filter_us,
        floor.filter_us,
        router.per_second,
        floor.per_second,
        alone.per_second,
        router.paced_ms[0],
        floor.paced_ms[0],
        measured.verdict(),
    )
}

/// Writes everything into a directory.
pub(crate) fn write(all: &[Measured], rounds: &RangeInclusive<usize>, into: &Path) -> Result<(), String> {
    let store = |name: &str, text: String| {
        fs::write(into.join(name), text).map_err(|error| format!("{}: {error}", into.join(name).display()))
    };
    fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
    let head = head(format!("{} to {}, until a cell can be told from its aims", rounds.start(), rounds.end()));
    let cells: Vec<_> = all.iter().map(|measured| in_json(measured).to_string()).collect();
    store("gateway.json", format!("{{\"head\":{head},\n\"cells\":[\n{}\n]}}\n", cells.join(",\n")))?;
    write_rounds(all, &head)?;
    store("gateway.md", table(all, &head))?;
    plot::cpu(all, &into.join("cpu.svg"))?;
    plot::latency(all, &into.join("latency.svg"))?;
    println!("written to {}", into.display());
    Ok(())
}

/// On what it was measured.
pub(crate) fn head(rounds: impl Into<Value>) -> Value {
    let said = |command: &mut std::process::Command| {
        let output = command.output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        output.unwrap_or_default()
    };
    let envoy = said(std::process::Command::new(crate::rig::envoy::binary()).arg("--version"));
    let rust = said(std::process::Command::new("rustc").arg("--version"));
    let commit = said(std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "machine": machine::name(), "kernel": kernel.trim(), "envoy": envoy.rsplit("version: ").next(), "rust": rust,
        "commit": commit, "rounds": rounds.into(), "command": "make bench",
    })
}

/// Writes every round below `target/`, for whoever doubts a median.
fn write_rounds(all: &[Measured], head: &Value) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gateway-rounds.json");
    let cells: Vec<_> = all.iter().map(|it| json!({ "cell": it.cell.name, "subjects": it.subjects })).collect();
    let text = json!({ "head": head, "subjects": ["alone", "floor", "router"], "cells": cells }).to_string();
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Returns a cell as one line of JSON: its ratios, and the medians of each subject.
fn in_json(measured: &Measured) -> Value {
    let setup = measured.cell.setup;
    json!({
        "cell": measured.cell.name,
        "setup": format!("{setup:?}"),
        "body_bytes": measured.cell.load.body_bytes,
        "concurrency": measured.cell.load.concurrency,
        "cpu_ratio": measured.cpu_ratio(),
        "rps_ratio": measured.speed_ratio(),
        "disturbed": measured.is_disturbed(),
        "missed": measured.is_missed(),
        "spans": measured.spans,
        "alone": medians_in_json(measured, Subject::Alone),
        "floor": medians_in_json(measured, Subject::Floor),
        "router": medians_in_json(measured, Subject::Router),
    })
}

fn medians_in_json(measured: &Measured, subject: Subject) -> Value {
    let (medians, samples) = (measured.of(subject), &measured.subjects[subject as usize]);
    json!({
        "rounds": samples.closed.len(),
        "per_second": medians.per_second,
        "filter_us": medians.filter_us,
        "envoy_us": medians.envoy_us,
        "paced_ms": medians.paced_ms,
        "closed_ms": medians.closed_ms,
        "peak_kib": samples.peak_kib,
    })
}

const COLUMNS: &str = "\
| cell | CPU ratio | RPS ratio | router CPU us | floor CPU us | Envoy CPU us (router / floor / alone) | RPS (router / floor / alone) | at half load: p50 ms | p99 ms | p99.9 ms | full load: p50 ms | p99 ms | peak RSS MiB (router / floor) | rounds | |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |
";

fn table(all: &[Measured], head: &Value) -> String {
    let mut text = "# What the router costs beside a filter that does nothing\n\n".to_owned();
    for (name, value) in head.as_object().into_iter().flatten() {
        let _ = writeln!(text, "- {name}: {}", value.to_string().trim_matches('"'));
    }
    text.push_str(
        "\nRatios are router over floor, the median of the rounds and where it is in about nine of ten such runs. ",
    );
    text.push_str("\"Within the noise\": that reaches over an aim. CPU is that of the filter's process for one request. Latencies are router / floor / alone.\n\n");
    text.push_str(COLUMNS);
    all.iter().for_each(|measured| row(&mut text, measured));
    text
}

fn row(text: &mut String, measured: &Measured) {
    let [alone, floor, router] = Subject::ALL.map(|subject| measured.of(subject));
    let peak = |subject: Subject| measured.subjects[subject as usize].peak_kib as f64 / 1024.0;
    let ratio = |[median, least, most]: [f64; 3]| format!("**{median:.2}** ({least:.2} to {most:.2})");
    let three = |read: &dyn Fn(&Medians) -> f64, digits: usize| {
        let alone = Some(read(&alone)).filter(|alone| !alone.is_nan());
        let alone = alone.map_or(String::new(), |alone| format!(" / {alone:.digits$}"));
        format!("{:.digits$} / {:.digits$}{alone}", read(&router), read(&floor))
    };
    let cells = [
        measured.cell.name.clone(),
        ratio(measured.cpu_ratio()),
        ratio(measured.speed_ratio()),
        format!("{:.1}", router.filter_us),
        format!("{:.1}", floor.filter_us),
        three(&|it| it.envoy_us, 0),
        three(&|it| it.per_second, 0),
        three(&|it| it.paced_ms[0], 2),
        three(&|it| it.paced_ms[1], 2),
        three(&|it| it.paced_ms[2], 2),
        three(&|it| it.closed_ms[0], 2),
        three(&|it| it.closed_ms[1], 2),
        format!("{:.0} / {:.0}", peak(Subject::Router), peak(Subject::Floor)),
        measured.subjects[Subject::Router as usize].closed.len().to_string(),
        measured.verdict().to_owned(),
    ];
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}
