//! What an API's clients speak: all its endpoints must speak the same, because nothing is translated.

use super::policies::{Tables, Usage};
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::routing::provider::{ProviderType, Shape};

/// An endpoint that an API names, where it does so, and what the endpoint speaks.
struct Named<'a> {
    place: Place,
    name: &'a str,
    kind: &'static ProviderType,
}

/// Reports every endpoint that speaks another API than the first, once.
pub(super) fn one_shape(usage: &Usage<'_>, tables: &Tables<'_>, report: &mut Report) {
    let named = usage.endpoints.iter().filter_map(|&(place, name)| {
        let (_, compiled) = tables.endpoints.get(name)?;
        Some(Named { place, name, kind: compiled.endpoint.as_ref()?.1.provider })
    });
    let all: Vec<_> = named.collect();
    let Some(first) = all.first() else { return };
    let mut reported = Vec::new();
    for other in all.iter().filter(|other| other.kind.shape != first.kind.shape) {
        if reported.contains(&other.name) {
            continue;
        }
        reported.push(other.name);
        let message = format!(
            "endpoint {} speaks {}, but {}, at {}, speaks {}; requests are not translated",
            shown(other.name),
            other.kind.shape.name(),
            shown(first.name),
            report.locate(first.place, other.place),
            first.kind.shape.name()
        );
        report.error_with(other.place, message, help(first, other));
    }
}

fn help(first: &Named<'_>, other: &Named<'_>) -> Option<String> {
    let foreign = [first, other].into_iter().filter(|named| named.kind.shape != Shape::OpenAi);
    let ways: Vec<_> = foreign
        .filter_map(|named| Some(format!("give {} the URL {}", shown(named.name), shown(named.kind.openai_url?))))
        .collect();
    (!ways.is_empty()).then(|| format!("{}, of a provider with `type: openai_compatible`", ways.join(" and ")))
}
