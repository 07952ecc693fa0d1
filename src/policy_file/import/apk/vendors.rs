//! AIProviders: the vendor's API and its models.

use super::pools::UsedVendor;
use crate::document::problem::Report;
use crate::document::words::{instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::Part;
use crate::policy_file::import::honoured::{honoured, required};
use crate::policy_file::import::tree::{list, map, text};

/// What vendors are called there, and the types of provider that they are here.
pub(in crate::policy_file::import) const VENDORS: &[(&str, &str)] = &[
    ("OpenAI", "openai"),
    ("AzureAI", "azure_openai"),
    ("AzureOpenAI", "azure_openai"),
    ("AzureAIFoundry", "azure_ai_foundry"),
    ("MistralAI", "mistral"),
    ("Mistral", "mistral"),
    ("Anthropic", "anthropic"),
    ("Gemini", "gemini"),
    ("AWSBedrock", "aws_bedrock"),
];

/// Returns the provider type for a vendor's name; an unknown name is reported.
pub(in crate::policy_file::import) fn provider_type(name: &Node, report: &mut Report) -> Option<Node> {
    let label = name.text().unwrap_or_default();
    let found = vendor_type(label);
    if found.is_none() {
        let help = instead(label, VENDORS.iter().map(|(vendor, _)| *vendor))
            .unwrap_or_else(|| "for an API like OpenAI's write `OpenAI`".to_owned());
        report.error_with(name.place, format!("unknown vendor {}", shown(label)), help);
    }
    found.map(|kind| text(name.place, kind))
}

/// Returns the provider type for a vendor's name, however it is written.
pub(in crate::policy_file::import) fn vendor_type(name: &str) -> Option<&'static str> {
    let plain = |text: &str| text.replace([' ', '-', '_'], "").to_ascii_lowercase();
    VENDORS.iter().find(|(vendor, _)| plain(vendor) == plain(name)).map(|(_, kind)| *kind)
}

/// Returns the provider that an AIProvider becomes.
pub(super) fn provider(used: &UsedVendor<'_>, report: &mut Report) -> Option<Part> {
    let vendor = used.vendor;
    let of = vendor.describe();
    let keys =
        ["providerName", "providerAPIVersion", "organization", "supportedModels", "requestModel", "responseModel"];
    honoured(vendor.spec, &keys, &of, &[("rateLimitFields", "the router counts no tokens")], report);
    let kind = provider_type(required(vendor.spec, "providerName", &of, report)?, report)?;
    if let Some(model) = vendor.spec.get("requestModel") {
        request_model(model, report);
    }
    let listed = vendor.spec.get("supportedModels").map_or(&[][..], Node::items);
    let mut models: Vec<Node> = listed.to_vec();
    for model in &used.models {
        if models.iter().any(|known| known.text() == model.text()) {
            continue;
        }
        if !listed.is_empty() {
            let message =
                format!("{} is not among the `supportedModels` of {of}", shown(model.text().unwrap_or_default()));
            report.warning(model.place, message, "it is asked for all the same".to_owned());
        }
        models.push((*model).clone());
    }
    let place = models.first().map_or(vendor.place, |first| first.place);
    let value = map(vendor.place, vec![("type", kind), ("models", list(place, models))]);
    Some(Part { name: vendor.name_node.clone(), value, origin: vendor.origin(report), secret: None })
}

/// The place of the model comes with the provider's type; deviations are reported.
fn request_model(model: &Node, report: &mut Report) {
    let text = |key| model.get(key).and_then(Node::text);
    if text("in").is_some_and(|place| place != "Body")
        || text("value").is_some_and(|name| !["model", "$.model"].contains(&name))
    {
        let message = "`requestModel` is not honoured: where the model is comes with the vendor";
        report.warning(model.place, message, "it is taken for `{ in: Body, value: model }`".to_owned());
    }
}
