//! Embedders: the names that semantic policies refer to.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::endpoints::{Context, Declared};
use super::limits::number;
use super::services::Form;
use crate::classifier::{Bounds, Embedder, FILES, MAX_DIMENSIONS, RemoteDeclaration, ServiceType, StaticModel};
use crate::document::decode::{At, Named};
use crate::document::problem::{Place, Report};
use crate::document::words::{instead, shown};
use crate::policy_file::{files, raw};

/// Their service.
const FORM: Form = Form {
    article: "an",
    name: "embedder",
    operation: "/embeddings",
    task: "makes the vectors",
    question: ("input", "it holds what is embedded"),
    bounds: Bounds::EMBEDDER,
};

/// The bounds of a model in this process: of a long prompt, its tokens take all the time.
const STATIC_BOUNDS: Bounds = Bounds { max_content_chars: 2_000, ..Bounds::EMBEDDER };

/// A larger file of a model is not read.
const MAX_MODEL_BYTES: u64 = 2 << 30;

/// Returns all embedders by name; `None` is an invalid one, which has been reported.
pub(super) fn embedders<'a>(
    named: Option<&'a At<Named<raw::Embedder>>>,
    context: &mut Context<'_>,
    report: &mut Report,
) -> Declared<'a, Option<Arc<Embedder>>> {
    let mut names = HashMap::new();
    for (place, name, raw) in named.and_then(At::get).into_iter().flat_map(Named::iter) {
        let made = raw.and_then(|raw| embedder((place, name), raw, context, report)).map(Arc::new);
        names.insert(name, (place, made));
    }
    Declared { names, complete: named.is_none_or(|named| named.get().is_some()) }
}

fn embedder(
    (place, name): (Place, &str),
    raw: &raw::Embedder,
    context: &mut Context<'_>,
    report: &mut Report,
) -> Option<Embedder> {
    let r#type = raw.own.r#type.get()?;
    if r#type == raw::STATIC {
        return local((place, name), raw, context, report);
    }
    let kind = ServiceType::ALL.iter().find(|(known, _)| known == r#type).map(|&(_, kind)| kind);
    if kind.is_none() {
        let help = instead(r#type, raw::embedder_types());
        report.error_with(raw.own.r#type.place, format!("unknown type of embedder {}", shown(r#type)), help);
    }
    if let Some(path) = &raw.own.path {
        let message = format!("`path` means nothing for an embedder of type {}", shown(r#type));
        report.error_with(path.place, message, "leave it out, or write `type: static`".to_owned());
    }
    let Some(url) = &raw.own.url else {
        let help = "write the whole one, such as `https://api.openai.com/v1/embeddings`".to_owned();
        report.error_with(place, format!("embedder {} has no `url`", shown(name)), help);
        return None;
    };
    let most = MAX_DIMENSIONS as u64;
    let dimensions = number(raw.own.dimensions.as_ref(), "dimensions", &(1..=most), report);
    let declared = FORM.service((name, &raw.shared), (&raw.own.r#type, kind), url, (context, report))?;
    let declaration =
        RemoteDeclaration { service: declared.service, model: declared.model, dimensions, edits: declared.edits };
    let embedder = Embedder::remote(name, declaration, |key, bounds| context.registry.embedder(key, bounds));
    if let Err(why) = if context.secrets.are_assumed() { Ok(()) } else { embedder.ready() } {
        report.error(url.place, format!("TLS cannot be used here: {why}"));
    }
    Some(embedder)
}

/// Compiles a model in this process.
fn local(
    (place, name): (Place, &str),
    raw: &raw::Embedder,
    context: &mut Context<'_>,
    report: &mut Report,
) -> Option<Embedder> {
    refuse_keys_of_apis(raw, report);
    let bounds = Form { bounds: STATIC_BOUNDS, ..FORM }.bounds(&raw.shared, report);
    let Some(path) = &raw.own.path else {
        let help = format!("name the directory of a model, with {}", FILES.join(", "));
        report.error_with(place, format!("embedder {} has no `path`", shown(name)), help);
        return None;
    };
    let directory = report.directory(path.place).join(path.get()?);
    let model = if context.secrets.are_assumed() {
        None
    } else {
        FILES.iter().for_each(|file| context.secrets.follow(directory.join(file)));
        let model = read(&directory).and_then(|files| {
            let space = StaticModel::space_of(&files);
            context.secrets.identify(&space);
            context.registry.model(space, || StaticModel::load(&directory, &files, space))
        });
        match model {
            Ok(model) => Some(model),
            Err(why) => {
                let message = format!("{} is no static model: {why}", shown(path.get()?));
                let help = format!("a directory of Model2Vec's form has {}", FILES.join(", "));
                report.error_with(path.place, message, help);
                return None;
            }
        }
    };
    Some(Embedder::local(name, model, bounds, |key, bounds| context.registry.embedder(key, bounds)))
}

/// Reports keys that only an API has a use for.
fn refuse_keys_of_apis(raw: &raw::Embedder, report: &mut Report) {
    let (own, shared) = (&raw.own, &raw.shared);
    let places = [
        ("url", own.url.as_ref().map(|at| at.place)),
        ("dimensions", own.dimensions.as_ref().map(|at| at.place)),
        ("model", shared.model.as_ref().map(|at| at.place)),
        ("api_key", shared.api_key.as_ref().map(|at| at.place)),
        ("timeout", shared.timeout.as_ref().map(|at| at.place)),
        ("concurrency", shared.concurrency.as_ref().map(|at| at.place)),
        ("retries", shared.retries.as_ref().map(|at| at.place)),
        ("suspend_after", shared.suspend_after.as_ref().map(|at| at.place)),
        ("suspend", shared.suspend.as_ref().map(|at| at.place)),
        ("cache", shared.cache.as_ref().map(|at| at.place)),
        ("cache_entries", shared.cache_entries.as_ref().map(|at| at.place)),
        ("body", shared.body.as_ref().map(|at| at.place)),
    ];
    for (key, place) in places.into_iter().filter_map(|(key, place)| Some((key, place?))) {
        let message = format!("`{key}` means nothing for an embedder of type `static`");
        report.error_with(place, message, "leave it out: the model is in this process".to_owned());
    }
}

fn read(directory: &Path) -> Result<[Vec<u8>; 3], String> {
    if !directory.is_dir() {
        return Err("there is no such directory".to_owned());
    }
    let [tokenizer, model, config] = FILES;
    Ok([file(directory, tokenizer)?, file(directory, model)?, file(directory, config)?])
}

fn file(directory: &Path, name: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened = files::regular(&directory.join(name));
    match opened.and_then(|file| file.take(MAX_MODEL_BYTES + 1).read_to_end(&mut bytes)) {
        Ok(_) if bytes.len() as u64 > MAX_MODEL_BYTES => Err(format!("{name} has more than 2 GiB")),
        Ok(_) => Ok(bytes),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Err(format!("{name} is missing")),
        Err(error) => Err(format!("cannot read {name}: {error}")),
    }
}
