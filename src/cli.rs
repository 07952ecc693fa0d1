//! The command line: what each subcommand takes, prints, and exits with.

mod check;
mod schema;
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
    /// Serve Envoy's ext_proc filter by a policy, which is followed as its files change
    Serve(Box<serve::Arguments>),
    /// Report every problem of a policy; exits with 1 if it can't be used
    Check(check::Arguments),
    /// Print the JSON Schema of a policy file, for editors
    Schema,
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
            Command::Schema => schema::run(),
            Command::Status(arguments) => status::run(&arguments),
        }
    }
}

/// Prints a problem and gives the exit status for it.
fn fail(problem: impl std::fmt::Display) -> ExitCode {
    anstream::eprintln!("model-router: {problem}"); // to a person; the log is for the running service
    ExitCode::FAILURE
}
