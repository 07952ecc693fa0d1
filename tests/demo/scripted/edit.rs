//! Step 4: the policy is edited while requests come in; a mistake in it changes nothing.

use std::time::{Duration, Instant};

use super::{Walk, sandbox};
use crate::show::{check, count, duration, heading, share, table, text};

const REQUESTS: usize = 400;
/// Between requests while the file is being noticed.
const GAP: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn show(walk: &mut Walk) -> Result<(), String> {
    heading("4  The policy is edited");
    let original = walk.stage.policy.clone();
    let (version, edited) = (walk.view.policy_version().await?, original.replace("weight: 3", "weight: 1"));
    walk.stage.router.write_policy(&edited);
    let (requests, took) = until(walk, async |walk| Ok(walk.view.policy_version().await? > version)).await?;
    text(&format!(
        "The sandbox's weights become 1 to 1 in the file. No restart: after {} the new policy was live,\n\
         all requests meanwhile ({requests}) were served. Now:",
        duration(took)
    ));
    let tally = walk.even("sandbox", REQUESTS, &sandbox()).await?;
    let rows = tally.models.iter().map(|(model, n)| [model.clone(), n.to_string(), share(*n, REQUESTS)]);
    table(["answered by", ">requests", ">share"], rows);
    check(tally.models.values().all(|n| n * 2 == REQUESTS), format!("the shares are not 1 to 1: {:?}", tally.models))?;

    mistake(walk, &edited).await?;
    walk.stage.router.write_policy(&original);
    until(walk, async |walk| Ok(walk.view.policy_version().await? > version + 1)).await?;
    Ok(())
}

async fn mistake(walk: &mut Walk, policy: &str) -> Result<(), String> {
    let version = walk.view.policy_version().await?;
    walk.stage.router.write_policy(&policy.replacen("model: o1-mini", "model: o1-mimi", 1));
    let refused = async |walk: &mut Walk| Ok(walk.view.status().await?.last_refused_reload.is_some());
    let (requests, _) = until(walk, refused).await?;
    let report = walk.view.status().await?.last_refused_reload.unwrap_or_default().report;
    text("\nA file with a mistake is refused as a whole. `model-router status` shows the report:\n");
    let directory = walk.stage.policy_file.parent().map(|directory| format!("{}/", directory.display()));
    text(&format!("   {}\n", report.replace(&directory.unwrap_or_default(), "").replace('\n', "\n   ")));
    check(report.contains("o1-mimi"), "the router's report does not name the mistake")?;
    let live = walk.view.policy_version().await?;
    check(live == version, "the router took a policy with a mistake")?;
    text(&format!(
        "The policy before it, version {live}, goes on: {} meanwhile, all served.",
        count(requests, "request")
    ));
    Ok(())
}

/// Sends requests until something holds. How many, and how long it took.
async fn until(
    walk: &mut Walk,
    holds: impl AsyncFn(&mut Walk) -> Result<bool, String>,
) -> Result<(usize, Duration), String> {
    let began = Instant::now();
    walk.traffic.progress.line("waiting for the router to notice the edited file");
    for requests in 0.. {
        if holds(walk).await? {
            walk.traffic.progress.end();
            return Ok((requests, began.elapsed()));
        }
        check(began.elapsed() < PATIENCE, "the router does not notice the edited policy file")?;
        walk.traffic.one(sandbox()).await?;
        tokio::time::sleep(GAP).await;
    }
    unreachable!("the loop has no end of its own")
}
