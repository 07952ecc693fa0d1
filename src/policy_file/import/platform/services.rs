//! The LLM that sorts requests and the embedder: as parameters of a policy, or as settings of the gateway.

use crate::document::problem::{Place, Report};
use crate::document::words::{instead, shown, variable_of};
use crate::document::yaml::Node;
use crate::policy_file::import::credential;
use crate::policy_file::import::tree::{content, map, text};
use crate::policy_file::import::{Draft, Part, Reference};

/// The file with the settings of the gateway.
pub(in crate::policy_file::import) const SETTINGS: &str = "config.toml";

/// A kind of service, with its keys for type, URL, model and credential.
pub(super) struct Service {
    /// As parameters of a policy.
    pub(super) params: [&'static str; 4],
    /// As settings of the gateway.
    settings: [&'static str; 4],
    /// The table of settings for the policy alone.
    table: &'static str,
    kinds: [(&'static str, &'static str); 3],
    what: &'static str,
    /// What it is called here.
    name: &'static str,
    is_embedder: bool,
}

pub(super) const CLASSIFIER: Service = Service {
    params: ["llmProvider", "llmEndpoint", "llmModel", "llmApiKey"],
    settings: ["llm_provider", "llm_provider_endpoint", "llm_provider_model", "llm_provider_api_key"],
    table: "intelligent_model_routing_v1",
    kinds: [("OPENAI", "openai"), ("MISTRAL", "mistral"), ("AZURE_OPENAI", "azure_openai")],
    what: "which LLM sorts the requests",
    name: "llm-provider",
    is_embedder: false,
};

pub(super) const EMBEDDER: Service = Service {
    params: ["embeddingProvider", "embeddingEndpoint", "embeddingModel", "apiKey"],
    settings: [
        "embedding_provider",
        "embedding_provider_endpoint",
        "embedding_provider_model",
        "embedding_provider_api_key",
    ],
    table: "semantic_model_routing_v1",
    kinds: [("OPENAI", "openai"), ("MISTRAL", "mistral"), ("AZURE_OPENAI", "azure_openai")],
    what: "what turns texts into vectors",
    name: "embedding-provider",
    is_embedder: true,
};

/// The services that policies use.
pub(super) struct Services<'a> {
    settings: Vec<&'a Node>,
    /// Whether all documents are there, so that one that is not declared is missing.
    is_whole: bool,
    /// What each was made of, with its part.
    used: Vec<(String, bool, Part)>,
}

impl<'a> Services<'a> {
    pub(super) fn new(settings: Vec<&'a Node>, is_whole: bool) -> Self {
        Self { settings, is_whole, used: Vec::new() }
    }

    /// Returns the name of the service that a policy uses. A policy file beside the documents may declare it, if there
    /// is one.
    pub(super) fn name(&mut self, service: &Service, params: &Node, report: &mut Report) -> Option<Node> {
        let values: [Option<Node>; 4] = std::array::from_fn(|index| self.value(service, index, params).cloned());
        if values.iter().all(Option::is_none) && !self.is_whole {
            return Some(text(params.place, service.name));
        }
        let identity = format!("{:?}", values.each_ref().map(|value| value.as_ref().map(content)));
        if let Some((.., part)) =
            self.used.iter().find(|(known, is_embedder, _)| *known == identity && *is_embedder == service.is_embedder)
        {
            return Some(text(params.place, part.name.text().unwrap_or_default()));
        }
        let count = self.used.iter().filter(|(_, is_embedder, _)| *is_embedder == service.is_embedder).count();
        let name = if count == 0 { service.name.to_owned() } else { format!("{}-{}", service.name, count + 1) };
        let part = part(service, name.clone(), values, params.place, report)?;
        self.used.push((identity, service.is_embedder, part));
        Some(text(params.place, name))
    }

    pub(super) fn into_draft(self, draft: &mut Draft) {
        for (_, is_embedder, part) in self.used {
            if is_embedder { draft.embedders.push(part) } else { draft.classifiers.push(part) }
        }
    }

    /// Returns a value: the policy's own, else that of the gateway's settings.
    fn value<'v>(&self, service: &Service, index: usize, params: &'v Node) -> Option<&'v Node>
    where
        'a: 'v,
    {
        let is_own = |value: &&Node| value.text().is_some_and(|text| !text.is_empty() && !text.starts_with("${config"));
        let key = service.settings[index];
        let in_settings = |settings: &&'a Node| {
            let policies = settings.get("policy_configurations");
            let tables = [policies.and_then(|all| all.get(service.table)), settings.get(service.table), policies];
            tables.into_iter().flatten().chain([*settings]).find_map(|table| table.get(key))
        };
        params.get(service.params[index]).filter(is_own).or_else(|| self.settings.iter().find_map(in_settings))
    }
}

/// Returns the classifier or embedder; mistakes are reported.
fn part(service: &Service, name: String, values: [Option<Node>; 4], at: Place, report: &mut Report) -> Option<Part> {
    let [kind_node, url, model, key] = values;
    let Some(kind_node) = kind_node else {
        let help = format!("add the gateway's {SETTINGS}, with {} and the others", shown(service.settings[0]));
        report.error_with(at, format!("it is not known {}", service.what), help);
        return None;
    };
    let label = kind_node.text().unwrap_or_default();
    let Some((_, kind)) = service.kinds.iter().find(|(kind, _)| *kind == label) else {
        let help = instead(label, service.kinds.iter().map(|(kind, _)| *kind));
        report.error_with(kind_node.place, format!("unknown kind of service {}", shown(label)), help);
        return None;
    };
    let has_model = *kind != "azure_openai";
    let needed = [(1, &url), (2, &model), (3, &key)].into_iter().filter(|(index, _)| *index != 2 || has_model);
    let missing = needed.filter(|(_, value)| value.as_ref().and_then(Node::text).is_none_or(str::is_empty));
    let missing: Vec<_> = missing.map(|(index, _)| shown(service.settings[index])).collect();
    if !missing.is_empty() {
        report.error(kind_node.place, format!("it is not known {}: {} is missing", service.what, missing.join(", ")));
        return None;
    }
    let key = key?;
    let written = key.text().unwrap_or_default();
    report.conceal(key.place, written);
    let (mut variable, mut label) = (credential::variable(&[&name, "key"]), format!("the key of {}", shown(&name)));
    let source = match variable_of(written) {
        Some(named) => {
            if let Some(named) = named {
                (variable, label) = (named.to_owned(), format!("{label}, which is there in the same variable"));
            }
            map(key.place, vec![("env", text(key.place, variable.as_str()))])
        }
        None => map(key.place, vec![("value", text(key.place, written))]),
    };
    let mut entries = vec![("type", text(kind_node.place, *kind)), ("url", url?)];
    entries.extend(model.filter(|_| has_model).map(|model| ("model", model)));
    entries.push(("api_key", source));
    Some(Part {
        origin: format!("{} ({})", service.settings[0], report.origin(kind_node.place)),
        name: text(kind_node.place, name),
        value: map(kind_node.place, entries),
        secret: Some(Reference { variable, label }),
    })
}
