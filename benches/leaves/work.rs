//! What the leaves are given to do; the benchmarks of time and of instructions share it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::Method;
use model_router::body::coding::Coding;
use model_router::gateway::Gateway;
use model_router::gateway::capacity::Capacity;
use model_router::gateway::exchange::{Action, BodyMode, Event, Exchange, Incoming, ResponseHead};
use model_router::gateway::router::{RequestHead, Router};
use model_router::gateway::usage;
use model_router::policy_file;
use model_router::routing::outcome::Origin;
use model_router::routing::outcome::quota::Quota;
use model_router::routing::registry::Registry;
use model_router::routing::snapshot::Snapshot;

/// Where a body has its model.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ModelAt {
    Start,
    End,
}

/// A line as prompts have them: words, quotes and a line's end.
const LINE: &str = r#"The quick brown fox said \"nothing at all\" to the lazy dog, and went on for a while.\n"#;

/// A chat request of this many bytes.
pub(crate) fn body(bytes: usize, at: ModelAt) -> Bytes {
    let messages = |text: &str| format!(r#""messages":[{{"role":"user","content":"{text}"}}]"#);
    let model = r#""model":"any""#;
    let room = bytes.saturating_sub(messages("").len() + model.len() + 3);
    let mut text = LINE.repeat(room / LINE.len());
    text.push_str(&"x".repeat(room - text.len()));
    let messages = messages(&text);
    Bytes::from(match at {
        ModelAt::Start => format!("{{{model},{messages}}}"),
        ModelAt::End => format!("{{{messages},{model}}}"),
    })
}

/// A chat request of this many bytes that is nearly all structure, as descriptions of tools are.
pub(crate) fn structure(bytes: usize) -> Bytes {
    const TOOL: &str = r#"{"type":"function","function":{"name":"f","parameters":{"type":"object","required":["a","b"],"properties":{"a":{"type":"number","minimum":-1.5e3},"b":{"type":"boolean"}}}}}"#;
    let count = (bytes / TOOL.len()).max(1);
    Bytes::from(format!(r#"{{"tools":[{}],"model":"any"}}"#, vec![TOOL; count].join(",")))
}

/// A policy with so many APIs, each over so many targets, under round robin or in proportion to weights.
pub(crate) fn snapshot(apis: usize, targets: usize, weighted: bool) -> Snapshot {
    let models: Vec<_> = (0..targets).map(|number| format!("model-{number}")).collect();
    let mut text = format!("providers: {{ openai: {{ type: openai, models: [{}] }} }}\n", models.join(", "));
    text.push_str(
        "endpoints: { east: { provider: openai, url: 'https://east.test/v1', api_key: { value: key } } }\napis:\n",
    );
    let policy = if weighted { "weighted_round_robin" } else { "round_robin" };
    let targets: Vec<_> = models.iter().map(|model| format!("{{ model: {model}, endpoint: east }}")).collect();
    for number in 0..apis {
        let base_path = if number == 0 { "/v1".to_owned() } else { format!("/tenants/{number}/v1") };
        let _ = writeln!(
            text,
            "  - {{ name: api-{number}, base_path: {base_path}, production: {{ {policy}: {{ targets: [{}] }} }} }}",
            targets.join(", "),
        );
    }
    policy_file::read_bytes("policy.yaml", text.as_bytes(), &Registry::default()).expect("a good policy").snapshot
}

/// A router with that policy.
pub(crate) fn router(apis: usize, targets: usize, weighted: bool) -> Arc<Router> {
    Arc::new(Router::new(snapshot(apis, targets, weighted)))
}

/// The head of a request to the first API.
pub(crate) fn head() -> RequestHead {
    RequestHead {
        method: Method::POST,
        authority: "llm.example.com".into(),
        path: "/v1/chat/completions".into(),
        content_type: Some("application/json".into()),
        stream_id: Some("2b0f4bb8-5a3c-4c1e-9f55-0d6f7a2f3a10".into()),
        request_id: Some("5d9b4f0c-17a4-4f3f-8e0b-0a3c7f6f9b1d".into()),
        attempt_count: Some(1),
        ..RequestHead::default()
    }
}

/// A request's whole way through the router, gRPC apart: headers, body, the answer's headers.
pub(crate) fn exchange(gateway: &Arc<Gateway>, body: &Bytes) -> Action {
    let now = Instant::now();
    let mut exchange = Exchange::new(Arc::clone(gateway));
    let unwanted = vec!["authorization"];
    let body_mode = BodyMode::Buffered;
    exchange.on(Event::RequestHeaders(Incoming { head: head(), unwanted, end_of_stream: false, body_mode }), now);
    let (sent, _) = exchange.on(Event::RequestBody { bytes: body.clone(), end_of_stream: true }, now);
    let answer = ResponseHead {
        status: 200,
        quota: Quota::default(),
        origin: Origin::Provider,
        at: SystemTime::UNIX_EPOCH,
        unwanted: Vec::new(),
        end_of_stream: false,
        error_type: None,
        kind: None,
        coding: Coding::Identity,
    };
    exchange.on(Event::ResponseHeaders(answer), now + Duration::from_millis(1));
    sent
}

/// A gateway around a router, with bounds that nothing here reaches.
pub(crate) fn gateway(router: Arc<Router>) -> Arc<Gateway> {
    Arc::new(Gateway {
        router,
        telemetry: Arc::default(),
        capacity: Capacity::new(64 << 20, 1 << 20, 1 << 30),
        reading: usage::capacity(),
    })
}
