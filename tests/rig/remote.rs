//! Telling a scripted provider what to answer over HTTP, for people with curl: `POST /_script {"status": 503}`.

use std::collections::HashMap;

use serde::Deserialize;

use super::script::Script;
use super::serve::{Shared, lock};

/// Where a provider takes orders; no request that a router forwards goes there.
pub(super) const PATH: &str = "/_script";

/// An order: answer with this status from now on, for one model or for all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    status: u16,
    model: Option<String>,
}

/// Does as it is told. Status and text of the answer.
pub(super) fn obey(shared: &Shared, body: &[u8]) -> (u16, String) {
    let order = match serde_json::from_slice::<Order>(body) {
        Ok(order) if (200..600).contains(&order.status) => order,
        Ok(order) => return (400, format!("{} is no status of an answer\n", order.status)),
        Err(e) => return (400, format!("{e}; expected {{\"status\": 503}}, or with \"model\" as well\n")),
    };
    let script = if order.status == 200 { Script::ok() } else { Script::status(order.status) };
    let which = order.model.as_deref().unwrap_or("every model").to_owned();
    let mut current = lock(&shared.script);
    *current = match order.model {
        None => script,
        Some(model) => Script::PerModel(with(&current, model, script)),
    };
    (200, format!("{} answers {} for {which}\n", shared.name, order.status))
}

/// The scripts of single models, with one more. A script for all models ends when one is given its own.
fn with(current: &Script, model: String, script: Script) -> HashMap<String, Script> {
    let mut scripts = match current {
        Script::PerModel(scripts) => scripts.clone(),
        _ => HashMap::new(),
    };
    scripts.insert(model, script);
    scripts
}
