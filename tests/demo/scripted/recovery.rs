//! Step 3: the provider is well again, one probe finds out, and the target is back.

use std::time::{Duration, Instant};

use model_router::admin::proto::{State, Target};

use super::{ENDPOINT, MODEL, Walk, production};
use crate::show::{check, duration, heading, share, table, text};
use crate::view::{self, remaining};

const REQUESTS: usize = 300;
const GAP: Duration = Duration::from_millis(50);
/// Many times the suspension.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn show(walk: &mut Walk) -> Result<(), String> {
    heading("3  The model recovers");
    let (hits, probes) = (walk.hits()?, walk.probes().await?);
    walk.order(200).await?;
    let target = walk.view.target(MODEL, ENDPOINT).await?;
    let left =
        remaining(&target).map_or_else(|| "over".to_owned(), |left| format!("to last another {}", duration(left)));
    text(&format!(
        "{ENDPOINT} serves {MODEL} again. The router can't know that yet:\n\
         the suspension is {left}. Requests go on, one after the other:"
    ));
    let began = Instant::now();
    let (requests, target) = until_back(walk).await?;
    let took = began.elapsed();
    let met = walk.hits()? - hits;
    let probes = walk.probes().await? - probes;
    table(
        ["until it was back", "measured"],
        [
            ["time".into(), duration(took)],
            ["requests, all served".into(), requests.to_string()],
            [format!("of these, sent to {MODEL} at {ENDPOINT}"), met.to_string()],
            ["of these, probes".into(), probes.to_string()],
        ],
    );
    check(met == 1 && probes == 1, format!("{met} requests and {probes} probes went to {MODEL}, not one"))?;
    view::table(std::slice::from_ref(&target));
    shares(walk).await
}

/// Sends requests until the target is ready. How many, and the target.
async fn until_back(walk: &mut Walk) -> Result<(usize, Target), String> {
    let began = Instant::now();
    for requests in 1.. {
        walk.traffic.one(production()).await?;
        let target = walk.view.target(MODEL, ENDPOINT).await?;
        if target.state() == State::Ready {
            walk.traffic.progress.end();
            return Ok((requests, target));
        }
        check(began.elapsed() < PATIENCE, format!("{MODEL} is still not back after {PATIENCE:?}"))?;
        let left = remaining(&target).map(duration).unwrap_or_default();
        walk.traffic.progress.line(&format!("{requests} requests served; suspended for another {left}"));
        tokio::time::sleep(GAP).await;
    }
    unreachable!("the loop has no end of its own")
}

async fn shares(walk: &mut Walk) -> Result<(), String> {
    text("\nAnd the shares are even again:");
    let tally = walk.even("production", REQUESTS, &production()).await?;
    let rows = tally.models.iter().map(|(model, n)| [model.clone(), n.to_string(), share(*n, REQUESTS)]);
    table(["answered by", ">requests", ">share"], rows);
    let even = tally.models.len() == 3 && tally.models.values().all(|n| n * 3 == REQUESTS);
    check(even, format!("the shares are not even: {:?}", tally.models))
}
