//! Answers from the router's own state; nothing here changes anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tonic::{Request, Response, Status};

use super::proto::admin_server::{Admin, AdminServer};
use super::proto::{
    GetStatusRequest, GetStatusResponse, ListTargetsRequest, ListTargetsResponse, Policy, RefusedReload, State, Target,
};
use crate::api::Environment;
use crate::health::{Standing, TargetState};
use crate::reload::Source;
use crate::router::Router;

/// The service.
#[derive(Debug)]
pub struct AdminService {
    router: Arc<Router>,
    source: Arc<Source>,
    started_at: SystemTime,
}

impl AdminService {
    /// The service, ready to be added to a server.
    #[must_use]
    pub fn server(router: Arc<Router>, source: Arc<Source>) -> AdminServer<Self> {
        AdminServer::new(Self { router, source, started_at: SystemTime::now() })
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let snapshot = self.router.snapshot();
        let status = self.source.status();
        Ok(Response::new(GetStatusResponse {
            router_version: env!("CARGO_PKG_VERSION").into(),
            started_at: Some(self.started_at.into()),
            policy: Some(Policy {
                file: self.source.name(),
                version: snapshot.version,
                sha256: snapshot.hash.clone(),
                applied_at: Some(status.applied_at.into()),
            }),
            last_refused_reload: status
                .refused
                .map(|refused| RefusedReload { at: Some(refused.at.into()), report: refused.report }),
        }))
    }

    async fn list_targets(&self, _: Request<ListTargetsRequest>) -> Result<Response<ListTargetsResponse>, Status> {
        let now = Instant::now();
        let targets = self.targets().into_values().map(|(state, used_by)| describe(&state, used_by, now)).collect();
        Ok(Response::new(ListTargetsResponse { targets }))
    }
}

impl AdminService {
    /// Every target of the live policy once, with the lists that name it.
    fn targets(&self) -> BTreeMap<(String, String), (Arc<TargetState>, Vec<String>)> {
        let mut targets = BTreeMap::new();
        for api in self.router.snapshot().apis.iter() {
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

fn describe(state: &TargetState, used_by: Vec<String>, now: Instant) -> Target {
    let counts = state.counts();
    let (standing, until) = match state.standing(now) {
        Standing::Ready => (State::Ready, None),
        Standing::ProbeDue => (State::ProbeDue, None),
        Standing::Suspended(until) => (State::Suspended, Some(until)),
        Standing::Probing(until) => (State::Probing, Some(until)),
    };
    Target {
        model: state.model.to_string(),
        endpoint: state.endpoint.name.to_string(),
        state: standing.into(),
        remaining: until.map(|until| to_proto(until.saturating_duration_since(now))),
        dispatched: counts.dispatched,
        served: counts.served,
        failed: counts.failed,
        used_by,
    }
}

/// Durations here are minutes: the conversion can't overflow.
fn to_proto(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap_or_default()
}
