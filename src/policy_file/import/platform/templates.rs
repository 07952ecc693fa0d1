//! Templates of LLM providers: which vendor's API is spoken, and where the model is in its requests.

use super::kinds::{Kind, Object, Objects};
use super::targets::{Upstream, Used};
use crate::document::problem::{Place, Report};
use crate::document::words::{instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::apk::vendor_type;
use crate::policy_file::import::honoured::honoured;
use crate::policy_file::import::operations::operations;
use crate::policy_file::import::tree::{map, text};

/// The templates that come with the gateway.
const BUILT_IN: [&str; 7] =
    ["openai", "azure-openai", "azureai-foundry", "mistralai", "anthropic", "gemini", "awsbedrock"];
/// Vendors whose models are in the path.
const IN_PATH: [&str; 2] = ["gemini", "aws_bedrock"];

/// Where the model is in a request.
#[derive(PartialEq)]
enum ModelPlace<'a> {
    Body,
    Path,
    Header(&'a Node),
    Query(&'a Node),
}

/// Returns the provider that an upstream speaks like, without its models.
pub(super) fn provider<'a>(
    used: &Used<'a>,
    objects: &'a Objects<'a>,
    report: &mut Report,
) -> Option<Vec<(&'static str, Node)>> {
    let object = used.upstream.object();
    let (label, template) = match used.upstream {
        Upstream::Provider(provider) => {
            let name = provider.spec.get("template").filter(|name| name.text().is_some());
            let Some(name) = name else {
                report.error(provider.place, format!("{} has no `template`", provider.describe()));
                return None;
            };
            (Some(name), template(name, provider, objects, report)?)
        }
        Upstream::Api(..) => (None, None),
    };
    let named = template.and_then(|template| template.spec.get("groupId").or(template.spec.get("displayName")));
    let vendor = [label, named].into_iter().flatten().find_map(|name| {
        let name = name.text()?;
        vendor_type(name.strip_prefix("wso2-").unwrap_or(name))
    });
    let request_model = template.map_or(used.request_model, |template| template.spec.get("requestModel"));
    let at = label.map_or(object.place, |label| label.place);
    let usual =
        if vendor.is_some_and(|vendor| IN_PATH.contains(&vendor)) { ModelPlace::Path } else { ModelPlace::Body };
    let model = match request_model {
        None => usual,
        Some(node) => model_place(node, vendor, report)?,
    };
    match (model, vendor) {
        (ModelPlace::Body, Some(vendor)) if !IN_PATH.contains(&vendor) => Some(vec![("type", text(at, vendor))]),
        (ModelPlace::Path, Some(vendor)) if IN_PATH.contains(&vendor) => Some(vec![("type", text(at, vendor))]),
        (ModelPlace::Body, _) => Some(vec![("type", text(at, "openai_compatible"))]),
        (ModelPlace::Header(name), _) => custom(at, "header", name, used, report),
        (ModelPlace::Query(name), _) => custom(at, "query", name, used, report),
        (ModelPlace::Path, _) => {
            let place = request_model.map_or(at, |node| node.place);
            let message = "a model in the path is known of Gemini and Bedrock only";
            let help = "write a provider of `type: custom` whose operations have `{model}`".to_owned();
            report.error_with(place, message, help);
            None
        }
    }
}

/// Returns whether requests without a body name models at an upstream.
pub(super) fn is_bodiless<'a>(provider: &Object<'a>, objects: &'a Objects<'a>) -> bool {
    let name = provider.spec.get("template").and_then(Node::text).unwrap_or_default();
    let template = objects.lookup(Kind::Template, name, provider.namespace);
    let location = template.and_then(|template| template.spec.get("requestModel")?.get("location")?.text());
    location.is_some_and(|location| ["header", "queryParam"].contains(&location))
}

/// Returns the document of a template; the inner `None` for one that comes with the gateway.
fn template<'a>(
    name: &Node,
    provider: &Object<'a>,
    objects: &'a Objects<'a>,
    report: &mut Report,
) -> Option<Option<&'a Object<'a>>> {
    let label = name.text().unwrap_or_default();
    let found = objects.lookup(Kind::Template, label, provider.namespace);
    if found.is_none() && !BUILT_IN.contains(&label) {
        let known = objects.of(Kind::Template).map(|template| template.name).chain(BUILT_IN);
        let help = instead(label, known).unwrap_or_else(|| "add the document of this template".to_owned());
        report.error_with(name.place, format!("unknown LlmProviderTemplate {}", shown(label)), help);
        return None;
    }
    if let Some(template) = found {
        let keys = ["displayName", "groupId", "managedBy", "version", "description", "requestModel", "responseModel"];
        let counted = ["promptTokens", "completionTokens", "totalTokens", "remainingTokens"];
        let by_path = [("resourceMappings", "where the model is comes with the vendor")];
        honoured(template.spec, &[&keys[..], &counted].concat(), &template.describe(), &by_path, report);
    }
    Some(found)
}

/// Returns where the model is; what cannot be expressed is reported.
fn model_place<'a>(node: &'a Node, vendor: Option<&str>, report: &mut Report) -> Option<ModelPlace<'a>> {
    honoured(node, &["location", "identifier"], "`requestModel`", &[], report);
    let identifier = node.get("identifier").filter(|identifier| identifier.text().is_some());
    let location = node.get("location").and_then(Node::text).unwrap_or_default();
    match (location, identifier) {
        ("payload", Some(name)) if name.text().is_some_and(|name| ["$.model", "model"].contains(&name)) => {
            Some(ModelPlace::Body)
        }
        ("payload", Some(name)) => {
            let message = format!("the model cannot be at {} of a body", shown(name.text().unwrap_or_default()));
            report.error_with(name.place, message, "it has to be at `$.model`".to_owned());
            None
        }
        ("header", Some(name)) => Some(ModelPlace::Header(name)),
        ("queryParam", Some(name)) => Some(ModelPlace::Query(name)),
        ("pathParam", Some(_)) => Some(ModelPlace::Path),
        (_, None) if vendor.is_some() => Some(ModelPlace::Body),
        (_, None) => {
            report.error(node.place, "`requestModel` has no `identifier`");
            None
        }
        _ => {
            let help = instead(location, ["payload", "header", "queryParam", "pathParam"]);
            report.error_with(node.place, format!("unknown location {} of the model", shown(location)), help);
            None
        }
    }
}

/// Returns a provider that has its models in a header or a parameter.
fn custom(
    place: Place,
    key: &'static str,
    name: &Node,
    used: &Used<'_>,
    report: &mut Report,
) -> Option<Vec<(&'static str, Node)>> {
    let Some(operations) = operations(&used.operations, place) else {
        let message = "a provider with its models elsewhere than in the body needs to know which paths it has";
        report.error_with(name.place, message, "attach the policies to paths rather than to `/*`".to_owned());
        return None;
    };
    let model = map(name.place, vec![(key, name.clone())]);
    Some(vec![("type", text(place, "custom")), ("operations", operations), ("model", model)])
}
