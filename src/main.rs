//! The `model-router` command.

use std::process::ExitCode;

use clap::Parser;
use model_router::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
