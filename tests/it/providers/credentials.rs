//! Credentials: each form reaches its endpoint and nobody else, whatever becomes of the request.

use std::process::Command;

use serde_json::json;

use super::{BASE, Case, GEMINI, NAMES};
use crate::check::status_of;
use crate::rig::Rig;
use crate::rig::ask::post;
use crate::rig::envoy::Topology;
use crate::rig::router::{Settings, binary};
use crate::rig::script::Script;

/// Each form of `auth`; `KEY` stands for where the key comes from.
const FORMS: &[&str] = &[
    "api_key: KEY",
    "api_key: KEY, auth: bearer",
    "api_key: KEY, auth: basic",
    "api_key: KEY, auth: { header: x-house-key }",
    "api_key: KEY, auth: { query: token }",
];

/// What is never to be seen; a secret in two halves, so that it is found encoded as well.
const SECRET: &str = "hunter2:hunter3";
const ENCODED: &[&str] = &["hunter2", "hunter3", "aHVudGVyMjpodW50ZXIz"];

fn check_secret_free(what: &str, text: &str) {
    for secret in ENCODED {
        assert!(!text.contains(secret), "{what}: {text}");
    }
}

fn output(arguments: &[&str]) -> String {
    let output = Command::new(binary()).args(arguments).env("LEAK_KEY", SECRET).output().expect("it runs");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_of_a_key_is_ever_shown() {
    for form in FORMS {
        let endpoint: &'static str = form.replace("KEY", "{ env: LEAK_KEY }").leak();
        let case = Case { endpoint, ..BASE };
        let settings = Settings { env: vec![("LEAK_KEY".into(), SECRET.into())], ..Settings::default() };
        let rig = Rig::start_with(Topology::Failover, &case.policy(""), &NAMES, settings).await;
        assert_eq!(rig.send(case.ask()).await.status, 200);
        let sent = format!("{:?}", rig.provider("east").last());
        assert!(ENCODED.iter().any(|secret| sent.contains(secret)), "{form}: the provider gets it: {sent}");

        // A key that is wrong, answers that break off, a provider that is away, a client that is wrong.
        let mut told = String::new();
        for script in [Script::status(401), Script::Reset, Script::status(503)] {
            rig.providers().for_each(|provider| provider.answer(script.clone()));
            told += &format!("{:?}", rig.send(case.ask()).await);
        }
        rig.providers().for_each(|provider| provider.answer(Script::ok()));
        told += &format!("{:?}", rig.send(case.ask().body("{")).await);
        told += &format!("{:?}", rig.send(post("/nowhere?token=x")).await);
        told += &format!("{:?}", rig.send(post("/base/nothing?token=x")).await);
        check_secret_free(form, &told);

        let (admin, file) = (rig.router.admin().to_string(), rig.router.policy_file().display().to_string());
        for arguments in [&["status", "--admin", &admin][..], &["status", "--admin", &admin, "--output", "json"]] {
            let status = output(arguments);
            assert!(status.contains("east"), "{status}");
            check_secret_free(form, &status);
        }
        let request = std::path::Path::new(&file).with_extension("http");
        let (path, body) = (format!("/base{}", case.asks), case.body);
        let text = format!("POST {path} HTTP/1.1\nhost: a\ncontent-type: application/json\n\n{body}");
        std::fs::write(&request, text).expect("a writable directory");
        for format in ["text", "json"] {
            let request = request.display().to_string();
            let explained = output(&["explain", "--policy", &file, "--request", &request, "--output", format]);
            assert!(explained.contains("east"), "{explained}");
            check_secret_free(form, &explained);
        }
        check_secret_free(form, &output(&["envoy-config", "--policy", &file]));
        check_secret_free(form, &output(&["check", &file]));
        check_secret_free(form, &output(&["check", &file, "--output", "json"]));
        rig.router.events("decision");
        check_secret_free(form, &rig.router.log().join("\n"));
        check_secret_free(form, &rig.envoy.log());
        check_secret_free(form, &format!("{:?}", rig.envoy.access_log()));
    }
}

#[test]
fn a_key_that_is_missing_or_malformed_is_not_shown_either() {
    for (source, expected) in [
        ("{ env: NO_SUCH_KEY }", "`NO_SUCH_KEY` is not set"),
        ("{ value: hunter2:hunter3 }", "a key in the policy file"),
        ("{ value: 'hunter2 hunter3' }", "cannot be part of a header"),
        ("{ vlaue: hunter2:hunter3 }", "unknown key"),
        ("hunter2:hunter3", "expected"),
    ] {
        for form in FORMS {
            let dir = tempfile::tempdir().expect("a directory");
            let endpoint: &'static str = form.replace("KEY", source).leak();
            let policy =
                Case { endpoint, ..BASE }.policy("").replace("{{east}}", "http://a").replace("{{west}}", "http://b");
            let file = dir.path().join("policy.yaml");
            std::fs::write(&file, policy).expect("writable");
            let file = file.display().to_string();
            for arguments in [&["check", &file][..], &["check", &file, "--strict", "--output", "json"]] {
                let report = output(arguments);
                assert!(report.contains(expected), "{form} {source}: {report}");
                check_secret_free(form, &report);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_does_not_tell_the_key_of_a_query() {
    let case = Case { endpoint: "api_key: { value: hunter2 }, auth: { query: token }", ..BASE };
    let rig = Rig::start(Topology::Failover, &case.policy(""), &NAMES).await;
    let script = Script::by(|request| Script::Raw {
        status: 307,
        headers: vec![("location".into(), request.path.clone()), ("x-kept".into(), "1".into())],
        body: Default::default(),
    });
    rig.provider("east").answer(script);
    let answer = rig.send(case.ask()).await;
    assert_eq!((answer.status, answer.header("x-kept"), answer.header("location")), (307, "1", ""));
    assert!(rig.provider("east").last().path.ends_with("token=hunter2"));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_place_of_one_endpoints_key_goes_to_no_other() {
    let (house, own) = ("api_key: { value: k }, auth: { header: x-house-key }", "api_key: { value: k }");
    let case = Case { endpoint: house, ..BASE };
    let policy = case.policy("").replacen(house, own, 1); // the first one's
    let rig = Rig::start(Topology::Failover, &policy, &NAMES).await;
    for _ in 0..2 {
        assert_eq!(rig.send(case.ask().header("x-house-key", "client-key")).await.status, 200);
    }
    assert_eq!(rig.provider("east").last().header("x-house-key"), "");
    assert_eq!(rig.provider("west").last().header("x-house-key"), "k");
    rig.check_clean().await;
}

/// The first endpoint gets the client's own, the second one has its own.
const MIXED: &str = "
providers: { p: { type: gemini, models: [one, two] } }
endpoints:
  east: { provider: p, url: '{{east}}/v1beta', auth: passthrough }
  west: { provider: p, url: '{{west}}/v1beta', api_key: { value: key-west } }
apis:
  - name: a
    base_path: /base
    production: { round_robin: { targets: [ { model: one, endpoint: east }, { model: two, endpoint: west } ] } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_own_credential_goes_where_the_policy_says_so_and_nowhere_else() {
    for topology in [Topology::Attach, Topology::Failover] {
        let rig = Rig::start(topology, MIXED, &NAMES).await;
        let ask = || {
            let ask = post("/base/models/any:generateContent?key=client-key&x=1").body("{}");
            ask.header("x-goog-api-key", "client-key").header("api-key", "client-key").header("cookie", "client-key")
        };
        for _ in 0..4 {
            assert_eq!(rig.send(ask()).await.status, 200);
        }
        assert_eq!(rig.hits(), [2, 2]);
        for request in rig.provider("east").requests() {
            assert_eq!(request.path, "/v1beta/models/one:generateContent?key=client-key&x=1");
            assert_eq!(request.header("x-goog-api-key"), "client-key");
            assert_eq!((request.header("api-key"), request.header("cookie")), ("", ""));
        }
        for request in rig.provider("west").requests() {
            assert_eq!(request.path, "/v1beta/models/two:generateContent?x=1");
            assert_eq!(request.header("x-goog-api-key"), "key-west");
            assert!(!format!("{request:?}").contains("client-key"));
        }
        check_secret_free("passthrough", &rig.router.log().join("\n"));
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_wrong_key_of_its_own_suspends_nothing() {
    let case = Case { endpoint: "auth: passthrough", ..GEMINI };
    let rig = Rig::start(Topology::Failover, &case.policy(""), &NAMES).await;
    let wrong = json!({ "error": { "details": [{ "reason": "API_KEY_INVALID" }] } });
    for script in [Script::status(401), Script::status(403), Script::json(400, &wrong)] {
        rig.provider("east").answer(script.clone());
        rig.provider("west").answer(script);
        let answer = rig.send(case.ask()).await;
        assert!((400..404).contains(&answer.status), "its own answer: {}", answer.status);
        for (index, name) in NAMES.into_iter().enumerate() {
            assert_eq!(status_of(&rig.router, case.models[index], name).await, "ready");
        }
    }
    assert_eq!(rig.hits().iter().sum::<usize>(), 3, "no other attempt");
    rig.provider("east").answer(Script::status(429));
    rig.provider("west").answer(Script::status(429));
    assert_eq!(rig.send(case.ask()).await.status, 429);
    assert_eq!(status_of(&rig.router, case.models[0], "east").await, "ready");
    rig.check_clean().await;
}
