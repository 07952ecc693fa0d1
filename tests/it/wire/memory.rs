//! Many slow uploads at once: what they cost, and whether others are served meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use super::rig;
use crate::rig::ask::chat;
use crate::rig::envoy::Topology;
use crate::rig::ext_proc::BodyMode;
use crate::rig::script::Script;
use crate::rig::upload::{Framing, Http, upload};

const UPLOADS: usize = 200;
const UPLOAD_BYTES: usize = 20_000_000;
const OTHERS: u32 = 100;
/// Each upload takes at least so long; the others come all the while.
const TIME: Duration = Duration::from_secs(10);

/// The bound of `serve` on bytes of bodies at once (1 GiB), and what the router may need beside them: the edited copy
/// of those that are being sent.
const ROUTER_MAX_MIB: u64 = 1_024 + 512;

/// The bound of Envoy's heap in the shipped file (2 GiB), and how far it may be passed before streams are broken off.
const ENVOY_MAX_MIB: u64 = 2_048 + 512;

async fn check_slow_uploads(mode: BodyMode) {
    let mut rig = rig(Topology::Failover, mode).await;
    rig.providers().for_each(|provider| {
        provider.answer(Script::json(200, &json!({})));
        provider.count_only(true);
    });
    let body = format!(r#"{{"x":"{}","model":"any"}}"#, "a".repeat(UPLOAD_BYTES));
    let slow = upload(body).by(Http::One, Framing::Chunked).slowly(50, TIME);
    let began = Instant::now();
    let uploads: Vec<_> = (0..UPLOADS).map(|_| tokio::spawn(slow.clone().send(rig.envoy.addr()))).collect();
    let mut others = BTreeMap::<u16, u32>::new();
    for n in 0..OTHERS {
        tokio::time::sleep_until((began + TIME / OTHERS * n).into()).await;
        *others.entry(rig.send(chat("any")).await.status).or_default() += 1;
    }
    let mut statuses = BTreeMap::<String, u32>::new();
    for upload in uploads {
        let answer = upload.await.unwrap();
        let code = |answer: &crate::rig::client::Answer| match answer.status {
            200 => "200".to_owned(),
            status => format!("{status} {}", answer.json()["error"]["code"]),
        };
        *statuses.entry(answer.as_ref().map_or_else(Clone::clone, code)).or_default() += 1;
    }
    let (router, envoy) = (rig.router.process().peak_mib(), rig.envoy.process().peak_mib());
    println!(
        "{UPLOADS} uploads of {UPLOAD_BYTES} bytes, {mode:?}, {:?}: {statuses:?}; {OTHERS} others: {others:?}; \
         peaks: router {router} MiB, Envoy {envoy} MiB",
        began.elapsed()
    );
    assert_eq!(others, [(200, OTHERS)].into(), "the others are served");
    assert!(router <= ROUTER_MAX_MIB && envoy <= ENVOY_MAX_MIB, "router {router} MiB, Envoy {envoy} MiB");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs 4 GB and a minute: make test-memory"]
async fn slow_uploads_cost_bounded_memory_and_others_are_served_buffered() {
    check_slow_uploads(BodyMode::Buffered).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs 4 GB and a minute: make test-memory"]
async fn slow_uploads_cost_bounded_memory_and_others_are_served_full_duplex() {
    check_slow_uploads(BodyMode::FullDuplex).await;
}
