//! `model-router completions`.

use std::io;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell that is to complete the subcommands, their options and the values of those
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    clap_complete::generate(arguments.shell, &mut Cli::command(), "model-router", &mut io::stdout());
    ExitCode::SUCCESS
}
