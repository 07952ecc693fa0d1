//! model-router: the external processor that turns any Envoy into a multi-model LLM gateway.
//!
//! # The rooms
//!
//! A room imports only from rooms below it. `docs/architecture.md` walks a request, a response and a policy change
//! through them.
//!
//! | room | what it holds |
//! | --- | --- |
//! | [`cli`] | subcommands |
//! | [`server`] | listeners, threads, TLS, reload, graceful stop |
//! | [`admin`] | what operators ask: gRPC API, page, metrics endpoint, access |
//! | [`dry_run`] | a policy tried without traffic: explain, evaluate |
//! | [`envoy`] | the ext_proc stream and its messages; the configuration that Envoy needs |
//! | [`gateway`] | one request: the exchange as `Event -> Action`, its attempts, refusals |
//! | [`telemetry`] | log, metrics, traces, recent decisions |
//! | [`policy_file`] | policy files read, checked and compiled; other gateways' files imported |
//! | [`routing`] | the compiled policy and every choice: APIs, endpoints, policies, suspension, outcomes |
//! | [`classifier`] | which rule a request fits, by an LLM |
//! | `document` | YAML with locations, reports with excerpts |
//! | [`body`] | the model inside a body |
//!
//! Below them are the leaves: `gate`, [`secret`], [`model_name`], [`address`], `file_watch`.
//!
//! # Invariants
//!
//! - Only [`envoy`] knows Envoy's types.
//! - Policies know no clock, no I/O and no randomness: `now` is a parameter.
//! - [`routing`] and [`classifier`] return facts; only the exchange reports to telemetry.
//! - Every message from Envoy gets exactly one action of its kind, except for full-duplex bodies and inspected
//!   responses. Messages after the end are ignored.
//! - One stream sees one snapshot. A further attempt keeps the snapshot and the candidates of the first.
//! - The state of a target survives a reload and is shared by all APIs. A changed URL or credential resets it.
//! - A model or endpoint that the policy file does not name can never be chosen.
//! - A credential reaches only the endpoint that it belongs to. No credential and no prompt is ever logged.
//! - Everything has a bound.
//! - Loading and compiling a policy do no network I/O; start, `check` and reload share them.

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
