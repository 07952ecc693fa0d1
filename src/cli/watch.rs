//! What a running router is asked once, or again every second.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::channel::Address;
use super::{Output, fail, runtime};

/// The time between two answers.
const INTERVAL: Duration = Duration::from_secs(1);

/// Moves a terminal's cursor to its first line, and clears what is below.
const HOME: &str = "\x1b[H\x1b[J";

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Format {
    /// The format of the output
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    /// Print it again every second until interrupted; with `--output json` each time on one line
    #[arg(long)]
    watch: bool,
}

/// An answer in both formats.
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) json: Value,
}

/// Asks and prints, once or until interrupted.
pub(super) fn show(router: &Address, format: Format, ask: impl AsyncFn() -> Result<Shown, String>) -> ExitCode {
    let no_answer = |problem| format!("no answer from the router at {router}: {problem}");
    let result = runtime().and_then(|runtime| {
        runtime.block_on(async {
            format.print(&ask().await.map_err(no_answer)?);
            if !format.watch {
                return Ok(());
            }
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                () = repeat(format, ask, no_answer) => {}
            }
            Ok(())
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(problem),
    }
}

/// Returns when nobody reads any more. A router that does not answer may come back.
async fn repeat(format: Format, ask: impl AsyncFn() -> Result<Shown, String>, no_answer: impl Fn(String) -> String) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        match ask().await {
            Ok(shown) => {
                if !format.print(&shown) {
                    return;
                }
            }
            Err(problem) => drop(fail(no_answer(problem))),
        }
    }
}

impl Format {
    /// Prints an answer and returns whether that was possible.
    fn print(self, shown: &Shown) -> bool {
        let mut out = io::stdout().lock();
        let home = if self.watch && out.is_terminal() { HOME } else { "" };
        let printed = match (self.output, self.watch) {
            (Output::Text, _) => writeln!(out, "{home}{}", shown.text),
            (Output::Json, false) => writeln!(out, "{:#}", shown.json),
            (Output::Json, true) => writeln!(out, "{}", shown.json),
        };
        printed.and_then(|()| out.flush()).is_ok()
    }
}
