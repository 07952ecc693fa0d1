//! A pool of models that take different parameters: what one refuses is taken out of the body before it is sent there.

use serde_json::{Value, json};

use crate::check::production;
use crate::rig::Rig;
use crate::rig::ask::{Ask, chat};
use crate::rig::envoy::Topology;
use crate::rig::load::{Tally, load};
use crate::rig::script::Script;

const REQUESTS: usize = 300;

const POOL: &str = "
    round_robin:
      targets:
        - { model: gpt-4o, endpoint: east }
        - { model: o1-mini, endpoint: west, body: { remove: [temperature], rename: { max_tokens: max_completion_tokens } } }
        - { model: gpt-4o-mini, endpoint: east }
";

/// The number's text tells a copy from one that was read and written again.
fn ask() -> Ask {
    let body = r#"{"model":"any","messages":[],"max_tokens" : 1.0e2,"temperature":0.7,"seed":7}"#;
    chat("any").body(body)
}

/// As o1-class models do.
fn refuses_what_it_does_not_take(body: &Value) -> Script {
    match ["max_tokens", "temperature"].into_iter().find(|name| body.get(name).is_some()) {
        Some(name) => Script::json(400, &json!({ "error": { "code": "unsupported_parameter", "param": name } })),
        None => Script::ok(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_model_of_a_pool_gets_the_parameters_that_it_takes() {
    let rig = Rig::start(Topology::Failover, &production(POOL), &["east", "west"]).await;
    rig.provider("west").answer(Script::by(|request| refuses_what_it_does_not_take(&request.json())));
    let tally = Tally::of(&load(rig.envoy.addr(), REQUESTS, 16, |_| ask()).await);
    assert_eq!(tally.statuses, [(200, REQUESTS)].into(), "{:?}", tally.errors);
    assert_eq!(tally.models.into_values().collect::<Vec<_>>(), [REQUESTS / 3; 3]);
    for request in rig.provider("west").requests() {
        let edited = r#"{"model":"o1-mini","messages":[],"max_completion_tokens" : 1.0e2,"seed":7}"#;
        assert_eq!(request.body, edited);
    }
    for request in rig.provider("east").requests() {
        let unedited = r#"","messages":[],"max_tokens" : 1.0e2,"temperature":0.7,"seed":7}"#;
        assert!(request.body.ends_with(unedited.as_bytes()), "{:?}", request.body);
    }
    rig.check_clean().await;
}
