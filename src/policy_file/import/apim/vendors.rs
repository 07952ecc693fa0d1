//! AI service providers: the vendor's API and its models.

use super::documents::Documents;
use super::embedded;
use crate::document::problem::Report;
use crate::document::words::{instead, shown};
use crate::document::yaml::Node;
use crate::policy_file::import::Part;
use crate::policy_file::import::apk::provider_type;
use crate::policy_file::import::tree::{list, map, map_of, text};

/// The vendor of an API, with the models that are asked for.
#[derive(Debug)]
pub(super) struct Vendor {
    pub(super) name: String,
    kind: Node,
    /// Models by family; without one where they are not listed so.
    families: Vec<(Option<Node>, Vec<Node>)>,
    is_listed: bool,
    origin: String,
}

impl Vendor {
    /// Returns the vendor that an API names, or the only one; mistakes are reported.
    pub(super) fn of<'v>(
        api: &Node,
        documents: &Documents<'_>,
        vendors: &'v mut Vec<Self>,
        report: &mut Report,
    ) -> Option<&'v mut Self> {
        let found = Self::find(api, documents, report)?;
        let index = vendors.iter().position(|known| known.name == found.name).unwrap_or_else(|| {
            vendors.push(found);
            vendors.len() - 1
        });
        vendors.get_mut(index)
    }

    fn find(api: &Node, documents: &Documents<'_>, report: &mut Report) -> Option<Self> {
        let subtype = api.get("subtypeConfiguration").and_then(|subtype| subtype.get("configuration"));
        let wanted = subtype.and_then(|node| embedded::json("configuration", node, report));
        let wanted = |key: &str| wanted.as_ref().and_then(|wanted| wanted.get(key)).cloned();
        let (id, name) = (wanted("llmProviderId"), wanted("llmProviderName"));
        let is = |vendor: &&&Node, key: &str, wanted: &Option<Node>| {
            wanted.as_ref().is_some_and(|wanted| vendor.get(key).and_then(Node::text) == wanted.text())
        };
        let named = documents.vendors.iter().find(|vendor| is(vendor, "id", &id) || is(vendor, "name", &name));
        let only = documents.vendors.first().filter(|_| documents.vendors.len() == 1 && name.is_none());
        if let Some(vendor) = named.or(only) {
            return Self::listed(vendor, report);
        }
        let Some(name) = name else {
            let known = documents.vendors.iter().filter_map(|vendor| vendor.get("id")?.text());
            let help = instead(id.as_ref().and_then(Node::text).unwrap_or_default(), known).unwrap_or_else(|| {
                "add the AI service provider: `name`, and `modelProviders` with `models`".to_owned()
            });
            report.error_with(api.place, "it is not known which vendor's API this is", help);
            return None;
        };
        let kind = provider_type(&name, report)?;
        let origin = format!("vendor {} ({})", shown(name.text().unwrap_or_default()), report.origin(name.place));
        let name = name.text().unwrap_or_default().to_ascii_lowercase();
        Some(Self { name, kind, families: Vec::new(), is_listed: false, origin })
    }

    fn listed(vendor: &Node, report: &mut Report) -> Option<Self> {
        let name = crate::policy_file::import::honoured::required(vendor, "name", "this AI service provider", report)?;
        let kind = provider_type(name, report)?;
        let mut families = Vec::new();
        if let Some(models) = vendor.get("modelList").or(vendor.get("models")) {
            families.push((None, models.items().to_vec()));
        }
        let providers = vendor.get("modelProviders").map_or(&[][..], Node::items);
        for family in providers {
            let models = family.get("models").map_or(&[][..], Node::items).to_vec();
            families.push((family.get("name").filter(|_| providers.len() > 1).cloned(), models));
        }
        let label = name.text().unwrap_or_default();
        let origin = format!("AI service provider {} ({})", shown(label), report.origin(vendor.place));
        let name = label.to_ascii_lowercase().replace(' ', "-");
        Some(Self { name, kind, families, is_listed: true, origin })
    }

    /// Takes note of a model that a policy asks for.
    pub(super) fn model(&mut self, model: &Node, report: &mut Report) {
        let known = self.families.iter().flat_map(|(_, models)| models).any(|known| known.text() == model.text());
        if known {
            return;
        }
        if self.is_listed {
            let message = format!("{} is not among the models of its vendor", shown(model.text().unwrap_or_default()));
            report.warning(model.place, message, "it is asked for all the same".to_owned());
        }
        let is_by_family = self.families.iter().any(|(family, _)| family.is_some());
        let other = is_by_family.then(|| text(model.place, "other"));
        match self
            .families
            .iter_mut()
            .find(|(family, _)| family.as_ref().and_then(Node::text) == other.as_ref().and_then(Node::text))
        {
            Some((_, models)) => models.push(model.clone()),
            None => self.families.push((other, vec![model.clone()])),
        }
    }

    /// Returns the provider that it becomes.
    pub(super) fn into_part(self) -> Part {
        let place = self.kind.place;
        let models = if self.families.iter().any(|(family, _)| family.is_some()) {
            let families = self
                .families
                .into_iter()
                .map(|(family, models)| (family.unwrap_or_else(|| text(place, "other")), list(place, models)));
            map_of(place, families.collect())
        } else {
            list(place, self.families.into_iter().flat_map(|(_, models)| models).collect())
        };
        let value = map(place, vec![("type", self.kind), ("models", models)]);
        Part { name: text(place, self.name), value, origin: self.origin, secret: None }
    }
}
