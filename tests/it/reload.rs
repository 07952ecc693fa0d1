//! The policy file, edited while requests come in.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::check::{admin, production, status};
use crate::rig::ask::chat;
use crate::rig::envoy::Topology;
use crate::rig::load::load;
use crate::rig::router::{Router, Settings};
use crate::rig::script::Script;
use crate::rig::{Rig, eventually};

fn one(model: &str, endpoint: &str) -> String {
    production(&format!("    round_robin: {{ targets: [ {{ model: {model}, endpoint: {endpoint} }} ] }}"))
}

fn fast() -> Settings {
    Settings { args: vec!["--reload-interval".into(), "2ms".into()], ..Settings::default() }
}

async fn applied(router: &Router, version: u64) {
    eventually("the new policy", async || {
        let policy = status(router).await.policy?;
        (policy.version >= version).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_live_without_a_restart() {
    let rig = Rig::start(Topology::Failover, &one("gpt-4o", "east"), &["east", "west"]).await;
    assert_eq!(rig.send(chat("any")).await.model(), "gpt-4o");
    rig.router.write_policy(&rig.fill(&one("o1-mini", "west")));
    applied(&rig.router, 2).await;
    assert_eq!(rig.send(chat("any")).await.model(), "o1-mini");
    assert!(status(&rig.router).await.last_refused_reload.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_and_is_told_with_all_its_problems() {
    let rig = Rig::start_with(Topology::Failover, &one("gpt-4o", "east"), &["east", "west"], fast()).await;
    let second = "{ model: gpt-4o, endpoint: eastt }";
    let bad =
        production(&format!("    round_robin: {{ targets: [ {{ model: gpt-4o-minni, endpoint: east }}, {second} ] }}"));
    rig.router.write_policy(&rig.fill(&bad));
    let refused = eventually("the refusal", async || status(&rig.router).await.last_refused_reload).await;
    for problem in ["`gpt-4o-minni`", "`eastt`"] {
        assert!(refused.report.contains("policy.yaml:") && refused.report.contains(problem), "{}", refused.report);
    }
    assert_eq!(rig.send(chat("any")).await.model(), "gpt-4o");

    rig.router.write_policy(&rig.fill(&one("o1-mini", "west")));
    applied(&rig.router, 2).await;
    assert!(status(&rig.router).await.last_refused_reload.is_none());
    rig.router.logged("the good policy", |line| line.contains("policy applied")).await;
    assert_eq!(rig.router.events("policy refused; the live one stays").len(), 1, "once, not at every look");
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_to_the_live_policy_clears_the_refusal() {
    let policy = one("gpt-4o", "east");
    let rig = Rig::start_with(Topology::Failover, &policy, &["east", "west"], fast()).await;
    rig.router.write_policy("apis: 7");
    eventually("the refusal", async || status(&rig.router).await.last_refused_reload).await;
    rig.router.write_policy(&rig.fill(&policy));
    eventually("its end", async || status(&rig.router).await.last_refused_reload.is_none().then_some(())).await;
    assert_eq!(status(&rig.router).await.policy.unwrap().version, 1, "nothing had to be swapped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_is_read_again_when_it_changes_and_resets_the_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    fs::write(&key, "first\n").unwrap();
    let policy = one("gpt-4o", "east").replace("{ value: key-east }", &format!("{{ file: {} }}", key.display()));
    let rig = Rig::start_with(Topology::Failover, &policy, &["east", "west"], fast()).await;
    rig.provider("east").answer(Script::status(401));
    assert_eq!(rig.send(chat("any")).await.status, 401);
    assert_eq!(rig.send(chat("any")).await.status, 503, "suspended");
    assert_eq!(rig.provider("east").last().header("authorization"), "Bearer first");

    rig.provider("east").answer(Script::ok());
    fs::write(&key, "second\n").unwrap();
    applied(&rig.router, 2).await;
    assert_eq!(rig.send(chat("any")).await.status, 200);
    assert_eq!(rig.provider("east").last().header("authorization"), "Bearer second");
}

/// Kubernetes mounts a ConfigMap as a link to a link to a directory, and swaps the inner link.
#[tokio::test(flavor = "multi_thread")]
async fn the_swap_of_a_mounted_configmap_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (name, model) in [("one", "gpt-4o"), ("two", "o1-mini")] {
        fs::create_dir(at(name)).unwrap();
        let policy =
            one(model, "east").replace("{{east}}", "http://127.0.0.1:1").replace("{{west}}", "http://127.0.0.1:1");
        fs::write(at(name).join("policy.yaml"), policy).unwrap();
    }
    symlink("one", at("..data")).unwrap();
    symlink("..data/policy.yaml", at("policy.yaml")).unwrap();
    let file = at("policy.yaml").display().to_string();
    let mut settings = fast();
    settings.args.extend(["--policy".into(), file]);
    let router = Router::start_with("", settings).await;
    symlink("two", at("..data_new")).unwrap();
    fs::rename(at("..data_new"), at("..data")).unwrap();
    applied(&router, 2).await;
    let targets = admin(&router).await.list_targets(model_router::admin::proto::ListTargetsRequest {}).await.unwrap();
    assert_eq!(targets.into_inner().targets[0].model, "o1-mini");
}

/// Teams keep their APIs in files of their own: one that comes, goes or is wrong counts for all.
#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_directory_are_followed_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let platform = one("gpt-4o", "east").replace("{{east}}", "http://127.0.0.1:1");
    let team = |name: &str| {
        format!(
            "apis: [ {{ name: {name}, base_path: /{name}, production: {{ round_robin: {{ targets: [ {{ model: o1-mini, endpoint: east }} ] }} }} }} ]"
        )
    };
    fs::write(at("platform.yaml"), platform).unwrap();
    let mut settings = fast();
    settings.args.extend(["--policy".into(), directory.path().display().to_string()]);
    let router = Router::start_with("", settings).await;
    assert_eq!(status(&router).await.policy.unwrap().file, directory.path().display().to_string());
    let models = async || {
        let request = model_router::admin::proto::ListTargetsRequest {};
        admin(&router).await.list_targets(request).await.unwrap().into_inner().targets.len()
    };
    assert_eq!(models().await, 1);

    fs::write(at("search.yaml"), team("search")).unwrap();
    applied(&router, 2).await;
    assert_eq!(models().await, 2);

    fs::write(at("support.yaml"), team("search")).unwrap();
    let refused = eventually("the refusal", async || status(&router).await.last_refused_reload).await;
    let both = ["support.yaml:1:17: error: API `search` is already defined at ", "search.yaml:1:17"];
    assert!(both.iter().all(|part| refused.report.contains(part)), "{}", refused.report);
    assert_eq!(models().await, 2);

    fs::remove_file(at("support.yaml")).unwrap();
    eventually("its end", async || status(&router).await.last_refused_reload.is_none().then_some(())).await;
    fs::remove_file(at("search.yaml")).unwrap();
    applied(&router, 3).await;
    assert_eq!(models().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_swaps_under_load_fail_no_request_and_none_sees_half_of_each() {
    const SWAPS: u64 = 1_000;
    let rig = Rig::start_with(Topology::Failover, &one("gpt-4o", "east"), &["east", "west"], fast()).await;
    let policies = [rig.fill(&one("o1-mini", "west")), rig.fill(&one("gpt-4o", "east"))];
    let done = Arc::new(AtomicBool::new(false));
    let (addr, until) = (rig.envoy.addr(), Arc::clone(&done));
    let requests = tokio::spawn(async move {
        let mut answers = Vec::new();
        while !until.load(Ordering::SeqCst) {
            answers.extend(load(addr, 200, 16, |_| chat("any")).await);
        }
        answers
    });
    let mut admin = admin(&rig.router).await;
    for swap in 0..SWAPS {
        rig.router.write_policy(&policies[usize::try_from(swap % 2).unwrap()]);
        eventually("the swap", async || {
            let status = admin.clone().get_status(model_router::admin::proto::GetStatusRequest {}).await.unwrap();
            (status.into_inner().policy?.version == swap + 2).then_some(())
        })
        .await;
    }
    let _ = admin.get_status(model_router::admin::proto::GetStatusRequest {}).await.unwrap();
    done.store(true, Ordering::SeqCst);
    let answers = requests.await.unwrap();
    println!("{SWAPS} swaps, {} requests", answers.len());
    for answer in &answers {
        assert_eq!(answer.as_ref().unwrap().status, 200, "{answer:?}");
    }
    let whole = BTreeSet::from([
        ("gpt-4o".to_owned(), "Bearer key-east".to_owned(), "east".to_owned()),
        ("o1-mini".to_owned(), "Bearer key-west".to_owned(), "west".to_owned()),
    ]);
    let seen: BTreeSet<_> = rig
        .providers()
        .flat_map(|provider| {
            let requests = provider.requests().into_iter();
            requests.map(|request| {
                (request.model(), request.header("authorization").to_owned(), provider.name().to_owned())
            })
        })
        .collect();
    assert_eq!(seen, whole);
}
