//! `make night`: a failing night, replayed: what goes wrong, what an operator asks, and what he is told. What is
//! printed is docs/night.md.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::ask::{Ask, chat};
use crate::rig::client::{Answer, Client};
use crate::rig::router::binary;
use crate::rig::script::Script;
use crate::show::{check, say};
use crate::stage::Stage;
use crate::view::View;

/// How long the slow provider takes.
const SLOW: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(20);

/// One request's attempts in a file of Envoy's log, as docs/operating.md has it.
const QUERY: &str = r#"select(.log == "attempt" and .request_id == $id) | [(.decision | .attempt, .model, .endpoint), .status, (.decision | .outcome, .reason)] | @tsv"#;

struct Night {
    stage: Stage,
    client: Client,
    view: View,
}

pub(crate) async fn show() -> Result<Stage, String> {
    let stage = Stage::scripted().await;
    let view = View::connect(stage.router.admin()).await?;
    let mut night = Night { stage, client: Client::new(), view };
    say(include_str!("night.md").trim_end());
    let policy = night.stage.policy.replace("suspend: 2s", "suspend: 45s");
    night.edit(&policy, 2).await?;
    let answer = night.fails().await?;
    night.who_served(&answer).await?;
    night.what_is_out()?;
    night.is_it_live(&policy).await?;
    night.who_is_slow().await?;
    night.is_over()?;
    Ok(night.stage)
}

impl Night {
    /// Two of three targets fail at once, in the turn of the first; the third one is slow.
    async fn fails(&self) -> Result<Answer, String> {
        while self.send(chat("any")).await?.model() != "gpt-4o-mini" {}
        let east = Script::per_model([("gpt-4o", Script::status(503)), ("gpt-4o-mini", Script::ok().after(SLOW))]);
        self.stage.provider("east")?.answer(east);
        self.stage.provider("west")?.answer(Script::status(429));
        let answer = self.send(chat("any")).await?;
        let attempts = answer.header("x-model-router-attempts");
        check(answer.status == 200 && attempts == "3", format!("status {}, attempts {attempts}", answer.status))?;
        Ok(answer)
    }

    async fn who_served(&self, answer: &Answer) -> Result<(), String> {
        section(
            "Which model served this request, and why?",
            "The answer itself says which. Why, by the request's id in Envoy's log:",
        );
        let headers = ["model", "endpoint", "attempts"].map(|name| {
            let name = format!("x-model-router-{name}");
            format!("{name}: {}\n", answer.header(&name))
        });
        block("http", &headers.concat());
        let lines = self.stage.envoy.access_log_lines("attempt", 3).await;
        let id = lines.last().and_then(|line| line["request_id"].as_str()).unwrap_or_default().to_owned();
        self.shows(&["decisions", "--request", &id], &["failed, next one asked", "rate_limited, next one asked"])?;
        paragraph("Where the router has forgotten it, Envoy's log has not: one line for each attempt.");
        let file = self.stage.envoy.access_log_file();
        let jq = Command::new("jq").args(["-r", "--arg", "id", &id, QUERY]).arg(file).output();
        let output = jq.map_err(|error| format!("jq: {error}"))?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        check(told.lines().count() == 3, format!("three attempts were expected in the log:\n{told}"))?;
        let query = QUERY.replace(") | [", ")\n    | [");
        block("console", &format!("$ jq -r --arg id {id} \\\n    '{query}' access.log\n{told}"));
        Ok(())
    }

    fn what_is_out(&self) -> Result<(), String> {
        section("What is suspended, and until when?", "");
        self.shows(&["targets", "--not-ready"], &["gpt-4o ", "o1-mini"])
    }

    async fn is_it_live(&mut self, policy: &str) -> Result<(), String> {
        section(
            "Did my change go live?",
            "The operator takes the failing target out of the policy, and mistypes. No: what was live before goes on.",
        );
        let smaller = policy.replacen("          - { model: gpt-4o, endpoint: east }\n", "", 1);
        self.stage.router.write_policy(&smaller.replacen("model: o1-mini", "model: o1-mimi", 1));
        until(async || Ok(self.view.status().await?.last_refused_reload.is_some())).await?;
        self.shows(&["status"], &["REFUSED", "did you mean `o1-mini`"])?;
        paragraph("Put right, it is: version 3, and the target is gone.");
        self.edit(&smaller, 3).await?;
        self.shows(&["status"], &["version 3"])
    }

    async fn who_is_slow(&self) -> Result<(), String> {
        section("Is the router slow, or the provider?", "");
        for _ in 0..3 {
            self.send(chat("any")).await?;
        }
        self.shows(&["decisions", "--limit", "3"], &["200 served"])?;
        paragraph(
            "Over all requests: `model_router_decision_seconds` and `model_router_answer_seconds` of `/metrics`.",
        );
        Ok(())
    }

    fn is_over(&self) -> Result<(), String> {
        section("And when the provider is well again?", "The next probe finds out. Who does not want to wait for it:");
        self.stage.provider("west")?.answer(Script::ok());
        self.shows(&["resume", "west"], &["west is back"])?;
        self.shows(&["targets"], &["ready"])?;
        paragraph("All of it at one look, on the router's page (another such night):\n\n![The admin page](page.png)");
        Ok(())
    }

    /// Sends a request, however it is answered.
    async fn send(&self, ask: Ask) -> Result<Answer, String> {
        self.client.send(self.stage.addr(), ask).await
    }

    /// Writes the policy and waits until it is live.
    async fn edit(&mut self, policy: &str, version: u64) -> Result<(), String> {
        self.stage.router.write_policy(policy);
        until(async || Ok(self.view.policy_version().await? == version)).await
    }

    /// A command as it would be typed, and what it prints, which has these words in it.
    fn shows(&self, arguments: &[&str], words: &[&str]) -> Result<(), String> {
        let mut command = Command::new(binary());
        command.args(arguments).env("MODEL_ROUTER_ADMIN_LISTEN", self.stage.router.admin().to_string());
        let output = command.output().map_err(|error| error.to_string())?;
        let told = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
        let missing = words.iter().find(|word| !told.contains(**word));
        check(output.status.success() && missing.is_none(), format!("{arguments:?}: no {missing:?} in\n{told}"))?;
        let directory = self.stage.policy_file.parent().map(|directory| format!("{}/", directory.display()));
        let told = told.replace(&directory.unwrap_or_default(), "");
        block("console", &format!("$ model-router {}\n{told}", arguments.join(" ")));
        Ok(())
    }
}

fn section(title: &str, text: &str) {
    say(&format!("\n## {title}"));
    if !text.is_empty() {
        paragraph(text);
    }
}

fn paragraph(text: &str) {
    say(&format!("\n{text}"));
}

fn block(kind: &str, text: &str) {
    let text: Vec<_> = text.lines().map(str::trim_end).collect();
    say(&format!("\n```{kind}\n{}\n```", text.join("\n")));
}

async fn until(mut holds: impl AsyncFnMut() -> Result<bool, String>) -> Result<(), String> {
    let began = Instant::now();
    while !holds().await? {
        check(began.elapsed() < PATIENCE, "the router does not notice the edited policy file")?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
