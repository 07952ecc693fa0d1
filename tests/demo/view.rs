//! The router's own view, asked of its admin API.

use std::net::SocketAddr;
use std::time::Duration;

use model_router::admin::proto::admin_client::AdminClient;
use model_router::admin::proto::{GetStatusRequest, GetStatusResponse, ListTargetsRequest, State, Target};
use tonic::transport::Channel;

use crate::show;

/// A connection to a router's admin API.
pub(crate) struct View(AdminClient<Channel>);

impl View {
    pub(crate) async fn connect(admin: SocketAddr) -> Result<Self, String> {
        let channel = Channel::from_shared(format!("http://{admin}")).map_err(|e| e.to_string())?;
        Ok(Self(AdminClient::new(channel.connect().await.map_err(|e| format!("the admin API at {admin}: {e}"))?)))
    }

    /// What it does with its policy file.
    pub(crate) async fn status(&mut self) -> Result<GetStatusResponse, String> {
        let answer = self.0.get_status(GetStatusRequest {}).await;
        Ok(answer.map_err(|e| format!("the admin API: {e}"))?.into_inner())
    }

    /// The number of the live policy.
    pub(crate) async fn policy_version(&mut self) -> Result<u64, String> {
        Ok(self.status().await?.policy.unwrap_or_default().version)
    }

    /// Every target.
    pub(crate) async fn targets(&mut self) -> Result<Vec<Target>, String> {
        let answer = self.0.list_targets(ListTargetsRequest {}).await;
        Ok(answer.map_err(|e| format!("the admin API: {e}"))?.into_inner().targets)
    }

    /// One target.
    pub(crate) async fn target(&mut self, model: &str, endpoint: &str) -> Result<Target, String> {
        let found = self.targets().await?.into_iter().find(|t| t.model == model && t.endpoint == endpoint);
        found.ok_or_else(|| format!("the router has no target {model} at {endpoint}"))
    }
}

/// How long a target's state still lasts, where it ends by itself.
pub(crate) fn remaining(target: &Target) -> Option<Duration> {
    target.remaining.and_then(|remaining| remaining.try_into().ok())
}

/// Shows targets as a table.
pub(crate) fn table(targets: &[Target]) {
    show::table(
        ["model", "at", "state", ">for another", ">requests", ">served", ">failed"],
        targets.iter().map(|target| {
            [
                target.model.clone(),
                target.endpoint.clone(),
                state(target).to_owned(),
                remaining(target).map(show::duration).unwrap_or_default(),
                target.dispatched.to_string(),
                target.served.to_string(),
                target.failed.to_string(),
            ]
        }),
    );
}

fn state(target: &Target) -> &'static str {
    match target.state() {
        State::Ready => "ready",
        State::Suspended => "suspended",
        State::ProbeDue => "probe due",
        State::Probing => "probing",
        State::Priming => "priming",
        State::Unspecified => "unknown",
    }
}
