//! Envoy's ext_proc filter: how it sends bodies, and what it complains of.

use std::collections::BTreeMap;

use super::Rig;
use super::envoy::Envoy;

/// The counters that stay at zero while router and Envoy understand each other.
const COMPLAINTS: [&str; 10] = [
    "clear_route_cache_disabled",
    "clear_route_cache_ignored",
    "clear_route_cache_upstream_ignored",
    "failure_mode_allowed",
    "http_not_ok_resp_received",
    "message_timeouts",
    "override_message_timeout_ignored",
    "rejected_header_mutations",
    "spurious_msgs_received",
    "streams_failed",
];

const BUFFERED: &str = "request_body_mode: BUFFERED";

/// How the filter sends the bodies of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyMode {
    /// Whole, as in the shipped files.
    Buffered,
    /// In chunks, as they come.
    FullDuplex,
}

impl BodyMode {
    /// A shipped file's text with this mode in it.
    pub(crate) fn edit(self, text: String) -> String {
        let changes = [
            (BUFFERED, "request_body_mode: FULL_DUPLEX_STREAMED"),
            // The filter refuses the mode without these two.
            ("request_trailer_mode: SKIP", "request_trailer_mode: SEND"),
            ("failure_mode_allow: true", "failure_mode_allow: false"),
        ];
        assert!(text.contains(BUFFERED), "the shipped file buffers");
        match self {
            Self::Buffered => text,
            Self::FullDuplex => changes.into_iter().fold(text, |text, (from, to)| text.replace(from, to)),
        }
    }
}

impl Rig {
    /// Fails the test if Envoy has complained of the router in any way.
    pub(crate) async fn check_clean(&self) {
        self.check_clean_but(&[]).await;
    }

    /// The same, but for these counters.
    pub(crate) async fn check_clean_but(&self, except: &[&str]) {
        let complaints = complaints(&self.envoy, except).await;
        assert!(complaints.is_empty(), "Envoy complains of the router: {complaints:?}");
    }

    /// Waits until no stream between Envoy and the router is open.
    pub(crate) async fn no_stream_is_open(&self) {
        super::eventually("streams to the router to end", async || {
            let stats = self.envoy.stats("http.").await;
            let sum =
                |name: &str| stats.iter().filter(|(key, _)| key.ends_with(name)).map(|(_, value)| value).sum::<u64>();
            let (started, closed) = (sum(".ext_proc.streams_started"), sum(".ext_proc.streams_closed"));
            (started == closed + sum(".ext_proc.streams_failed")).then_some(())
        })
        .await;
    }
}

async fn complaints(envoy: &Envoy, except: &[&str]) -> BTreeMap<String, u64> {
    let mut stats = envoy.stats("http.").await;
    stats.retain(|name, value| {
        let counter = name.split_once(".ext_proc.").map(|(_, counter)| counter);
        *value > 0 && counter.is_some_and(|name| COMPLAINTS.contains(&name) && !except.contains(&name))
    });
    stats
}
