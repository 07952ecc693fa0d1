//! An API: the requests that share policies, matched by host, base path, headers and operation.

mod headers;
mod host;
mod index;
mod spot;

use std::sync::Arc;

use crate::model_name::ModelName;
use crate::routing::operation::Operation;
use crate::routing::policy::by_model::pattern::Pattern;
use crate::routing::policy::by_model::{Asked, ModelEntry};
use crate::routing::policy::{Policy, Strategy};
use crate::routing::provider::Shape;
pub use headers::{HeaderRule, HeaderRules, Headers, ValueRule};
pub use host::HostPattern;
pub use index::{Apis, Match};

/// An API as the policy file declares it, checked.
#[derive(Debug)]
pub struct Api {
    /// Its name in the policy file.
    pub name: Arc<str>,
    /// Hosts whose requests are production ones; empty means any host.
    pub hosts: Vec<HostPattern>,
    /// Hosts whose requests are sandbox ones.
    pub sandbox_hosts: Vec<HostPattern>,
    /// The path before an operation's own: empty, or with a leading and no trailing slash.
    pub base_path: String,
    /// What it asks of a request's headers.
    pub headers: HeaderRules,
    /// The operations that belong to it.
    pub operations: Vec<Operation>,
    /// The policy of production requests; `None` refuses them.
    pub production: Option<Arc<Policy>>,
    /// The policy of sandbox requests; `None` refuses them.
    pub sandbox: Option<Arc<Policy>>,
    /// Headers, in lower case, that pass although they are removed otherwise.
    pub forward_headers: Vec<String>,
}

/// The environment of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Real work; what a request is for when nothing says otherwise.
    Production,
    /// Trying things out.
    Sandbox,
}

/// What happens to a request that no API matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// It is answered with 404.
    #[default]
    Refuse,
    /// It is forwarded unchanged: the listener serves other things too.
    Continue,
}

/// The end of the path of the list of models, with what separates it from a model's name.
const MODELS_BELOW: &str = "/models/";

impl Environment {
    /// Returns the name in logs and in the environment header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }

    /// Creates the environment of that name, exactly spelled.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Production, Self::Sandbox].into_iter().find(|environment| environment.name() == name)
    }
}

impl Api {
    /// Returns the policy of an environment.
    #[must_use]
    pub fn policy(&self, environment: Environment) -> Option<&Arc<Policy>> {
        match environment {
            Environment::Production => self.production.as_ref(),
            Environment::Sandbox => self.sandbox.as_ref(),
        }
    }

    /// Returns the API that its clients speak: all its targets have the same one.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let mut policies = self.production.iter().chain(&self.sandbox);
        policies.next().map_or(Shape::OpenAi, |policy| policy.targets.provider().shape)
    }

    /// Returns whether a path below the base path is that of the list of models.
    #[must_use]
    pub fn lists_models_at(&self, path: &str) -> bool {
        let targets = self.production.iter().chain(&self.sandbox).flat_map(|policy| policy.targets.iter());
        targets.map(|target| &target.endpoint).any(|endpoint| endpoint.provider.is_models(&endpoint.path, path))
    }

    /// Returns the name that a path below the base path gives to a model, where it is below the list of models. Such a
    /// name may have slashes, and is as the client encoded it.
    #[must_use]
    pub fn model_at<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut names = path.match_indices(MODELS_BELOW).map(|(at, _)| at + MODELS_BELOW.len());
        let is_listed = |start: usize| start < path.len() && self.lists_models_at(&path[..start - 1]);
        names.find(|&start| is_listed(start)).map(|start| &path[start..])
    }

    /// Returns the models that clients of an environment can ask for, each with its provider type's name, in the order
    /// of the policy file. A model that is only a fallback under `failover` is none of them, and neither are the models
    /// that fit a pattern under `by_model`.
    #[must_use]
    pub fn models(&self, environment: Environment) -> Vec<Served<'_>> {
        self.policy(environment).map(|policy| policy.models()).unwrap_or_default()
    }

    /// Returns the patterns under `by_model` whose models clients of an environment can ask for as well, each with the
    /// name of the provider type.
    pub fn model_patterns(&self, environment: Environment) -> impl Iterator<Item = (&Pattern, &'static str)> {
        let entries = self.policy(environment).map(|policy| policy.strategy.by_model()).unwrap_or_default();
        let patterns = entries.iter().flat_map(|entry| entry.models.iter().map(|asked| (asked, &entry.policy)));
        patterns.filter_map(|(asked, policy)| match asked {
            Asked::Pattern(pattern) => Some((pattern, policy.targets.provider().name)),
            Asked::Name(_) => None,
        })
    }
}

/// A model that clients can ask for, and the name of its provider's type.
pub type Served<'a> = (&'a str, &'static str);

impl Policy {
    fn models(&self) -> Vec<Served<'_>> {
        if let Strategy::ByModel(by_model) = &self.strategy {
            let names = by_model.entries().iter().flat_map(|entry| {
                let names = entry.models.iter().filter(|asked| matches!(asked, Asked::Name(_)));
                names.map(|name| (name.as_str(), entry.policy.targets.provider().name))
            });
            return names.chain(by_model.other_models().into_iter().flat_map(|policy| policy.models())).collect();
        }
        let targets = self.targets.iter().enumerate();
        let served = targets.filter(|(index, target)| self.strategy.serves(*index, &target.model));
        served.map(|(_, target)| (target.model.as_str(), target.endpoint.provider.name)).collect()
    }
}

impl Strategy {
    /// Returns whether clients can ask for this model, which the target of this index has. Only failover looks at what
    /// they ask for.
    fn serves(&self, target: usize, model: &ModelName) -> bool {
        let Self::Failover(failover) = self else { return true };
        failover.entries().any(|(primary, entry)| match primary {
            Some(primary) => primary == model.as_str(),
            None => entry.order.contains(&target),
        })
    }

    fn by_model(&self) -> &[ModelEntry] {
        match self {
            Self::ByModel(by_model) => by_model.entries(),
            _ => &[],
        }
    }
}
