//! Vendors' responses: each row of `tests/responses/*.tsv` through a real Envoy. A row has a status, headers, a body,
//! what it means, and its source; the file's name is the provider's type.

mod row;

use std::collections::BTreeSet;

use model_router::admin::proto::{ListDecisionsRequest, ListTargetsRequest, ResumeRequest, State};
use serde_json::json;

use crate::check::admin;
use crate::rig::Rig;
use crate::rig::ask::{Ask, post};
use crate::rig::envoy::Topology;
use crate::rig::script::Script;
use row::{Meaning, Row, rows};

/// What a provider type's requests look like.
struct Vendor {
    name: &'static str,
    /// The path of the endpoints' URLs.
    url: &'static str,
    /// A path for a whole response, one for a stream, and one of another operation.
    paths: [&'static str; 3],
}

const VENDORS: [Vendor; 7] = [
    Vendor { name: "openai", url: "/v1", paths: ["/chat/completions", "/chat/completions", "/embeddings"] },
    Vendor { name: "openai_compatible", url: "/v1", paths: ["/chat/completions", "/chat/completions", "/embeddings"] },
    Vendor { name: "mistral", url: "/v1", paths: ["/chat/completions", "/chat/completions", "/embeddings"] },
    Vendor {
        name: "azure_openai",
        url: "/openai",
        paths: [
            "/deployments/one/chat/completions?api-version=1",
            "/deployments/one/chat/completions?api-version=1",
            "/deployments/one/embeddings?api-version=1",
        ],
    },
    Vendor { name: "anthropic", url: "/v1", paths: ["/messages", "/messages", "/messages/count_tokens"] },
    Vendor {
        name: "gemini",
        url: "/v1beta",
        paths: ["/models/one:generateContent", "/models/one:streamGenerateContent", "/models/one:countTokens"],
    },
    Vendor {
        name: "aws_bedrock",
        url: "",
        paths: ["/model/one/converse", "/model/one/converse-stream", "/model/one/count-tokens"],
    },
];

impl Vendor {
    /// The first API returns the request's own faults, the second one tries the next candidate.
    fn policy(&self) -> String {
        let Self { name, url, .. } = self;
        let api = |name: &str, more: &str| {
            format!(
                "  - name: {name}
    base_path: /{name}
    production:
      failover:
        inspect_first_event: true
        first_byte_timeout: 20s
        retry_budget_percent: 1000
{more}        entries:
          - {{ primary: {{ model: one, endpoint: east }}, fallbacks: [{{ model: one, endpoint: west }}] }}
          - {{ primary: {{ model: two, endpoint: east }}, fallbacks: [{{ model: two, endpoint: west }}] }}
"
            )
        };
        format!(
            "providers: {{ p: {{ type: {name}, models: [one, two] }} }}
endpoints:
  east: {{ provider: p, url: '{{{{east}}}}{url}', api_key: {{ value: key-east }} }}
  west: {{ provider: p, url: '{{{{west}}}}{url}', api_key: {{ value: key-west }} }}
apis:
{}{}",
            api("plain", ""),
            api("next", "        next_on: [context_length, content_filter, region]\n")
        )
    }

    fn ask(&self, api: &str, path: usize, streamed: bool) -> Ask {
        let body = json!({ "model": "one", "stream": streamed, "messages": [] });
        post(&format!("/{api}{}", self.paths[path])).json(&body)
    }
}

/// The facts of one request.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    provider: String,
    outcome: String,
    /// Whether `one` and `two` at the first endpoint are ready.
    ready: [bool; 2],
}

async fn seen(rig: &Rig, ask: Ask) -> Seen {
    let answer = rig.send(ask).await;
    let mut admin = admin(&rig.router).await;
    let request = ListDecisionsRequest { limit: 4, ..ListDecisionsRequest::default() };
    let decisions = admin.list_decisions(request).await.unwrap().into_inner().decisions;
    let first = decisions.iter().find(|decision| decision.attempt == 1).expect("a first attempt");
    let targets = admin.list_targets(ListTargetsRequest {}).await.unwrap().into_inner().targets;
    let ready = ["one", "two"].map(|model| {
        let target = targets.iter().find(|target| (&*target.model, &*target.endpoint) == (model, "east"));
        target.expect("a target").state() == State::Ready
    });
    Seen { status: answer.status, provider: answer.provider().to_owned(), outcome: first.outcome.clone(), ready }
}

async fn reset(rig: &Rig) {
    let request = ResumeRequest { endpoint: "east".to_owned(), ..ResumeRequest::default() };
    admin(&rig.router).await.resume(request).await.unwrap();
}

async fn check(vendor: &Vendor) {
    let rig = Rig::start(Topology::Failover, &vendor.policy(), &["east", "west"]).await;
    rig.provider("west").answer(Script::json(200, &json!({ "served": "west" })));
    let mut wrong = Vec::new();
    for row in rows(vendor.name) {
        rig.provider("east").answer(row.script());
        for streamed in row.streamed() {
            for api in ["plain", "next"] {
                let found = seen(&rig, vendor.ask(api, usize::from(*streamed), *streamed)).await;
                let expected = expected(&row, api == "next");
                if found != expected {
                    wrong.push(format!("{} {row}, streamed: {streamed}\n  {found:?}\n  {expected:?}", vendor.name));
                }
                if row.meaning == Meaning::Operation {
                    rig.clear();
                    rig.send(vendor.ask(api, 2, false)).await;
                    let another = rig.provider("east").hits();
                    rig.clear();
                    rig.send(vendor.ask(api, usize::from(*streamed), *streamed)).await;
                    let hits = [another, rig.provider("east").hits()];
                    if hits != [1, 0] {
                        wrong.push(format!("{row}: another operation and the same one were asked {hits:?} times"));
                    }
                }
                reset(&rig).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of the rows:\n{}", wrong.len(), wrong.join("\n"));
}

fn expected(row: &Row, next_on: bool) -> Seen {
    let goes_on = row.meaning.is_failure() || (next_on && row.meaning.is_next_on());
    let (status, provider) = if goes_on { (200, "west") } else { (row.status, "east") };
    let ready = match row.meaning {
        Meaning::Endpoint => [false, false],
        Meaning::Target | Meaning::Quota | Meaning::Failed | Meaning::ServedLast => [false, true],
        _ => [true, true],
    };
    Seen { status, provider: provider.to_owned(), outcome: row.meaning.outcome().to_owned(), ready }
}

macro_rules! each_vendor {
    ($($name:ident: $index:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                check(&VENDORS[$index]).await;
            }
        )*
    };
}

each_vendor! {
    responses_of_openai_mean_what_the_table_says: 0;
    responses_of_compatible_servers_mean_what_the_table_says: 1;
    responses_of_mistral_mean_what_the_table_says: 2;
    responses_of_azure_mean_what_the_table_says: 3;
    responses_of_anthropic_mean_what_the_table_says: 4;
    responses_of_gemini_mean_what_the_table_says: 5;
    responses_of_bedrock_mean_what_the_table_says: 6;
}

#[test]
fn there_are_many_rows_and_each_has_a_source() {
    let all: Vec<_> = VENDORS.iter().flat_map(|vendor| rows(vendor.name)).collect();
    assert!(all.len() >= 150, "{}", all.len());
    let distinct: BTreeSet<_> = all.iter().map(|row| (row.status, row.headers.clone(), row.body.clone())).collect();
    assert!(distinct.len() >= 150, "{}", distinct.len());
    assert!(all.iter().all(|row| row.source.len() > 3));
}
