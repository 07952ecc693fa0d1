//! The one integration test binary. Each module is a theme; the rig starts what they need.

#![allow(clippy::unwrap_used)] // A test may say what cannot be by failing.

#[path = "../rig.rs"]
mod rig;

mod check;
mod envoy_files; // What we ship for Envoy is valid, and safe while the router is away.
mod envoy_replies; // Which error bodies a client sees: Envoy's own, the router's, a provider's.
mod rig_itself; // The scripted provider and the client do what the other tests rely on.
