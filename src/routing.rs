//! The compiled policy and every choice made with it: which target serves an attempt, and what its response means.

pub mod api;
pub mod decision;
pub mod endpoint;
pub mod operation;
pub mod outcome;
pub mod policy;
pub mod provider;
pub mod registry;
pub mod snapshot;
pub mod suspension;
pub mod usage;
