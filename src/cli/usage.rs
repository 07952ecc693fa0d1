//! `model-router usage`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::admin::{self, table};
use super::channel::Address;
use super::watch::{Format, Shown, show};
use crate::admin::proto::{Cost, GetUsageRequest, Tokens, Usage};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Address,
    /// What is added up: the responses of an API, of a model or of an endpoint; without it, of each target of each API
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// How far back, in whole minutes up to a day, such as 15m, 1h, 24h
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    since: Duration,
    #[command(flatten)]
    format: Format,
}

/// What usage is added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// The API and its environment
    Api,
    /// The model
    Model,
    /// The endpoint
    Endpoint,
}

/// The columns that name a row, and their values.
type Names = Vec<(&'static str, String)>;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    show(&arguments.router, arguments.format, async || {
        let rows = ask(arguments).await?;
        let rows = grouped(rows, arguments.by);
        let text = match &rows[..] {
            [] => "no response was read; Envoy sends copies of them if it was configured with --usage".to_owned(),
            rows => shown(rows),
        };
        Ok(Shown { text, json: rows.iter().map(|(names, usage)| to_json(names, usage)).collect() })
    })
}

async fn ask(arguments: &Arguments) -> Result<Vec<Usage>, String> {
    let mut admin = admin::connect(&arguments.router).await?;
    let since = prost_types::Duration::try_from(arguments.since).map_err(|_| "--since is too long".to_owned())?;
    let answer = admin.get_usage(GetUsageRequest { since: Some(since) }).await;
    answer.map(|answer| answer.into_inner().usage).map_err(|status| status.message().to_owned())
}

/// Adds up the rows that have the same names.
fn grouped(rows: Vec<Usage>, by: Option<By>) -> Vec<(Names, Usage)> {
    let mut groups: BTreeMap<Names, Usage> = BTreeMap::new();
    for row in rows {
        let api = [("api", row.api.clone()), ("environment", row.environment.clone())];
        let (model, endpoint) = (("model", row.model.clone()), ("endpoint", row.endpoint.clone()));
        let names = match by {
            None => [api.to_vec(), vec![model, endpoint]].concat(),
            Some(By::Api) => api.to_vec(),
            Some(By::Model) => vec![model],
            Some(By::Endpoint) => vec![endpoint],
        };
        let sum = groups.entry(names).or_default();
        add(sum, row);
    }
    groups.into_iter().collect()
}

fn add(sum: &mut Usage, row: Usage) {
    sum.reported += row.reported;
    sum.estimated += row.estimated;
    sum.incomplete += row.incomplete;
    sum.unread += row.unread;
    let (own, other) = (sum.tokens.get_or_insert_default(), row.tokens.unwrap_or_default());
    own.input += other.input;
    own.cached_input += other.cached_input;
    own.cache_write += other.cache_write;
    own.output += other.output;
    own.reasoning += other.reasoning;
    own.estimated_input += other.estimated_input;
    own.estimated_output += other.estimated_output;
    for cost in row.costs {
        match sum.costs.iter_mut().find(|known| known.currency == cost.currency) {
            Some(known) => known.amount += cost.amount,
            None => sum.costs.push(cost),
        }
    }
}

fn shown(rows: &[(Names, Usage)]) -> String {
    let mut table = table::<0>([]);
    let names = rows[0].0.iter().map(|(name, _)| if *name == "api" { "API" } else { name });
    table.set_header(names.chain(["responses", "input", "cached", "output", "reasoning", "cost", "not exact"]));
    for (names, usage) in rows {
        let tokens = usage.tokens.unwrap_or_default();
        let numbers = [responses(usage), tokens.input, tokens.cached_input, tokens.output, tokens.reasoning];
        let costs: Vec<_> = usage.costs.iter().map(|cost| format!("{:.4} {}", cost.amount, cost.currency)).collect();
        let row = names.iter().map(|(_, value)| value.clone()).chain(numbers.map(|number| number.to_string()));
        table.add_row(row.chain([costs.join(" + "), not_exact(usage)]));
    }
    table.to_string()
}

fn responses(usage: &Usage) -> u64 {
    usage.reported + usage.estimated + usage.incomplete + usage.unread
}

/// Returns how many responses did not state what they used.
fn not_exact(usage: &Usage) -> String {
    let kinds = [("estimated", usage.estimated), ("incomplete", usage.incomplete), ("unread", usage.unread)];
    let kinds = kinds.into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{count} {kind}"));
    kinds.collect::<Vec<_>>().join(", ")
}

fn to_json(names: &Names, usage: &Usage) -> Value {
    let mut row: Map<String, Value> = names.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let Tokens { input, cached_input, cache_write, output, reasoning, estimated_input, estimated_output } =
        usage.tokens.unwrap_or_default();
    let costs = |costs: &[Cost]| -> Map<String, Value> {
        costs.iter().map(|cost| (cost.currency.clone(), json!(cost.amount))).collect()
    };
    for (key, value) in [
        ("responses", json!(responses(usage))),
        ("reported", json!(usage.reported)),
        ("estimated", json!(usage.estimated)),
        ("incomplete", json!(usage.incomplete)),
        ("unread", json!(usage.unread)),
        ("input", json!(input)),
        ("cached_input", json!(cached_input)),
        ("cache_write", json!(cache_write)),
        ("output", json!(output)),
        ("reasoning", json!(reasoning)),
        ("estimated_input", json!(estimated_input)),
        ("estimated_output", json!(estimated_output)),
        ("costs", Value::Object(costs(&usage.costs))),
    ] {
        row.insert(key.to_owned(), value);
    }
    Value::Object(row)
}
