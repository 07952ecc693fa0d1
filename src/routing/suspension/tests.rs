//! A target's life, with the clock in the test's hand.

mod operations;

use std::num::NonZeroU32;

use super::*;
use crate::routing::outcome::quota::Quota;
use crate::routing::outcome::{Origin, Outcome};
use crate::routing::policy::Limits;
use crate::routing::registry::{EndpointKey, Registry};

const LEASE: Duration = Duration::from_secs(5);

/// The operation of every request, where nothing else is said.
const OPERATION: &str = "/chat/completions";

fn settle(dispatch: Dispatch, outcome: &Outcome, limits: &SuspensionRules, now: Instant) -> Option<PendingFailure> {
    dispatch.settle(OPERATION, outcome, None, limits, now)
}

/// A target and the clock.
struct Life {
    target: Arc<TargetState>,
    limits: SuspensionRules,
    now: Instant,
}

impl Life {
    fn new() -> Self {
        let key = EndpointKey { name: "east".into(), fingerprint: [0; 32] };
        let registry = Registry::default();
        Self {
            target: registry.target(&key, &ModelName::new("gpt")),
            limits: Limits::default().suspension(),
            now: Instant::now(),
        }
    }

    fn take(&self) -> Dispatch {
        self.target.take(OPERATION, self.now, LEASE).expect("the target is available")
    }

    fn settle(&self, dispatch: Dispatch, status: u16) -> Option<PendingFailure> {
        settle(dispatch, &Outcome::of(status, Quota::default(), Origin::Provider), &self.limits, self.now)
    }

    /// One request after the other, each with the next of these statuses.
    fn answer(&self, statuses: &[u16]) {
        for &status in statuses {
            self.settle(self.take(), status);
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// The availability in words: `ready`, `suspended 30`, `probe due`, `probing`.
    fn availability(&self) -> String {
        match self.target.availability(self.now) {
            Availability::Ready => "ready".into(),
            Availability::ProbeDue => "probe due".into(),
            Availability::Probing(_) => "probing".into(),
            Availability::Suspended(until) => format!("suspended {}", (until - self.now).as_secs()),
        }
    }
}

/// A response whose `Retry-After` is this number of seconds.
fn asking(status: u16, seconds: u64) -> Outcome {
    let quota = Quota { retry_after: Some(Duration::from_secs(seconds)), exhausted: None };
    Outcome::of(status, quota, Origin::Provider)
}

#[test]
fn three_failures_in_a_row_suspend() {
    let life = Life::new();
    life.answer(&[503, 503, 200, 503, 503]);
    assert_eq!(life.availability(), "ready", "a success in between starts the row afresh");
    life.answer(&[503]);
    assert_eq!(life.availability(), "suspended 30");
}

#[test]
fn what_is_the_requests_own_fault_neither_counts_nor_heals() {
    let life = Life::new();
    life.answer(&[503, 503, 400, 422, 301]);
    assert_eq!(life.availability(), "ready");
    life.answer(&[503]);
    assert_eq!(life.availability(), "suspended 30");
}

#[test]
fn a_rate_limit_suspends_at_once_for_as_long_as_it_says() {
    let life = Life::new();
    let outcome = asking(429, 7);
    settle(life.take(), &outcome, &life.limits, life.now);
    assert_eq!(life.availability(), "suspended 7");
}

#[test]
fn a_refused_connection_suspends_at_once() {
    let life = Life::new();
    settle(life.take(), &Outcome::of(503, Quota::default(), Origin::EnvoyRefused), &life.limits, life.now);
    assert_eq!(life.availability(), "suspended 30");
}

#[test]
fn a_failure_is_held_against_the_target_when_another_one_served() {
    let life = Life::new();
    let failure = life.settle(life.take(), 500).expect("a failure");
    assert_eq!(life.availability(), "ready");
    failure.confirm(life.now);
    assert_eq!(life.availability(), "suspended 30");
}

#[test]
fn requests_in_flight_that_fail_are_one_failure() {
    let mut life = Life::new();
    let in_flight: Vec<_> = (0..16).map(|_| life.take()).collect();
    for (index, dispatch) in in_flight.into_iter().enumerate() {
        life.settle(dispatch, 503);
        if index == 2 {
            assert_eq!(life.availability(), "suspended 30");
            life.pass(10);
        }
    }
    assert_eq!(life.availability(), "suspended 20", "answers from before the suspension do not lengthen it");
}

#[test]
fn an_answer_from_before_the_suspension_does_not_end_it() {
    let mut life = Life::new();
    let late = life.take();
    life.answer(&[429]);
    life.pass(31);
    life.settle(late, 200);
    assert_eq!(life.availability(), "probe due");
}

#[test]
fn exactly_one_request_probes_and_its_success_restores() {
    let mut life = Life::new();
    life.answer(&[429]);
    life.pass(30);
    assert_eq!(life.availability(), "probe due");
    let probe = life.take();
    assert!(probe.is_probe());
    assert_eq!(life.availability(), "probing");
    assert!(life.target.take(OPERATION, life.now, LEASE).is_err());
    life.settle(probe, 200);
    assert_eq!(life.availability(), "ready");
    assert!(!life.take().is_probe());
}

#[test]
fn a_probe_that_fails_suspends_again_at_once_and_for_twice_as_long_up_to_five_minutes() {
    let mut life = Life::new();
    life.answer(&[429]);
    for seconds in [30, 60, 120, 240, 300, 300] {
        assert_eq!(life.availability(), format!("suspended {seconds}"));
        life.pass(seconds);
        life.answer(&[503]);
    }
    life.pass(300);
    life.answer(&[200, 429]);
    assert_eq!(life.availability(), "suspended 30", "a success starts the growth afresh");
}

#[test]
fn a_probe_that_is_told_how_long_to_wait_waits_so_long() {
    let mut life = Life::new();
    life.answer(&[429]);
    life.pass(30);
    settle(life.take(), &asking(429, 7), &life.limits, life.now);
    assert_eq!(life.availability(), "suspended 7");
}

#[test]
fn a_hundred_late_failures_do_not_let_the_suspension_grow() {
    let mut life = Life::new();
    let late: Vec<_> = (0..100).map(|_| life.take()).collect();
    life.answer(&[429]);
    for dispatch in late {
        life.settle(dispatch, 503);
    }
    assert_eq!(life.availability(), "suspended 30");
    life.pass(30);
    life.answer(&[503]);
    assert_eq!(life.availability(), "suspended 60", "the first step of the growth");
}

#[test]
fn a_success_that_uses_up_the_quota_suspends_until_it_is_there_again() {
    let life = Life::new();
    let quota = Quota { retry_after: None, exhausted: Some(Duration::from_secs(9)) };
    settle(life.take(), &Outcome::of(200, quota, Origin::Provider), &life.limits, life.now);
    assert_eq!(life.availability(), "suspended 9");
    assert_eq!(life.target.counts(), Counts { dispatched: 1, served: 1, failed: 0, suspensions: 1 });
}

#[test]
fn what_envoy_could_not_send_says_nothing() {
    let life = Life::new();
    for _ in 0..10 {
        let outcome = Outcome::of(503, Quota::default(), Origin::EnvoyOverflow);
        settle(life.take(), &outcome, &life.limits, life.now);
    }
    assert_eq!(life.availability(), "ready");
}

#[test]
fn a_probe_whose_client_leaves_is_free_for_the_next_request() {
    let mut life = Life::new();
    life.answer(&[429]);
    life.pass(30);
    drop(life.take());
    assert_eq!(life.availability(), "probe due");
}

#[test]
fn a_probe_that_never_ends_loses_its_lease() {
    let mut life = Life::new();
    life.answer(&[429]);
    life.pass(30);
    let stuck = life.take();
    life.pass(LEASE.as_secs());
    let second = life.take();
    drop(stuck);
    assert_eq!(life.availability(), "probing", "the first probe's end does not free the second's lease");
    life.settle(second, 200);
    assert_eq!(life.availability(), "ready");
}

#[test]
fn a_refused_credential_suspends_every_model_of_the_endpoint() {
    let key = EndpointKey { name: "east".into(), fingerprint: [0; 32] };
    let registry = Registry::default();
    let mut life = Life::new();
    life.target = registry.target(&key, &ModelName::new("one"));
    let other = registry.target(&key, &ModelName::new("other"));
    life.answer(&[401]);
    assert!(!other.availability(life.now).is_available());
    life.pass(30);
    let probe = other.take(OPERATION, life.now, LEASE).expect("the probe goes through any model");
    assert!(life.target.take(OPERATION, life.now, LEASE).is_err());
    life.settle(probe, 200);
    assert_eq!(life.availability(), "ready");
}

#[test]
fn nothing_is_ever_suspended_where_the_duration_is_zero() {
    let mut life = Life::new();
    life.limits.suspend = Duration::ZERO;
    life.limits.suspend_after = NonZeroU32::MIN;
    life.answer(&[503, 429, 401]);
    settle(life.take(), &asking(429, 60), &life.limits, life.now);
    assert_eq!(life.availability(), "ready");
}

#[test]
fn a_used_up_quota_may_have_a_duration_of_its_own() {
    let (zero, minute) = (Duration::ZERO, Duration::from_secs(60));
    for (suspend, quota_suspend, failing, limited, asked) in [
        (zero, Some(minute), "ready", "suspended 60", "suspended 7"),
        (minute, Some(zero), "suspended 60", "ready", "ready"),
        (minute, None, "suspended 60", "suspended 60", "suspended 7"),
    ] {
        let standing_after = |outcome: Outcome| {
            let mut life = Life::new();
            life.limits = SuspensionRules { suspend, quota_suspend, suspend_after: NonZeroU32::MIN };
            settle(life.take(), &outcome, &life.limits, life.now);
            life.availability()
        };
        assert_eq!(standing_after(Outcome::Failed { asked: None }), failing);
        assert_eq!(standing_after(Outcome::RateLimited { asked: None }), limited);
        assert_eq!(standing_after(Outcome::ServedLast { reset: None }), limited);
        assert_eq!(standing_after(asking(429, 7)), asked);
    }
}

#[test]
fn state_is_shared_by_key_and_starts_afresh_with_another_url_or_credential() {
    let registry = Registry::default();
    let model = ModelName::new("gpt");
    let target =
        |fingerprint| registry.target(&EndpointKey { name: "east".into(), fingerprint: [fingerprint; 32] }, &model);
    let first = target(1);
    assert!(Arc::ptr_eq(&first, &target(1)));
    assert!(Arc::ptr_eq(&first.endpoint, &target(1).endpoint));
    assert!(!Arc::ptr_eq(&first, &target(2)));
}

#[test]
fn counts_tell_what_came_of_the_attempts() {
    let life = Life::new();
    life.answer(&[200, 200, 400, 503]);
    assert_eq!(life.target.counts(), Counts { dispatched: 4, served: 2, failed: 1, suspensions: 0 });
}

/// An endpoint with two models, of which the first is suspended for 60 s and the endpoint for 2 s.
fn two_models() -> (Life, Arc<TargetState>) {
    let key = EndpointKey { name: "east".into(), fingerprint: [0; 32] };
    let registry = Registry::default();
    let mut life = Life::new();
    life.target = registry.target(&key, &ModelName::new("one"));
    let other = registry.target(&key, &ModelName::new("other"));
    settle(life.take(), &asking(429, 60), &life.limits, life.now);
    settle(other.take(OPERATION, life.now, LEASE).expect("available"), &asking(401, 2), &life.limits, life.now);
    (life, other)
}

#[test]
fn a_target_that_two_things_keep_out_is_out_for_the_longer() {
    let (life, other) = two_models();
    assert_eq!(life.availability(), "suspended 60");
    assert_eq!(other.availability(life.now), Availability::Suspended(life.now + Duration::from_secs(2)));
    assert_eq!(
        life.target.take(OPERATION, life.now, LEASE).expect_err("suspended"),
        life.target.availability(life.now)
    );
}

#[test]
fn a_suspended_target_does_not_begin_its_endpoints_probe() {
    let (mut life, other) = two_models();
    life.pass(2);
    assert!(life.target.take(OPERATION, life.now, LEASE).is_err());
    assert_eq!(other.availability(life.now), Availability::ProbeDue);
}

#[test]
fn an_endpoints_probe_that_fails_in_any_way_suspends_it_again() {
    for outcome in [asking(503, 9), Outcome::of(503, Quota::default(), Origin::EnvoyRefused)] {
        let (mut life, other) = two_models();
        life.pass(2);
        settle(other.take(OPERATION, life.now, LEASE).expect("the probe"), &outcome, &life.limits, life.now);
        assert!(matches!(other.endpoint.gate.availability(life.now), Availability::Suspended(_)), "{outcome:?}");
    }
}

#[test]
fn the_success_of_a_probe_that_has_lost_its_lease_opens_nothing() {
    let mut life = Life::new();
    life.answer(&[429]);
    life.pass(30);
    let stuck = life.take();
    life.pass(LEASE.as_secs());
    let second = life.take();
    life.settle(stuck, 200);
    assert_eq!(life.availability(), "probing");
    drop(second);
}

#[test]
fn a_request_that_has_nowhere_else_to_go_is_a_probe_before_its_time() {
    let life = Life::new();
    life.answer(&[429]);
    let probe = life.target.take_suspended(OPERATION, life.now, LEASE);
    let another = life.target.take_suspended(OPERATION, life.now, LEASE);
    assert!(probe.is_probe() && !another.is_probe());
    life.settle(another, 503);
    assert_eq!(life.availability(), "probing", "what is no probe decides nothing");
    life.settle(probe, 200);
    assert_eq!(life.availability(), "ready");
}

#[test]
fn an_outcome_in_doubt_is_held_against_the_target_when_another_one_served() {
    let life = Life::new();
    let failure = life.take().doubt(&life.limits, None).expect("a failure");
    assert_eq!(life.availability(), "ready");
    failure.confirm(life.now);
    assert_eq!(life.availability(), "suspended 30");
}
