//! The documents of an export, by type.

use crate::document::problem::Report;
use crate::document::words::shown;
use crate::document::yaml::Node;
use crate::policy_file::import::settings::TYPE;

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
        match What::of(document) {
            Some(What::Settings) => self.settings = Some(data),
            Some(What::Api) => self.apis.push(data),
            Some(What::Endpoints) => self.endpoints.extend(list(data)),
            Some(What::Endpoint) => self.endpoints.push(data),
            Some(What::Vendor) => self.vendors.push(data),
            Some(What::Environments) => {}
            None => {
                let kind = document.get("type").and_then(Node::text).filter(|_| document.get("data").is_some());
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

/// What a document is.
enum What {
    Settings,
    Api,
    Endpoints,
    Endpoint,
    Vendor,
    Environments,
}

impl What {
    fn of(document: &Node) -> Option<Self> {
        let data = document.get("data").unwrap_or(document);
        let kind = document.get("type").and_then(Node::text).filter(|_| document.get("data").is_some());
        let is_endpoint = |one: &Node| one.get("endpointConfig").is_some() && one.get("context").is_none();
        match kind {
            Some(TYPE) => Some(Self::Settings),
            Some("api") => Some(Self::Api),
            Some("endpoints" | "api_endpoints") => Some(Self::Endpoints),
            Some("ai_service_provider" | "llm_provider") => Some(Self::Vendor),
            Some("deployment_environments") => Some(Self::Environments),
            None if data.get("context").is_some() => Some(Self::Api),
            None if ["modelProviders", "modelList"].iter().any(|key| data.get(key).is_some()) => Some(Self::Vendor),
            None if list(data).first().is_some_and(is_endpoint) => Some(Self::Endpoints),
            None if is_endpoint(data) => Some(Self::Endpoint),
            _ => None,
        }
    }
}

fn list(data: &Node) -> &[Node] {
    data.get("list").unwrap_or(data).items()
}

/// Returns whether a document is one of API Manager.
pub(in crate::policy_file::import) fn is_document(document: &Node) -> bool {
    What::of(document).is_some()
}
