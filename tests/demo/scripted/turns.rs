//! Step 1: who gets which share of the requests, in both environments, and with which key.

use std::collections::BTreeSet;

use super::{Walk, production, sandbox, target_of};
use crate::rig::ask::Ask;
use crate::rig::client::Answer;
use crate::rig::load::Tally;
use crate::rig::provider::Provider;
use crate::show::{check, heading, share, table, text};

/// Requests one after the other: two cycles of the sandbox, more than two of production.
const FIRST: usize = 8;
/// Whole cycles of three.
const PRODUCTION: usize = 300;
/// Whole cycles of four.
const SANDBOX: usize = 400;

pub(super) async fn show(walk: &mut Walk) -> Result<(), String> {
    heading("1  Models take turns");
    text(
        "Production has three models in turn (round robin). The sandbox, told by its host, has turns of\n\
         its own: two models, weighted 3 to 1. The first requests, one after the other, were answered by:",
    );
    let in_production = one_by_one(walk, production).await?;
    let in_sandbox = one_by_one(walk, sandbox).await?;
    let rows = in_production.iter().zip(&in_sandbox).enumerate();
    table(
        [">request", "in production", "in the sandbox"],
        rows.map(|(n, (p, s))| [(n + 1).to_string(), target_of(p), target_of(s)]),
    );
    check_turns(&in_production, &in_sandbox)?;

    text("\nThen many at a time:");
    let even = walk.even("production", PRODUCTION, &production()).await?;
    let weighted = walk.even("sandbox", SANDBOX, &sandbox()).await?;
    let rows =
        [("production", &even), ("sandbox", &weighted)].into_iter().flat_map(|(name, tally)| shares(name, tally));
    table(["environment", "answered by", ">requests", ">share"], rows);
    check(even.models.values().all(|n| n * 3 == PRODUCTION), format!("the shares are not even: {:?}", even.models))?;
    let expected = [("gpt-4o-mini".to_owned(), SANDBOX * 3 / 4), ("o1-mini".to_owned(), SANDBOX / 4)].into();
    check(weighted.models == expected, format!("the shares are not 3 to 1: {:?}", weighted.models))?;
    keys(walk)
}

async fn one_by_one(walk: &mut Walk, ask: impl Fn() -> Ask) -> Result<Vec<Answer>, String> {
    let mut answers = Vec::with_capacity(FIRST);
    for _ in 0..FIRST {
        answers.push(walk.traffic.one(ask()).await?);
    }
    Ok(answers)
}

fn check_turns(in_production: &[Answer], in_sandbox: &[Answer]) -> Result<(), String> {
    let models = |answers: &[Answer]| answers.iter().map(Answer::model).collect::<Vec<_>>();
    let (production, sandbox) = (models(in_production), models(in_sandbox));
    let in_turn = production.windows(3).all(|turns| turns.iter().collect::<BTreeSet<_>>().len() == 3);
    check(in_turn, format!("production did not take turns: {production:?}"))?;
    let weighted = sandbox.windows(4).all(|turns| turns.iter().filter(|model| *model == "o1-mini").count() == 1);
    check(weighted, format!("the sandbox did not go 3 to 1: {sandbox:?}"))
}

fn shares<'a>(environment: &'a str, tally: &'a Tally) -> impl Iterator<Item = [String; 4]> + 'a {
    let all = tally.models.values().sum();
    tally.models.iter().map(move |(model, n)| [environment.to_owned(), model.clone(), n.to_string(), share(*n, all)])
}

/// Every provider has seen its own key and no other.
fn keys(walk: &Walk) -> Result<(), String> {
    text("\nEach provider got its own key; the one that the client sends goes no further than the router:");
    let rows: Vec<_> = walk.stage.providers.iter().map(|provider| (provider, seen(provider))).collect();
    let shown = rows.iter().map(|(provider, seen)| {
        let list = seen.iter().cloned().collect::<Vec<_>>().join(", ");
        [provider.name().to_owned(), provider.hits().to_string(), list]
    });
    table(["provider", ">requests", "authorization"], shown);
    let own = |provider: &Provider| BTreeSet::from([format!("Bearer key-of-{}", provider.name())]);
    check(rows.iter().all(|(provider, seen)| *seen == own(provider)), "a provider has seen another key than its own")
}

fn seen(provider: &Provider) -> BTreeSet<String> {
    provider.requests().iter().map(|request| request.header("authorization").to_owned()).collect()
}
