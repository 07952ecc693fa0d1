//! `model-router schema`.

use std::process::ExitCode;

use crate::config;

#[allow(clippy::print_stdout)] // The schema is the result.
pub(super) fn run() -> ExitCode {
    print!("{}", config::schema());
    ExitCode::SUCCESS
}
