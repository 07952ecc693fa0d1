//! The wire: every body and every client, in both body modes, through both shipped files.

mod bodies;
mod clients;
mod memory;

use crate::rig::Rig;
use crate::rig::clusters::Cluster;
use crate::rig::envoy::Topology;
use crate::rig::ext_proc::BodyMode;
use crate::rig::router::Settings;

/// The body modes that the router serves.
const MODES: [BodyMode; 2] = [BodyMode::Buffered, BodyMode::FullDuplex];

/// Below `/v1` a provider that speaks HTTP/1.1, below `/h2/v1` one that speaks HTTP/2.
const POLICY: &str = "
providers: { openai: { type: openai, models: [gpt-4o] } }
endpoints:
  one: { provider: openai, url: '{{one}}/v1', api_key: { env: KEY } }
  two: { provider: openai, url: '{{two}}/v1', api_key: { env: KEY } }
apis:
  - name: one
    base_path: /v1
    production: { round_robin: { targets: [ { model: gpt-4o, endpoint: one } ] } }
  - name: two
    base_path: /h2/v1
    production: { round_robin: { targets: [ { model: gpt-4o, endpoint: two } ] } }
";

async fn rig(topology: Topology, mode: BodyMode) -> Rig {
    let settings = Settings { env: vec![("KEY".into(), "a-key".into())], ..Settings::default() };
    let rig = Rig::start_edited(topology, POLICY, &["one", "two"], settings, |text| mode.edit(text)).await;
    let address = |name| rig.provider(name).addr();
    rig.envoy.set_clusters(&[Cluster::plain("one", address("one")), Cluster::http2("two", address("two"))]).await;
    rig
}

/// Nothing is left over: no stream, no complaint of Envoy's, no warning of the router's.
async fn check_nothing_is_left(rig: &Rig) {
    rig.no_stream_is_open().await;
    rig.check_clean().await;
    let log = rig.router.log();
    let loud = |line: &&String| ["WARN", "ERROR", "panicked"].iter().any(|word| line.contains(word));
    assert_eq!(log.iter().find(loud), None);
}
