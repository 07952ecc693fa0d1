//! Telling a scripted provider what to answer over HTTP, for people with curl: `POST /_script {"status": 503}`.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use super::script::{Completion, Script};
use super::serve::{Shared, lock};

/// Where a provider takes orders; no request that a router forwards goes there.
pub(super) const PATH: &str = "/_script";

/// An order: answer with this status from now on, for one model or for all of them; streams with so many events, and
/// so long between them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    status: u16,
    model: Option<String>,
    events: Option<usize>,
    gap_ms: Option<u64>,
}

impl Order {
    fn script(&self) -> Script {
        if self.status != 200 {
            return Script::status(self.status);
        }
        let usual = Completion::default();
        let gap = self.gap_ms.map_or(usual.gap, Duration::from_millis);
        Script::Ok(Completion { chunks: self.events.unwrap_or(usual.chunks), gap, ..usual })
    }
}

/// Does as it is told. Status and text of the answer.
pub(super) fn obey(shared: &Shared, body: &[u8]) -> (u16, String) {
    let order = match serde_json::from_slice::<Order>(body) {
        Ok(order) if (200..600).contains(&order.status) => order,
        Ok(order) => return (400, format!("{} is no status of an answer\n", order.status)),
        Err(e) => return (400, format!("{e}; expected {{\"status\": 503}}, or with \"model\" as well\n")),
    };
    let script = order.script();
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
