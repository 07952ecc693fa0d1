//! Nothing of a response depends on its copies: with the router away, slow, stopped or killed, every byte is on time.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{policy, raw, rig, used};
use crate::rig::Rig;
use crate::rig::ask::chat;
use crate::rig::client::stream;
use crate::rig::envoy::Topology;
use crate::rig::script::Script;

/// A stream of twenty events, 50 ms apart, each of so many bytes.
fn paced(bytes: usize) -> (Script, String) {
    let event = |n: usize| format!("data: {{\"n\":{n},\"text\":\"{}\"}}\n\n", "x".repeat(bytes));
    let all: Vec<_> = (0..20).map(event).collect();
    let pieces = all.iter().map(|event| (Duration::from_millis(50), Bytes::from(event.clone()))).collect();
    (Script::Pieces { content_type: "text/event-stream".into(), pieces }, all.concat())
}

/// Reads a stream, does something after the third piece, and returns the bytes and the longest pause between two.
async fn read(rig: &mut Rig, disturb: impl FnOnce(&mut Rig)) -> (Vec<u8>, Duration) {
    let mut events = stream(rig.envoy.addr(), chat("any").streamed()).await;
    let (mut disturb, mut all, mut longest, mut last) = (Some(disturb), Vec::new(), Duration::ZERO, Instant::now());
    let mut count = 0;
    while let Some(piece) = events.piece().await {
        all.extend_from_slice(&piece.expect("the stream goes on"));
        longest = longest.max(last.elapsed());
        last = Instant::now();
        count += 1;
        if count == 3
            && let Some(disturb) = disturb.take()
        {
            disturb(rig);
        }
    }
    (all, longest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_is_killed_or_stopped_in_mid_stream_costs_no_byte_and_no_time() {
    for topology in [Topology::Attach, Topology::Failover] {
        for signal in ["KILL", "STOP"] {
            // Far more than all buffers on the way to the router take.
            for bytes in [10, 1 << 20] {
                let mut rig = rig(topology, "").await;
                let (script, expected) = paced(bytes);
                rig.providers().for_each(|provider| provider.answer(script.clone()));
                let (seen, longest) = read(&mut rig, |rig| rig.router.process().signal(signal)).await;
                rig.router.process().signal("CONT");
                let what = format!("{topology:?}, {signal}, {bytes} bytes an event");
                assert!(seen == expected.as_bytes(), "{what}: {} of {} bytes", seen.len(), expected.len());
                assert!(longest < Duration::from_secs(2), "{what}: a pause of {longest:?}");
            }
        }
    }
}

/// Envoy's file without the blocks by which it sends copies.
pub(super) fn without_copies(text: String) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        inside |= line.trim_start().starts_with("# -- USAGE");
        let keep = !inside;
        inside &= line.trim() != "# -- end of USAGE --";
        keep
    };
    text.split_inclusive('\n').filter(keep).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_blocks_envoy_sends_no_copies() {
    let settings = crate::rig::router::Settings::default();
    let rig = Rig::start_edited(Topology::Failover, &policy(""), &["east", "west"], settings, without_copies).await;
    rig.providers().for_each(|provider| provider.answer(raw("text/event-stream", "", super::STREAM.into())));
    assert_eq!(rig.send(chat("any").streamed()).await.status, 200);
    rig.check_clean().await;
    assert!(rig.router.events("usage").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_receives_is_the_same_with_and_without_copies() {
    let rig = rig(Topology::Failover, "").await;
    for encoding in ["", "gzip"] {
        let body = if encoding.is_empty() { super::STREAM.into() } else { super::gzip(super::STREAM) };
        rig.providers().for_each(|provider| provider.answer(raw("text/event-stream", encoding, body.clone())));
        let before = rig.router.events("usage").len();
        let answer = rig.send(chat("any").streamed()).await;
        assert_eq!((answer.body.to_vec(), answer.header("content-encoding")), (body, encoding));
        used(&rig, before + 1).await;
    }
}
