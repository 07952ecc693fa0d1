//! The walk with scripted providers: turns, outage, recovery, an edit, meaning. Each step shows what was measured and checks it.

mod edit;
mod meaning;
mod outage;
mod recovery;
mod turns;

use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::ask::{Ask, chat, post};
use crate::rig::client::{Answer, Client};
use crate::rig::envoy::RouterAddr;
use crate::rig::load::Tally;
use crate::show::{check, say, text};
use crate::stage::Stage;
use crate::traffic::Traffic;
use crate::view::View;

/// The target that fails, in production.
const MODEL: &str = "gpt-4o";
const ENDPOINT: &str = "east";
/// What the router logs arrives a moment later.
const LOG_DELAY: Duration = Duration::from_secs(5);

/// What all steps need.
struct Walk {
    stage: Stage,
    traffic: Traffic,
    view: View,
}

/// Walks through everything. What was started stays up for as long as the result is held.
pub(crate) async fn show(began: Instant) -> Result<Stage, String> {
    let stage = Stage::scripted().await;
    introduce(&stage).await?;
    let (traffic, view) = (Traffic::to(stage.addr()), View::connect(stage.router.admin()).await?);
    let mut walk = Walk { stage, traffic, view };
    turns::show(&mut walk).await?;
    outage::show(&mut walk).await?;
    recovery::show(&mut walk).await?;
    edit::show(&mut walk).await?;
    meaning::show(&mut walk).await?;
    conclude(&walk, began)?;
    Ok(walk.stage)
}

async fn introduce(stage: &Stage) -> Result<(), String> {
    say("model-router: several models behind one URL\n");
    let ext_proc = match stage.router.address() {
        RouterAddr::Tcp(addr) => addr.to_string(),
        RouterAddr::Unix(path) => path.display().to_string(),
    };
    let rows = [
        ("client", "this program".to_owned(), "asks for the model \"any\""),
        ("Envoy", stage.addr().to_string(), "forwards; its configuration is what `envoy-config` writes"),
        ("router", ext_proc, "chooses model and provider; Envoy asks it (ext_proc)"),
    ];
    let version = stage.envoy_version().await?;
    for (what, at, does) in rows {
        let what = if what == "Envoy" { format!("Envoy {version}") } else { what.to_owned() };
        text(&format!("{what:<14} {at:<17} {does}"));
    }
    for provider in &stage.providers {
        text(&format!(
            "provider {:<5} {:<17} scripted: stands in for an LLM API",
            provider.name(),
            provider.addr().to_string()
        ));
    }
    say("\nEvery number below is measured: from answers, at the providers, or from the router's admin API.");
    Ok(())
}

fn conclude(walk: &Walk, began: Instant) -> Result<(), String> {
    let Traffic { sent, failed, .. } = walk.traffic;
    check(failed == 0, format!("{failed} of {sent} requests failed"))?;
    let took = crate::show::duration(began.elapsed());
    say(&format!("\nAll as it should be: {sent} requests in {took}, {failed} of them failed."));
    Ok(())
}

/// A request to production. The client's own key must not get further than the router.
fn production() -> Ask {
    chat("any").header("authorization", "Bearer key-of-the-client")
}

/// The same to the sandbox.
fn sandbox() -> Ask {
    production().host("sandbox.llm.example.com")
}

/// `gpt-4o at east`.
fn target_of(answer: &Answer) -> String {
    format!("{} at {}", answer.model(), answer.provider())
}

impl Walk {
    /// Many requests without a pause, none of which may fail: how many each model answered.
    async fn even(&mut self, what: &str, requests: usize, ask: &Ask) -> Result<Tally, String> {
        let answers = self.traffic.many(what, requests, Duration::ZERO, ask).await;
        no_failure(&answers)?;
        Ok(Tally::of(&answers))
    }

    /// Tells the provider of the failing target what to answer for it, as one can with curl.
    async fn order(&self, status: u16) -> Result<(), String> {
        let addr = self.stage.provider(ENDPOINT)?.addr();
        let order = post("/_script").json(&json!({ "model": MODEL, "status": status }));
        let answer = Client::new().send(addr, order).await?;
        check(answer.status == 200, answer.text())
    }

    /// How many requests the provider has had for the failing target.
    fn hits(&self) -> Result<usize, String> {
        let requests = self.stage.provider(ENDPOINT)?.requests();
        Ok(requests.iter().filter(|request| request.model() == MODEL).count())
    }

    /// How many probes the router has sent to the failing target by its log, which must tell of every hit.
    async fn probes(&self) -> Result<usize, String> {
        let (hits, deadline) = (self.hits()?, Instant::now() + LOG_DELAY);
        loop {
            let mut decisions = self.stage.router.events("decision");
            decisions.retain(|line| line["fields"]["model"] == MODEL && line["fields"]["endpoint"] == ENDPOINT);
            if decisions.len() >= hits || Instant::now() > deadline {
                let told = decisions.len();
                check(told == hits, format!("{hits} requests reached {MODEL}, but the router sent {told} there"))?;
                return Ok(decisions.iter().filter(|line| line["fields"]["probe"] == true).count());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The answers, and connections without one, that are not 200.
fn failures(answers: &[Result<Answer, String>]) -> impl Iterator<Item = &Result<Answer, String>> {
    answers.iter().filter(|answer| !matches!(answer, Ok(answer) if answer.status == 200))
}

/// Every request was served.
fn no_failure(answers: &[Result<Answer, String>]) -> Result<(), String> {
    let (failed, first) = (failures(answers).count(), failures(answers).next());
    check(failed == 0, format!("{failed} of {} requests failed, the first: {first:?}", answers.len()))
}
