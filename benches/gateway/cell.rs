//! A cell: one combination of what is varied. One factor at a time differs from [`Setup::default`] and [`BASE`].

use crate::rig::envoy::Topology;
use crate::rig::ext_proc::BodyMode;
use crate::stage::Subject;

/// Which policy the router has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Policy {
    RoundRobin,
    Weighted,
    Failover,
    /// With every decision remembered.
    Intelligent,
    /// Round robin, and 10 000 APIs.
    Tenants,
}

/// How Envoy reaches the filter's server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Transport {
    Unix,
    Tcp,
}

/// What the router tells of its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Telemetry {
    /// No log line of a decision; metrics are counted and not read.
    Off,
    /// As it is started without options: a log line for each decision.
    Default,
    /// Each request is traced and its span exported, and metrics and status are read every second.
    Full,
}

/// How the provider answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answers {
    /// Whole, at once.
    Whole,
    /// With a stream of events.
    Events,
    /// Whole, after [`crate::upstream::DELAY`].
    Late,
}

/// The threads of the filter that does nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FloorThreads {
    /// Tokio's pool, as every tonic server has it that does not say otherwise.
    Pool,
    /// One, as the router has it for each connection.
    One,
}

/// What is started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setup {
    pub(crate) policy: Policy,
    pub(crate) topology: Topology,
    pub(crate) mode: BodyMode,
    pub(crate) transport: Transport,
    /// Whether the filter sees the headers of answers.
    pub(crate) sees_answers: bool,
    pub(crate) telemetry: Telemetry,
    pub(crate) answers: Answers,
    pub(crate) floor: FloorThreads,
}

/// What is sent: bodies of so many bytes, so many requests at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) body_bytes: usize,
    pub(crate) concurrency: usize,
    /// Requests a second where latencies are taken; `None`: half of what the slower filter can do.
    pub(crate) rate: Option<f64>,
}

/// A cell of the table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) setup: Setup,
    pub(crate) load: Load,
}

impl Cell {
    /// Who is measured: Envoy alone only once for each way through it.
    pub(crate) fn subjects(&self) -> &'static [Subject] {
        let base = Setup::default();
        let attached = Setup { topology: Topology::Attach, ..base };
        if self.setup == base || self.setup == attached { &Subject::ALL } else { &Subject::ALL[1..] }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: Policy::RoundRobin,
            topology: Topology::Failover,
            mode: BodyMode::Buffered,
            transport: Transport::Unix,
            sees_answers: true,
            telemetry: Telemetry::Default,
            answers: Answers::Whole,
            floor: FloorThreads::Pool,
        }
    }
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What all cells but those of the grid send.
pub(crate) const BASE: Load = Load { body_bytes: 32 * KIB, concurrency: 16, rate: None };

/// What peers tell of themselves: long prompts from many clients, and a steady stream of short ones.
const LONG_PROMPTS: Load = Load { body_bytes: 220 * KIB, concurrency: 150, rate: None };
const SHORT_PROMPTS: Load = Load { body_bytes: KIB, concurrency: 16, rate: Some(500.0) };

/// The table, those cells first that share what has to be started.
pub(crate) fn all(quick: bool, only: &[String]) -> Vec<Cell> {
    let mut cells = if quick { few() } else { grid() };
    let loads: &[Load] = if quick { &[BASE] } else { &[Load { body_bytes: KIB, ..BASE }, BASE] };
    for (name, setup) in variations() {
        cells.extend(loads.iter().map(|&load| Cell {
            name: format!("{name}, {}", size(load.body_bytes)),
            setup,
            load,
        }));
    }
    cells.retain(|cell| only.is_empty() || only.iter().any(|part| cell.name.contains(part.as_str())));
    cells
}

/// Sizes and concurrencies.
fn grid() -> Vec<Cell> {
    let mut loads = Vec::new();
    for body_bytes in [KIB, 32 * KIB, 256 * KIB] {
        loads.extend([1, 16, 64, 256].map(|concurrency| of((body_bytes, concurrency))));
    }
    loads.extend([(2 * MIB, 1), (2 * MIB, 16), (20 * MIB, 1), (20 * MIB, 4)].map(of));
    loads.push(LONG_PROMPTS);
    let named = Cell { name: "200-token prompts, 500/s".into(), load: SHORT_PROMPTS, setup: Setup::default() };
    loads.into_iter().map(base).chain([named]).collect()
}

fn few() -> Vec<Cell> {
    [(KIB, 16), (32 * KIB, 1), (32 * KIB, 16), (256 * KIB, 16)].map(of).into_iter().map(base).collect()
}

fn of((body_bytes, concurrency): (usize, usize)) -> Load {
    Load { body_bytes, concurrency, rate: None }
}

fn base(load: Load) -> Cell {
    let name = format!("{}, concurrency {}", size(load.body_bytes), load.concurrency);
    Cell { name, setup: Setup::default(), load }
}

fn variations() -> Vec<(&'static str, Setup)> {
    let base = Setup::default();
    vec![
        ("weighted", Setup { policy: Policy::Weighted, ..base }),
        ("failover policy", Setup { policy: Policy::Failover, ..base }),
        ("intelligent, remembered", Setup { policy: Policy::Intelligent, ..base }),
        ("attach", Setup { topology: Topology::Attach, ..base }),
        ("full duplex", Setup { mode: BodyMode::FullDuplex, ..base }),
        ("TCP", Setup { transport: Transport::Tcp, ..base }),
        ("attach, TCP", Setup { topology: Topology::Attach, transport: Transport::Tcp, ..base }),
        ("floor on one thread", Setup { floor: FloorThreads::One, ..base }),
        ("answers unseen", Setup { sees_answers: false, ..base }),
        ("telemetry off", Setup { telemetry: Telemetry::Off, ..base }),
        ("telemetry full", Setup { telemetry: Telemetry::Full, ..base }),
        ("events", Setup { answers: Answers::Events, ..base }),
    ]
}

/// A number of bytes for people.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        MIB.. => format!("{} MiB", bytes / MIB),
        _ => format!("{} KiB", bytes / KIB),
    }
}
