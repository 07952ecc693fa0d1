//! Measuring: all cells in turns, the floor and the router of a cell side by side.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::cell::{Cell, Setup, Telemetry};
use crate::load::{self, Pace, Sent, Target};
use crate::machine;
use crate::report;
use crate::stage::{Provider, Stage, Subject};

/// A measurement during which other processes took more of the machine than this is not used.
pub(crate) const MAX_OTHERS: f64 = 0.1;
/// How often one is tried before the cell is marked as disturbed.
const TRIES: usize = 4;
/// The share of what the slower filter can do at most at which latencies are compared: below the knee.
const PACE: f64 = 0.5;

/// Latencies are taken in so many rounds at most: ratios of what is done at full load need more of them.
const PACED_ROUNDS: usize = 5;

/// A load lasts until each connection has had so many answers, and until there were so many in all, as far as can be
/// told.
const ANSWERS_EACH: f64 = 4.0;
const ANSWERS: f64 = 24.0;
/// But not longer than so many times the shortest.
const LONGEST: f64 = 10.0;
/// Rounds of the longest loads: at least, and at most.
const FEWEST: [usize; 2] = [5, 10];

/// How long each load lasts. The machine's speed changes from second to second, so many short loads in turns tell more
/// than a few long ones: of eight seconds each, loads of 0.2 s know a ratio to 6 %, loads of 0.8 s to 16 %.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    warm_up: Duration,
    closed: Duration,
    paced: Duration,
}

impl Times {
    pub(crate) const FULL: Self = Self {
        warm_up: Duration::from_millis(400),
        closed: Duration::from_millis(250),
        paced: Duration::from_millis(1_500),
    };
    pub(crate) const QUICK: Self = Self {
        warm_up: Duration::from_millis(200),
        closed: Duration::from_millis(250),
        paced: Duration::from_millis(700),
    };
}

impl Times {
    /// How long a load of a cell lasts whose filter answers so many requests a second, and in how many rounds.
    fn of(self, cell: &Cell, per_second: f64, rounds: &RangeInclusive<usize>) -> (Duration, RangeInclusive<usize>) {
        #[allow(clippy::cast_precision_loss)] // Some hundred.
        let answers = (ANSWERS_EACH * cell.load.concurrency as f64).max(ANSWERS);
        let longer = (answers / per_second / self.closed.as_secs_f64()).clamp(1.0, LONGEST);
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Some rounds.
        let fewer = |rounds: usize, fewest: usize| ((rounds as f64 / longer) as usize).max(fewest.min(rounds));
        let rounds = fewer(*rounds.start(), FEWEST[0])..=fewer(*rounds.end(), FEWEST[1]);
        (self.closed.mul_f64(longer), rounds)
    }
}

/// One load, measured.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) sent: Sent,
    pub(crate) filter_us: f64,
    pub(crate) envoy_us: f64,
    /// The share of the machine that others took.
    pub(crate) others: f64,
}

/// What is known of a subject in a cell.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Samples {
    pub(crate) closed: Vec<Sample>,
    pub(crate) paced: Vec<Sample>,
    pub(crate) peak_kib: u64,
}

/// A cell, measured: by [`Subject`].
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) cell: Cell,
    pub(crate) subjects: [Samples; 3],
    pub(crate) spans: Option<usize>,
}

/// Measures all cells, each in so many rounds, and writes the report.
pub(crate) async fn measure(
    cells: &[Cell],
    rounds: RangeInclusive<usize>,
    times: Times,
    into: &Path,
) -> Result<(), String> {
    let provider = Provider::start();
    let mut all: Vec<Measured> = Vec::new();
    let mut at = 0;
    while at < cells.len() {
        let setup = cells[at].setup;
        let same = cells[at..].iter().take_while(|cell| cell.setup == setup).count();
        all.extend(measure_setup(setup, &cells[at..at + same], &rounds, times, &provider).await?);
        at += same;
    }
    report::write(&all, &rounds, into)
}

/// Cells that share a stage, round by round.
async fn measure_setup(
    setup: Setup,
    cells: &[Cell],
    rounds: &RangeInclusive<usize>,
    times: Times,
    provider: &Provider,
) -> Result<Vec<Measured>, String> {
    let mut stage = Stage::start(setup, provider).await;
    let new = |cell: &Cell| Measured { cell: cell.clone(), subjects: Default::default(), spans: None };
    let mut all: Vec<_> = cells.iter().map(new).collect();
    for measured in &mut all {
        let subjects = measured.cell.subjects();
        let mut slowest = f64::INFINITY;
        for &subject in subjects {
            let measurement =
                Measurement { cell: &measured.cell, subject, pace: Pace::Closed, duration: times.warm_up };
            slowest = slowest.min(measurement.take(&mut stage, provider).await?.sent.per_second);
        }
        let (closed, rounds) = times.of(&measured.cell, slowest, rounds);
        let paced_every = rounds.end().div_ceil(PACED_ROUNDS).max(3);
        for subject in [Subject::Floor, Subject::Router] {
            machine::reset_peak(stage.filter_pid(subject).unwrap_or_default());
        }
        for round in 0..*rounds.end() {
            if round >= *rounds.start() && measured.is_settled() {
                break;
            }
            let order = order(subjects, round);
            for &subject in &order {
                let measurement = Measurement { cell: &measured.cell, subject, pace: Pace::Closed, duration: closed };
                let sample = measurement.take_quietly(&mut stage, provider).await?;
                measured.subjects[subject as usize].closed.push(sample);
            }
            if !round.is_multiple_of(paced_every) {
                continue;
            }
            let rate = measured.cell.load.rate.unwrap_or_else(|| PACE * slower(measured));
            let pace = Pace::Rate(rate);
            for &subject in &order {
                let measurement = Measurement { cell: &measured.cell, subject, pace, duration: times.paced };
                let sample = measurement.take_quietly(&mut stage, provider).await?;
                measured.subjects[subject as usize].paced.push(sample);
            }
        }
        for subject in [Subject::Floor, Subject::Router] {
            let pid = stage.filter_pid(subject).unwrap_or_default();
            measured.subjects[subject as usize].peak_kib = machine::memory_kib(pid, "VmHWM");
        }
        measured.spans = stage.collector.as_ref().map(|collector| collector.spans());
        println!("{}", report::line(measured));
    }
    Ok(all)
}

/// Whose turn it is: in all orders there are, so that each comes first, and after each other, equally often.
fn order(subjects: &[Subject], round: usize) -> Vec<Subject> {
    let mut order = subjects.to_vec();
    order.rotate_left(round / 2 % subjects.len());
    if !round.is_multiple_of(2) {
        order.reverse();
    }
    order
}

/// Requests a second of the slower filter, so far.
fn slower(measured: &Measured) -> f64 {
    measured.of(Subject::Floor).per_second.min(measured.of(Subject::Router).per_second)
}

/// One load of a cell on one subject.
#[derive(Clone, Copy, Debug)]
struct Measurement<'c> {
    cell: &'c Cell,
    subject: Subject,
    pace: Pace,
    duration: Duration,
}

impl Measurement<'_> {
    /// Takes it while others leave the machine alone, if there is such a moment.
    async fn take_quietly(self, stage: &mut Stage, provider: &Provider) -> Result<Sample, String> {
        let mut sample = self.take(stage, provider).await?;
        for _ in 1..TRIES {
            if sample.others <= MAX_OTHERS {
                break;
            }
            sample = self.take(stage, provider).await?;
        }
        Ok(sample)
    }

    async fn take(self, stage: &mut Stage, provider: &Provider) -> Result<Sample, String> {
        let Self { cell, subject, pace, duration } = self;
        let (url, body) = (stage.url(subject), stage.body(cell.load.body_bytes));
        let traced = cell.setup.telemetry == Telemetry::Full;
        let target = Target { url: &url, body: &body, concurrency: cell.load.concurrency, traced };
        let (envoy, filter) = (stage.envoy_pid(subject), stage.filter_pid(subject));
        let spent = || {
            let [envoy, filter] = [Some(envoy), filter].map(|pid| pid.map_or(Duration::ZERO, machine::spent));
            let own = machine::spent(std::process::id()) + machine::spent_by_ended_children();
            [envoy, filter, envoy + filter + own + machine::spent(provider.pid()), machine::busy()]
        };
        let (before, begun) = (spent(), std::time::Instant::now());
        let sent = load::send(target, pace, duration).await?;
        let (after, took) = (spent(), begun.elapsed().as_secs_f64());
        if sent.failed > 0.0 {
            return Err(format!("{}, {subject:?}: {} of {} requests failed", cell.name, sent.failed, sent.requests));
        }
        let [envoy, filter, ours, busy] = std::array::from_fn(|at| after[at].saturating_sub(before[at]).as_secs_f64());
        let requests = sent.requests.max(1.0);
        Ok(Sample {
            filter_us: filter / requests * 1e6,
            envoy_us: envoy / requests * 1e6,
            others: (busy - ours).max(0.0) / (took * machine::processors()),
            sent,
        })
    }
}
