//! Checks that several themes share.

use std::collections::BTreeMap;

use model_router::admin::proto::admin_client::AdminClient;
use model_router::admin::proto::{GetStatusRequest, GetStatusResponse, ListTargetsRequest, State};
use serde_json::Value;
use tonic::transport::Channel;

use crate::rig::Rig;
use crate::rig::client::Answer;
use crate::rig::envoy::Topology;
use crate::rig::load::Tally;
use crate::rig::router::Router;

/// The answer is an error in OpenAI's shape, with this status and this code.
#[track_caller]
pub(crate) fn check_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code);
    assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
    assert_eq!(error.get("param"), Some(&Value::Null));
}

/// A policy file with one API below `/v1`: `policy` for production, an endpoint for each that it names.
pub(crate) fn production(policy: &str) -> String {
    let endpoint = |name: &&str| policy.contains(&format!("endpoint: {name}"));
    let endpoints: Vec<_> = ["east", "middle", "west"].into_iter().filter(endpoint).map(endpoint_line).collect();
    let policy: Vec<_> = policy.lines().map(|line| format!("  {line}")).collect();
    format!(
        "providers: {{ openai: {{ type: openai, models: [gpt-4o, o1-mini, gpt-4o-mini] }} }}
endpoints:
{}
apis:
  - name: chat
    base_path: /v1
    production:
{}
",
        endpoints.join("\n"),
        policy.join("\n")
    )
}

fn endpoint_line(name: &str) -> String {
    format!("  {name}: {{ provider: openai, url: '{{{{{name}}}}}/up/v1', api_key: {{ value: key-{name} }} }}")
}

/// Every request was answered, and by these models, so often.
#[track_caller]
pub(crate) fn check_share(answers: &[Result<Answer, String>], shares: &[(&str, usize)]) {
    let tally = Tally::of(answers);
    assert_eq!(tally.errors, BTreeMap::new());
    let expected = shares.iter().map(|&(model, share)| (model.to_owned(), share)).collect();
    assert_eq!(tally.models, expected, "{:?}", tally.statuses);
}

/// A connection to a router's admin listener.
pub(crate) async fn channel(router: &Router) -> Channel {
    let address = Channel::from_shared(format!("http://{}", router.admin())).expect("an address");
    address.connect().await.expect("the admin API listens")
}

/// A client of a router's admin API.
pub(crate) async fn admin(router: &Router) -> AdminClient<Channel> {
    AdminClient::new(channel(router).await)
}

/// What a router says of its policy.
pub(crate) async fn status(router: &Router) -> GetStatusResponse {
    admin(router).await.get_status(GetStatusRequest {}).await.expect("a status").into_inner()
}

/// A target's state, as `model-router status` names it in JSON.
pub(crate) async fn status_of(router: &Router, model: &str, endpoint: &str) -> &'static str {
    let targets = admin(router).await.list_targets(ListTargetsRequest {}).await.expect("targets").into_inner().targets;
    let target = targets.iter().find(|target| (&*target.model, &*target.endpoint) == (model, endpoint));
    match target.expect("a target of this policy").state() {
        State::Unspecified => "unspecified",
        State::Ready => "ready",
        State::Suspended => "suspended",
        State::ProbeDue => "probe_due",
        State::Probing => "probing",
        State::Priming => "priming",
    }
}

/// One model at two endpoints in turn, below `/all`, in the failover topology. `url` is what follows the endpoints'
/// address.
pub(crate) async fn in_turn(kind: &str, url: &str) -> Rig {
    let policy = format!(
        "providers: {{ p: {{ type: {kind}, models: [one] }} }}
endpoints:
  east: {{ provider: p, url: '{{{{east}}}}{url}', api_key: {{ value: key-east }} }}
  west: {{ provider: p, url: '{{{{west}}}}{url}', api_key: {{ value: key-west }} }}
apis:
  - name: all
    base_path: /all
    production:
      round_robin:
        retry_budget_percent: 1000
        targets: [ {{ model: one, endpoint: east }}, {{ model: one, endpoint: west }} ]
"
    );
    Rig::start(Topology::Failover, &policy, &["east", "west"]).await
}
