//! An API: the requests that share policies, matched by host, base path and operation.

mod host;
mod index;

use std::sync::Arc;

use crate::model_name::ModelName;
use crate::routing::operation::Operation;
use crate::routing::policy::{Policy, Strategy};
use crate::routing::provider::Shape;
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
    /// of the policy file. A model that is only a fallback under `failover` is none of them.
    pub fn models(&self, environment: Environment) -> impl Iterator<Item = (&ModelName, &'static str)> {
        let targets = self.policy(environment).into_iter().flat_map(|policy| {
            policy.targets.iter().enumerate().filter(|(index, target)| policy.strategy.serves(*index, &target.model))
        });
        targets.map(|(_, target)| (&target.model, target.endpoint.provider.name))
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
}
