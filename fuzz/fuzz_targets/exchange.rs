//! Any messages in any order on streams that share a router: each gets its answer, and nothing is held for ever.

#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use libfuzzer_sys::fuzz_target;
use model_router::gateway::usage;
use model_router::gateway::Gateway;
use model_router::gateway::capacity::Capacity;
use model_router::gateway::exchange::{
    Action, BodyMode, Event, Exchange, Incoming, Mutation, Next, Phase, ResponseHead, private,
};
use model_router::gateway::router::{RequestHead, Router};
use model_router::policy_file;
use model_router::routing::outcome::Origin;
use model_router::routing::outcome::inspection::BodyFormat;
use model_router::routing::outcome::quota::Quota;
use model_router::routing::registry::Registry;

const POLICY: &[u8] = b"
unmatched: continue
providers: { openai: { type: openai, models: [one, two] } }
endpoints:
  east: { provider: openai, url: 'https://east.test/up/v1', api_key: { value: key-east } }
  west: { provider: openai, url: 'https://west.test', api_key: { value: key-west } }
apis:
  - name: pinned
    base_path: /pinned/v1
    production: { round_robin: { stateful_endpoint: west, targets: [ { model: one, endpoint: east } ] } }
  - name: chat
    base_path: /v1
    production:
      weighted_round_robin:
        inspect_first_event: true
        targets:
          - { model: one, endpoint: east, weight: 2 }
          - { model: two, endpoint: west, weight: 1 }
";

const MAX_BODY_BYTES: usize = 64;
const MAX_REQUESTS: usize = 2;
const BODIES: [&str; 8] = [
    "{}",
    "{",
    "}",
    "[",
    r#"{"model":"one"}"#,
    r#"{"previous_response_id":"r","model":"two"}"#,
    "",
    r#"{"stream":true,"#,
];
const PATHS: [&str; 6] =
    ["/v1/chat/completions", "/v1/chat/completions?a=1&key=x", "/v1/files", "/pinned/v1/files", "/v1/models", "/x"];
const ANSWERS: [&str; 5] = [
    "",
    r#"{"error":{"code":"insufficient_quota"}}"#,
    "data: {\"choices\":[]}\n\n",
    "data: {\"error\":{\"message\":\"overloaded\"}}\n\n",
    ": wait\n\n",
];
const STATUSES: [u16; 8] = [200, 204, 302, 400, 401, 429, 500, 503];

/// Streams at once; one more than may be in flight.
const STREAMS: usize = 3;

struct Stream {
    exchange: Exchange,
    mode: BodyMode,
}

struct World {
    gateway: Arc<Gateway>,
    streams: [Option<Stream>; STREAMS],
    now: Instant,
}

fuzz_target!(|bytes: &[u8]| {
    let mut world = World::new();
    for step in bytes.chunks_exact(2) {
        world.step(step[0], step[1]);
    }
    world.check_nothing_is_held();
});

impl World {
    fn new() -> Self {
        let registry = Arc::new(Registry::default());
        let snapshot = policy_file::read_bytes("policy.yaml", POLICY, &registry).expect("a good policy").snapshot;
        let capacity = Capacity::new(MAX_BODY_BYTES, MAX_REQUESTS, 1 << 20);
        Self {
            gateway: Arc::new(Gateway { router: Arc::new(Router::new(snapshot)), telemetry: Arc::default(), capacity, reading: usage::capacity() }),
            streams: Default::default(),
            now: Instant::now(),
        }
    }

    /// One message on one stream, which begins with it if it is not there. `detail` fills the message in.
    fn step(&mut self, what: u8, detail: u8) {
        let (slot, kind) = (usize::from(what) % STREAMS, usize::from(what) / STREAMS);
        if kind % 12 == 11 {
            self.now += Duration::from_millis(u64::from(detail) * 100);
            return;
        }
        let mode = if detail & 1 == 0 { BodyMode::Buffered } else { BodyMode::FullDuplex };
        let exchange = || Exchange::new(Arc::clone(&self.gateway));
        let mut stream = self.streams[slot].take().unwrap_or_else(|| Stream { exchange: exchange(), mode });
        let event = event(kind % 12, detail, stream.mode);
        let asked = Asked::of(&event);
        let (answer, next) = stream.exchange.on(event, self.now);
        check(&asked, &answer, stream.mode);
        match next {
            // Now and then Envoy ends the stream: the client left, or the provider broke off.
            Next::More if detail % 16 == 15 => stream.exchange.abandon(self.now),
            Next::More => self.streams[slot] = Some(stream),
            // The service drops the exchange here; a message that it is told all the same is never routed.
            Next::End => {
                assert!(!matches!(answer, Action::Hold(_)), "held for ever");
                let (late, _) = stream.exchange.on(self::event(kind % 12, detail, stream.mode), self.now);
                assert!(mutation(&late).is_none_or(|mutation| cluster(mutation).is_none()), "{late:?}");
            }
        }
    }

    /// With every stream gone, all places are free, and after an hour so are all targets.
    fn check_nothing_is_held(mut self) {
        self.streams = Default::default();
        let places: Vec<_> = (0..MAX_REQUESTS).map(|_| self.gateway.capacity.enter()).collect();
        assert!(places.iter().all(Option::is_some), "a place is lost");
        drop(places);
        self.now += Duration::from_secs(3_600);
        let mut exchange = Exchange::new(Arc::clone(&self.gateway));
        let (path, body_mode) = (PATHS[0].into(), BodyMode::Buffered);
        let head = RequestHead { method: Method::POST, path, ..RequestHead::default() };
        exchange
            .on(Event::RequestHeaders(Incoming { head, unwanted: vec![], end_of_stream: false, body_mode }), self.now);
        let (answer, _) =
            exchange.on(Event::RequestBody { bytes: Bytes::from_static(b"{}"), end_of_stream: true }, self.now);
        assert!(mutation(&answer).is_some_and(|mutation| cluster(mutation).is_some()), "{answer:?}");
    }
}

fn event(kind: usize, detail: u8, body_mode: BodyMode) -> Event {
    let pick = usize::from(detail >> 1);
    match kind {
        0..3 => {
            let method = if pick % 5 == 0 { Method::GET } else { Method::POST };
            let stream_id = (pick % 3 > 0).then(|| format!("request-{}", pick % 3));
            let path = PATHS[if kind == 0 { 0 } else { pick % PATHS.len() }].to_owned();
            let content_length = (pick % 7 == 0).then_some(pick);
            let response_can_be_held = pick % 2 == 0;
            let head =
                RequestHead { method, path, stream_id, content_length, response_can_be_held, ..RequestHead::default() };
            let mut unwanted = vec!["authorization"];
            unwanted.extend((pick % 2 == 1).then_some(private::CLUSTER));
            Event::RequestHeaders(Incoming { head, unwanted, end_of_stream: pick % 11 == 10, body_mode })
        }
        3..6 => {
            // Buffered, there is one message.
            let end_of_stream = body_mode == BodyMode::Buffered || pick % 3 != 0;
            Event::RequestBody { bytes: BODIES[pick % BODIES.len()].into(), end_of_stream }
        }
        6 | 7 => {
            let retry_after = (pick % 3 == 0).then(|| Duration::from_secs(u64::from(detail)));
            let quota = Quota { retry_after, exhausted: (pick % 5 == 0).then(|| Duration::from_secs(9)) };
            let origin = [Origin::Provider, Origin::EnvoyRefused, Origin::EnvoyOverflow, Origin::Envoy][pick % 4];
            let status = STATUSES[pick % STATUSES.len()];
            let kind = [None, Some(BodyFormat::Json), Some(BodyFormat::Events)][pick % 3];
            let (unwanted, end_of_stream) = (vec!["set-cookie"], pick % 11 == 10);
            Event::ResponseHeaders(ResponseHead {
                status,
                quota,
                origin,
                at: std::time::SystemTime::UNIX_EPOCH,
                unwanted,
                end_of_stream,
                error_type: None,
                kind,
                coding: model_router::body::coding::Coding::Identity,
            })
        }
        8 => Event::Other(Phase::RequestTrailers),
        9 if pick % 4 > 0 => {
            Event::ResponseBody { bytes: ANSWERS[pick % ANSWERS.len()].into(), end_of_stream: pick % 4 == 1 }
        }
        9 => Event::Other(Phase::ResponseTrailers),
        _ => match pick % 3 {
            0 => Event::Late,
            1 => Event::OverCapacity,
            _ => Event::TooLarge,
        },
    }
}

/// What a message was, kept for its answer.
#[derive(Debug)]
enum Asked {
    RequestHeaders {
        names_a_cluster: bool,
    },
    RequestBody(Bytes),
    ResponseHeaders,
    ResponseBody,
    Other(Phase),
    /// No message of Envoy's.
    Unasked,
}

impl Asked {
    fn of(event: &Event) -> Self {
        match event {
            Event::RequestHeaders(Incoming { unwanted, .. }) => {
                Self::RequestHeaders { names_a_cluster: unwanted.contains(&private::CLUSTER) }
            }
            Event::RequestBody { bytes, .. } => Self::RequestBody(bytes.clone()),
            Event::ResponseHeaders(_) => Self::ResponseHeaders,
            Event::ResponseBody { .. } => Self::ResponseBody,
            Event::Other(phase) => Self::Other(*phase),
            Event::Late | Event::OverCapacity | Event::TooLarge | Event::Classified(_) => Self::Unasked,
        }
    }

    fn is_request(&self) -> bool {
        matches!(self, Self::RequestHeaders { .. } | Self::RequestBody(_) | Self::Other(Phase::RequestTrailers))
    }
}

/// One answer of the message's kind, or the router's own reply; full duplex, none yet, or one to several messages.
fn check(asked: &Asked, answer: &Action, mode: BodyMode) {
    let duplex = mode == BodyMode::FullDuplex;
    let fits = match (asked, answer) {
        (Asked::RequestHeaders { .. }, Action::RequestHeaders(_)) => true,
        // They change with the answer to the body.
        (Asked::RequestHeaders { names_a_cluster }, Action::Unchanged(Phase::RequestHeaders)) => {
            !duplex && !names_a_cluster
        }
        (Asked::RequestBody(_), Action::RequestBody(..)) => !duplex,
        (Asked::RequestBody(_), Action::Unchanged(Phase::RequestBody)) => true,
        (Asked::RequestBody(sent), Action::Chunk { bytes, .. }) => duplex && bytes == sent,
        (Asked::ResponseHeaders, Action::ResponseHeaders(_) | Action::Unchanged(Phase::ResponseHeaders)) => true,
        // Held back until its body, or the deadline, decides.
        (Asked::ResponseHeaders, Action::Hold(time)) => !time.is_zero() && *time < Duration::from_secs(60),
        (
            Asked::ResponseBody,
            Action::ResponseHeaders(_) | Action::Unchanged(Phase::ResponseBody) | Action::Nothing,
        ) => true,
        (Asked::Other(phase), Action::Unchanged(answered)) => phase == answered,
        (Asked::RequestBody(_), Action::Request { trailers, .. }) => duplex && !trailers,
        (Asked::Other(Phase::RequestTrailers), Action::Request { trailers, .. }) => duplex && *trailers,
        // A second body message, which Envoy sends only to say that it has ended again.
        (Asked::RequestBody(_), Action::Nothing) => true,
        (Asked::RequestHeaders { .. }, Action::Nothing) => duplex,
        (Asked::Unasked, Action::Nothing | Action::Reply(_) | Action::ResponseHeaders(_)) => true,
        (asked, Action::Reply(_)) => asked.is_request(),
        _ => false,
    };
    assert!(fits, "{asked:?} {mode:?}: {answer:?}");
    if let (Asked::RequestHeaders { .. }, Action::RequestHeaders(mutation))
    | (_, Action::RequestBody(mutation, _) | Action::Request { mutation, .. }) = (asked, answer)
    {
        let settled = mutation.remove.iter().any(|name| name == private::CLUSTER) || cluster(mutation).is_some();
        assert!(settled && mutation.clear_route_cache, "a client's own cluster stays: {mutation:?}");
    }
    if let Some(mutation) = mutation(answer) {
        check_sent(mutation, answer);
    }
}

/// What goes to a cluster has that endpoint's credential, and its own length.
fn check_sent(mutation: &Mutation, answer: &Action) {
    let Some(cluster) = cluster(mutation) else { return };
    assert!(["east", "west"].contains(&cluster), "{cluster}");
    assert_eq!(value(mutation, "authorization"), Some(&*format!("Bearer key-{cluster}")));
    assert!(!mutation.remove.iter().any(|name| name == private::CLUSTER) && mutation.clear_route_cache, "{mutation:?}");
    if let Action::RequestBody(_, Some(body)) | Action::Request { body, .. } = answer {
        let body = body.whole();
        assert_eq!(value(mutation, "content-length"), Some(&*body.len().to_string()));
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok_and(|body| body["model"].is_string()));
    }
}

fn mutation(answer: &Action) -> Option<&Mutation> {
    match answer {
        Action::RequestHeaders(mutation) | Action::RequestBody(mutation, _) | Action::Request { mutation, .. } => {
            Some(mutation)
        }
        _ => None,
    }
}

fn cluster(mutation: &Mutation) -> Option<&str> {
    value(mutation, private::CLUSTER)
}

fn value<'a>(mutation: &'a Mutation, name: &str) -> Option<&'a str> {
    mutation.set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
}
