//! `model-router health`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::channel::Address;
use super::{fail, positive_duration, runtime};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    admin: Address,
    /// How long the router may take to answer
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = positive_duration)]
    timeout: Duration,
}

#[allow(clippy::print_stdout)] // The status is the result.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { admin, timeout } = arguments;
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(problem) => return fail(problem),
    };
    // One bound over all: a peer that accepts and says nothing is not healthy either.
    match runtime.block_on(async { tokio::time::timeout(*timeout, ask(admin, *timeout)).await }) {
        Ok(Ok(ServingStatus::Serving)) => {
            println!("SERVING");
            ExitCode::SUCCESS
        }
        Ok(Ok(status)) => fail(format!("the router at {admin} is {}", status.as_str_name())),
        Ok(Err(problem)) => fail(format!("no answer from the router at {admin}: {problem}")),
        Err(_) => fail(format!("no answer from the router at {admin} within {}", humantime::format_duration(*timeout))),
    }
}

async fn ask(admin: &Address, timeout: Duration) -> Result<ServingStatus, String> {
    let mut health = HealthClient::new(admin.open(timeout).await?);
    // No name: the whole process.
    let answer = health.check(HealthCheckRequest::default()).await.map_err(|status| status.message().to_owned())?;
    Ok(answer.into_inner().status())
}
