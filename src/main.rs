//! The `model-router` command.

use std::process::ExitCode;

use model_router::cli::Cli;

/// Bodies come and go by the thousand: see `make bench` for what it is worth.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::of_process().run()
}
