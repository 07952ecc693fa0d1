//! Envoy's side: the ext_proc stream, and the configuration that Envoy needs for a policy. The only room that knows
//! Envoy's types.

pub mod access_log;
pub mod config;
pub mod ext_proc;
