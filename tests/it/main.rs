//! The one integration test binary. Each module is a theme; the rig starts what they need.

#![allow(clippy::unwrap_used)] // A test may say what cannot be by failing.
#![allow(clippy::print_stdout)] // Figures, shown with --nocapture.

#[path = "../rig.rs"]
mod rig;

mod account_state; // What exists only at one account, inside bodies of every dialect.
mod admin; // Who may use the admin listener, and the page on it.
mod affinity; // Sessions that keep to their target.
mod architecture; // The rules that the source keeps.
mod attach; // A failing target is suspended, and the next request goes elsewhere.
mod breaks; // Streams that break off after their first event.
mod browser; // The admin page in a real browser.
mod by_model; // The model that is asked for is an alias with a policy of its own.
mod check;
mod clients; // The official Python clients, with only their base URL changed.
mod command_line; // What the command line says of itself and of policies.
mod cost; // What attempts and inspection cost, as ratios from one run.
mod docs; // Links, anchors and commands of the documentation.
mod envoy_config; // What is written for a policy: valid, harmless to a listener's other routes, and safe over TLS.
mod envoy_files; // What we ship for Envoy is valid, and safe while the router is away.
mod envoy_replies; // Which error bodies a client sees: Envoy's own, the router's, a provider's.
mod examples; // The scenarios below examples/, each through a real Envoy.
mod explain; // Policies tried out before they take traffic.
mod failover; // A client notices nothing of a target that fails.
mod first_steps; // What a newcomer meets.
mod forwarding; // What a provider receives and must never receive; what clients get instead of an answer.
mod grafana; // The dashboard asks for series that there are.
mod hop; // The connection that all clients share: what one client or provider does costs nobody else an answer.
mod inspection; // The start of an answer, looked at before the client gets it.
mod intelligent; // Requests sorted by an LLM, and every way in which that can fail.
mod json_suite; // Bodies: accepted or refused as another parser does, edited in one place only.
mod kubernetes; // The manifests say what the router and Envoy take.
mod mutual_tls; // The router on another host.
mod one_client; // What one client asks for keeps no target from the others.
mod operator; // What an operator asks on the command line, and how much of it the log keeps.
mod outage; // Outages at scale: the failover policy, several routers, a dead router, the retry budget.
mod outlets; // No outlet tells a prompt or a credential.
mod policy_files; // Policy files with mistakes in them, and the reports that a person gets.
mod pool; // Models of one pool that take different parameters.
mod providers; // Every provider type: what it is sent, with which credential, and what its clients are told.
mod reference; // The generated pages of the documentation.
mod reload; // The policy file, edited while requests come in.
mod responses; // What each vendor's responses mean: a table, row by row.
mod rig_itself; // The scripted provider and the client do what the other tests rely on.
mod rotation; // Secrets in files, changed while the router runs.
mod semantic; // Requests sorted by meaning, and every way in which that can fail.
mod service; // The process: listeners, admin API, start and stop.
mod telemetry; // What the router tells of its work.
mod tiers; // APIs of one host and path, told apart by headers.
mod traces; // Spans of attempts, as a collector receives them.
mod turns; // Who gets which share of the requests.
mod usage; // What responses used, read from copies of them; nothing depends on that.
mod wire; // Every body and every client, in both body modes, through both shipped files.
mod wso2; // WSO2's own configuration, loaded or imported.
mod wso2_platform; // The same of API Platform.
