//! `make demo`: the router in a real Envoy, shown step by step, with every number measured.
//!
//! [`scripted`] walks through rotation, outage, recovery and an edit with providers that do as they are told; [`own`]
//! takes a policy of the reader's own to its real providers. All that is started here ends with [`stage::Stage`].

#[path = "../rig.rs"]
mod rig;

mod keep; // What one can try while it stays up.
mod night; // A failing night, replayed, as a page of documentation.
mod own; // A policy of the reader's own.
mod progress; // The line that moves while requests are sent.
mod scripted; // The walk, and its steps below.
mod show; // Text and tables.
mod signals; // Ctrl-C.
mod stage; // What is started.
mod traffic; // Many requests at a time.
mod view; // The router's own view, over its admin API.

use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use show::{complain, say};
use signals::Signals;
use stage::Stage;

/// A Ctrl-C reaches Envoy and the router too; what fails shortly before it is noticed here is no failure.
const SIGNAL_DELAY: Duration = Duration::from_millis(300);

/// Shows model-router in a real Envoy.
#[derive(Parser)]
#[command(name = "demo")]
struct Arguments {
    /// Stay up at the end, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Replay a failing night, and print docs/night.md
    #[arg(long, conflicts_with_all = ["keep", "policy"])]
    night: bool,
    /// Use this policy and its real providers
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

enum End {
    Done,
    Failed(String),
    Stopped,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    std::panic::set_hook(Box::new(tell_panic));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return failed(&e.to_string()),
    };
    match runtime.block_on(run(arguments)) {
        End::Done => ExitCode::SUCCESS,
        End::Failed(why) => failed(&why),
        End::Stopped => {
            complain("\nStopped. Everything that was started has ended.");
            ExitCode::from(130) // as a shell says of a program that ended by Ctrl-C
        }
    }
}

/// The rig fails by a panic, as tests do; what it says is meant for people. The log that matters follows it.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    complain(&format!("\nThe demo failed: {}", text.unwrap_or("something unexpected happened")));
}

fn failed(why: &str) -> ExitCode {
    complain(&format!("\nThe demo failed: {why}"));
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> End {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(why) => return End::Failed(why),
    };
    let began = Instant::now();
    let shown = tokio::select! {
        biased;
        () = signals.next() => return End::Stopped,
        shown = show(&arguments, began) => shown,
    };
    let stage = match shown {
        Ok(stage) => stage,
        Err(why) => {
            let stopped = tokio::time::timeout(SIGNAL_DELAY, signals.next()).await.is_ok();
            return if stopped { End::Stopped } else { End::Failed(why) };
        }
    };
    if arguments.keep {
        keep::explain(&stage);
        signals.next().await;
        say("\nStopped. Everything that was started has ended.");
    }
    End::Done
}

/// Shows everything there is to show. What was started stays up for as long as the result is held.
async fn show(arguments: &Arguments, began: Instant) -> Result<Stage, String> {
    if arguments.night {
        return night::show().await;
    }
    let stage = match &arguments.policy {
        Some(file) => own::show(file).await?,
        None => scripted::show(began).await?,
    };
    if !arguments.keep {
        let policy = arguments.policy.as_ref().map(|file| format!(" POLICY={}", file.display())).unwrap_or_default();
        say(&format!("\n{:<28} leaves it running, to try with curl", format!("make demo KEEP=1{policy}")));
        if arguments.policy.is_none() {
            say(&format!("{:<28} takes a policy of your own to its real providers", "make demo POLICY=FILE"));
        }
    }
    Ok(stage)
}
