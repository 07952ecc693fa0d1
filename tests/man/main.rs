//! Writes man pages of every subcommand into a directory, for `make dist`.

use std::io;

use clap::CommandFactory;
use model_router::cli::Cli;

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).ok_or_else(|| io::Error::other("expected a directory"))?;
    clap_mangen::generate_to(Cli::command(), directory)
}
