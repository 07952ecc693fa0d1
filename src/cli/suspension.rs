//! `model-router suspend` and `model-router resume`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::admin;
use super::channel::Address;
use super::{Output, fail, runtime, targets};
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
    /// How the result is printed: a line, or the targets as they are then
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

pub(super) fn suspend(arguments: Suspend) -> ExitCode {
    let Suspend { target, duration, reason } = arguments;
    let message = format!("{} is suspended for {}", target.name(), humantime::format_duration(duration));
    done(&target, &message, async {
        let mut admin = admin::connect(&target.router).await?;
        let (endpoint, model) = (target.endpoint.clone(), target.model.clone());
        let duration = prost_types::Duration::try_from(duration).ok();
        let answer = admin.suspend(SuspendRequest { endpoint, model, duration, reason }).await;
        answer.map(drop).map_err(|status| status.message().to_owned())
    })
}

pub(super) fn resume(arguments: Resume) -> ExitCode {
    let Resume { target } = arguments;
    let message = format!("{} is back", target.name());
    done(&target, &message, async {
        let mut admin = admin::connect(&target.router).await?;
        let (endpoint, model) = (target.endpoint.clone(), target.model.clone());
        let answer = admin.resume(ResumeRequest { endpoint, model }).await;
        answer.map(drop).map_err(|status| status.message().to_owned())
    })
}

/// Performs the action and prints its result.
#[allow(clippy::print_stdout)] // It is the result.
fn done(target: &Target, message: &str, what: impl Future<Output = Result<(), String>>) -> ExitCode {
    let result = async {
        what.await?;
        match target.output {
            Output::Text => Ok(message.to_owned()),
            Output::Json => Ok(format!("{:#}", target.json().await?)),
        }
    };
    match runtime().and_then(|runtime| runtime.block_on(result)) {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(problem) => fail(problem),
    }
}

impl Target {
    /// Returns the targets that the argument names, as they are now.
    async fn json(&self) -> Result<Value, String> {
        let mut all = targets::ask(&self.router).await?;
        all.retain(|it| it.endpoint == self.endpoint && (self.model.is_empty() || it.model == self.model));
        Ok(all.iter().map(targets::to_json).collect())
    }

    fn name(&self) -> String {
        match self.model.as_str() {
            "" => self.endpoint.clone(),
            model => format!("{model} at {}", self.endpoint),
        }
    }
}
