//! `deployment.toml`: the LLM that classifies and the embedder for the whole gateway, and its time limit.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::documents::Documents;
use crate::document::problem::{Place, Report};
use crate::document::words::{instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::tree::{list, map, map_of, plain, text};
use crate::policy_file::import::{Draft, Part, Reference};

/// The file's name.
pub(in crate::policy_file::import) const NAME: &str = "deployment.toml";
/// What its document is called among the others.
pub(super) const TYPE: &str = "deployment.toml";

/// Returns the file as a document. Its lines are never shown: they hold passwords of everything.
pub(in crate::policy_file::import) fn read(toml: &str, file: usize, report: &mut Report) -> Option<Node> {
    report.withhold(file);
    let at = |offset: usize| {
        let before = toml.get(..offset).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place { file, line: before.matches('\n').count() + 1, column }
    };
    match DeTable::parse(toml) {
        Ok(table) => {
            let start = Place { file, line: 1, column: 1 };
            Some(map(start, vec![("type", text(start, TYPE)), ("data", self::table(start, table.get_ref(), &at))]))
        }
        Err(error) => {
            let place = error.span().map_or_else(Place::default, |span| at(span.start));
            report.error_with(Place { file, ..place }, format!("this is no TOML: {}", error.message()), None);
            None
        }
    }
}

fn table(place: Place, table: &DeTable<'_>, at: &impl Fn(usize) -> Place) -> Node {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        (text(at(key.span().start), key.get_ref().as_ref()), self::value(value, at))
    };
    map_of(place, table.iter().map(entry).collect())
}

fn value(value: &Spanned<DeValue<'_>>, at: &impl Fn(usize) -> Place) -> Node {
    let place = at(value.span().start);
    match value.get_ref() {
        DeValue::String(value) => text(place, value.as_ref()),
        DeValue::Integer(value) => plain(place, value.as_str()),
        DeValue::Float(value) => plain(place, value.as_str()),
        DeValue::Boolean(value) => plain(place, value.to_string()),
        DeValue::Datetime(value) => text(place, value.to_string()),
        DeValue::Array(values) => list(place, values.iter().map(|value| self::value(value, at)).collect()),
        DeValue::Table(table) => self::table(place, table, at),
    }
}

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
