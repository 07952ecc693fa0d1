//! The scenarios below examples/: each policy with the Envoy configuration that `envoy-config` writes for it, and
//! scripted providers instead of its vendors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::ask::{Ask, chat};
use crate::rig::client::{Answer, send};
use crate::rig::envoy::{Envoy, root, validate};
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings, binary};
use crate::rig::script::Script;

/// A scenario that runs; Envoy goes first.
struct Scenario {
    envoy: Envoy,
    _router: Router,
    providers: BTreeMap<String, Provider>,
}

fn directory(name: &str) -> PathBuf {
    root().join("examples").join(name)
}

fn envoy_config(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(binary());
    command.current_dir(directory).args(["envoy-config", "--policy", "policy.yaml"]).args(arguments);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The policy with a scripted provider for each line that has a name and a URL.
async fn scripted(policy: &str) -> (String, BTreeMap<String, Provider>) {
    let (mut text, mut providers) = (String::new(), BTreeMap::new());
    for line in policy.lines() {
        let Some((before, after)) = line.split_once("url: https://") else {
            text += &format!("{line}\n");
            continue;
        };
        let (name, (_, path)) = (before.trim().split(':').next().unwrap(), after.split_once('/').unwrap());
        let provider = Provider::named(name).await;
        text += &format!("{before}url: http://{}/{path}\n", provider.addr());
        providers.insert(name.to_owned(), provider);
    }
    (text, providers)
}

impl Scenario {
    async fn start(name: &str) -> Self {
        let policy = fs::read_to_string(directory(name).join("policy.yaml")).unwrap();
        let keys = policy.split("env: ").skip(1).filter_map(|rest| rest.split(' ').next());
        let env = keys.map(|name| (name.to_owned(), format!("key-of-{name}"))).collect();
        let (policy, providers) = scripted(&policy).await;
        let router = Router::start_with(&policy, Settings { env, ..Settings::default() }).await;
        let address = router.address().to_string();
        let free = ["--router", &address, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let envoy = Envoy::run(&envoy_config(router.policy_file().parent().unwrap(), &free)).await;
        Self { envoy, _router: router, providers }
    }

    async fn send(&self, ask: Ask) -> Answer {
        send(self.envoy.addr(), ask).await
    }

    /// The models that serve so many requests, in order of their names.
    async fn models(&self, requests: usize, ask: impl Fn() -> Ask) -> Vec<String> {
        let mut models = Vec::new();
        for _ in 0..requests {
            models.push(self.send(ask()).await.model());
        }
        models.sort();
        models
    }
}

/// `BLESS=1` writes Envoy's files anew.
#[test]
fn envoys_files_are_what_envoy_config_prints_and_valid() {
    let names = fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let examples: Vec<_> = names.filter(|path| path.is_dir()).collect();
    assert!(examples.len() >= 4);
    for example in examples {
        let (file, printed) = (example.join("envoy.yaml"), envoy_config(&example, &[]));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &printed).unwrap();
        }
        assert!(fs::read_to_string(&file).unwrap() == printed, "{} is stale", file.display());
        let output = validate(&file);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = fs::read_to_string(example.join("README.md")).unwrap().lines().count();
        assert!(lines <= 20, "{}: {lines} lines", example.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn even_shares_are_even() {
    let scenario = Scenario::start("even-shares").await;
    assert_eq!(scenario.models(4, || chat("any")).await, ["gpt-4o", "gpt-4o", "o1-mini", "o1-mini"]);
    scenario.providers["west"].answer(Script::status(503));
    assert_eq!(scenario.models(2, || chat("any")).await, ["gpt-4o", "gpt-4o"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_hold_and_the_sandbox_has_its_own_model() {
    let scenario = Scenario::start("weighted-with-sandbox").await;
    let live = scenario.models(4, || chat("any").host("llm.example.com")).await;
    assert_eq!(live, ["gpt-4o", "gpt-4o", "gpt-4o", "o1-mini"]);
    let trial = scenario.send(chat("any").host("sandbox.llm.example.com")).await;
    assert_eq!((trial.model(), trial.provider()), ("gpt-4o-mini".to_owned(), "trial"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_vendor_serves_the_request_while_the_first_one_fails() {
    let scenario = Scenario::start("failover-across-vendors").await;
    assert_eq!(scenario.send(chat("gpt-4o")).await.provider(), "openai");
    scenario.providers["openai"].answer(Script::status(503));
    let answer = scenario.send(chat("gpt-4o")).await;
    assert_eq!((answer.status, answer.provider(), &*answer.model()), (200, "mistral", "mistral-large-latest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_about_code_go_to_the_rules_model() {
    let scenario = Scenario::start("intelligent").await;
    scenario.providers["triage"].answer(Script::says("Coding"));
    assert_eq!(scenario.send(chat("any").say("Repair this loop.")).await.model(), "o1-mini");
    scenario.providers["triage"].answer(Script::status(500));
    assert_eq!(scenario.send(chat("any").say("Tell me a story.")).await.model(), "gpt-4o");
}
