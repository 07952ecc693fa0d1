//! Semantic policies: routes of utterances that an embedder can tell apart, and their targets.

use std::collections::HashMap;
use std::sync::Arc;

use super::failover::without_turns;
use super::policies::{PolicyCompiler, Pool};
use super::sorted::{check_distinct, content};
use crate::classifier::{Embedder, Route, Routes, Sorter, Survey, Threshold, Unsure, WORDING, prime_at_once};
use crate::document::decode::At;
use crate::document::problem::{Place, Report};
use crate::document::words::shown;
use crate::policy_file::raw;
use crate::routing::policy::sorted::Sorted;
use crate::routing::policy::{Strategy, Target};

/// The most utterances of a route.
const MAX_UTTERANCES: usize = 200;
/// The quantile behind a threshold of its own. A tenth refused 8.2 % of what fits with one embedder that was measured, and a
/// share below 8 % was the aim; this one refuses 7.3 % (`docs/semantic-routing.md`).
const QUANTILE: f32 = 0.09;
/// How close is too close.
const MARGIN: f32 = 0.05;
/// More comparisons of utterances with routes take too long for a warning.
const MAX_COMPARISONS: usize = 8_000_000;
/// A threshold that lets more utterances through where they do not belong keeps nothing out.
const LAX: f32 = 0.25;
/// The most utterances that a warning names.
const MAX_STRAYS: usize = 10;

/// A route whose target is known.
struct Compiled {
    route: Route,
    target: usize,
}

impl<'a> PolicyCompiler<'a, '_> {
    /// Returns the targets and their order; `None` if that cannot be done, which is then reported.
    pub(super) fn semantic(&mut self, raw: &'a raw::SemanticRoutes) -> Option<(Vec<Target>, Strategy)> {
        let embedder = self.embedder(&raw.embedder);
        let content = content(raw.content.as_ref(), self.report);
        let mut pool = Pool::default();
        let compiled = self.routes(raw, &mut pool);
        without_turns(&raw.default, "semantic", self.report);
        let default = self.target(&raw.default);
        let threshold = threshold(raw, self.report);
        let unsure = raw.unsure.as_ref().map(|at| self.unsure(at.get()?));
        let (compiled, embedder) = (compiled?, embedder?);
        let default = pool.index(default?);
        let (targets, routes): (Vec<_>, Vec<_>) = compiled.into_iter().map(|it| (it.target, it.route)).unzip();
        let unsure = match unsure {
            Some(found) => found.map(|(classifier, margin)| Some(Unsure::new(classifier, &routes, WORDING, margin)))?,
            None => None,
        };
        let routes = Routes::new(embedder, routes, threshold?, unsure);
        self.prime(&routes, raw);
        let sorter = Sorter::Routes(Arc::new(routes));
        let sorted = Sorted { sorter, content: Arc::new(content?), targets, default };
        Some((pool.targets, Strategy::Semantic(sorted)))
    }

    fn embedder(&mut self, name: &'a At<String>) -> Option<Arc<Embedder>> {
        let text = name.get()?;
        let Some((_, known)) = self.tables.embedders.get(text) else {
            if self.tables.embedders.complete {
                let message = format!("unknown embedder {}", shown(text));
                self.report.error_with(name.place, message, self.tables.embedders.instead(text));
            }
            return None;
        };
        self.usage.embedders.push(text);
        known.clone()
    }

    fn unsure(&mut self, raw: &'a raw::Unsure) -> Option<(Arc<crate::classifier::Classifier>, f32)> {
        let margin = raw.margin.as_ref().map_or(Some(MARGIN), |at| at.get().map(|share| share.0));
        Some((self.classifier(&raw.classifier)?, margin?))
    }

    fn routes(&mut self, raw: &'a raw::SemanticRoutes, pool: &mut Pool) -> Option<Vec<Compiled>> {
        let routes = raw.routes.get()?;
        if routes.is_empty() {
            let help =
                "name at least one, such as `{ name: Coding, utterances: [fix this function], model: …, endpoint: … }`";
            self.report.error_with(raw.routes.place, "`routes` is empty", help.to_owned());
            return None;
        }
        check_distinct("route", routes.iter().filter_map(|route| Some(&route.get()?.name)), self.report);
        check_repetition(routes, self.report);
        let compiled: Vec<_> = routes.iter().map(|route| self.route(route.get()?, pool)).collect();
        compiled.into_iter().collect()
    }

    fn route(&mut self, raw: &'a raw::Route, pool: &mut Pool) -> Option<Compiled> {
        let utterances = utterances(&raw.utterances, self.report);
        let threshold = raw.threshold.as_ref().map_or(Some(None), |at| at.get().map(|share| Some(share.0)));
        let target = self.target_of(&raw.into())?;
        let route = Route { name: raw.name.get()?.as_str().into(), utterances: utterances?, threshold: threshold? };
        Some(Compiled { route, target: pool.index(target) })
    }

    /// Builds the index, if the vectors are there already or a model in this process makes them.
    fn prime(&mut self, routes: &Routes, raw: &raw::SemanticRoutes) {
        match prime_at_once(routes, self.registry.vectors()) {
            Ok(_) if routes.index().is_some_and(|index| index.comparisons() <= MAX_COMPARISONS) => {
                if self.tables.thorough {
                    warn_of_overlap(routes, raw, self.report);
                }
            }
            Ok(_) => {}
            Err(why) => self.report.error(raw.routes.place, format!("the routes cannot be used: {why}")),
        }
        if self.tables.thorough && routes.embedder.is_local() {
            warn_of_single_words(raw, self.report);
        }
    }
}

/// Returns how it is decided whether the best route fits.
fn threshold(raw: &raw::SemanticRoutes, report: &mut Report) -> Option<Threshold> {
    let quantile = raw.quantile.as_ref().map_or(Some(QUANTILE), |at| at.get().map(|share| share.0));
    let chosen = raw.threshold.as_ref().map_or(Some(raw::Threshold::Auto), |at| at.get().copied());
    let routes = || raw.routes.get().into_iter().flatten().filter_map(At::get);
    let has_pair = |route: &raw::Route| route.utterances.get().is_none_or(|utterances| utterances.len() > 1);
    match chosen? {
        raw::Threshold::Fixed(number) => {
            if let Some(at) = &raw.quantile {
                let help = "leave one of them out".to_owned();
                report.error_with(at.place, "`quantile` means nothing beside a `threshold` that is a number", help);
            }
            Some(Threshold::Fixed(number.0))
        }
        raw::Threshold::Auto => {
            if routes().any(|route| route.threshold.is_none()) && !routes().any(has_pair) {
                let message = "no route has two utterances, so no threshold can be derived from them";
                let help = "give at least one route two utterances, or name a `threshold`".to_owned();
                report.error_with(raw.routes.place, message, help);
            }
            quantile.map(Threshold::Auto)
        }
    }
}

fn utterances(at: &At<Vec<At<String>>>, report: &mut Report) -> Option<Vec<Box<str>>> {
    let list = at.get()?;
    if list.is_empty() || list.len() > MAX_UTTERANCES {
        let message = format!("a route has from 1 to {MAX_UTTERANCES} utterances, found {}", list.len());
        report.error_with(at.place, message, "write what users say, such as `why does my loop never end`".to_owned());
        return None;
    }
    let utterance = |at: &At<String>| {
        let text = at.get()?.trim();
        if text.is_empty() {
            report.error_with(at.place, "an utterance is empty", "write what a user says".to_owned());
            return None;
        }
        Some(text.into())
    };
    let all: Vec<_> = list.iter().map(utterance).collect();
    all.into_iter().collect()
}

/// Warns of utterances that are there twice: within a route they weigh double, in two routes they say nothing.
fn check_repetition(routes: &[At<raw::Route>], report: &mut Report) {
    let mut seen: HashMap<String, (Place, &str)> = HashMap::new();
    for (name, at) in routes
        .iter()
        .filter_map(At::get)
        .filter_map(|it| it.name.get().zip(it.utterances.get()))
        .flat_map(|(name, utterances)| utterances.iter().map(move |utterance| (name.as_str(), utterance)))
    {
        let Some(text) = at.get() else { continue };
        match seen.get(&text.trim().to_lowercase()) {
            Some((first, route)) => {
                let place = report.locate(*first, at.place);
                let message = format!("the utterance {} is in route {} already, at {place}", shown(text), shown(route));
                report.warning(at.place, message, "keep one of them".to_owned());
            }
            None => _ = seen.insert(text.trim().to_lowercase(), (at.place, name)),
        }
    }
}

/// Warns of utterances that are more like another route than like their own, and of a threshold that lets nearly
/// everything through.
fn warn_of_overlap(routes: &Routes, raw: &raw::SemanticRoutes, report: &mut Report) {
    let Some(index) = routes.index() else { return };
    let Survey { strays, let_through } = index.survey();
    if let_through > LAX {
        let message = format!(
            "the threshold {:.2} lets utterances through at {:.0} % of the routes that are not theirs, and so hardly \
             sends a request to the default",
            index.threshold(),
            let_through * 100.0
        );
        let help = "give each route five to ten utterances that belong together, or name a `threshold`".to_owned();
        report.warning(raw.threshold.as_ref().map_or(raw.routes.place, |at| at.place), message, help);
    }
    for stray in strays.iter().take(MAX_STRAYS) {
        let route = raw.routes.get().and_then(|all| all.get(stray.route)?.get());
        let Some(at) = route.and_then(|route| route.utterances.get()?.get(stray.utterance)) else { continue };
        let (own, nearer) = (routes.name(stray.route), routes.name(stray.nearer));
        let message = format!(
            "the utterance {} scores {:.2} at route {} and {:.2} at its own, {}",
            shown(at.get().map_or("", String::as_str)),
            stray.score,
            shown(nearer.unwrap_or_default()),
            stray.own,
            shown(own.unwrap_or_default()),
        );
        report.warning(at.place, message, "move it there, or give its own route more like it".to_owned());
    }
    if let Some(more) = strays.len().checked_sub(MAX_STRAYS).filter(|more| *more > 0) {
        let message = format!("{more} more utterances score higher at another route than at their own");
        report.warning(raw.routes.place, message, None);
    }
}

/// Warns of utterances of one word, of which a static model makes hardly more than the word.
fn warn_of_single_words(raw: &raw::SemanticRoutes, report: &mut Report) {
    let utterances = raw.routes.get().into_iter().flatten().filter_map(At::get).filter_map(|it| it.utterances.get());
    for at in utterances.flatten() {
        let Some(text) = at.get().filter(|text| text.split_whitespace().count() == 1) else { continue };
        let message = format!("the utterance {} is one word, which says little to a static model", shown(text));
        report.warning(at.place, message, "write what users say".to_owned());
    }
}
