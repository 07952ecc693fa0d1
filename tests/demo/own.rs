//! A policy of the reader's own: a few requests to its real providers. Nothing is made to fail.

use std::env;
use std::path::Path;
use std::time::Duration;

use http::Method;
use model_router::policy_file::{self, MissingSecrets, Secrets};
use model_router::routing::api::{Api, Environment, HostPattern};
use model_router::routing::registry::Registry;
use model_router::routing::snapshot::Snapshot;
use serde_json::Value;

use crate::progress::Progress;
use crate::rig::ask::{Ask, chat};
use crate::rig::client::{Answer, Client};
use crate::show::{check, duration, heading, say, table, text};
use crate::stage::{Example, Stage};
use crate::view::{self, View};

const CHAT: &str = "/chat/completions";
/// Real models may think for a while.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Requests for one list of targets: twice round a short list, but somebody pays for them.
const REQUESTS: std::ops::RangeInclusive<usize> = 2..=6;

/// Requests for one environment of one API.
struct Round {
    api: String,
    environment: &'static str,
    policy: &'static str,
    requests: usize,
    /// What is sent, or why nothing is.
    ask: Result<Ask, &'static str>,
}

pub(crate) async fn show(file: &Path) -> Result<Stage, String> {
    let snapshot = read(file)?;
    let stage = Stage::own(file, example(&snapshot)).await;
    say(&format!("Envoy {} at {} with the policy {}.", stage.envoy_version().await?, stage.addr(), file.display()));
    say("Its providers are real: a few requests are sent and nothing is made to fail.");
    say("(`make demo` without POLICY shows outage and recovery, with scripted providers.)");

    heading("Who answers");
    let rounds: Vec<_> = snapshot.apis.iter().flat_map(|api| rounds(api)).collect();
    let unserved = ask_all(&stage, &rounds).await;
    let targets = View::connect(stage.router.admin()).await?.targets().await?;
    attempts_that_failed(&stage);
    heading("The router's view");
    view::table(&targets);
    let sent: usize = rounds.iter().filter(|round| round.ask.is_ok()).map(|round| round.requests).sum();
    check(unserved == 0, format!("{unserved} of {sent} requests were not served"))?;
    say(&format!("\n{sent} requests were sent, and all of them were served."));
    Ok(stage)
}

fn read(path: &Path) -> Result<Snapshot, String> {
    let secrets = Secrets::new(env::vars_os(), MissingSecrets::Refuse);
    let reading = policy_file::read(&[path.to_owned()], &secrets, &Registry::default(), 1);
    let compiled = reading.result.map_err(|problems| format!("{} can't be used\n{problems}", path.display()))?;
    Ok(compiled.snapshot)
}

/// Sends each round's requests and shows the answers. How many were not served.
async fn ask_all(stage: &Stage, rounds: &[Round]) -> usize {
    let (client, progress) = (Client::new(), Progress::new());
    let (mut rows, mut unserved) = (Vec::new(), 0);
    for round in rounds {
        let place = |n: String| [round.api.clone(), round.environment.into(), round.policy.into(), n];
        let ask = match &round.ask {
            Ok(ask) => ask,
            Err(why) => {
                rows.push(row(place(String::new()), ["not asked".into(), (*why).into(), String::new()]));
                continue;
            }
        };
        progress.begin(&format!("asking {} in {}", round.api, round.environment));
        for n in 1..=round.requests {
            let answer = client.send(stage.addr(), ask.clone()).await;
            unserved += usize::from(!matches!(&answer, Ok(answer) if (200..300).contains(&answer.status)));
            rows.push(row(place(n.to_string()), told(answer)));
        }
    }
    progress.end();
    table(["API", "environment", "policy", ">no.", "answer", "model", ">after"], rows);
    text("The model is the one that the provider names in its answer.");
    unserved
}

/// A wrong key, say, is not seen in the answers as long as another target serves: the router's log tells.
fn attempts_that_failed(stage: &Stage) {
    let events = stage.router.events("attempt failed");
    if events.is_empty() {
        return;
    }
    heading("Attempts that failed");
    text("Where another target is left, it served the request, and the client did not notice.");
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    table(
        ["model", "endpoint", ">attempt", ">status", "taken as"],
        events
            .iter()
            .map(|event| ["model", "endpoint", "attempt", "status", "outcome"].map(|key| word(&event["fields"][key]))),
    );
}

fn row([api, environment, policy, n]: [String; 4], [answer, model, after]: [String; 3]) -> [String; 7] {
    [api, environment, policy, n, answer, model, after]
}

/// Status, model or error, and duration.
fn told(answer: Result<Answer, String>) -> [String; 3] {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return ["none".into(), why, String::new()],
    };
    let error = || serde_json::from_slice::<Value>(&answer.body).ok()?["error"]["message"].as_str().map(str::to_owned);
    let what = if answer.status == 200 { answer.model() } else { error().unwrap_or_else(|| answer.text()) };
    [answer.status.to_string(), what.chars().take(120).collect(), duration(answer.took)]
}

fn rounds(api: &Api) -> Vec<Round> {
    let both = [Environment::Production, Environment::Sandbox].into_iter();
    both.filter_map(|environment| {
        let policy = api.policy(environment)?;
        Some(Round {
            api: api.name.to_string(),
            environment: environment.name(),
            policy: policy.strategy.name(),
            requests: (policy.targets.len() * 2).clamp(*REQUESTS.start(), *REQUESTS.end()),
            ask: ask(api, environment, policy.targets[0].model.as_str()),
        })
    })
    .collect()
}

fn ask(api: &Api, environment: Environment, model: &str) -> Result<Ask, &'static str> {
    if !takes_chat(api) {
        return Err("takes no chat");
    }
    let ask = chat(model).path(&format!("{}{CHAT}", api.base_path)).timeout(TIMEOUT);
    match host(api, environment) {
        Some(host) => Ok(ask.host(&host)),
        None if environment == Environment::Production => Ok(ask),
        None => Err("no `sandbox_hosts`"),
    }
}

fn takes_chat(api: &Api) -> bool {
    api.operations.iter().any(|operation| operation.methods.contains(&Method::POST) && operation.path.matches(CHAT))
}

/// A host that stands for this environment.
fn host(api: &Api, environment: Environment) -> Option<String> {
    let hosts = match environment {
        Environment::Production => &api.hosts,
        Environment::Sandbox => &api.sandbox_hosts,
    };
    hosts.first().map(|pattern| match pattern {
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Below(domain) => format!("demo.{domain}"),
    })
}

fn example(snapshot: &Snapshot) -> Option<Example> {
    let (api, policy) =
        snapshot.apis.iter().filter(|api| takes_chat(api)).find_map(|api| Some((api, api.production.as_ref()?)))?;
    Some(Example {
        base_path: api.base_path.clone(),
        model: policy.targets[0].model.to_string(),
        host: host(api, Environment::Production),
        sandbox_host: api.sandbox.as_ref().and_then(|_| host(api, Environment::Sandbox)),
    })
}
