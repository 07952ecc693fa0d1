//! The figures of affinity: 10 000 sessions of 20 turns over five weighted targets.

#![allow(clippy::print_stdout)] // Figures, shown with --nocapture.

use super::*;
use crate::routing::policy::rotation::{Group, Rotation, Turns};
use crate::routing::policy::weighted::Weighted;

const SESSIONS: usize = 10_000;
const TURNS: usize = 20;

/// Endpoints with their weights.
const FIVE: [(&str, u32); 5] = [("a", 5), ("b", 3), ("c", 2), ("d", 1), ("e", 1)];
const SIX: [(&str, u32); 6] = [("a", 5), ("b", 3), ("c", 2), ("d", 1), ("e", 1), ("f", 4)];

/// One router: its targets in the order of its policy file.
struct Router<'t> {
    rotation: Rotation,
    targets: &'t [(&'t str, u32)],
}

impl<'t> Router<'t> {
    fn new(targets: &'t [(&'t str, u32)]) -> Self {
        let turns = Turns::Weighted(Weighted::new(targets.iter().map(|(_, weight)| *weight).collect()));
        let group = Group { priority: 0, targets: (0..targets.len()).collect(), turns };
        let named = targets.iter().map(|&(endpoint, weight)| (endpoint, "gpt-4o", weight));
        let affinity = Affinity::new(vec![Source::Header("x-session".into())], named);
        Self { rotation: Rotation::new(vec![group], Some(affinity)), targets }
    }

    /// Returns the target of a session's next turn, while this one is suspended.
    fn turn(&self, session: usize, suspended: Option<&str>) -> &'t str {
        let available: Vec<_> = self.targets.iter().map(|(name, _)| Some(*name) != suspended).collect();
        let key = Key::of(format!("session-{session}").as_bytes());
        let order = self.rotation.candidates(key, &available);
        self.targets[*order.iter().find(|&&target| available[target]).expect("one is available")].0
    }

    /// Returns the target of each session's next turn.
    fn sessions(&self, suspended: Option<&str>) -> Vec<&'t str> {
        (0..SESSIONS).map(|session| self.turn(session, suspended)).collect()
    }
}

/// Returns by how many points the shares differ from the weights at most.
#[allow(clippy::cast_precision_loss)] // of small numbers
fn share_error(sessions: &[&str], targets: &[(&str, u32)]) -> f64 {
    let total: u32 = targets.iter().map(|(_, weight)| weight).sum();
    let error = |&(name, weight): &(&str, u32)| {
        let served = sessions.iter().filter(|target| **target == name).count() as f64 / sessions.len() as f64;
        (served - f64::from(weight) / f64::from(total)).abs() * 100.0
    };
    targets.iter().map(error).fold(0.0, f64::max)
}

#[test]
fn every_turn_of_a_session_goes_to_one_target_and_sessions_are_shared_by_weight() {
    let router = Router::new(&FIVE);
    let sessions = router.sessions(None);
    for _ in 1..TURNS {
        assert!(router.sessions(None) == sessions, "a session moved");
    }
    let error = share_error(&sessions, &FIVE);
    println!("{SESSIONS} sessions x {TURNS} turns: all at one target, share error {error:.2} points");
    assert!(error <= 2.0, "{error}");
}

#[test]
fn only_the_sessions_of_a_suspended_target_move_and_they_come_back() {
    let router = Router::new(&FIVE);
    let before = router.sessions(None);
    for (suspended, _) in FIVE {
        let during = router.sessions(Some(suspended));
        let moved = before.iter().zip(&during).filter(|(old, new)| old != new);
        assert!(moved.clone().all(|(old, _)| *old == suspended));
        assert_eq!(moved.count(), before.iter().filter(|target| **target == suspended).count());
        let others: Vec<_> = FIVE.into_iter().filter(|(name, _)| *name != suspended).collect();
        let error = share_error(&during, &others);
        println!("without {suspended}: its sessions move, share error {error:.2} points");
        assert!(error <= 2.0, "{error}");
        assert_eq!(router.sessions(None), before);
    }
}

#[test]
fn routers_agree_whatever_the_order_of_their_targets_is() {
    let mut reversed = FIVE;
    reversed.reverse();
    let (one, other) = (Router::new(&FIVE), Router::new(&reversed));
    assert_eq!(one.sessions(None), other.sessions(None));
    assert_eq!(one.sessions(Some("a")), other.sessions(Some("a")));
}

#[test]
#[allow(clippy::cast_precision_loss)] // of small numbers
fn an_added_target_takes_no_more_than_its_share_and_nothing_else_moves() {
    let (before, after) = (Router::new(&FIVE).sessions(None), Router::new(&SIX).sessions(None));
    let moved: Vec<_> = before.iter().zip(&after).filter(|(old, new)| old != new).map(|(_, new)| *new).collect();
    assert!(moved.iter().all(|target| *target == "f"));
    let (share, moved) = (4.0 / 16.0 * 100.0, moved.len() as f64 / SESSIONS as f64 * 100.0);
    println!("an added target of share {share} %: {moved:.2} % of the sessions move");
    assert!(moved <= share + 1.0, "{moved}");
}

#[test]
fn requests_without_a_key_take_turns() {
    let router = Router::new(&FIVE);
    let taken = (0..1_200).map(|_| FIVE[router.rotation.candidates(None, &[true; 5])[0]].0);
    let taken: Vec<_> = taken.collect();
    assert!(share_error(&taken, &FIVE) < 1e-9, "exact over whole cycles");
}

/// The documented hash: a change would move every session of every fleet.
#[test]
fn the_hash_never_changes() {
    assert_eq!(Key::of(b"session-1").map(|key| key.0), Some(0x8409_7828_fc31_a8c8));
    assert_eq!(Key::of(b" session-1\t"), Key::of(b"session-1"));
    assert_eq!(Key::of(b" "), None);
    assert_eq!(finalized(1), 0x5692_161d_100b_05e5);
    let served: String = Router::new(&FIVE).sessions(None)[..20].concat();
    assert_eq!(served, "caabaabadbbddaacdebb");
}
