//! `model-router decisions`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::admin::{self, instant, table};
use super::channel::Address;
use super::watch::{Format, Shown, show};
use crate::admin::proto::{Decision, ListDecisionsRequest, ListDecisionsResponse, UsedByResponse};
use crate::routing::decision::{NO_ANSWER, STATEFUL};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Address,
    /// The most decisions to list, newest first
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: u32,
    /// Only those of the request with this id, as Envoy's log has it (`request_id`)
    #[arg(long, value_name = "ID", default_value = "")]
    request: String,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    show(&arguments.router, arguments.format, async || {
        let ListDecisionsResponse { decisions, kept } = ask(arguments).await?;
        let text = match (&*arguments.request, &decisions[..]) {
            ("", _) | (_, [_, ..]) => rows(&decisions).to_string(),
            (id, []) => format!("no decision is known of the request {id}; {kept} are kept, of the last requests"),
        };
        Ok(Shown { text, json: decisions.iter().map(to_json).collect() })
    })
}

async fn ask(arguments: &Arguments) -> Result<ListDecisionsResponse, String> {
    let mut admin = admin::connect(&arguments.router).await?;
    let asked = ListDecisionsRequest { limit: arguments.limit.max(1), request_id: arguments.request.clone() };
    let answer = admin.list_decisions(asked).await;
    answer.map(tonic::Response::into_inner).map_err(|status| status.message().to_owned())
}

fn rows(decisions: &[Decision]) -> comfy_table::Table {
    let mut table = table([
        "at",
        "request",
        "API",
        "asked for",
        "attempt",
        "model",
        "endpoint",
        "why",
        "answer",
        "router",
        "provider",
        "tokens",
    ]);
    for decision in decisions {
        table.add_row([
            instant(decision.at),
            decision.request_id.clone(),
            format!("{}/{}", decision.api, decision.environment),
            decision.requested.clone(),
            decision.attempt.to_string(),
            decision.model.clone(),
            decision.endpoint.clone(),
            decision.reason.clone(),
            answer(decision),
            duration(decision.worked).map(|worked| format!("{:.1} ms", worked.as_secs_f64() * 1e3)).unwrap_or_default(),
            duration(decision.took).map(|took| format!("{} ms", took.as_millis())).unwrap_or_default(),
            decision.used.as_ref().map(tokens).unwrap_or_default(),
        ]);
    }
    table
}

fn answer(Decision { status, outcome, goes_on, policy, .. }: &Decision) -> String {
    match (status, &**outcome, goes_on) {
        (0, ..) if policy == STATEFUL => "not looked at".to_owned(),
        (0, NO_ANSWER, _) => "none: the client left or the provider broke off".to_owned(),
        (0, ..) => "none yet".to_owned(),
        (status, outcome, true) => format!("{status} {outcome}, next one asked"),
        (status, outcome, false) => format!("{status} {outcome}"),
    }
}

fn to_json(decision: &Decision) -> Value {
    let millis = |time| duration(time).map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
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
        "passed_over": decision.passed_over,
        "after": decision.after,
        "probe": decision.probe,
        "verdict": decision.verdict,
        "rule": decision.rule,
        "score": decision.score,
        "threshold": decision.threshold,
        "nearest": decision.nearest,
        "second": decision.second,
        "second_score": decision.second_score,
        "unsure": decision.unsure,
        "policy_version": decision.policy_version,
        "status": (decision.status > 0).then_some(decision.status),
        "outcome": decision.outcome,
        "waited_ms": millis(decision.waited),
        "worked_us": duration(decision.worked).map(|worked| u64::try_from(worked.as_micros()).unwrap_or(u64::MAX)),
        "took_ms": millis(decision.took),
        "goes_on": decision.goes_on,
        "usage": decision.used.as_ref().map(usage),
    })
}

/// Returns the tokens of a response and what they cost: `1000 in, 200 out, 0.0045 USD`.
fn tokens(used: &UsedByResponse) -> String {
    let tokens = used.tokens.unwrap_or_default();
    let cost = used.cost.as_ref().map(|cost| format!(", {:.4} {}", cost.amount, cost.currency)).unwrap_or_default();
    match &*used.known {
        "unread" => "not read".to_owned(),
        "reported" => format!("{} in, {} out{cost}", tokens.input, tokens.output),
        known => format!("{} in, {} out{cost} ({known})", tokens.input, tokens.output),
    }
}

fn usage(used: &UsedByResponse) -> Value {
    let tokens = used.tokens.unwrap_or_default();
    let millis = |time| duration(time).map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    json!({
        "known": used.known,
        "input": tokens.input,
        "cached_input": tokens.cached_input,
        "cache_write": tokens.cache_write,
        "output": tokens.output,
        "reasoning": tokens.reasoning,
        "cost": used.cost.as_ref().map(|cost| cost.amount),
        "currency": used.cost.as_ref().map(|cost| &*cost.currency),
        "first_byte_ms": millis(used.first_byte),
        "last_byte_ms": millis(used.last_byte),
        "response_model": used.response_model,
        "ended": used.ended,
    })
}

fn duration(duration: Option<prost_types::Duration>) -> Option<Duration> {
    Duration::try_from(duration?).ok()
}
