//! Routes: names, utterances, and the vectors of these once they are there.

use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::embedder::Embedder;
use super::index::{Index, IndexError, Threshold};
use super::llm::Classifier;
use super::prompt::Rules;
use super::vectors::{self, VectorKey, Vectors};

/// A route: what a request must resemble.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name; no two are equal when [folded](super::fold).
    pub name: Box<str>,
    /// Examples of what belongs to it; there is at least one.
    pub utterances: Vec<Box<str>>,
    /// Its own threshold.
    pub threshold: Option<f32>,
}

/// The LLM that decides where the scores are too close.
#[derive(Clone, Debug)]
pub struct Unsure {
    /// The LLM.
    pub classifier: Arc<Classifier>,
    /// The routes, as it sees them.
    pub rules: Arc<Rules>,
    /// How close is too close.
    pub margin: f32,
}

/// The routes of one policy, and who decides among them.
#[derive(Debug)]
pub struct Routes {
    /// What turns texts into vectors.
    pub embedder: Arc<Embedder>,
    /// Who decides where the scores are too close.
    pub unsure: Option<Unsure>,
    routes: Vec<Route>,
    threshold: Threshold,
    /// Changes with anything that could change a score or its meaning.
    pub(super) fingerprint: [u8; 32],
    index: OnceLock<Index>,
}

/// The utterances of a route that an LLM is shown.
const SHOWN_UTTERANCES: usize = 5;

impl Unsure {
    /// Returns the LLM that decides among these routes.
    #[must_use]
    pub fn new(classifier: Arc<Classifier>, routes: &[Route], wording: &str, margin: f32) -> Self {
        let context = |route: &Route| {
            let shown: Vec<_> = route.utterances.iter().take(SHOWN_UTTERANCES).map(|it| format!("\"{it}\"")).collect();
            format!("requests such as {}", shown.join(", "))
        };
        let contexts: Vec<_> = routes.iter().map(context).collect();
        let rules = routes.iter().zip(&contexts).map(|(route, context)| (&*route.name, &**context));
        Self { classifier, rules: Arc::new(Rules::new(rules, wording)), margin }
    }
}

impl Routes {
    /// Creates routes whose vectors are not there yet.
    #[must_use]
    pub fn new(embedder: Arc<Embedder>, routes: Vec<Route>, threshold: Threshold, unsure: Option<Unsure>) -> Self {
        let mut hash = Sha256::new_with_prefix(embedder.space());
        hash.update(format!("{threshold:?}"));
        for Route { name, utterances, threshold } in &routes {
            hash.update(format!("{name:?}{utterances:?}{threshold:?}"));
        }
        let fingerprint = hash.finalize().into();
        Self { embedder, unsure, routes, threshold, fingerprint, index: OnceLock::new() }
    }

    /// Returns the routes.
    #[must_use]
    pub fn all(&self) -> &[Route] {
        &self.routes
    }

    /// Returns the name of the route at this position.
    #[must_use]
    pub fn name(&self, route: usize) -> Option<&str> {
        self.routes.get(route).map(|route| &*route.name)
    }

    /// Returns how it is decided whether the best route fits.
    #[must_use]
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// Returns the vectors, if they are there.
    #[must_use]
    pub fn index(&self) -> Option<&Index> {
        self.index.get()
    }

    /// Returns all utterances with the keys of their vectors.
    pub fn utterances(&self) -> impl Iterator<Item = (VectorKey, &str)> {
        let all = self.routes.iter().flat_map(|route| &route.utterances);
        all.map(|text| (vectors::key(self.embedder.space(), text), &**text))
    }

    /// Builds the index out of known vectors. Returns whether it is there now.
    ///
    /// # Errors
    /// The vectors cannot be used: the reason.
    pub fn build(&self, known: &Vectors) -> Result<bool, String> {
        if self.index.get().is_some() {
            return Ok(true);
        }
        let vector = |text: &str| known.get(&vectors::key(self.embedder.space(), text));
        let mut indexed = Vec::with_capacity(self.routes.len());
        for route in &self.routes {
            let own: Option<Vec<_>> = route.utterances.iter().map(|text| vector(text)).collect();
            let Some(own) = own else { return Ok(false) };
            indexed.push((own, route.threshold));
        }
        self.check_dimensions(&indexed)?;
        let index = Index::new(indexed, self.threshold).map_err(|error| self.describe(error))?;
        // Whoever was faster has built the same.
        let _ = self.index.set(index);
        Ok(true)
    }

    fn check_dimensions(&self, indexed: &[(Vec<super::vector::Vector>, Option<f32>)]) -> Result<(), String> {
        let mut dimensions = indexed.iter().flat_map(|(vectors, _)| vectors).map(super::vector::Vector::dimensions);
        let first = dimensions.next().unwrap_or_default();
        match dimensions.find(|other| *other != first) {
            Some(other) => Err(format!("some vectors have {first} numbers and some {other}")),
            None => Ok(()),
        }
    }

    fn describe(&self, error: IndexError) -> String {
        match error {
            IndexError::NoCentroid(route) => {
                format!("the vectors of the route `{}` cancel each other out", self.name(route).unwrap_or_default())
            }
            IndexError::NoScores => "a threshold of its own needs a route with two utterances".to_owned(),
        }
    }
}
