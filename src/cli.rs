//! The command line: the arguments, output and exit status of each subcommand.

mod admin;
mod channel;
mod check;
mod completions;
mod decisions;
mod envoy_config;
mod evaluate;
mod explain;
mod health;
mod help;
mod import;
mod policy;
mod schema;
mod serve;
mod status;
mod suspension;
mod targets;
mod usage;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::routing::api;

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
    #[command(after_help = help::SERVE)]
    Serve(Box<serve::Arguments>),
    /// Report every problem of a policy; exits with 1 if it can't be used
    #[command(after_help = help::CHECK)]
    Check(check::Arguments),
    /// Print Envoy's configuration for a policy: a whole one, what to add to one, or the clusters' file
    #[command(after_help = help::ENVOY_CONFIG)]
    EnvoyConfig(Box<envoy_config::Arguments>),
    /// Ask a policy's classifier about labelled prompts, and report how often it is right
    #[command(after_help = help::EVALUATE)]
    Evaluate(evaluate::Arguments),
    /// Show where a request would go and why, without sending it
    #[command(after_help = help::EXPLAIN)]
    Explain(explain::Arguments),
    /// Print the configuration of another gateway as a policy; what has no equivalent goes to stderr
    #[command(after_help = help::IMPORT)]
    Import(import::Arguments),
    /// Exit with 0 if a running router serves, for health checks of containers
    #[command(after_help = help::HEALTH)]
    Health(health::Arguments),
    /// Print the JSON Schema of a policy file, for editors
    #[command(after_help = help::SCHEMA)]
    Schema,
    /// Show a running router's policy, targets and classifiers
    #[command(after_help = help::STATUS)]
    Status(status::Arguments),
    /// Show a running router's targets: which are suspended, until when, and how often each was asked
    #[command(after_help = help::TARGETS)]
    Targets(targets::Arguments),
    /// Show a running router's last decisions, and why each was made
    #[command(after_help = help::DECISIONS)]
    Decisions(decisions::Arguments),
    /// Show what a running router's responses used: tokens, and what they cost by the policy's prices
    #[command(after_help = help::USAGE)]
    Usage(usage::Arguments),
    /// Take an endpoint, or one model of it, out of a running router for a while
    #[command(after_help = help::SUSPEND)]
    Suspend(suspension::Suspend),
    /// End a suspension in a running router, whatever its cause
    #[command(after_help = help::RESUME)]
    Resume(suspension::Resume),
    /// Print what completes this command in a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions(completions::Arguments),
}

impl Cli {
    /// Returns what the command line of this process says. Where it is wrong, or asks for help, the process ends.
    #[must_use]
    pub fn of_process() -> Self {
        let matches = help::grouped(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Runs the subcommand; problems go to stderr, results to stdout.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(arguments) => serve::run(*arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::EnvoyConfig(arguments) => envoy_config::run(*arguments),
            Command::Evaluate(arguments) => evaluate::run(&arguments),
            Command::Explain(arguments) => explain::run(&arguments),
            Command::Import(arguments) => import::run(&arguments),
            Command::Health(arguments) => health::run(&arguments),
            Command::Schema => schema::run(),
            Command::Status(arguments) => status::run(&arguments),
            Command::Targets(arguments) => targets::run(&arguments),
            Command::Decisions(arguments) => decisions::run(&arguments),
            Command::Usage(arguments) => usage::run(&arguments),
            Command::Suspend(arguments) => suspension::suspend(arguments),
            Command::Resume(arguments) => suspension::resume(arguments),
            Command::Completions(arguments) => completions::run(&arguments),
        }
    }
}

/// The format of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    #[value(alias = "table")]
    Text,
    /// For programs
    Json,
}

/// An environment of an API.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Environment {
    Production,
    Sandbox,
}

impl From<Environment> for api::Environment {
    fn from(environment: Environment) -> Self {
        match environment {
            Environment::Production => Self::Production,
            Environment::Sandbox => Self::Sandbox,
        }
    }
}

/// Returns the runtime of a subcommand that is not a service.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("can't start: {error}"))
}

/// Prints a problem and gives the exit status for it.
fn fail(problem: impl std::fmt::Display) -> ExitCode {
    anstream::eprintln!("model-router: {problem}"); // to a person; the log is for the running service
    ExitCode::FAILURE
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("expected more than nothing".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}
