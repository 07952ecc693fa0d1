//! The admin service: the router's state, and suspensions by hand. Nothing here changes the policy.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tonic::{Request, Response, Status};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::proto::admin_server::{Admin, AdminServer};
use super::proto::{
    self, Classifier, ExplainRequest, ExplainResponse, Failure, GetOutlineRequest, GetOutlineResponse,
    GetStatusRequest, GetStatusResponse, GetUsageRequest, GetUsageResponse, ListClassifiersRequest,
    ListClassifiersResponse, ListDecisionsRequest, ListDecisionsResponse, ListTargetsRequest, ListTargetsResponse,
    Policy, RefusedReload, ResumeRequest, ResumeResponse, State, SuspendRequest, SuspendResponse, SuspendedOperation,
    Target, UsedByResponse,
};
use crate::classifier::Asked;
use crate::document::words::instead;
use crate::dry_run::explain::{RawRequest, explain, rehearsal};
use crate::gateway::Gateway;
use crate::policy_file::PolicyStatus;
use crate::policy_file::outline::outline;
use crate::routing::api::Environment;
use crate::routing::decision::{Decision, Used};
use crate::routing::suspension::{Availability, TargetState};
use crate::routing::usage::{Known, Tokens};
use crate::telemetry::{Account, Sum};

/// The service.
#[derive(Clone, Debug)]
pub struct AdminService {
    gateway: Arc<Gateway>,
    policy: Arc<PolicyStatus>,
    started_at: SystemTime,
    /// The salt of the fingerprints of credentials.
    salt: u64,
}

impl AdminService {
    /// Creates the service of a router that starts now.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, policy: Arc<PolicyStatus>) -> Self {
        Self { gateway, policy, started_at: SystemTime::now(), salt: RandomState::new().hash_one(0) }
    }

    /// Ready to be added to a server.
    #[must_use]
    pub fn server(self) -> AdminServer<Self> {
        AdminServer::new(self)
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        Ok(Response::new(self.status()))
    }

    async fn list_targets(&self, _: Request<ListTargetsRequest>) -> Result<Response<ListTargetsResponse>, Status> {
        Ok(Response::new(ListTargetsResponse { targets: self.described_targets() }))
    }

    async fn list_classifiers(
        &self,
        _: Request<ListClassifiersRequest>,
    ) -> Result<Response<ListClassifiersResponse>, Status> {
        Ok(Response::new(ListClassifiersResponse { classifiers: self.described_classifiers() }))
    }

    async fn list_decisions(
        &self,
        request: Request<ListDecisionsRequest>,
    ) -> Result<Response<ListDecisionsResponse>, Status> {
        let ListDecisionsRequest { limit, request_id } = request.into_inner();
        let most = if limit == 0 { usize::MAX } else { limit as usize };
        let is_meant = |decision: &Decision| decision.request_id.as_deref() == Some(&*request_id);
        let recent = self.gateway.telemetry.recent(|decision| request_id.is_empty() || is_meant(decision), most);
        let kept = u32::try_from(self.gateway.telemetry.recent(|_| true, usize::MAX).len()).unwrap_or(u32::MAX);
        let decisions = recent.iter().map(|decision| to_message(decision)).collect();
        Ok(Response::new(ListDecisionsResponse { decisions, kept }))
    }

    async fn get_usage(&self, request: Request<GetUsageRequest>) -> Result<Response<GetUsageResponse>, Status> {
        let since = request.into_inner().since.and_then(|since| Duration::try_from(since).ok());
        Ok(Response::new(GetUsageResponse { usage: self.usage(since.unwrap_or(HOUR)) }))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        let ExplainRequest { request, environment, no_call } = request.into_inner();
        let request = RawRequest::parse(&request).map_err(Status::invalid_argument)?;
        let request = if environment.is_empty() { request } else { request.in_environment(&environment) };
        let rehearsal = Arc::new(rehearsal(&self.gateway.router.snapshot(), Instant::now()));
        // What did not happen is not logged.
        let explanation = explain(rehearsal, &request, !no_call).with_subscriber(NoSubscriber::default()).await;
        let json = format!("{:#}", serde_json::json!(explanation));
        Ok(Response::new(ExplainResponse { text: explanation.to_string(), json }))
    }

    async fn get_outline(&self, _: Request<GetOutlineRequest>) -> Result<Response<GetOutlineResponse>, Status> {
        let salt = self.salt.to_be_bytes();
        let things = outline(&self.gateway.router.snapshot(), &salt).into_iter().collect();
        Ok(Response::new(GetOutlineResponse { things, salt: salt.to_vec() }))
    }

    async fn suspend(&self, request: Request<SuspendRequest>) -> Result<Response<SuspendResponse>, Status> {
        let SuspendRequest { endpoint, model, duration, reason } = request.into_inner();
        let duration = duration.and_then(|duration| Duration::try_from(duration).ok()).unwrap_or_default();
        if duration.is_zero() || duration > MAX_SUSPENSION {
            return Err(Status::invalid_argument("a suspension lasts more than nothing and at most 24 hours"));
        }
        let (targets, now) = (self.find(&endpoint, &model)?, Instant::now());
        let reason: String = reason.chars().take(MAX_REASON_CHARS).collect();
        match (&targets[0], model.as_str()) {
            (target, "") => target.endpoint.suspend(duration, &reason, now),
            (target, _) => target.suspend(duration, &reason, now),
        }
        Ok(Response::new(SuspendResponse {}))
    }

    async fn resume(&self, request: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        let ResumeRequest { endpoint, model } = request.into_inner();
        let targets = self.find(&endpoint, &model)?;
        if model.is_empty() {
            targets[0].endpoint.resume();
        }
        targets.iter().for_each(|target| target.resume());
        Ok(Response::new(ResumeResponse {}))
    }
}

/// How far back usage goes where nothing is said.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// A suspension by hand is for a while: what is to last belongs in the policy file.
const MAX_SUSPENSION: Duration = Duration::from_secs(24 * 3600);

/// The longest reason that is logged.
const MAX_REASON_CHARS: usize = 200;

impl AdminService {
    pub(super) fn status(&self) -> GetStatusResponse {
        let snapshot = self.gateway.router.snapshot();
        let status = self.policy.get();
        GetStatusResponse {
            router_version: env!("CARGO_PKG_VERSION").into(),
            started_at: Some(self.started_at.into()),
            policy: Some(Policy {
                file: self.policy.name().to_owned(),
                version: snapshot.version,
                sha256: snapshot.hash.clone(),
                applied_at: Some(status.applied_at.into()),
            }),
            last_refused_reload: status
                .refused
                .map(|refused| RefusedReload { at: Some(refused.at.into()), report: refused.report }),
        }
    }

    pub(super) fn described_targets(&self) -> Vec<Target> {
        let now = Instant::now();
        self.targets().into_values().map(|(state, used_by)| describe(&state, used_by, now)).collect()
    }

    pub(super) fn described_classifiers(&self) -> Vec<Classifier> {
        let (snapshot, now) = (self.gateway.router.snapshot(), Instant::now());
        let mut described = BTreeMap::new();
        for api in snapshot.apis.iter() {
            for environment in [Environment::Production, Environment::Sandbox] {
                let sorted = api.policy(environment).into_iter().flat_map(|policy| policy.sorted());
                for asked in sorted.flat_map(|sorted| sorted.sorter.services()) {
                    let entry =
                        described.entry((asked.kind(), asked.name())).or_insert_with(|| to_classifier(asked, now));
                    let user = format!("{}/{}", api.name, environment.name());
                    if entry.used_by.last() != Some(&user) {
                        entry.used_by.push(user);
                    }
                    if matches!(asked, Asked::Embedder(routes) if routes.index().is_none()) {
                        entry.state = State::Priming.into();
                    }
                }
            }
        }
        described.into_values().collect()
    }

    /// Returns what responses used in the last minutes.
    pub(super) fn usage(&self, since: Duration) -> Vec<proto::Usage> {
        self.gateway.telemetry.usage(since).iter().map(|(account, sum)| to_usage(account, sum)).collect()
    }

    /// Returns the last decisions, newest first.
    pub(super) fn decisions(&self, most: usize) -> Vec<proto::Decision> {
        self.gateway.telemetry.recent(|_| true, most).iter().map(|decision| to_message(decision)).collect()
    }

    /// Returns the targets of an endpoint, or one of them.
    #[allow(clippy::result_large_err)] // tonic's own type.
    fn find(&self, endpoint: &str, model: &str) -> Result<Vec<Arc<TargetState>>, Status> {
        let targets = self.targets();
        let fits = |name: &(String, String)| name.0 == endpoint && (model.is_empty() || name.1 == model);
        let found: Vec<_> = targets.iter().filter(|(name, _)| fits(name)).map(|(_, (it, _))| Arc::clone(it)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let endpoints: BTreeSet<_> = targets.keys().map(|(endpoint, _)| endpoint.as_str()).collect();
        let (message, help) = if endpoints.contains(endpoint) {
            let models = targets.keys().filter(|(known, _)| known == endpoint).map(|(_, model)| model.as_str());
            (format!("the live policy has no target `{model}` at `{endpoint}`"), instead(model, models))
        } else {
            let message = format!("no target of the live policy is at the endpoint `{endpoint}`");
            (message, instead(endpoint, endpoints))
        };
        Err(Status::not_found(help.map_or(message.clone(), |help| format!("{message}; {help}"))))
    }

    /// Every target of the live policy once, with the lists that name it.
    fn targets(&self) -> BTreeMap<(String, String), (Arc<TargetState>, Vec<String>)> {
        let mut targets = BTreeMap::new();
        for api in self.gateway.router.snapshot().apis.iter() {
            for environment in [Environment::Production, Environment::Sandbox] {
                for target in api.policy(environment).map_or(&[][..], |policy| &policy.targets) {
                    let key = (target.endpoint.name.to_string(), target.model.to_string());
                    let entry = targets.entry(key).or_insert_with(|| (Arc::clone(&target.state), Vec::new()));
                    entry.1.push(format!("{}/{}", api.name, environment.name()));
                }
            }
        }
        targets
    }
}

fn to_classifier(asked: Asked<'_>, now: Instant) -> Classifier {
    let (counts, (availability, remaining)) = (asked.counts(), to_state(asked.availability(now), now));
    Classifier {
        name: asked.name().to_string(),
        kind: asked.kind().name().to_owned(),
        state: availability.into(),
        remaining,
        calls: counts.calls,
        shared: counts.shared,
        verdicts: counts.verdicts.into_iter().map(|(label, count)| (label.to_owned(), count)).collect(),
        used_by: Vec::new(),
    }
}

fn describe(state: &TargetState, used_by: Vec<String>, now: Instant) -> Target {
    let counts = state.counts();
    let (availability, remaining) = to_state(state.availability(now), now);
    Target {
        model: state.model.to_string(),
        endpoint: state.endpoint.name.to_string(),
        state: availability.into(),
        remaining,
        dispatched: counts.dispatched,
        served: counts.served,
        failed: counts.failed,
        used_by,
        last_failure: state.last_cause().map(|cause| Failure {
            at: Some(cause.at.into()),
            status: cause.status.into(),
            code: cause.code.into(),
        }),
        suspended_operations: state
            .suspended_operations(now)
            .into_iter()
            .map(|(operation, availability)| SuspendedOperation {
                operation: operation.to_string(),
                remaining: to_state(availability, now).1,
            })
            .collect(),
    }
}

fn to_usage(account: &Account, sum: &Sum) -> proto::Usage {
    let [reported, estimated, incomplete, unread] = sum.responses;
    let tokens = to_tokens(&sum.tokens, &sum.estimated);
    let costs = sum.costs.iter().map(|(currency, amount)| to_cost(currency, *amount)).collect();
    proto::Usage {
        api: account.api.to_string(),
        environment: account.environment.to_owned(),
        model: account.model.to_string(),
        endpoint: account.endpoint.to_string(),
        reported,
        estimated,
        incomplete,
        unread,
        tokens: Some(tokens),
        costs,
    }
}

fn to_tokens(tokens: &Tokens, estimated: &Tokens) -> proto::Tokens {
    proto::Tokens {
        input: tokens.input,
        cached_input: tokens.cached_input,
        cache_write: tokens.cache_write,
        output: tokens.output,
        reasoning: tokens.reasoning,
        estimated_input: estimated.input,
        estimated_output: estimated.output,
    }
}

fn to_cost(currency: &str, amount: f64) -> proto::Cost {
    proto::Cost { amount, currency: currency.to_owned() }
}

fn to_used(used: &Used) -> UsedByResponse {
    let is_estimated = matches!(used.usage.known, Known::Estimated | Known::Incomplete);
    let estimated = if is_estimated { used.usage.tokens } else { Tokens::default() };
    UsedByResponse {
        known: used.usage.known.name().to_owned(),
        tokens: Some(to_tokens(&used.usage.tokens, &estimated)),
        cost: used.cost.as_ref().map(|cost| to_cost(&cost.currency, cost.amount)),
        first_byte: used.times.map(|(first, _)| to_proto(first)),
        last_byte: used.times.map(|(_, last)| to_proto(last)),
        response_model: used.usage.model.as_deref().unwrap_or_default().to_owned(),
        ended: used.has_ended,
    }
}

fn to_message(decision: &Decision) -> proto::Decision {
    let (answer, classification) = (decision.answer.get().copied(), decision.classification.as_ref());
    let closeness = classification.and_then(|it| it.closeness.as_ref());
    let second = closeness.and_then(|closeness| closeness.second.as_ref());
    let unsure = classification.and_then(|it| it.unsure.as_ref());
    let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    proto::Decision {
        at: Some(decision.at.into()),
        request_id: text(&decision.request_id),
        api: decision.api.to_string(),
        environment: decision.environment.to_owned(),
        policy: decision.policy.to_owned(),
        requested: text(&decision.requested),
        model: decision.model.as_ref().map(ToString::to_string).unwrap_or_default(),
        endpoint: decision.endpoint.to_string(),
        attempt: decision.attempt,
        reason: decision.reason(),
        policy_version: decision.policy_version,
        status: answer.map_or(0, |answer| answer.status.into()),
        outcome: answer.map(|answer| answer.outcome.to_owned()).unwrap_or_default(),
        took: answer.map(|answer| to_proto(answer.took)),
        goes_on: answer.is_some_and(|answer| answer.goes_on),
        waited: Some(to_proto(decision.waited)),
        worked: Some(to_proto(decision.worked)),
        passed_over: text(&decision.skipped),
        after: text(&decision.after),
        probe: decision.probe,
        verdict: classification.map(|it| it.verdict.to_owned()).unwrap_or_default(),
        rule: classification.map(|it| text(&it.rule)).unwrap_or_default(),
        score: closeness.map(|closeness| closeness.score),
        threshold: closeness.map(|closeness| closeness.threshold),
        nearest: closeness.map(|closeness| closeness.route.to_string()).unwrap_or_default(),
        second: second.map(|(route, _)| route.to_string()).unwrap_or_default(),
        second_score: second.map(|(_, score)| *score),
        unsure: unsure.map(|(_, verdict)| (*verdict).to_owned()).unwrap_or_default(),
        used: decision.used.get().map(to_used),
    }
}

fn to_state(availability: Availability, now: Instant) -> (State, Option<prost_types::Duration>) {
    let (state, until) = match availability {
        Availability::Ready => (State::Ready, None),
        Availability::ProbeDue => (State::ProbeDue, None),
        Availability::Suspended(until) => (State::Suspended, Some(until)),
        Availability::Probing(until) => (State::Probing, Some(until)),
    };
    (state, until.map(|until| to_proto(until.saturating_duration_since(now))))
}

/// Durations here are minutes: the conversion can't overflow.
fn to_proto(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap_or_default()
}
