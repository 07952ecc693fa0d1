//! `model-router targets`, and how targets are shown elsewhere.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use comfy_table::Table;
use serde_json::{Value, json};

use super::admin;
use super::channel::Address;
use super::watch::{Format, Shown, show};
use crate::admin::proto::{Failure, ListTargetsRequest, State, Target};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Address,
    /// Only those that are not ready
    #[arg(long)]
    not_ready: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    show(&arguments.router, arguments.format, async || {
        let mut targets = ask(&arguments.router).await?;
        targets.retain(|target| !arguments.not_ready || target.state() != State::Ready);
        Ok(Shown { text: table(&targets).to_string(), json: targets.iter().map(to_json).collect() })
    })
}

/// Every target of a running router.
pub(super) async fn ask(router: &Address) -> Result<Vec<Target>, String> {
    let answer = admin::connect(router).await?.list_targets(ListTargetsRequest {}).await;
    answer.map(|answer| answer.into_inner().targets).map_err(|status| status.message().to_owned())
}

pub(super) fn table(targets: &[Target]) -> Table {
    let mut table = admin::table([
        "model",
        "endpoint",
        "state",
        "for",
        "until",
        "dispatched",
        "served",
        "failed",
        "last failure",
        "used by",
    ]);
    for target in targets {
        table.add_row([
            target.model.clone(),
            target.endpoint.clone(),
            state(target.state()).to_owned(),
            remaining(target.remaining),
            until(target.remaining).unwrap_or_default(),
            target.dispatched.to_string(),
            target.served.to_string(),
            target.failed.to_string(),
            last_failure(target),
            target.used_by.join(", "),
        ]);
    }
    table
}

pub(super) fn to_json(target: &Target) -> Value {
    json!({
        "model": target.model,
        "endpoint": target.endpoint,
        "state": state(target.state()).replace(' ', "_"),
        "remaining_ms": remaining_ms(target.remaining),
        "until": until(target.remaining),
        "dispatched": target.dispatched,
        "served": target.served,
        "failed": target.failed,
        "used_by": target.used_by,
        "last_failure": target.last_failure.as_ref().map(|failure| json!({
            "at": instant(failure),
            "status": failure.status,
            "code": failure.code,
        })),
        "suspended_operations": target.suspended_operations.iter().map(|it| json!({
            "operation": it.operation,
            "remaining_ms": remaining_ms(it.remaining),
        })).collect::<Value>(),
    })
}

/// Returns the status, code and time of the last failure, and the operations that are suspended by themselves.
fn last_failure(target: &Target) -> String {
    let failure = target.last_failure.as_ref().map(|failure| {
        let status = if failure.status == 0 { String::new() } else { format!("{} ", failure.status) };
        format!("{status}{} {}", failure.code, instant(failure).unwrap_or_default())
    });
    let lacking =
        target.suspended_operations.iter().map(|it| format!("without {}: {}", it.operation, remaining(it.remaining)));
    failure.into_iter().chain(lacking).collect::<Vec<_>>().join("\n")
}

fn instant(failure: &Failure) -> Option<String> {
    let at = SystemTime::try_from(failure.at?).ok()?;
    Some(humantime::format_rfc3339_seconds(at).to_string())
}

pub(super) fn remaining(remaining: Option<prost_types::Duration>) -> String {
    remaining.map(|remaining| format!("{} s", remaining.seconds + 1)).unwrap_or_default()
}

pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Ready => "ready",
        State::Suspended => "suspended",
        State::ProbeDue => "probe due",
        State::Probing => "probing",
        State::Priming => "priming",
        State::Unspecified => "unknown",
    }
}

/// Returns when it ends by this machine's clock, to the second.
fn until(remaining: Option<prost_types::Duration>) -> Option<String> {
    let until = SystemTime::now() + Duration::try_from(remaining?).ok()?;
    Some(humantime::format_rfc3339_seconds(until).to_string())
}

pub(super) fn remaining_ms(remaining: Option<prost_types::Duration>) -> Option<u64> {
    let remaining = Duration::try_from(remaining?).ok()?;
    u64::try_from(remaining.as_millis()).ok()
}
