//! Streams that break off after their first event: no attempt can follow, but the target is found.

use std::time::{Duration, Instant};

use crate::check::{production, status_of};
use crate::rig::ask::{chat, get};
use crate::rig::client::{send, stream};
use crate::rig::envoy::Topology;
use crate::rig::script::{Completion, Script};
use crate::rig::{Rig, eventually};

const POLICY: &str = "
    round_robin:
      targets:
        - { model: gpt-4o, endpoint: east }
        - { model: o1-mini, endpoint: west }
";

async fn rig(topology: Topology) -> Rig {
    Rig::start(topology, &production(POLICY), &["east", "west"]).await
}

/// Sends streams until the state is reached.
async fn until_state(rig: &Rig, state: &str) {
    eventually(state, async || {
        stream(rig.envoy.addr(), chat("any").streamed()).await.events().await;
        (status_of(&rig.router, "gpt-4o", "east").await == state).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_streams_break_off_is_suspended() {
    for topology in [Topology::Attach, Topology::Failover] {
        let mut rig = rig(topology).await;
        rig.provider("east").answer(Script::Ok(Completion { cut_after: Some(2), ..Completion::default() }));
        until_state(&rig, "suspended").await;
        let metrics = send(rig.router.admin(), get("/metrics")).await.text();
        let broken = "model_router_broken_responses_total{model=\"gpt-4o\",endpoint=\"east\"}";
        let count = metrics.lines().find_map(|line| line.strip_prefix(broken)).unwrap().trim().parse::<u64>().unwrap();
        assert!(count >= 3, "{count}");
        assert!(rig.router.events("target suspended").len() == 1, "{topology:?}");

        // From now on only the other one is asked.
        let hits = rig.provider("east").hits();
        for _ in 0..10 {
            let events = stream(rig.envoy.addr(), chat("any").streamed()).await.events().await;
            assert_eq!(events.last().unwrap().1.as_deref(), Ok("[DONE]"));
        }
        assert_eq!(rig.provider("east").hits(), hits);

        // The log's stream holds up no stop.
        let began = Instant::now();
        assert_eq!(rig.router.stop().await.code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_stream_says_nothing_of_the_target() {
    let rig = rig(Topology::Failover).await;
    let slow = Completion { chunks: 100, gap: Duration::from_millis(100), ..Completion::default() };
    rig.providers().for_each(|provider| provider.answer(Script::Ok(slow.clone())));
    for _ in 0..8 {
        let mut events = stream(rig.envoy.addr(), chat("any").streamed()).await;
        assert!(events.piece().await.is_some());
    }
    eventually("both are left", async || rig.providers().all(|it| it.in_flight() == 0).then_some(())).await;
    // What Envoy logs is sent within a second; a whole stream meanwhile is time enough.
    rig.providers().for_each(|provider| provider.answer(Script::Ok(Completion { chunks: 20, ..slow.clone() })));
    stream(rig.envoy.addr(), chat("any").streamed()).await.events().await;
    let metrics = send(rig.router.admin(), get("/metrics")).await.text();
    assert!(!metrics.contains("model_router_broken_responses_total{"), "{metrics}");
    assert_eq!(status_of(&rig.router, "gpt-4o", "east").await, "ready");
    rig.check_clean().await;
}
