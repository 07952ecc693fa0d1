//! Intelligent policies: rules that a classifier can distinguish, and their targets.

use std::sync::Arc;

use super::failover::without_turns;
use super::policies::{PolicyCompiler, Pool};
use super::sorted::{check_distinct, content};
use crate::classifier::{RULES_MARK, Rules, Sorter, WORDING};
use crate::document::decode::At;
use crate::document::problem::Report;
use crate::policy_file::raw::{self, Rule};
use crate::routing::policy::sorted::Sorted;
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
        without_turns(&raw.default, "intelligent", self.report);
        let default = self.target(&raw.default);
        let named = rules?;
        let default = pool.index(default?);
        let targets = named.iter().map(|rule| rule.target).collect();
        let rules = Arc::new(Rules::new(named.iter().map(|rule| (rule.name, rule.context)), wording?));
        let sorter = Sorter::Rules(classifier?, rules);
        let sorted = Sorted { sorter, content: Arc::new(content?), targets, default };
        Some((pool.targets, Strategy::Intelligent(sorted)))
    }

    fn rules(&mut self, raw: &'a raw::Rules, pool: &mut Pool) -> Option<Vec<Named<'a>>> {
        let rules = raw.rules.get()?;
        if rules.is_empty() {
            let help =
                "name at least one, such as `{ name: Coding, context: Questions about code, model: …, endpoint: … }`";
            self.report.error_with(raw.rules.place, "`rules` is empty", help.to_owned());
            return None;
        }
        check_distinct("rule", rules.iter().filter_map(|rule| Some(&rule.get()?.name)), self.report);
        let compiled: Vec<_> = rules.iter().map(|rule| self.rule(rule.get()?, pool)).collect();
        compiled.into_iter().collect()
    }

    fn rule(&mut self, rule: &'a Rule, pool: &mut Pool) -> Option<Named<'a>> {
        let target = self.target_of(&rule.into())?;
        Some(Named { name: rule.name.get()?, context: rule.context.get()?, target: pool.index(target) })
    }
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
