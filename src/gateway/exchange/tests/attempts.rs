//! Attempts after a failed one, and their effect on targets.

use super::*;

#[test]
fn a_failure_asks_for_another_attempt_which_takes_the_next_candidate_and_no_turn() {
    let router = router(POLICY);
    let mut first = Stream::new(&router);
    assert_eq!(first.forward(), "east");
    assert!(first.answer(500));
    let mut second = Stream::new(&router);
    assert_eq!(second.forward(), "west");
    assert!(!second.answer(500), "none is left");
    assert_eq!(Stream::new(&router).forward(), "west", "the turn after the first's");
}

/// Two attempts, of which the first gets a 500; which targets are available then.
fn after_a_failure_and(second: u16) -> Vec<bool> {
    let router = router(&POLICY.replace("round_robin: {", "round_robin: { suspend_after: 100,"));
    let mut stream = Stream::new(&router);
    stream.forward();
    assert!(stream.answer(500));
    let mut stream = Stream::new(&router);
    stream.forward();
    assert!(!stream.answer(second));
    available(&router, stream.now)
}

#[test]
fn a_target_is_suspended_when_another_one_serves_the_request_on_which_it_failed() {
    assert_eq!(after_a_failure_and(200), [false, true]);
}

#[test]
fn a_request_that_no_target_serves_suspends_none() {
    for second in [500, 400, 301] {
        assert_eq!(after_a_failure_and(second), [true, true], "{second}");
    }
}

#[test]
fn the_failover_policy_goes_by_the_model_asked_for() {
    let production = POLICY.find("    production:").expect("a policy");
    let failover = "    production:
      failover:
        entries: [ { primary: { model: one, endpoint: west }, fallbacks: [ { model: two, endpoint: east } ] } ]
";
    let router = router(&format!("{}{failover}", &POLICY[..production]));
    let mut stream = Stream::new(&router);
    stream.on(request(head()));
    let (Action::RequestBody(mutation, sent), _) = stream.on(body(r#"{"model":"one"}"#)) else { panic!("sent") };
    assert_eq!((value(&mutation, private::CLUSTER), sent.map(|sent| sent.whole())), ("west", None), "as it came");
    assert!(stream.answer(503));
    let mut stream = Stream::new(&router);
    stream.on(request(head()));
    let (Action::RequestBody(mutation, sent), _) = stream.on(body(r#"{"model":"one"}"#)) else { panic!("sent") };
    assert_eq!(
        (value(&mutation, private::CLUSTER), sent.map(|sent| sent.whole())),
        ("east", Some(br#"{"model":"two"}"#[..].into()))
    );
    assert!(!stream.answer(200));
    let mut stream = Stream::new(&router);
    stream.on(request(head()));
    assert_eq!(refused(stream.on(body(r#"{"model":"other"}"#))), 404);
}

#[test]
fn with_least_bad_a_suspended_target_is_better_than_none() {
    let router = router(&POLICY.replace("round_robin: {", "round_robin: { all_suspended: least_bad,"));
    for _ in 0..2 {
        let mut stream = Stream::new(&router);
        stream.forward();
        stream.answer(429);
    }
    assert_eq!(available(&router, Instant::now()), [false, false]);
    assert_eq!(Stream::new(&router).forward(), "east", "whose suspension ends first");
}

#[test]
fn attempts_end_with_the_time_for_all_of_them() {
    let router = router(&POLICY.replace("round_robin: {", "round_robin: { overall_timeout: 5s,"));
    let mut stream = Stream::new(&router);
    stream.on(request(head()));
    let (Action::RequestBody(mutation, _), _) = stream.on(body("{}")) else { panic!("sent") };
    assert_eq!(value(&mutation, TIME_LIMIT), "5000");
    stream.now += Duration::from_secs(5);
    assert!(!stream.answer(504));
}

#[test]
fn a_client_is_told_who_served_it_unless_the_policy_says_otherwise() {
    for (option, shown) in [("", true), ("decision_headers: false,", false)] {
        let router = router(&POLICY.replace("round_robin: {", &format!("round_robin: {{ {option}")));
        let mut stream = Stream::new(&router);
        stream.forward();
        let (Action::ResponseHeaders(mutation), _) = stream.on(answered(200)) else { panic!("answered") };
        let served =
            [("x-model-router-model", "one"), ("x-model-router-endpoint", "east"), ("x-model-router-attempts", "1")];
        let served: Vec<_> = served.into_iter().map(|(name, value)| (name.into(), value.to_owned())).collect();
        assert_eq!(mutation.set, if shown { served } else { vec![] });
    }
}

#[test]
fn attempts_that_found_no_router_are_none_of_the_policys() {
    let router = router(&POLICY.replace("round_robin: {", "round_robin: { attempts: 1,"));
    for count in [1, 2, 10] {
        let attempt = request(RequestHead { attempt_count: Some(count), ..head() });
        assert_eq!(Stream::new(&router).on(attempt).0, Action::Unchanged(Phase::RequestHeaders), "{count}");
    }
}

#[test]
fn an_attempt_keeps_the_snapshot_of_the_first() {
    let registry = Registry::default();
    let router = Arc::new(Router::new(snapshot(POLICY, &registry, 1)));
    let mut first = Stream::new(&router);
    first.forward();
    assert!(first.answer(500));
    router.replace(snapshot(&POLICY.replace("base_path: /v1", "base_path: /v2"), &registry, 2));
    assert_eq!(Stream::new(&router).forward(), "west");
    assert_eq!(refused(Stream::new(&router).on(request(head()))), 404, "a new request goes by the new policy");
}

#[test]
fn an_attempt_that_never_comes_is_forgotten() {
    let router = router(POLICY);
    let mut first = Stream::new(&router);
    first.forward();
    assert!(first.answer(500));
    let mut late = Stream::new(&router);
    late.now += Duration::from_secs(11);
    assert_eq!(late.forward(), "west", "by its own turn");
    assert!(late.answer(500), "as a first attempt, which has another candidate");
}

#[test]
fn without_a_stream_id_no_attempt_is_asked_for() {
    let mut stream = Stream::new(&router(POLICY));
    stream.on(request(RequestHead { stream_id: None, ..head() }));
    stream.on(body("{}"));
    assert!(!stream.answer(500));
}
