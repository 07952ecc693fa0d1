//! model-router: the external processor that turns any Envoy into a multi-model LLM gateway.
//!
//! # The way of a request
//!
//! | module | noun |
//! | --- | --- |
//! | [`server`] | listeners, health service, graceful stop |
//! | [`ext_proc`] | one gRPC stream per request; the only module, with its `message` and `wire`, that knows Envoy's types |
//! | [`exchange`] | what one stream goes through, as `Event -> Answer` |
//! | [`router`] | choosing a target, remembering attempts, learning from answers |
//! | [`api`], [`operation`] | which API, environment and operation a request belongs to |
//! | [`content`], [`classifier`] | the words of a request, and the LLM that sorts requests by them; all that is awaited |
//! | [`policy`] | in which order targets are tried |
//! | [`health`] | which targets are suspended |
//! | [`decision`] | what was decided and why, for log, metrics, Envoy's log and operators |
//! | [`outcome`], [`quota`], [`inspection`] | what an answer says of its target |
//! | [`body`] | the model inside a JSON body |
//! | [`endpoint`], [`provider`] | where a target is served, how, and with which credential |
//!
//! Beside the way: [`explain`] and [`evaluate`] try a policy out, [`capacity`] bounds what is held at once, [`registry`]
//! keeps what is known of endpoints, targets and classifiers across reloads, [`refusal`] is every answer of our own, [`config`] reads
//! policy files, [`import`] other gateways', [`snapshot`] is a compiled one, [`reload`] swaps it, [`admin`] answers operators, [`telemetry`] writes
//! log and metrics, [`envoy_config`] writes Envoy's side for a policy, [`cli`] is the command line.
//!
//! # Invariants
//!
//! - Only `ext_proc`, with its `message` and `wire`, knows Envoy's types.
//! - Policies know no clock, no I/O and no randomness: `now` is a parameter.
//! - Every message from Envoy gets exactly one answer of its kind, but for full-duplex bodies and answers that are looked
//!   at; messages after the end are ignored.
//! - One stream sees one snapshot. A further attempt keeps the snapshot and candidates of the first.
//! - The state of a target survives a reload and is shared by all APIs; a changed URL or credential starts afresh.
//! - A model or endpoint that the policy file does not name can never be chosen.
//! - A credential reaches only the endpoint that it belongs to. No credential and no prompt is ever logged.
//! - Everything has a bound.
//! - `config::load` and `config::compile` do no network I/O; start, `check` and reload share them.

pub mod address;
pub mod admin;
pub mod body;
pub mod classifier;
pub mod cli;
mod document;
pub mod dry_run;
pub mod envoy;
mod file_watch;
mod gate;
pub mod gateway;
pub mod model_name;
pub mod policy_file;
pub mod routing;
pub mod secret;
pub mod server;
pub mod telemetry;
