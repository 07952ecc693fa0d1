//! The documents of an export, by type.

use super::settings::TYPE;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::Node;

/// All documents: the values of their `data` keys, or the whole documents.
#[derive(Debug, Default)]
pub(super) struct Documents<'a> {
    pub(super) apis: Vec<&'a Node>,
    pub(super) endpoints: Vec<&'a Node>,
    pub(super) vendors: Vec<&'a Node>,
    pub(super) settings: Option<&'a Node>,
}

impl<'a> Documents<'a> {
    pub(super) fn read(documents: &'a [Node], report: &mut Report) -> Self {
        let mut all = Self::default();
        for document in documents {
            all.add(document, report);
        }
        all
    }

    fn add(&mut self, document: &'a Node, report: &mut Report) {
        let data = document.get("data").unwrap_or(document);
        let kind = document.get("type").and_then(Node::text).filter(|_| document.get("data").is_some());
        let list = || data.get("list").unwrap_or(data).items();
        let is_endpoint = |one: &Node| one.get("endpointConfig").is_some() && one.get("context").is_none();
        match kind {
            Some(TYPE) => self.settings = Some(data),
            Some("api") => self.apis.push(data),
            Some("endpoints" | "api_endpoints") => self.endpoints.extend(list()),
            Some("ai_service_provider" | "llm_provider") => self.vendors.push(data),
            Some("deployment_environments") => {}
            None if data.get("context").is_some() => self.apis.push(data),
            None if ["modelProviders", "modelList"].iter().any(|key| data.get(key).is_some()) => {
                self.vendors.push(data);
            }
            None if list().first().is_some_and(is_endpoint) => self.endpoints.extend(list()),
            None if is_endpoint(data) => self.endpoints.push(data),
            kind => {
                let message = match kind {
                    Some(kind) => format!("a document of the type {} is not honoured", shown(kind)),
                    None => "this document is none that is honoured".to_owned(),
                };
                let help = "expected `type: api`, `endpoints` or `ai_service_provider`, with `data`".to_owned();
                report.warning(document.place, message, help);
            }
        }
    }

    /// Returns the gateway's own time limit.
    pub(super) fn timeout(&self) -> Option<&'a Node> {
        self.settings?.get("apim")?.get("ai")?.get("default_request_timeout")
    }
}
