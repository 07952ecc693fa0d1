//! Intelligent policies: rules that a classifier can distinguish, and their targets.

use std::collections::HashMap;
use std::sync::Arc;

use super::failover::without_weight;
use super::policies::{PolicyCompiler, Pool};
use crate::classifier::content::ContentPath;
use crate::classifier::{Classifier, NONE, RULES_MARK, Rules, WORDING, fold};
use crate::document::decode::At;
use crate::document::problem::Report;
use crate::document::words::shown;
use crate::policy_file::raw::{self, Rule};
use crate::routing::policy::intelligent::Intelligent;
use crate::routing::policy::{Strategy, Target};

/// A rule whose target is known.
struct Named<'a> {
    name: &'a str,
    context: &'a str,
    target: usize,
}

impl<'a> PolicyCompiler<'a, '_> {
    /// Returns the targets and their order; `None` if that cannot be done, which is then reported.
    pub(super) fn intelligent(&mut self, raw: &'a raw::Rules) -> Option<(Vec<Target>, Strategy)> {
        let classifier = self.classifier(&raw.classifier);
        let content = content(raw.content.as_ref(), self.report);
        let wording = wording(raw.prompt.as_ref(), self.report);
        let mut pool = Pool::default();
        let rules = self.rules(raw, &mut pool);
        without_weight(&raw.default, "intelligent", self.report);
        let default = self.target(&raw.default);
        let named = rules?;
        let default = pool.index(default?);
        let targets = named.iter().map(|rule| rule.target).collect();
        let rules = Arc::new(Rules::new(named.iter().map(|rule| (rule.name, rule.context)), wording?));
        let policy = Intelligent { classifier: classifier?, content: Arc::new(content?), rules, targets, default };
        Some((pool.targets, Strategy::Intelligent(policy)))
    }

    fn classifier(&mut self, name: &'a At<String>) -> Option<Arc<Classifier>> {
        let text = name.get()?;
        let Some((_, known)) = self.tables.classifiers.get(text) else {
            if self.tables.classifiers.complete {
                let message = format!("unknown classifier {}", shown(text));
                self.report.error_with(name.place, message, self.tables.classifiers.instead(text));
            }
            return None;
        };
        self.usage.classifiers.push(text);
        known.clone()
    }

    fn rules(&mut self, raw: &'a raw::Rules, pool: &mut Pool) -> Option<Vec<Named<'a>>> {
        let rules = raw.rules.get()?;
        if rules.is_empty() {
            let help =
                "name at least one, such as `{ name: Coding, context: Questions about code, model: …, endpoint: … }`";
            self.report.error_with(raw.rules.place, "`rules` is empty", help.to_owned());
            return None;
        }
        check_distinct(rules, self.report);
        let compiled: Vec<_> = rules.iter().map(|rule| self.rule(rule.get()?, pool)).collect();
        compiled.into_iter().collect()
    }

    fn rule(&mut self, rule: &'a Rule, pool: &mut Pool) -> Option<Named<'a>> {
        let target = self.target_of(&rule.into())?;
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
