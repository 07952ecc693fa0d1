//! Every provider type through a real Envoy: what it is sent, with which credential, and what its clients are told.

mod credentials;
mod forms;
mod shapes;

use serde_json::json;

use crate::rig::Rig;
use crate::rig::ask::{Ask, post};
use crate::rig::envoy::Topology;
use crate::rig::script::Script;
use crate::rig::serve::Recorded;

/// What a vendor must be sent. `{model}` stands for the model, in a path as the vendor must get it, and `{name}` for
/// the endpoint's name.
#[derive(Clone)]
struct Case {
    /// The provider, without its models.
    provider: &'static str,
    /// The path of the endpoints' URLs.
    url: &'static str,
    /// What the endpoints have beside it.
    endpoint: &'static str,
    models: [&'static str; 2],
    /// The same as they stand in a path or a query.
    encoded: [&'static str; 2],
    /// What the client asks for, below the base path.
    asks: &'static str,
    body: &'static str,
    /// What the vendor gets.
    path: &'static str,
    sent: &'static str,
    header: (&'static str, &'static str),
}

const BASE: Case = Case {
    provider: "type: openai",
    url: "/up/v1",
    endpoint: "api_key: { value: 'key-{name}' }",
    models: ["one", "two"],
    encoded: ["one", "two"],
    asks: "/chat/completions?a=%2F&&b=?c",
    body: r#"{ "model":"any", "messages":[] }"#,
    path: "/up/v1/chat/completions?a=%2F&&b=?c",
    sent: r#"{ "model":"{model}", "messages":[] }"#,
    header: ("authorization", "Bearer key-{name}"),
};

const BEDROCK: Case = Case {
    provider: "type: aws_bedrock",
    url: "",
    models: ["us.anthropic.claude-sonnet-4-20250514-v1:0", "us.meta.llama3-3-70b-instruct-v1:0"],
    encoded: ["us.anthropic.claude-sonnet-4-20250514-v1%3A0", "us.meta.llama3-3-70b-instruct-v1%3A0"],
    asks: "/model/any%3A0/converse",
    path: "/model/{model}/converse",
    body: r#"{"messages":[ ]}"#,
    sent: r#"{"messages":[ ]}"#,
    ..BASE
};

const GEMINI: Case = Case {
    provider: "type: gemini",
    url: "/v1beta",
    models: ["gemini-2.5-flash", "gemini-2.5-pro"],
    encoded: ["gemini-2.5-flash", "gemini-2.5-pro"],
    asks: "/models/any:generateContent?key=client-key",
    path: "/v1beta/models/{model}:generateContent",
    body: r#"{"contents":[ ]}"#,
    sent: r#"{"contents":[ ]}"#,
    header: ("x-goog-api-key", "key-{name}"),
    ..BASE
};

const AZURE: Case = Case {
    provider: "type: azure_openai",
    url: "/openai",
    models: ["gpt-4o", "gpt 4o mini"],
    encoded: ["gpt-4o", "gpt%204o%20mini"],
    asks: "/deployments/any/chat/completions?api-version=2024-10-21",
    path: "/openai/deployments/{model}/chat/completions?api-version=2024-10-21",
    body: r#"{ "messages":[] }"#,
    sent: r#"{ "messages":[] }"#,
    header: ("api-key", "key-{name}"),
    ..BASE
};

const CUSTOM: Case = Case { provider: "type: custom, operations: [/go]", url: "/up", ..BASE };

const CASES: &[Case] = &[
    BASE,
    Case { asks: "/embeddings", path: "/up/v1/embeddings", ..BASE },
    Case { provider: "type: openai_compatible", ..BASE },
    Case { provider: "type: mistral", asks: "/fim/completions", path: "/up/v1/fim/completions", ..BASE },
    AZURE,
    Case { body: r#"{"model":"any"}"#, sent: r#"{"model":"{model}"}"#, ..AZURE },
    Case {
        url: "/openai/v1",
        asks: "/chat/completions",
        path: "/openai/v1/chat/completions",
        body: BASE.body,
        sent: BASE.sent,
        ..AZURE
    },
    Case {
        provider: "type: azure_ai_foundry",
        url: "/models",
        asks: "/chat/completions?api-version=2024-05-01-preview",
        path: "/models/chat/completions?api-version=2024-05-01-preview",
        body: BASE.body,
        sent: BASE.sent,
        ..AZURE
    },
    Case {
        provider: "type: anthropic",
        url: "/v1",
        asks: "/messages?beta=true",
        path: "/v1/messages?beta=true",
        header: ("x-api-key", "key-{name}"),
        ..BASE
    },
    GEMINI,
    Case {
        asks: "/models/any:streamGenerateContent?alt=sse",
        path: "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        ..GEMINI
    },
    Case {
        asks: "/models/any:embedContent",
        path: "/v1beta/models/{model}:embedContent",
        body: r#"{"model":"models/any"}"#,
        sent: r#"{"model":"models/{model}"}"#,
        ..GEMINI
    },
    Case {
        asks: "/models/any:batchEmbedContents",
        path: "/v1beta/models/{model}:batchEmbedContents",
        body: r#"{"requests":[{"model":"models/any","content":{}}, {"model":"models/any"}]}"#,
        sent: r#"{"requests":[{"model":"models/{model}","content":{}}, {"model":"models/{model}"}]}"#,
        ..GEMINI
    },
    // A URL without a version: the client's goes on.
    Case { url: "", asks: "/v1/models/any:countTokens", path: "/v1/models/{model}:countTokens", ..GEMINI },
    BEDROCK,
    Case { asks: "/model/x/converse-stream", path: "/model/{model}/converse-stream", ..BEDROCK },
    Case { asks: "/model/x/invoke", path: "/model/{model}/invoke", body: "", sent: "", ..BEDROCK },
    Case {
        asks: "/model/x/invoke-with-response-stream",
        path: "/model/{model}/invoke-with-response-stream",
        ..BEDROCK
    },
    Case {
        provider: "type: custom, operations: [/go], model: { header: x-llm }",
        url: "/up",
        asks: "/go",
        path: "/up/go",
        header: ("x-llm", "{model}"),
        ..BASE
    },
    Case {
        provider: "type: custom, operations: [/go], model: { query: llm }",
        models: ["a&b", "c d"],
        encoded: ["a%26b", "c%20d"],
        asks: "/go?x=1&llm=any&y=2",
        path: "/up/go?x=1&llm={model}&y=2",
        ..CUSTOM
    },
    Case {
        provider: "type: custom, operations: ['/engines/{model}/go']",
        asks: "/engines/any/go",
        path: "/up/engines/{model}/go",
        body: r#"{"x":1}"#,
        sent: r#"{"x":1}"#,
        ..CUSTOM
    },
    Case {
        endpoint: "api_key: { value: 'key-{name}' }, auth: { header: X-House-Key }",
        header: ("x-house-key", "key-{name}"),
        asks: "/go",
        path: "/up/go",
        ..CUSTOM
    },
    Case {
        endpoint: "api_key: { value: 'key-{name}' }, auth: { query: token }",
        path: "/up/go?a=b&token=key-{name}",
        asks: "/go?token=client-key&a=b",
        header: ("authorization", ""),
        ..CUSTOM
    },
    Case {
        endpoint: "api_key: { value: 'user:pass' }, auth: basic",
        header: ("authorization", "Basic dXNlcjpwYXNz"),
        asks: "/go",
        path: "/up/go",
        ..CUSTOM
    },
    Case { endpoint: "auth: { aws_sigv4: { region: us-east-1 } }", header: ("authorization", ""), ..BEDROCK },
];

/// The endpoints, in the order of their turns.
const NAMES: [&str; 2] = ["east", "west"];

impl Case {
    fn policy(&self, policy: &str) -> String {
        let models = self.models.map(|model| format!("'{model}'")).join(", ");
        let endpoint = |name: &str| {
            let more = self.endpoint.replace("{name}", name);
            format!("  {name}: {{ provider: p, url: '{{{{{name}}}}}{}', {more} }}\n", self.url)
        };
        let target = |index: usize| format!("{{ model: '{}', endpoint: {} }}", self.models[index], NAMES[index]);
        format!(
            "providers: {{ p: {{ {}, models: [ {models} ] }} }}
endpoints:
{}apis:
  - name: a
    base_path: /base
    production: {{ round_robin: {{ {policy} targets: [ {}, {} ] }} }}
",
            self.provider,
            NAMES.map(endpoint).concat(),
            target(0),
            target(1)
        )
    }

    fn ask(&self) -> Ask {
        let ask = post(&format!("/base{}", self.asks)).body(self.body).header("content-type", "application/json");
        let credentials = ["authorization", "api-key", "x-api-key", "x-goog-api-key", "x-amz-security-token"];
        // What only this policy knows to be its own.
        let own = ["x-house-key", "x-llm"].into_iter().filter(|name| self.header.0 == *name);
        credentials.into_iter().chain(own).fold(ask, |ask, name| ask.header(name, "client-key"))
    }

    /// Takes what this endpoint must get and refuses everything else, saying why.
    fn strict(&self, index: usize, host: String) -> Script {
        let case = self.clone();
        Script::by(move |request| match case.wrong(index, &host, request) {
            None => Script::json(200, &json!({ "served": case.models[index] })),
            Some(why) => Script::json(418, &json!({ "wrong": why })),
        })
    }

    fn wrong(&self, index: usize, host: &str, request: &Recorded) -> Option<String> {
        let fill = |text: &str, model: &str| text.replace("{model}", model).replace("{name}", NAMES[index]);
        let (name, value) = self.header;
        let all = format!("{} {:?}", request.path, request.headers);
        let pairs = [
            ("path", fill(self.path, self.encoded[index]), request.path.clone()),
            ("body", fill(self.sent, self.models[index]), String::from_utf8_lossy(&request.body).into_owned()),
            ("header", fill(value, self.models[index]), request.header(name).to_owned()),
            ("host", host.to_owned(), request.header("host").to_owned()),
            ("length", request.body.len().to_string(), request.header("content-length").to_owned()),
        ];
        let wrong = pairs.into_iter().find(|(_, expected, found)| expected != found);
        wrong.map(|wrong| format!("{wrong:?}")).or_else(|| all.contains("client-key").then_some(all))
    }

    async fn rig(&self, policy: &str) -> Rig {
        let rig = Rig::start(Topology::Failover, &self.policy(policy), &NAMES).await;
        for (index, name) in NAMES.into_iter().enumerate() {
            let provider = rig.provider(name);
            provider.answer(self.strict(index, provider.addr().to_string()));
        }
        rig
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_type_takes_turns_and_fails_over_with_its_own_path_credential_and_body() {
    for case in CASES {
        let what = format!("{} {}", case.provider, case.asks);
        let rig = case.rig("").await;
        for turn in 0..4 {
            let answer = rig.send(case.ask()).await;
            assert_eq!((answer.status, answer.provider()), (200, NAMES[turn % 2]), "{what}: {}", answer.text());
            assert_eq!(answer.header("x-model-router-model"), case.models[turn % 2], "{what}");
        }
        rig.provider("east").answer(Script::status(503));
        let answer = rig.send(case.ask()).await;
        assert_eq!((answer.status, answer.provider()), (200, "west"), "{what}: {}", answer.text());
        assert_eq!(rig.hits(), [3, 3], "{what}");
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_in_a_path_names_the_entry_of_a_failover_policy() {
    let policy = "
providers: { p: { type: aws_bedrock, models: { meta: ['llama:0'], anthropic: ['claude:1'] } } }
endpoints:
  east: { provider: p, url: '{{east}}', api_key: { value: key-east } }
  west: { provider: p, url: '{{west}}', api_key: { value: key-west } }
apis:
  - name: a
    production:
      failover:
        entries:
          - primary: { model: 'llama:0', family: meta, endpoint: east }
            fallbacks: [ { model: 'claude:1', family: anthropic, endpoint: west } ]
          - primary: { model: 'claude:1', endpoint: west }
";
    let rig = Rig::start(Topology::Failover, policy, &["east", "west"]).await;
    let ask = |model: &str| post(&format!("/model/{model}/converse")).body("{}");
    for (asked, path) in [("llama%3A0", "/model/llama%3A0/converse"), ("llama:0", "/model/llama%3A0/converse")] {
        assert_eq!(rig.send(ask(asked)).await.provider(), "east");
        assert_eq!(rig.provider("east").last().path, path);
    }
    assert_eq!(rig.send(ask("claude%3A1")).await.provider(), "west");
    rig.provider("east").answer(Script::status(429));
    assert_eq!(rig.send(ask("llama%3A0")).await.header("x-model-router-model"), "claude:1");
    let unknown = rig.send(ask("mistral%3A2")).await;
    assert_eq!((unknown.status, unknown.header("x-amzn-errortype")), (404, "ResourceNotFoundException"));
    let message = "there is no model `mistral:2`; there are `llama:0`, `claude:1`";
    assert_eq!(unknown.json(), json!({ "message": message }));
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_streams_has_the_time_limit_of_streams() {
    for (asks, limits) in [
        ("/models/any:streamGenerateContent", "first_byte_timeout: 300ms, request_timeout: 50s,"),
        ("/models/any:generateContent", "first_byte_timeout: 50s, request_timeout: 300ms,"),
    ] {
        let case = Case { asks, ..GEMINI };
        let rig = Rig::start(Topology::Failover, &case.policy(limits), &NAMES).await;
        rig.provider("east").answer(Script::Hang);
        let answer = rig.send(case.ask()).await;
        assert_eq!((answer.status, answer.provider()), (200, "west"), "{asks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_body_is_sent_on_where_its_model_is_elsewhere() {
    for topology in [Topology::Attach, Topology::Failover] {
        let case = Case {
            provider: "type: custom, operations: [{ path: /go, methods: [GET] }], model: { query: llm }",
            ..CUSTOM
        };
        let rig = Rig::start(topology, &case.policy(""), &NAMES).await;
        let answer = rig.send(crate::rig::ask::get("/base/go?llm=any&x=1")).await;
        assert_eq!((answer.status, answer.provider()), (200, "east"));
        let sent = rig.provider("east").last();
        assert_eq!((&*sent.path, sent.header("authorization")), ("/up/go?llm=one&x=1", "Bearer key-east"));
        rig.check_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_body_goes_on_as_it_is_where_the_model_is_in_the_path() {
    let case = Case { body: "\u{0}not json", ..BEDROCK };
    let rig = Rig::start(Topology::Failover, &case.policy(""), &NAMES).await;
    let ask = post("/base/model/x/invoke").body(case.body).header("content-type", "application/octet-stream");
    assert_eq!(rig.send(ask).await.status, 200);
    assert_eq!(rig.provider("east").last().body, case.body);
    rig.check_clean().await;
}
