//! The vectors of utterances: fetched before a policy goes live, kept across reloads and restarts.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::check::status;
use crate::rig::load::load;

fn fast(more: &[&str]) -> Settings {
    let args = ["--reload-interval", "5ms"].iter().chain(more).map(|arg| (*arg).to_owned()).collect();
    Settings { args, ..Settings::default() }
}

/// Routes with a thousand utterances, different for each `seed`.
fn many(seed: usize) -> String {
    let mut text = "        routes:\n".to_owned();
    for route in 0..10 {
        let utterance = |number: usize| format!("topic{route} word{number} seed{seed}");
        let utterances: Vec<_> = (0..100).map(utterance).collect();
        text += &format!(
            "          - {{ name: R{route}, utterances: [{}], model: o1-mini, endpoint: west }}\n",
            utterances.join(", ")
        );
    }
    text + "        default: { model: gpt-4o, endpoint: east }\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_starts_without_its_embedder_and_takes_the_default_until_it_is_there() {
    let rig = Rig::start(Topology::Attach, &policy("", THRESHOLD, ROUTES), &["east", "west", "vectors"]).await;
    rig.provider("vectors").answer(Script::status(503));
    assert_eq!(served(&rig.send(chat("any").say(CODING)).await), ("gpt-4o".to_owned(), "priming"));
    let warning = rig.router.logged("the warning", |line| line.contains("take the default")).await;
    assert!(warning.contains("embedder `vectors`") && warning.contains("503"), "{warning}");
    assert_eq!(asked(&rig).await.state(), State::Priming);
    rig.provider("vectors").answer(embedder());
    primed(&rig).await;
    assert_eq!(served(&rig.send(chat("any").say(CODING)).await), ("gpt-4o-mini".to_owned(), "matched"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_live_policy_until_the_vectors_of_the_next_are_there() {
    let endpoints = ["east", "west", "vectors"];
    let rig = Rig::start_with(Topology::Attach, &policy("", THRESHOLD, ROUTES), &endpoints, fast(&[])).await;
    rig.provider("vectors").answer(embedder());
    primed(&rig).await;
    rig.provider("vectors").answer(Script::status(401));
    rig.router.write_policy(&rig.fill(&policy("", "", &many(1))));
    let refused = eventually("the refusal", async || status(&rig.router).await.last_refused_reload).await;
    assert!(
        refused.report.contains("embedder `vectors` gave no vectors for the 1000 utterances"),
        "{}",
        refused.report
    );
    assert!(refused.report.contains("status 401"), "{}", refused.report);
    assert_eq!(served(&rig.send(chat("any").say(CODING)).await).1, "error", "the live policy stays");

    // Slow, and under load: nobody waits for it, nobody fails.
    rig.provider("vectors").answer(Script::by(|request| {
        Script::json(200, &embeddings(&request.json())).after(std::time::Duration::from_millis(20))
    }));
    let (over, addr) = (Arc::new(AtomicBool::new(false)), rig.envoy.addr());
    let still = Arc::clone(&over);
    let traffic = tokio::spawn(async move {
        let mut answers = Vec::new();
        while !still.load(Ordering::SeqCst) && answers.len() < 100_000 {
            answers.extend(load(addr, 32, 8, |_| chat("any").say(CODING)).await);
        }
        answers
    });
    eventually("the new policy", async || (status(&rig.router).await.policy?.version == 2).then_some(())).await;
    over.store(true, Ordering::SeqCst);
    let answers = traffic.await.expect("traffic");
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    let priming = answers.iter().flatten().filter(|answer| answer.header("x-model-router-classification") == "priming");
    assert_eq!(priming.count(), 0, "a policy goes live with its vectors");
    assert_eq!(served(&rig.send(chat("any").say("topic3 word7 seed1")).await), ("o1-mini".to_owned(), "matched"));
    let batches = rig.provider("vectors").requests().into_iter().filter(|it| it.json()["input"].is_array());
    assert!(batches.filter_map(|it| it.json()["input"].as_array().map(Vec::len)).all(|texts| texts <= 96));
}

#[tokio::test(flavor = "multi_thread")]
async fn utterances_that_are_known_are_not_embedded_again() {
    let endpoints = ["east", "west", "vectors"];
    let rig = Rig::start_with(Topology::Attach, &policy("", THRESHOLD, ROUTES), &endpoints, fast(&[])).await;
    rig.provider("vectors").answer(embedder());
    primed(&rig).await;
    rig.provider("vectors").clear();
    let one_more = ROUTES.replace("a recipe for tomato soup", "a recipe for tomato soup, how do i bake bread");
    rig.router.write_policy(&rig.fill(&policy("", THRESHOLD, &one_more)));
    eventually("the new policy", async || (status(&rig.router).await.policy?.version == 2).then_some(())).await;
    let seen = rig.provider("vectors").requests();
    assert_eq!(seen.iter().map(|it| it.json()["input"].clone()).collect::<Vec<_>>(), [json!("how do i bake bread")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_are_kept_in_a_file_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("embeddings");
    let cache = ["--embeddings-cache", file.to_str().unwrap()];
    let (text, endpoints) = (policy("", THRESHOLD, ROUTES), ["east", "west", "vectors"]);
    let rig = Rig::start_with(Topology::Attach, &text, &endpoints, fast(&cache)).await;
    rig.provider("vectors").answer(embedder());
    primed(&rig).await;
    eventually("the file", async || file.exists().then_some(())).await;
    let written = fs::read(&file).unwrap();
    assert!(!String::from_utf8_lossy(&written).contains("python"), "no text is in it");

    rig.provider("vectors").clear();
    // The same URL, so the same vectors: a second router beside the first.
    let again = crate::rig::router::Router::start_with(&rig.fill(&text), fast(&cache)).await;
    let mut admin = admin(&again).await;
    let known = admin.list_classifiers(ListClassifiersRequest {}).await.unwrap().into_inner().classifiers.remove(0);
    assert_eq!((known.state(), rig.provider("vectors").hits()), (State::Ready, 0), "nothing was asked");

    fs::write(&file, "something else").unwrap();
    let output = std::process::Command::new(crate::rig::router::binary())
        .args(["serve", "--policy", rig.router.policy_file().to_str().unwrap()])
        .args(cache)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("is not one that this program wrote"), "{error}");
}
