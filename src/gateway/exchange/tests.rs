//! Tests of one stream at a time without Envoy: the actions for a sequence of events.

mod attempts;
mod duplex;
mod inspection;
mod order;
mod stateful;

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use http::Method;

use super::headers::TIME_LIMIT;
use super::reading::is_json;
use super::*;
use crate::body::coding::Coding;
use crate::gateway::capacity::Capacity;
use crate::gateway::router::Router;
use crate::gateway::usage;
use crate::policy_file::{self, MissingSecrets, Secrets};
use crate::routing::outcome::Origin;
use crate::routing::outcome::inspection::BodyFormat;
use crate::routing::outcome::quota::Quota;
use crate::routing::registry::Registry;
use crate::routing::snapshot::Snapshot;

const POLICY: &str = "
providers: { openai: { type: openai, models: [one, two] } }
endpoints:
  east: { provider: openai, url: 'https://east.test/up/v1', api_key: { value: key-east } }
  west: { provider: openai, url: 'https://west.test:8443', api_key: { value: key-west } }
apis:
  - name: chat
    base_path: /v1
    production:
      round_robin: { targets: [ { model: one, endpoint: east }, { model: two, endpoint: west } ] }
";

fn snapshot(policy: &str, registry: &Registry, version: u64) -> Snapshot {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(policy.as_bytes()).expect("written");
    let secrets = Secrets::new([], MissingSecrets::Refuse);
    policy_file::read(&[file.path().into()], &secrets, registry, version).result.expect("a good policy").snapshot
}

fn router(policy: &str) -> Arc<Router> {
    let registry = Arc::new(Registry::default());
    Arc::new(Router::new(snapshot(policy, &registry, 1)))
}

fn gateway(router: &Arc<Router>, capacity: &Arc<Capacity>) -> Arc<Gateway> {
    Arc::new(Gateway {
        router: Arc::clone(router),
        telemetry: Arc::default(),
        capacity: Arc::clone(capacity),
        reading: usage::capacity(),
    })
}

fn head() -> RequestHead {
    RequestHead {
        method: Method::POST,
        authority: "any.test".into(),
        path: "/v1/chat/completions".into(),
        content_type: Some("application/json".into()),
        stream_id: Some("stream-1".into()),
        ..RequestHead::default()
    }
}

fn request(head: RequestHead) -> Event {
    Event::RequestHeaders(Incoming {
        head,
        unwanted: vec!["authorization"],
        end_of_stream: false,
        body_mode: BodyMode::Buffered,
    })
}

fn body(text: &str) -> Event {
    Event::RequestBody { bytes: Bytes::copy_from_slice(text.as_bytes()), end_of_stream: true }
}

fn answered(status: u16) -> Event {
    let unwanted = vec!["set-cookie"];
    let (quota, origin) = (Quota::default(), Origin::Provider);
    Event::ResponseHeaders(ResponseHead {
        status,
        quota,
        origin,
        unwanted,
        end_of_stream: false,
        error_type: None,
        kind: None,
        at: SystemTime::UNIX_EPOCH,
        coding: Coding::Identity,
    })
}

/// A stream and the clock.
struct Stream {
    exchange: Exchange,
    now: Instant,
}

impl Stream {
    fn new(router: &Arc<Router>) -> Self {
        Self { exchange: Exchange::new(gateway(router, &Capacity::new(1_000, 10, 10_000))), now: Instant::now() }
    }

    fn on(&mut self, event: Event) -> (Action, Next) {
        self.exchange.on(event, self.now)
    }

    /// Headers and body: which cluster the request goes to.
    fn forward(&mut self) -> String {
        self.on(request(head()));
        match self.on(body("{}")) {
            (Action::RequestBody(mutation, _), Next::More) => value(&mutation, private::CLUSTER).to_owned(),
            other => panic!("not forwarded: {other:?}"),
        }
    }

    /// The answer's headers: whether another attempt is asked for.
    fn answer(&mut self, status: u16) -> bool {
        match self.on(answered(status)) {
            (Action::ResponseHeaders(mutation), Next::End) => {
                assert_eq!(mutation.remove, ["set-cookie"]);
                mutation.set == [(private::RETRY.into(), "1".to_owned())]
            }
            other => panic!("not an answer to headers: {other:?}"),
        }
    }
}

fn value<'a>(mutation: &'a Mutation, name: &str) -> &'a str {
    mutation.set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str()).expect("a header that is set")
}

fn refused(answer: (Action, Next)) -> u16 {
    match answer {
        (Action::Reply(reply), Next::End) => reply.status.as_u16(),
        other => panic!("not refused: {other:?}"),
    }
}

/// Whether the targets of production are available, in the order of the policy file.
fn available(router: &Router, now: Instant) -> Vec<bool> {
    let snapshot = router.snapshot();
    let policy = snapshot.apis.iter().next().and_then(|api| api.production.as_ref()).expect("a policy");
    policy.targets.iter().map(|target| target.state.availability(now).is_available()).collect()
}

#[test]
fn a_cluster_that_a_client_has_chosen_is_gone_before_the_body_comes() {
    let mut stream = Stream::new(&router(POLICY));
    let unwanted = vec!["authorization", private::CLUSTER];
    let event =
        Event::RequestHeaders(Incoming { head: head(), unwanted, end_of_stream: false, body_mode: BodyMode::Buffered });
    let remove = vec!["authorization".into(), private::CLUSTER.into()];
    let mutation = Mutation { remove, clear_route_cache: true, ..Mutation::default() };
    assert_eq!(stream.on(event), (Action::RequestHeaders(mutation), Next::More));
}

#[test]
fn a_request_is_sent_to_its_target_with_one_change_of_its_headers() {
    let mut stream = Stream::new(&router(POLICY));
    let unwanted = vec!["authorization", "cookie", private::STREAM];
    let event =
        Event::RequestHeaders(Incoming { head: head(), unwanted, end_of_stream: false, body_mode: BodyMode::Buffered });
    assert_eq!(stream.on(event), (Action::Unchanged(Phase::RequestHeaders), Next::More));
    let (answer, _) = stream.on(body(r#"{"model":"x"}"#));
    let remove = vec!["cookie".into(), private::STREAM.into()];
    let set = [
        (private::CLUSTER, "east"),
        (":scheme", "https"),
        (":authority", "east.test"),
        (":path", "/up/v1/chat/completions"),
        (TIME_LIMIT, "300000"),
        ("authorization", "Bearer key-east"),
        ("content-length", "15"),
    ];
    let set = set.map(|(name, value)| (name.into(), value.to_owned())).into();
    let texts = [
        ("api", "chat"),
        ("environment", "production"),
        ("policy", "round_robin"),
        ("endpoint", "east"),
        ("attempt", "1"),
        ("model", "one"),
        ("requested", "x"),
    ];
    let mut metadata = Metadata::default();
    texts.iter().for_each(|(name, text)| metadata.push(name, text));
    let mutation = Mutation { set, remove, clear_route_cache: true, metadata: Some(Box::new(metadata)) };
    assert_eq!(answer, Action::RequestBody(mutation, Some(Bytes::from_static(br#"{"model":"one"}"#).into())));
    assert!(!stream.answer(200));
}

#[test]
fn a_header_that_is_as_it_should_be_is_not_set() {
    let set = |head: RequestHead| {
        let mut stream = Stream::new(&router(POLICY));
        stream.on(request(head));
        let (Action::RequestBody(mutation, _), _) = stream.on(body("{}")) else { panic!("not forwarded") };
        let pseudo = |(name, _): &(Cow<'static, str>, String)| name.strip_prefix(':').map(str::to_owned);
        mutation.set.iter().filter_map(pseudo).collect::<Vec<_>>().join(" ")
    };
    // The first target's endpoint is at https://east.test/up/v1.
    assert_eq!(set(head()), "scheme authority path");
    assert_eq!(set(RequestHead { tls: Some(true), ..head() }), "authority path");
    assert_eq!(set(RequestHead { tls: Some(false), ..head() }), "scheme authority path");
    assert_eq!(set(RequestHead { authority: "east.test".into(), ..head() }), "scheme path");
    assert_eq!(set(RequestHead { authority: "EAST.test".into(), ..head() }), "scheme authority path");
    let mut stream = Stream::new(&router(&POLICY.replace("/up/v1", "/v1")));
    stream.on(request(RequestHead { tls: Some(true), authority: "east.test".into(), ..head() }));
    let (Action::RequestBody(mutation, _), _) = stream.on(body("{}")) else { panic!("not forwarded") };
    assert!(mutation.set.iter().all(|(name, _)| !name.starts_with(':')), "{mutation:?}");
}

#[test]
fn a_streamed_request_has_less_time_until_its_first_byte() {
    let mut stream = Stream::new(&router(POLICY));
    stream.on(request(head()));
    let (Action::RequestBody(mutation, _), _) = stream.on(body(r#"{"stream":true}"#)) else { panic!("forwarded") };
    assert_eq!(value(&mutation, TIME_LIMIT), "30000");
}

#[test]
fn what_cannot_be_forwarded_is_refused_as_early_as_can_be() {
    let router = router(POLICY);
    for (status, head) in [
        (404, RequestHead { path: "/v2/chat/completions".into(), ..head() }),
        (404, RequestHead { method: Method::GET, ..head() }),
        (400, RequestHead { environment: Some("staging".into()), ..head() }),
        (403, RequestHead { environment: Some("sandbox".into()), ..head() }),
        (413, RequestHead { content_length: Some(1_001), ..head() }),
        (415, RequestHead { content_type: Some("text/plain".into()), ..head() }),
        (415, RequestHead { content_encoding: Some("compress".into()), ..head() }),
    ] {
        assert_eq!(refused(Stream::new(&router).on(request(head))), status);
    }
    for (status, text) in [(400, "["), (413, " ".repeat(1_001).as_str())] {
        let mut stream = Stream::new(&router);
        stream.on(request(head()));
        assert_eq!(refused(stream.on(body(text))), status);
    }
}

#[test]
fn content_types_are_compared_by_their_essence() {
    for (content_type, json) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/vnd.api+json", true),
        ("text/json", false),
        ("application/jsonp", false),
        ("", false),
    ] {
        assert_eq!(is_json(content_type), json, "{content_type}");
    }
}

#[test]
fn a_filter_that_does_not_buffer_is_told_what_to_set() {
    let event = Event::RequestHeaders(Incoming {
        head: head(),
        unwanted: vec![],
        end_of_stream: false,
        body_mode: BodyMode::Other,
    });
    assert_eq!(refused(Stream::new(&router(POLICY)).on(event)), 500);
}

#[test]
fn a_request_of_nobodys_goes_on_with_its_credentials_but_without_private_headers() {
    let mut stream = Stream::new(&router(&format!("unmatched: continue\n{POLICY}")));
    let unwanted = vec!["authorization", private::STREAM];
    let head = RequestHead { path: "/other".into(), ..head() };
    let answer = stream.on(Event::RequestHeaders(Incoming {
        head,
        unwanted,
        end_of_stream: false,
        body_mode: BodyMode::Buffered,
    }));
    let remove = vec![private::STREAM.into(), private::CLUSTER.into()];
    let mutation = Mutation { remove, clear_route_cache: true, ..Mutation::default() };
    assert_eq!(answer, (Action::RequestHeaders(mutation), Next::End));
}

#[test]
fn an_upgrade_is_refused_where_it_would_be_ours() {
    for (path, is_refused) in [("/other", false), ("/v1/realtime", true), ("/v1/chat/completions", true)] {
        let mut stream = Stream::new(&router(&format!("unmatched: continue\n{POLICY}")));
        let head = RequestHead { method: Method::GET, path: path.into(), wants_upgrade: true, ..head() };
        let answer = stream.on(request(head));
        assert_eq!(matches!(answer.0, Action::Reply(reply) if reply.status == 426), is_refused, "{path}");
    }
}

#[test]
fn a_stream_may_begin_in_any_phase() {
    let router = router(POLICY);
    for (event, phase) in [
        (answered(400), Phase::ResponseHeaders),
        (body("{}"), Phase::RequestBody),
        (Event::ResponseBody { bytes: Bytes::new(), end_of_stream: false }, Phase::ResponseBody),
        (Event::Other(Phase::ResponseTrailers), Phase::ResponseTrailers),
    ] {
        assert_eq!(Stream::new(&router).on(event), (Action::Unchanged(phase), Next::End));
    }
}

#[test]
fn query_parameters_lose_credentials_and_nothing_else() {
    let mut stream = Stream::new(&router(POLICY));
    for (query, expected) in [
        ("?a=1&key=x&b", "?a=1&b"),
        ("?key=x", ""),
        ("?", "?"),
        ("?a&&b=?", "?a&&b=?"),
        ("?monkey=1", "?monkey=1"),
        ("?b&%6bey=x", "?b"),
        ("?a;key=x&+api_key=y&b", "?b"),
    ] {
        stream.exchange.state = State::Begun;
        stream.on(request(RequestHead { path: format!("/v1/chat/completions{query}"), ..head() }));
        let (Action::RequestBody(mutation, _), _) = stream.on(body("{}")) else { panic!("forwarded") };
        let path = value(&mutation, ":path");
        assert_eq!(path.find('?').map_or("", |at| &path[at..]), expected, "{query}");
    }
}

#[test]
fn requests_beyond_capacity_are_refused() {
    let router = router(POLICY);
    let capacity = Capacity::new(1_000, 1, 10_000);
    let stream = || Stream { exchange: Exchange::new(gateway(&router, &capacity)), now: Instant::now() };
    let mut first = stream();
    first.forward();
    let (Action::Reply(reply), _) = stream().on(request(head())) else { panic!("refused") };
    assert_eq!((reply.status.as_u16(), &reply.headers[1]), (503, &("retry-after", "1".to_owned())));
    first.answer(200);
    drop(first);
    stream().forward();
}

#[test]
fn a_replaced_policy_lasts_as_long_as_requests_use_it_and_is_freed_when_it_is_asked_for() {
    let registry = Arc::new(Registry::default());
    let router = Arc::new(Router::new(snapshot(POLICY, &registry, 1)));
    let mut stream = Stream::new(&router);
    stream.forward();
    let first = Arc::downgrade(&router.snapshot());
    router.replace(snapshot(POLICY, &registry, 2));
    router.forget_replaced();
    assert!(first.upgrade().is_some(), "a request uses it");
    assert!(!stream.answer(200));
    drop(stream);
    assert!(first.upgrade().is_some(), "the request's end does not free it");
    router.forget_replaced();
    assert!(first.upgrade().is_none() && router.snapshot().version == 2);
}
