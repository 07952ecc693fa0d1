//! `model-router suspend` and `model-router resume`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::admin;
use super::channel::Address;
use super::{fail, runtime};
use crate::admin::proto::{ResumeRequest, SuspendRequest};

#[derive(Debug, Args)]
pub(super) struct Suspend {
    #[command(flatten)]
    target: Target,
    /// For how long, at most 24h: what is to last belongs in the policy file
    #[arg(long = "for", value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    router: Address,
    /// An endpoint of the live policy
    #[arg(value_name = "ENDPOINT")]
    endpoint: String,
    /// One model there; else all of them
    #[arg(long, value_name = "MODEL", default_value = "")]
    model: String,
}

pub(super) fn suspend(arguments: Suspend) -> ExitCode {
    let Suspend { target, duration, reason } = arguments;
    let told = format!("{} is suspended for {}", target.name(), humantime::format_duration(duration));
    done(&told, || {
        runtime()?.block_on(async {
            let mut admin = admin::connect(&target.router).await?;
            let duration = prost_types::Duration::try_from(duration).ok();
            let request = SuspendRequest { endpoint: target.endpoint, model: target.model, duration, reason };
            admin.suspend(request).await.map(drop).map_err(|status| status.message().to_owned())
        })
    })
}

pub(super) fn resume(arguments: Resume) -> ExitCode {
    let Resume { target } = arguments;
    let told = format!("{} is back", target.name());
    done(&told, || {
        runtime()?.block_on(async {
            let mut admin = admin::connect(&target.router).await?;
            let request = ResumeRequest { endpoint: target.endpoint, model: target.model };
            admin.resume(request).await.map(drop).map_err(|status| status.message().to_owned())
        })
    })
}

#[allow(clippy::print_stdout)] // It is the result.
fn done(told: &str, what: impl FnOnce() -> Result<(), String>) -> ExitCode {
    match what() {
        Ok(()) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(problem) => fail(problem),
    }
}

impl Target {
    fn name(&self) -> String {
        match self.model.as_str() {
            "" => self.endpoint.clone(),
            model => format!("{model} at {}", self.endpoint),
        }
    }
}
