//! `model-router check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::fail;
use crate::config::{self, MissingSecrets, Secrets};
use crate::health::Registry;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy file (YAML or JSON)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take a secret that is not there for an error, as `serve` does
    #[arg(long)]
    strict: bool,
}

#[allow(clippy::print_stdout)] // The report is the result.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let missing = if arguments.strict { MissingSecrets::Refuse } else { MissingSecrets::Warn };
    let secrets = Secrets::new(std::env::vars_os(), missing);
    match config::read(&arguments.file, &secrets, &Registry::default(), 1).result {
        Ok(compiled) => {
            for warning in compiled.warnings.iter() {
                println!("{warning}");
            }
            let count = compiled.snapshot.apis.iter().count();
            println!("{}: good ({count} {})", arguments.file.display(), if count == 1 { "API" } else { "APIs" });
            ExitCode::SUCCESS
        }
        Err(problems) => {
            println!("{problems}");
            fail(format!("{} can't be used", arguments.file.display()))
        }
    }
}
