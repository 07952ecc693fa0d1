//! `model-router suspend` and `model-router resume`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::admin;
use super::channel::Address;
use super::{Output, fail, runtime, targets};
use crate::admin::proto::{self, ResumeRequest, State, SuspendRequest};

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
    done(&target, async {
        let mut admin = admin::connect(&target.router).await?;
        let (endpoint, model) = (target.endpoint.clone(), target.model.clone());
        let lasting = prost_types::Duration::try_from(duration).ok();
        let answer = admin.suspend(SuspendRequest { endpoint, model, duration: lasting, reason }).await;
        answer.map_err(|status| status.message().to_owned())?;
        Ok(format!("{} is suspended for {}", target.name(), humantime::format_duration(duration)))
    })
}

pub(super) fn resume(arguments: Resume) -> ExitCode {
    let Resume { target } = arguments;
    done(&target, async {
        let before = target.not_ready().await?;
        let mut admin = admin::connect(&target.router).await?;
        let (endpoint, model) = (target.endpoint.clone(), target.model.clone());
        let answer = admin.resume(ResumeRequest { endpoint, model }).await;
        answer.map_err(|status| status.message().to_owned())?;
        let (name, endpoint) = (target.name(), &target.endpoint);
        Ok(match (before, target.not_ready().await?) {
            (0, _) => format!("{name} was not suspended"),
            (_, 0) => format!("{name} is back"),
            _ => format!("{name} is not back: the whole endpoint is suspended, which `resume {endpoint}` ends"),
        })
    })
}

/// Performs the action and prints its result: the sentence that it returns, or the targets as they are then.
#[allow(clippy::print_stdout)] // It is the result.
fn done(target: &Target, what: impl Future<Output = Result<String, String>>) -> ExitCode {
    let result = async {
        let message = what.await?;
        match target.output {
            Output::Text => Ok(message),
            Output::Json => Ok(format!("{:#}", target.now().await?.iter().map(targets::to_json).collect::<Value>())),
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
    async fn now(&self) -> Result<Vec<proto::Target>, String> {
        let mut all = targets::ask(&self.router).await?;
        all.retain(|it| it.endpoint == self.endpoint && (self.model.is_empty() || it.model == self.model));
        Ok(all)
    }

    /// Returns how many of them are not ready.
    async fn not_ready(&self) -> Result<usize, String> {
        Ok(self.now().await?.iter().filter(|target| target.state() != State::Ready).count())
    }

    fn name(&self) -> String {
        match self.model.as_str() {
            "" => self.endpoint.clone(),
            model => format!("{model} at {}", self.endpoint),
        }
    }
}
