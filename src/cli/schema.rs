//! `model-router schema`.

use std::process::ExitCode;

use crate::policy_file;

#[allow(clippy::print_stdout)] // The schema is the result.
pub(super) fn run() -> ExitCode {
    print!("{}", policy_file::schema());
    ExitCode::SUCCESS
}
