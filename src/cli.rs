//! The command line: what each subcommand takes, prints, and exits with.

mod check;
mod serve;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Turns any Envoy into a multi-model LLM gateway.
#[derive(Debug, Parser)]
#[command(name = "model-router", version, propagate_version = true, args_override_self = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve Envoy's ext_proc filter by a policy file, which is followed as it changes
    Serve(Box<serve::Arguments>),
    /// Report every problem of a policy file; exits with 1 if there is one
    Check(check::Arguments),
    /// Show a running router's policy and targets
    Status(status::Arguments),
}

impl Cli {
    /// Runs the subcommand; problems go to stderr, results to stdout.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(arguments) => serve::run(*arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Status(arguments) => status::run(&arguments),
        }
    }
}

/// Prints a problem and gives the exit status for it.
#[allow(clippy::print_stderr)] // A command speaks to a person here; the log is for the running service.
fn fail(problem: impl std::fmt::Display) -> ExitCode {
    eprintln!("model-router: {problem}");
    ExitCode::FAILURE
}
