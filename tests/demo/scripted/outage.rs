//! Step 2: a target fails, and no client notices.

use std::time::Duration;

use model_router::admin::proto::{State, Target};

use super::{ENDPOINT, MODEL, Walk, failures, no_failure, production, target_of};
use crate::rig::client::Answer;
use crate::rig::load::Tally;
use crate::show::{check, duration, heading, table, text};
use crate::view;

/// About four seconds of eight clients, so that the suspension ends in the middle of it.
const REQUESTS: usize = 640;
const GAP: Duration = Duration::from_millis(50);
/// By then it has been the failing target's turn.
const TURNS: usize = 3;

pub(super) async fn show(walk: &mut Walk) -> Result<(), String> {
    heading("2  A model fails");
    text(&format!(
        "From now on {ENDPOINT} answers 503 to every request for {MODEL}; it still serves gpt-4o-mini.\n\
         One client sends requests until one of them has met the failure:"
    ));
    walk.order(503).await?;
    let before = walk.hits()?;
    let (answers, target) = first_failure(walk, before).await?;
    let rows = answers.iter().enumerate().map(|(n, (answer, hits))| {
        let first = if *hits > 0 { format!("{MODEL} at {ENDPOINT}") } else { String::new() };
        [(n + 1).to_string(), first, target_of(answer), answer.status.to_string(), duration(answer.took)]
    });
    table([">request", "failed at", "answered by", ">client got", ">after"], rows);
    text("\nEnvoy asked the router again, within the same request. Right after it the router says:");
    view::table(std::slice::from_ref(&target));
    check(target.state() == State::Suspended, format!("{MODEL} is not suspended"))?;
    under_load(walk).await
}

/// Requests, each with the number of its attempts that failed, until one has met the failing target; and what the
/// router says of that right after.
async fn first_failure(walk: &mut Walk, before: usize) -> Result<(Vec<(Answer, usize)>, Target), String> {
    let mut answers = Vec::new();
    while answers.len() < TURNS {
        let answer = walk.traffic.one(production()).await?;
        let hits = walk.hits()? - before;
        answers.push((answer, hits));
        if hits > 0 {
            return Ok((answers, walk.view.target(MODEL, ENDPOINT).await?));
        }
    }
    Err(format!("{TURNS} requests, and none of them met {MODEL}"))
}

async fn under_load(walk: &mut Walk) -> Result<(), String> {
    text(
        "\nThe outage goes on, with more clients. When the suspension ends, a single request probes the\n\
         model; it fails there, is served by another like the first, and a new suspension begins.",
    );
    let (hits, probes) = (walk.hits()?, walk.probes().await?);
    let answers = walk.traffic.many("while the model fails", REQUESTS, GAP, &production()).await;
    let (hits, probes) = (walk.hits()? - hits, walk.probes().await? - probes);
    let tally = Tally::of(&answers);
    let served = tally.models.iter().map(|(model, n)| format!("{model} {n}")).collect::<Vec<_>>().join(", ");
    let slowest = answers.iter().flatten().map(|answer| answer.took).max().unwrap_or_default();
    let failed = failures(&answers).count();
    table(
        ["during the outage", "measured"],
        [
            ["requests by clients".into(), answers.len().to_string()],
            ["failures that a client saw".into(), failed.to_string()],
            ["answered by".into(), served],
            ["slowest answer".into(), duration(slowest)],
            [format!("requests that reached {MODEL} at {ENDPOINT}"), hits.to_string()],
            ["probes among these".into(), probes.to_string()],
        ],
    );
    no_failure(&answers)?;
    check(!tally.models.contains_key(MODEL), format!("{MODEL} served although it fails"))?;
    check(hits == probes, format!("{hits} requests reached the failing model, and only {probes} of them were probes"))
}
