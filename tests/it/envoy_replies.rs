//! Whose error body a client sees. A stub stands in for the router, so that each answer is exact.

use std::time::Duration;

use bytes::Bytes;

use crate::check::check_error;
use crate::rig::ask::{chat, post};
use crate::rig::client::{self, Client};
use crate::rig::clusters::Cluster;
use crate::rig::envoy::{Envoy, Topology};
use crate::rig::load::{Tally, load};
use crate::rig::provider::{Provider, Refused};
use crate::rig::script::Script;
use crate::rig::stub::{Plan, Stub};

const BOTH: [Topology; 2] = [Topology::Attach, Topology::Failover];
/// Nothing that Envoy could read as one of its own format commands may change on the way.
const OWN_BODY: &str = r#"{"error":{"message":"100% of %LOCAL_REPLY_BODY%","type":"t","code":"c","param":null}}"#;

/// Envoy with a stub, two providers and one that refuses connections.
struct Stubbed {
    envoy: Envoy,
    east: Provider,
    west: Provider,
    stub: Stub,
    _refused: Refused,
}

async fn stubbed(topology: Topology, plan: Plan) -> Stubbed {
    stubbed_edited(topology, plan, |text| text).await
}

async fn stubbed_edited(topology: Topology, plan: Plan, edit: fn(String) -> String) -> Stubbed {
    let (east, west) = (Provider::named("east").await, Provider::named("west").await);
    let (stub, refused) = (Stub::start(plan).await, Refused::new());
    let clusters = [
        Cluster::plain("east", east.addr()),
        Cluster::plain("west", west.addr()),
        Cluster::plain("refused", refused.addr()),
    ];
    let envoy = Envoy::start_edited(topology, &stub.address(), &clusters, edit).await;
    Stubbed { envoy, east, west, stub, _refused: refused }
}

#[tokio::test]
async fn the_routers_own_error_reaches_the_client_byte_for_byte() {
    for topology in BOTH {
        for details in ["model_router", "model_router no candidate left"] {
            let rig = stubbed(topology, Plan::Own { status: 503, details, body: OWN_BODY }).await;
            let answer = client::send(rig.envoy.addr(), chat("m")).await;
            assert_eq!((answer.status, answer.text()), (503, OWN_BODY.to_owned()), "{topology:?}");
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.header("retry-after"), "7");
        }
    }
}

#[tokio::test]
async fn an_error_that_the_router_did_not_sign_is_taken_for_envoys() {
    for topology in BOTH {
        let rig = stubbed(topology, Plan::Own { status: 413, details: "", body: OWN_BODY }).await;
        check_error(&client::send(rig.envoy.addr(), chat("m")).await, 413, "request_too_large");
    }
}

#[tokio::test]
async fn a_providers_error_reaches_the_client_untouched() {
    for topology in BOTH {
        let rig = stubbed(topology, Plan::Clusters(vec!["east"])).await;
        rig.east.answer(Script::status_with(503, &[("x-model-router-retry", "1"), ("retry-after", "3")]));
        let answer = client::send(rig.envoy.addr(), chat("m")).await;
        assert_eq!(answer.json()["error"]["message"], "east refuses with 503");
        assert_eq!((answer.status, answer.header("retry-after")), (503, "3"));
        assert_eq!(rig.east.hits(), 1, "a provider cannot ask for another attempt");
        assert_eq!(answer.header("x-model-router-retry"), "");
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_a_503_without_addresses() {
    for topology in BOTH {
        for cluster in ["refused", "no-such-cluster"] {
            let rig = stubbed(topology, Plan::Clusters(vec![cluster])).await;
            let answer = client::send(rig.envoy.addr(), chat("m")).await;
            check_error(&answer, 503, "service_unavailable");
            assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_body_above_the_limit_gets_413() {
    for topology in BOTH {
        let rig = stubbed(topology, Plan::Clusters(vec!["east"])).await;
        let ask = post("/v1/chat/completions").body(Bytes::from(vec![b'x'; (32 << 20) + 1]));
        // HTTP/2: over HTTP/1.1 a client that reads only once it has written may lose the answer.
        let answer = Client::http2().send(rig.envoy.addr(), ask).await.unwrap();
        check_error(&answer, 413, "request_too_large");
        assert_eq!(rig.east.hits(), 0);
    }
}

#[tokio::test]
async fn a_large_body_is_tried_again_in_full() {
    let rig = stubbed(Topology::Failover, Plan::Clusters(vec!["refused", "east", "west"])).await;
    rig.east.answer(Script::status(500));
    let body = Bytes::from(vec![b'x'; 25 << 20]);
    let ask = post("/v1/chat/completions").body(body.clone());
    let answer = client::send(rig.envoy.addr(), ask).await;
    assert_eq!((answer.status, answer.provider()), (200, "west"));
    assert!(rig.west.last().body == body, "the body changed on the way");
}

#[tokio::test]
async fn a_provider_sees_nothing_private() {
    for topology in BOTH {
        let rig = stubbed(topology, Plan::Clusters(vec!["east"])).await;
        let ask = chat("m").header("x-model-router-environment", "sandbox").header("x-envoy-max-retries", "9");
        client::send(rig.envoy.addr(), ask.header("x-forwarded-for", "192.0.2.7")).await;
        let seen = rig.east.last().headers;
        let mut private = seen.keys().map(|name| name.as_str()).filter(|name| {
            name.starts_with("x-model-router-") || name.starts_with("x-envoy-") || name.starts_with("x-forwarded-")
        });
        assert_eq!(private.next(), None, "{topology:?}");
    }
}

#[tokio::test]
async fn attach_tells_the_router_the_environment_and_no_stream() {
    let rig = stubbed(Topology::Attach, Plan::Clusters(vec!["east"])).await;
    let ask = chat("m").header("x-model-router-environment", "sandbox").header("x-model-router-stream", "mine");
    client::send(rig.envoy.addr(), ask).await;
    let seen = &rig.stub.seen()[0];
    assert_eq!(seen["x-model-router-environment"], "production");
    assert_eq!(seen.get("x-model-router-stream"), None);
}

#[tokio::test]
async fn failover_names_the_stream_alike_on_all_attempts_and_no_client_can_choose_the_name() {
    // Behind another proxy an Envoy may have to trust the request id that comes in: the name must not follow it.
    let trusting = |text: String| text.replace("use_remote_address: true", "use_remote_address: false");
    let plan = Plan::Clusters(vec!["refused", "east"]);
    let rig = stubbed_edited(Topology::Failover, plan, trusting).await;
    for _ in 0..2 {
        let ask = chat("m").header("x-request-id", "mine").header("x-model-router-stream", "mine");
        let answer = client::send(rig.envoy.addr(), ask.header("x-model-router-environment", "sandbox")).await;
        assert_eq!(answer.status, 200);
    }
    let seen = rig.stub.seen();
    let streams: Vec<_> = seen.iter().map(|headers| headers["x-model-router-stream"].as_str()).collect();
    assert!(seen.iter().all(|headers| headers["x-request-id"] == "mine"), "{seen:?}");
    assert!(seen.iter().all(|headers| headers["x-model-router-environment"] == "production"), "{seen:?}");
    assert_eq!((streams[0], streams[2]), (streams[1], streams[3]));
    assert!(streams[0] != streams[2] && !streams.contains(&"mine"), "{streams:?}");
}

#[tokio::test]
async fn every_request_of_an_outage_is_tried_again() {
    let rig = stubbed(Topology::Failover, Plan::Clusters(vec!["east", "west"])).await;
    rig.east.answer(Script::status(500));
    rig.west.answer(Script::ok().after(Duration::from_millis(20)));
    let answers = load(rig.envoy.addr(), 300, 60, |_| chat("m")).await;
    let tally = Tally::of(&answers);
    assert_eq!(tally.providers.get("west"), Some(&300), "{tally:?}");
}
