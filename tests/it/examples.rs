//! The scenarios below examples/: each policy with the Envoy configuration that `envoy-config` writes for it, and
//! scripted providers instead of its vendors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::check::check_error;
use crate::rig::ask::{Ask, chat, get};
use crate::rig::client::{Answer, send};
use crate::rig::envoy::{Envoy, root, validate};
use crate::rig::provider::Provider;
use crate::rig::router::{Router, Settings, binary};
use crate::rig::script::Script;

/// What a person has added to a file that `envoy-config` printed.
const ADDED: &str = "# -- added: ";
const END: &str = "# -- end of added --";

/// A scenario that runs; Envoy goes first.
struct Scenario {
    envoy: Envoy,
    _router: Router,
    providers: BTreeMap<String, Provider>,
    _directory: TempDir,
}

fn directory(name: &str) -> PathBuf {
    root().join("examples").join(name)
}

/// The policy of an example: a file, or a directory of them.
fn policy(example: &Path) -> PathBuf {
    let several = example.join("policies");
    if several.is_dir() { several } else { example.join("policy.yaml") }
}

fn policy_files(example: &Path) -> Vec<PathBuf> {
    let policy = policy(example);
    if policy.is_file() {
        return vec![policy];
    }
    fs::read_dir(policy).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn run(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(binary()).current_dir(directory).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Envoy's side of an example: what is printed, merged into the file that existed, or with what a person has added.
fn envoys_side(example: &Path, arguments: &[&str]) -> String {
    let policy = policy(example);
    let command = ["envoy-config", "--policy", policy.file_name().unwrap().to_str().unwrap()];
    if example.join("before.yaml").is_file() {
        let own = arguments.iter().take_while(|argument| **argument != "--listen").copied();
        let own: Vec<_> = command.into_iter().chain(["--merge", "before.yaml"]).chain(own).collect();
        return run(example, &own);
    }
    let printed = run(example, &[&command[..], arguments].concat());
    let stored = fs::read_to_string(example.join("envoy.yaml")).unwrap_or_default();
    added(&stored).into_iter().fold(printed, |text, (block, next)| {
        let place = text.find(next).unwrap_or_else(|| panic!("there is no line {next}"));
        format!("{}{block}{}", &text[..place], &text[place..])
    })
}

/// Each block that was added, with the line behind it.
fn added(text: &str) -> Vec<(&str, &str)> {
    let begins = text.match_indices(ADDED).map(|(at, _)| text[..at].rfind('\n').map_or(0, |newline| newline + 1));
    let block = |begin: usize| {
        let end = begin + text[begin..].find(END).expect("a block ends") + END.len() + 1;
        (&text[begin..end], text[end..].lines().next().unwrap())
    };
    begins.map(block).collect()
}

/// The policy with a scripted provider for each line that has a name and a URL.
async fn scripted(policy: &str, providers: &mut BTreeMap<String, Provider>) -> String {
    let mut text = String::new();
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
    text
}

impl Scenario {
    async fn start(name: &str) -> Self {
        Self::start_edited(name, |_, text| text).await
    }

    /// The same with a change to Envoy's side, for addresses that only an example has.
    async fn start_edited(name: &str, edit: impl FnOnce(&mut BTreeMap<String, Provider>, String) -> String) -> Self {
        let (copy, mut providers, mut env) = (tempfile::tempdir().unwrap(), BTreeMap::new(), Vec::new());
        let example = directory(name);
        for entry in ["before.yaml", "envoy.yaml"].iter().filter(|entry| example.join(entry).is_file()) {
            fs::copy(example.join(entry), copy.path().join(entry)).unwrap();
        }
        for file in policy_files(&example) {
            let text = fs::read_to_string(&file).unwrap();
            let keys = text.split("env: ").skip(1).filter_map(|rest| rest.split(' ').next());
            env.extend(keys.map(|name| (name.to_owned(), format!("key-of-{name}"))));
            let here = copy.path().join(file.strip_prefix(&example).unwrap());
            fs::create_dir_all(here.parent().unwrap()).unwrap();
            fs::write(here, scripted(&text, &mut providers).await).unwrap();
        }
        let args = vec!["--policy".to_owned(), policy(copy.path()).display().to_string()];
        let router = Router::start_with("", Settings { env, args, ..Settings::default() }).await;
        let address = router.address().to_string();
        let free = ["--router", &address, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let text = edit(&mut providers, envoys_side(copy.path(), &free));
        let envoy = Envoy::run(&text).await;
        Self { envoy, _router: router, providers, _directory: copy }
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
    assert!(examples.len() >= 8);
    for example in examples {
        let (file, printed) = (example.join("envoy.yaml"), envoys_side(&example, &[]));
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

#[tokio::test(flavor = "multi_thread")]
async fn each_team_has_an_api_of_its_own() {
    let scenario = Scenario::start("several-teams").await;
    let ask = |team: &str| chat("gpt-4o").path(&format!("/{team}/v1/chat/completions"));
    assert_eq!(scenario.send(ask("search")).await.model(), "gpt-4o-mini");
    assert_eq!(scenario.send(ask("support")).await.provider(), "openai");
    scenario.providers["openai"].answer(Script::status(503));
    assert_eq!(scenario.send(ask("support")).await.provider(), "mistral");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_exists_serves_models_and_what_it_served_before() {
    let shop = Provider::named("shop").await;
    let (host, port) = ("address: shop.internal", "port_value: 8080");
    let scenario = Scenario::start_edited("attach-to-existing-envoy", |_, text| {
        let text = text.replace("port_value: 10000", "port_value: 0").replace("port_value: 9901", "port_value: 0");
        text.replace(host, "address: 127.0.0.1").replace(port, &format!("port_value: {}", shop.addr().port()))
    });
    let scenario = scenario.await;
    assert_eq!(scenario.models(4, || chat("any")).await, ["gpt-4o", "gpt-4o", "o1-mini", "o1-mini"]);
    scenario.providers["west"].answer(Script::status(503));
    assert_eq!(scenario.models(2, || chat("any")).await, ["gpt-4o", "gpt-4o"]);
    assert_eq!((scenario.send(get("/basket")).await.status, shop.last().path), (200, "/basket".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_api_has_the_shares_that_it_had() {
    let example = directory("wso2-import");
    let printed = run(&example, &["import", "apim", "export"]);
    assert_eq!(printed, fs::read_to_string(example.join("policy.yaml")).unwrap());
    let scenario = Scenario::start("wso2-import").await;
    let models = scenario.models(4, || chat("any").path("/helpdesk/1.0/chat/completions")).await;
    assert_eq!(models, ["gpt-4o", "gpt-4o", "gpt-4o", "gpt-4o-mini"]);
    assert_eq!(scenario.providers["east"].last().header("authorization"), "Bearer key-of-EAST_KEY");
}

const TOKEN_KEY: &[u8] = b"a key that the identity provider shares with nobody else";

/// A JSON Web Token with these claims, signed with HMAC and SHA-256 (RFC 2104, RFC 7515).
fn token(claims: &serde_json::Value, key: &[u8]) -> String {
    let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(claims));
    let padded = |mask: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ mask).collect::<Vec<_>>();
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(&signed).finalize();
    let signature = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tokens_claim_says_which_environment_a_client_is_for() {
    let identity = Provider::named("identity").await;
    let keys = json!({ "keys": [{ "kty": "oct", "alg": "HS256", "k": BASE64_URL_SAFE_NO_PAD.encode(TOKEN_KEY) }] });
    identity.answer(Script::json(200, &keys));
    let scenario = Scenario::start_edited("behind-jwt", |_, text| {
        let address = identity.addr();
        let text = text.replace("https://id.example.com/.well-known", &format!("http://{address}/.well-known"));
        let host = "address: id.example.com, port_value: 443";
        let text = text.replace(host, &format!("address: 127.0.0.1, port_value: {}", address.port()));
        let cluster = text.find("- name: identity\n").unwrap();
        let tls = cluster + text[cluster..].find("    transport_socket:\n").unwrap();
        let end = tls + text[tls..].find(&format!("  {END}")).unwrap();
        format!("{}{}", &text[..tls], &text[end..])
    });
    let scenario = scenario.await;
    check_error(&scenario.send(chat("any")).await, 401, "invalid_api_key");
    let claims = |environment: &str| {
        let mut claims = json!({ "iss": "https://id.example.com/", "aud": "llm", "exp": 4_102_444_800_u64 });
        if !environment.is_empty() {
            claims["environment"] = environment.into();
        }
        claims
    };
    let ask = |claims: &serde_json::Value, key: &[u8]| {
        chat("any").header("authorization", &format!("Bearer {}", token(claims, key)))
    };
    for (environment, model) in [("production", "gpt-4o"), ("sandbox", "gpt-4o-mini"), ("", "gpt-4o")] {
        let answer = scenario.send(ask(&claims(environment), TOKEN_KEY)).await;
        assert_eq!((answer.status, &*answer.model()), (200, model), "{environment}: {}", answer.text());
    }
    let forged = ask(&claims("production"), TOKEN_KEY).header("x-model-router-environment", "sandbox");
    assert_eq!(scenario.send(forged).await.model(), "gpt-4o", "a header of the client's changes nothing");
    assert_eq!(scenario.providers["live"].last().header("authorization"), "Bearer key-of-OPENAI_LIVE_KEY");
    check_error(&scenario.send(ask(&claims("staging"), TOKEN_KEY)).await, 400, "unknown_environment");
    check_error(&scenario.send(ask(&claims("sandbox"), b"another key")).await, 401, "invalid_api_key");
}
