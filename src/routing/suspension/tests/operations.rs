//! Operations that a target lacks, and the causes of failures.

use super::*;

#[test]
fn an_operation_that_a_target_lacks_says_nothing_of_its_others() {
    let mut life = Life::new();
    let lacking = |life: &Life, operation: &str| {
        let dispatch = life.target.take(operation, life.now, LEASE).expect("available");
        dispatch.settle(operation, &Outcome::Unsupported, None, &life.limits, life.now)
    };
    let state = |life: &Life, operation: &str| life.target.availability_for(operation, life.now).is_available();
    for _ in 0..3 {
        assert!(state(&life, "/audio/speech"));
        lacking(&life, "/audio/speech");
    }
    assert!(!state(&life, "/audio/speech"), "three in a row");
    assert!(state(&life, OPERATION));
    assert_eq!(life.availability(), "ready");
    let suspended = life.target.suspended_operations(life.now);
    assert_eq!(suspended.iter().map(|(operation, _)| &**operation).collect::<Vec<_>>(), ["/audio/speech"]);

    // Another candidate that serves the same request is proof enough.
    lacking(&life, "/embeddings").expect("a failure to confirm").confirm(life.now);
    assert!(!state(&life, "/embeddings"));

    // Its probe restores it, and only it.
    life.pass(30);
    let probe = life.target.take("/audio/speech", life.now, LEASE).expect("the probe");
    assert!(probe.is_probe() && life.target.take("/audio/speech", life.now, LEASE).is_err());
    probe.settle("/audio/speech", &Outcome::Served, None, &life.limits, life.now);
    assert!(state(&life, "/audio/speech"));
    assert_eq!(life.target.suspended_operations(life.now).len(), 1);

    life.target.resume();
    assert!(life.target.suspended_operations(life.now).is_empty());
}

/// Takes the target for this operation and settles with this outcome.
fn meet(life: &Life, operation: &str, outcome: &Outcome) {
    let dispatch = life.target.take(operation, life.now, LEASE).expect("available");
    dispatch.settle(operation, outcome, None, &life.limits, life.now);
}

fn is_available(life: &Life, operation: &str) -> bool {
    let is_available = life.target.availability_for(operation, life.now).is_available();
    let taken = life.target.take(operation, life.now, LEASE);
    assert_eq!(taken.is_ok(), is_available, "{operation}");
    is_available
}

#[test]
fn a_model_that_one_operation_found_unknown_may_be_known_to_another() {
    let mut life = Life::new();
    meet(&life, "/audio/speech", &Outcome::UnknownModel);
    assert_eq!(life.availability(), "suspended 30", "as operators see it");
    assert!(!is_available(&life, "/audio/speech") && is_available(&life, OPERATION));
    meet(&life, OPERATION, &Outcome::Served);
    meet(&life, OPERATION, &Outcome::Unsupported);
    assert!(!is_available(&life, "/audio/speech") && is_available(&life, OPERATION));

    // Its own probe decides.
    life.pass(30);
    assert!(is_available(&life, OPERATION));
    meet(&life, "/audio/speech", &Outcome::Served);
    assert_eq!(life.availability(), "ready");
}

#[test]
fn what_fails_for_another_operation_too_is_suspended_for_all() {
    for outcome in [
        Outcome::UnknownModel,
        Outcome::Failed { asked: None },
        Outcome::RateLimited { asked: None },
        Outcome::ServedLast { reset: None },
    ] {
        let mut life = Life::new();
        meet(&life, "/audio/speech", &Outcome::UnknownModel);
        meet(&life, OPERATION, &outcome);
        assert!(!is_available(&life, OPERATION) && !is_available(&life, "/embeddings"), "{outcome:?}");
        life.pass(30);
        meet(&life, OPERATION, &Outcome::Served);
        assert_eq!(life.availability(), "ready", "{outcome:?}");
        meet(&life, OPERATION, &Outcome::RateLimited { asked: None });
        assert!(!is_available(&life, "/embeddings"), "another suspension is for all");
    }
}

#[test]
fn an_attempt_from_before_a_suspension_never_opens_it_to_other_operations() {
    let life = Life::new();
    let early = life.target.take("/audio/speech", life.now, LEASE).expect("available");
    meet(&life, OPERATION, &Outcome::RateLimited { asked: None });
    early.settle("/audio/speech", &Outcome::UnknownModel, None, &life.limits, life.now);
    assert!(!is_available(&life, OPERATION) && !is_available(&life, "/embeddings"), "the quota is used up for all");

    let life = Life::new();
    let early = life.target.take(OPERATION, life.now, LEASE).expect("available");
    let again = life.target.take("/audio/speech", life.now, LEASE).expect("available");
    meet(&life, "/audio/speech", &Outcome::UnknownModel);
    again.settle("/audio/speech", &Outcome::UnknownModel, None, &life.limits, life.now);
    assert!(is_available(&life, OPERATION), "the same was found twice");
    early.settle(OPERATION, &Outcome::RateLimited { asked: None }, None, &life.limits, life.now);
    assert!(!is_available(&life, OPERATION) && !is_available(&life, "/embeddings"));
}

#[test]
fn the_last_cause_is_kept_until_the_next() {
    let life = Life::new();
    let at = |seconds| std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let cause = |seconds, status, code: &str| Cause { at: at(seconds), status, code: code.into() };
    assert_eq!(life.target.last_cause(), None);
    let failed = Outcome::Failed { asked: None };
    life.take().settle(OPERATION, &failed, Some(cause(1, 503, "overloaded")), &life.limits, life.now);
    assert_eq!(life.target.last_cause(), Some(cause(1, 503, "overloaded")));
    let refused = Outcome::EndpointFault { asked: None };
    life.take().settle(OPERATION, &refused, Some(cause(2, 401, "invalid_api_key")), &life.limits, life.now);
    assert_eq!(life.target.last_cause(), Some(cause(2, 401, "invalid_api_key")), "the endpoint's is later");
}
