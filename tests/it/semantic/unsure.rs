//! Where the scores are too close, an LLM decides among the routes.

use std::time::Duration;

use super::*;

const TRIAGE: &str = r#"classifiers:
  triage: { type: openai, url: "{{triage}}/v1/chat/completions", model: sorter, timeout: 1s, cache: 0s }
apis:"#;

/// As much of both routes as of the other.
const BETWEEN: &str = "write a recipe function for rice that sorts tomato soup a list";

async fn rig() -> Rig {
    let keys = "        threshold: 0.3\n        unsure: { classifier: triage, margin: 0.1 }";
    let policy = policy(", cache: 0s", keys, ROUTES).replace("apis:", TRIAGE);
    let rig = Rig::start(Topology::Attach, &policy, &["east", "west", "vectors", "triage"]).await;
    rig.provider("vectors").answer(embedder());
    rig.provider("triage").answer(Script::says("Cooking"));
    primed(&rig).await;
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_decision_is_made_by_the_classifier_and_a_clear_one_is_not() {
    let rig = rig().await;
    assert_eq!(served(&rig.send(chat("any").say("fix this python function")).await).0, "gpt-4o-mini");
    assert_eq!(rig.provider("triage").hits(), 0, "that was clear");
    let close = rig.send(chat("any").say(BETWEEN)).await;
    assert_eq!(served(&close), ("o1-mini".to_owned(), "matched"));
    let asked = rig.provider("triage").last().json();
    assert_eq!(
        asked["response_format"]["json_schema"]["schema"]["properties"]["rule"]["enum"],
        json!(["Coding", "Cooking", "NONE"])
    );
    assert!(asked["messages"][0]["content"].as_str().unwrap().contains("how long do i boil an egg"));
    rig.provider("triage").answer(Script::says("NONE"));
    assert_eq!(served(&rig.send(chat("any").say(BETWEEN)).await), ("gpt-4o".to_owned(), "none"));
    let decisions = rig.router.events("decision");
    let unsure: Vec<_> = decisions.iter().map(|line| &line["fields"]["unsure"]).collect();
    assert_eq!(unsure, [&Value::Null, &json!("matched"), &json!("none")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classifier_that_fails_leaves_the_decision_to_the_scores() {
    let rig = rig().await;
    for (script, label) in [
        (Script::status(500), "error"),
        (Script::says("Gardening"), "unparsable"),
        (Script::says("Cooking").after(Duration::from_secs(5)), "timeout"),
    ] {
        rig.provider("triage").answer(script);
        let began = std::time::Instant::now();
        let answer = rig.send(chat("any").say(BETWEEN)).await;
        assert_eq!(served(&answer).1, "matched", "{label}");
        // The longer of the two timeouts bounds both stages.
        assert!(began.elapsed() < Duration::from_millis(1_900), "{label} took {:?}", began.elapsed());
        let decision = rig.router.events("decision").pop().expect("a decision");
        assert_eq!(decision["fields"]["unsure"], json!(label));
    }
}
