//! Intelligent policies: rules that a classifier can distinguish, and their targets.

use std::collections::HashMap;
use std::sync::Arc;

use super::failover::without_weight;
use super::policies::Names;
use super::pool::Pool;
use crate::classifier::content::ContentPath;
use crate::classifier::{Classifier, NONE, RULES_MARK, Rules, WORDING, fold};
use crate::document::decode::At;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::policy_file::raw::{self, Rule};
use crate::routing::api::Environment;
use crate::routing::policy::Target;
use crate::routing::policy::intelligent::Intelligent;

/// A rule whose target is known.
struct Named<'a> {
    name: &'a str,
    context: &'a str,
    target: usize,
}

impl<'a> Names<'a, '_> {
    /// Returns the targets and their order; `None` if that cannot be done, which is then reported.
    pub(super) fn intelligent(
        &mut self,
        raw: &'a raw::Intelligent,
        environment: Environment,
        report: &mut Report,
    ) -> Option<(Vec<Target>, Intelligent)> {
        let classifier = self.classifier(&raw.classifier, report);
        let content = content(raw.content.as_ref(), report);
        let wording = wording(raw.prompt.as_ref(), report);
        let mut pool = Pool::default();
        let rules = self.rules(raw, &mut pool, environment, report);
        without_weight(&raw.default, "intelligent", report);
        let default = self.target(&raw.default, environment, report);
        let named = rules?;
        let default = pool.index(default?);
        let targets = named.iter().map(|rule| rule.target).collect();
        let rules = Arc::new(Rules::new(named.iter().map(|rule| (rule.name, rule.context)), wording?));
        let policy = Intelligent { classifier: classifier?, content: Arc::new(content?), rules, targets, default };
        Some((pool.targets, policy))
    }

    fn classifier(&mut self, name: &'a At<String>, report: &mut Report) -> Option<Arc<Classifier>> {
        let text = name.get()?;
        let Some((_, known)) = self.classifiers.get(text) else {
            if self.classifiers.complete {
                let message = format!("unknown classifier {}", shown(text));
                report.error_with(name.place, message, self.classifiers.instead(text));
            }
            return None;
        };
        self.used_classifiers.insert(text);
        known.clone()
    }

    fn rules(
        &mut self,
        raw: &'a raw::Intelligent,
        pool: &mut Pool,
        environment: Environment,
        report: &mut Report,
    ) -> Option<Vec<Named<'a>>> {
        let rules = raw.rules.get()?;
        if rules.is_empty() {
            let help =
                "name at least one, such as `{ name: Coding, context: Questions about code, model: …, endpoint: … }`";
            report.error_with(raw.rules.place, "`rules` is empty", help.to_owned());
            return None;
        }
        check_distinct(rules, report);
        let compiled: Vec<_> = rules.iter().map(|rule| self.rule(rule.get()?, pool, environment, report)).collect();
        compiled.into_iter().collect()
    }

    fn rule(
        &mut self,
        rule: &'a Rule,
        pool: &mut Pool,
        environment: Environment,
        report: &mut Report,
    ) -> Option<Named<'a>> {
        let target = self.target_of(&rule.into(), environment, report)?;
        Some(Named { name: rule.name.get()?, context: rule.context.get()?, target: pool.index(target) })
    }
}

fn content(path: Option<&At<String>>, report: &mut Report) -> Option<ContentPath> {
    let Some(at) = path else { return Some(ContentPath::default()) };
    ContentPath::parse(at.get()?).map_err(|message| report.error(at.place, message)).ok()
}

fn wording<'a>(prompt: Option<&'a At<String>>, report: &mut Report) -> Option<&'a str> {
    let Some(at) = prompt else { return Some(WORDING) };
    let text = at.get()?;
    if !text.contains(RULES_MARK) {
        let help = format!("put `{RULES_MARK}` where they belong");
        report.error_with(at.place, "the prompt does not show the rules to the classifier", help);
    }
    Some(text)
}

/// Reports rule names that an answer could not distinguish.
fn check_distinct(rules: &[At<Rule>], report: &mut Report) {
    let mut seen = HashMap::new();
    for name in rules.iter().filter_map(|rule| Some(&rule.get()?.name)) {
        let Some(text) = name.get() else { continue };
        let folded = fold(text);
        if folded.is_empty() {
            report.error_with(name.place, "the name of a rule is empty", "give it a word".to_owned());
        } else if fold(text.trim_matches(|character: char| !character.is_alphanumeric())) == fold(NONE) {
            let help = "it is what a classifier answers when no rule fits".to_owned();
            report.error_with(name.place, format!("a rule cannot be named {}", shown(text)), help);
        } else if let Some(first) = seen.insert(folded, name.place) {
            let message = format!("rule {} is already defined at {}", shown(text), report.locate(first, name.place));
            let help = "names must differ by more than case, spaces, `-` and `_`".to_owned();
            report.error_with(name.place, message, help);
        }
    }
}
