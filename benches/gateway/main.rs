//! `make bench`: what the router costs in a real Envoy, beside a filter that does nothing.
//!
//! Each cell is measured with [`floor`], the least that an external processor can do, and with the router, in turns and
//! in one run, so that the machine's noise falls on both. Ratios are what counts.

#![allow(clippy::print_stdout)] // Its results, to whoever has started it.

#[path = "../../tests/rig.rs"]
mod rig;

mod cell; // What is varied.
mod collector; // Takes spans.
mod floor; // The filter that does nothing.
mod load; // The load generator.
mod machine; // What the operating system says of processes.
mod plot; // Pictures of it.
mod policy; // The policy files.
mod report; // Tables of it.
mod run; // Measures in turns.
mod scenes; // Memory, and reloads.
mod stage; // What is started.
mod upstream; // The provider.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures the router in a real Envoy, beside a filter that does nothing.
#[derive(Parser)]
struct Arguments {
    /// Some cells, shortly
    #[arg(long)]
    quick: bool,
    /// Only cells whose names contain this; may be given again
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Where JSON, table and plots go
    #[arg(long, value_name = "DIRECTORY", default_value = "target/bench")]
    into: PathBuf,
    /// Rounds of each cell at least, fewer where one takes longer; the median counts
    #[arg(long, default_value_t = 16)]
    rounds: usize,
    /// Rounds at most, of a cell that cannot be told from its aims yet
    #[arg(long, default_value_t = 40)]
    most: usize,
    /// In the place of cells: reloads of a large policy, thousands of open streams, minutes of full load
    #[arg(long)]
    scenes: bool,
    /// What Cargo says to benchmarks
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when the benchmark starts it a second time, so that the processor time of each part is its own.
#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Floor {
        listen: String,
        #[arg(long)]
        one_thread: bool,
    },
    #[command(hide = true)]
    Upstream,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut runtime = match arguments.role {
        Some(Role::Upstream | Role::Floor { one_thread: true, .. }) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build().expect("threads can be started");
    let done = match &arguments.role {
        Some(Role::Floor { listen, .. }) => runtime.block_on(floor::serve(listen)),
        Some(Role::Upstream) => runtime.block_on(upstream::serve()),
        None if arguments.scenes => runtime.block_on(scenes::measure(&arguments.into, arguments.quick)),
        None => {
            let cells = cell::all(arguments.quick, &arguments.only);
            let times = if arguments.quick { run::Times::QUICK } else { run::Times::FULL };
            runtime.block_on(run::measure(&cells, arguments.rounds..=arguments.most, times, &arguments.into))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
