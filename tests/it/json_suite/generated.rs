//! Generated bodies against serde_json and the second parser.

use std::collections::BTreeMap;
use std::time::Instant;

use super::generate;
use super::verdict::{Verdict, check};

const BODIES: u64 = 100_000;

#[test]
fn a_hundred_thousand_generated_bodies_are_accepted_or_refused_as_serde_json_does() {
    let began = Instant::now();
    let mut counts = BTreeMap::<Verdict, u64>::new();
    for seed in 0..BODIES {
        *counts.entry(check(&generate::body(seed))).or_default() += 1;
    }
    println!("{BODIES} generated bodies in {:?}: {counts:?}", began.elapsed());
    let rare = [Verdict::BigNumber, Verdict::LoneSurrogate, Verdict::ModelTwice, Verdict::TooManyMembers];
    assert!(counts[&Verdict::Accepted] > BODIES / 10 && counts[&Verdict::Refused] > BODIES / 10, "{counts:?}");
    assert!(rare.iter().all(|verdict| counts.contains_key(verdict)), "{counts:?}");
}
