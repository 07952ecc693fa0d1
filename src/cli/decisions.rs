//! `model-router decisions`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::admin::{self, Output, instant, table};
use super::channel::Address;
use super::{fail, runtime};
use crate::admin::proto::{Decision, ListDecisionsRequest};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Address,
    /// At most so many, newest first
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: u32,
    /// How the answer is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[allow(clippy::print_stdout)] // The decisions are the result.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let asked = runtime().and_then(|runtime| {
        runtime.block_on(async {
            let mut admin = admin::connect(&arguments.router).await?;
            let answer = admin.list_decisions(ListDecisionsRequest { limit: arguments.limit.max(1) }).await;
            answer.map(|answer| answer.into_inner().decisions).map_err(|status| status.message().to_owned())
        })
    });
    match (asked, arguments.output) {
        (Err(problem), _) => {
            return fail(format!("no answer from the router at {}: {problem}", arguments.router));
        }
        (Ok(decisions), Output::Table) => println!("{}", rows(&decisions)),
        (Ok(decisions), Output::Json) => println!("{:#}", decisions.iter().map(to_json).collect::<Value>()),
    }
    ExitCode::SUCCESS
}

fn rows(decisions: &[Decision]) -> comfy_table::Table {
    let mut table = table(["at", "request", "API", "asked for", "attempt", "model", "endpoint", "why", "answer"]);
    for decision in decisions {
        let answer = match (decision.status, decision.goes_on) {
            (0, _) => "none yet".to_owned(),
            (status, true) => format!("{status} {}, next one asked", decision.outcome),
            (status, false) => format!("{status} {}", decision.outcome),
        };
        table.add_row([
            instant(decision.at),
            decision.request_id.clone(),
            format!("{}/{}", decision.api, decision.environment),
            decision.requested.clone(),
            decision.attempt.to_string(),
            decision.model.clone(),
            decision.endpoint.clone(),
            decision.reason.clone(),
            answer,
        ]);
    }
    table
}

fn to_json(decision: &Decision) -> Value {
    let took = decision.took.and_then(|took| std::time::Duration::try_from(took).ok());
    json!({
        "at": instant(decision.at),
        "request_id": decision.request_id,
        "api": decision.api,
        "environment": decision.environment,
        "policy": decision.policy,
        "requested": decision.requested,
        "attempt": decision.attempt,
        "model": decision.model,
        "endpoint": decision.endpoint,
        "reason": decision.reason,
        "policy_version": decision.policy_version,
        "status": (decision.status > 0).then_some(decision.status),
        "outcome": decision.outcome,
        "took_ms": took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "goes_on": decision.goes_on,
    })
}
