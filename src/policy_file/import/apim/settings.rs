//! `deployment.toml`: the LLM that classifies and the embedder for the whole gateway, and its time limit.

use super::documents::Documents;
use crate::document::problem::Report;
use crate::document::words::{instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::tree::{map, text};
use crate::policy_file::import::{Draft, Part, Reference};

/// The file's name.
pub(in crate::policy_file::import) const NAME: &str = "deployment.toml";

/// A service of the gateway: the table that declares it, the keys of its properties, and what becomes of it.
struct Service {
    table: &'static str,
    url: &'static str,
    model: &'static str,
    kinds: [(&'static str, &'static str); 3],
    /// What it is called in messages.
    what: &'static str,
    name: &'static str,
    variable: &'static str,
}

const LLM: Service = Service {
    table: "llm_provider",
    url: "llm_endpoint",
    model: "llm_model",
    kinds: [("openai", "openai"), ("mistral", "mistral"), ("azure-openai", "azure_openai")],
    what: "LLM provider",
    name: "llm-provider",
    variable: "LLM_PROVIDER_KEY",
};

const EMBEDDINGS: Service = Service {
    table: "embedding_provider",
    url: "embedding_endpoint",
    model: "embedding_model",
    kinds: [("openai", "openai"), ("mistral", "mistral"), ("azure", "azure_openai")],
    what: "embedding provider",
    name: "embedding-provider",
    variable: "EMBEDDING_PROVIDER_KEY",
};

/// Adds the gateway's classifier, and returns its name.
pub(super) fn classifier(documents: &Documents<'_>, draft: &mut Draft, report: &mut Report) -> Option<String> {
    let ai = documents.settings?.get("apim")?.get("ai")?;
    let keys = ["llm_provider", "embedding_provider", "default_request_timeout", "failover_configurations"];
    honoured(ai, &keys, "`apim.ai`", &[], report);
    draft.classifiers.push(LLM.part(ai, report)?);
    Some(LLM.name.to_owned())
}

/// Adds the gateway's embedder, and returns its name.
pub(super) fn embedder(documents: &Documents<'_>, draft: &mut Draft, report: &mut Report) -> Option<String> {
    let ai = documents.settings?.get("apim")?.get("ai")?;
    draft.embedders.push(EMBEDDINGS.part(ai, report)?);
    Some(EMBEDDINGS.name.to_owned())
}

impl Service {
    fn part(&self, ai: &Node, report: &mut Report) -> Option<Part> {
        let provider = ai.get(self.table)?;
        let of = format!("`apim.ai.{}`", self.table);
        let kind_node = required(provider, "type", &of, report)?;
        let label = kind_node.text().unwrap_or_default();
        let Some((_, kind)) = self.kinds.iter().find(|(kind, _)| *kind == label) else {
            let help = instead(label, self.kinds.iter().map(|(kind, _)| *kind));
            report.error_with(kind_node.place, format!("unknown type of {} {}", self.what, shown(label)), help);
            return None;
        };
        let properties = provider.get("properties").unwrap_or(provider);
        let of = format!("`apim.ai.{}.properties`", self.table);
        honoured(properties, &[self.url, "apikey", self.model, "type"], &of, &[], report);
        let url = required(properties, self.url, &of, report);
        let key = required(properties, "apikey", &of, report);
        let (url, key) = url.zip(key)?;
        let value = map(key.place, vec![("value", text(key.place, key.text().unwrap_or_default()))]);
        let mut entries = vec![("type", text(kind_node.place, *kind)), ("url", url.clone())];
        if *kind != "azure_openai" {
            entries.push(("model", required(properties, self.model, &of, report)?.clone()));
        }
        entries.push(("api_key", value));
        Some(Part {
            name: text(provider.place, self.name),
            value: map(provider.place, entries),
            origin: format!("apim.ai.{} ({})", self.table, report.origin(kind_node.place)),
            secret: Some(Reference { variable: self.variable.to_owned(), label: format!("`apikey` of {of}") }),
        })
    }
}
