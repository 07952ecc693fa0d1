//! Responses that broke off or failed after they had begun: no other attempt is possible, but the target is at fault.

use std::time::{Instant, SystemTime};

use super::Gateway;
use crate::routing::api::Environment;
use crate::routing::suspension::Cause;

/// A response that its provider broke off.
#[derive(Debug)]
pub struct BrokenResponse<'b> {
    /// The API of its request.
    pub api: &'b str,
    /// The environment.
    pub environment: &'b str,
    /// The endpoint that served it.
    pub endpoint: &'b str,
    /// The model.
    pub model: &'b str,
    /// Its status, as its provider sent it.
    pub status: u16,
    /// The attempt's number.
    pub attempt: u32,
    /// Envoy's id of the request; empty if it has none.
    pub request_id: &'b str,
    /// When Envoy reported it.
    pub at: SystemTime,
}

/// Its cause, where operators see it.
const BROKEN_STREAM: &str = "broken_stream";

impl Gateway {
    /// Records at its target that a response broke off. One whose policy or target is gone says nothing any more.
    /// One that was inspected when it broke off was judged then.
    pub fn broke(&self, broken: &BrokenResponse<'_>, now: Instant) {
        let result = self.telemetry.result_of(broken.request_id, broken.attempt);
        if result.is_none_or(|result| !result.is_failure()) {
            self.record(broken, BROKEN_STREAM, now);
        }
    }

    /// Records at its target that a response failed after it had begun, with the code of what was wrong.
    pub(super) fn failed_late(&self, broken: &BrokenResponse<'_>, code: &str, now: Instant) {
        self.record(broken, code, now);
    }

    fn record(&self, broken: &BrokenResponse<'_>, code: &str, now: Instant) {
        let snapshot = self.router.snapshot();
        let Some(environment) = Environment::named(broken.environment) else { return };
        let policies = snapshot.apis.iter().filter(|api| &*api.name == broken.api);
        let policy = policies.filter_map(|api| api.policy(environment)).next();
        let target = policy.and_then(|policy| {
            let is_meant = |name: &str, model: &str| name == broken.endpoint && model == broken.model;
            let mut targets = policy.targets.iter();
            targets.find(|target| is_meant(&target.endpoint.name, target.model.as_str())).map(|it| (policy, it))
        });
        let Some((policy, target)) = target else { return };
        let cause = Cause { at: broken.at, status: broken.status, code: code.into() };
        target.state.broke(cause, &policy.limits.suspension(), now);
        self.telemetry.broke(&target.model, &target.endpoint.name, code);
    }
}
