//! An embedder: turns texts into vectors, by an API or by a model in this process.

mod remote;
mod static_model;
mod words;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::index::Scores;
use super::prompt::bounded;
use super::service::{Failure, Service};
use super::state::{Bounds, Breaker, ServiceKey, ServiceState};
use super::vector::Vector;
use super::vectors::Space;
use remote::Remote;
pub use remote::RemoteDeclaration;
pub use static_model::{FILES, StaticModel};

/// The state of an embedder that outlives a policy.
pub type EmbedderState = ServiceState<Scores>;

/// The most texts in one call; OpenAI takes 2048, other servers a hundred or so.
const BATCH: usize = 96;

/// The time limit of a call for a batch.
const BATCH_TIMEOUT: Duration = Duration::from_secs(30);

/// An embedder as the policy file declares it, checked.
#[derive(Debug)]
pub struct Embedder {
    source: Source,
    space: Space,
    name: Arc<str>,
    pub(super) bounds: Bounds,
    state: Arc<EmbedderState>,
}

/// Where vectors come from.
enum Source {
    Remote(Box<Remote>),
    Static(Arc<StaticModel>),
    /// Nowhere: only the policy file is there, and it is assumed that the model is.
    Assumed,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Remote(_) => "Remote",
            Self::Static(_) => "Static",
            Self::Assumed => "Assumed",
        })
    }
}

impl Embedder {
    /// Creates an embedder that is an API, with its state, which `state_of` finds or makes.
    pub fn remote(
        name: &str,
        declaration: RemoteDeclaration,
        state_of: impl FnOnce(&ServiceKey, &Bounds) -> Arc<EmbedderState>,
    ) -> Self {
        let remote = Remote::new(name, declaration, state_of);
        let service = &remote.service;
        let (name, bounds, state) = (Arc::clone(&service.name), service.bounds, Arc::clone(&service.state));
        Self { name, bounds, state, space: remote.space, source: Source::Remote(Box::new(remote)) }
    }

    /// Creates an embedder that is a model in this process. `None` is one that is assumed to be there.
    pub fn local(
        name: &str,
        model: Option<Arc<StaticModel>>,
        bounds: Bounds,
        state_of: impl FnOnce(&ServiceKey, &Bounds) -> Arc<EmbedderState>,
    ) -> Self {
        let space = model.as_ref().map_or([0; 32], |model| *model.space());
        let key = ServiceKey { name: name.into(), fingerprint: space };
        let state = state_of(&key, &bounds);
        Self { name: key.name, bounds, state, space, source: model.map_or(Source::Assumed, Source::Static) }
    }

    /// Makes ready for the first call.
    ///
    /// # Errors
    /// The certificates of the system can't be read, and the URL needs them.
    pub fn ready(&self) -> Result<(), &str> {
        match &self.source {
            Source::Remote(remote) => remote.service.ready(),
            Source::Static(_) | Source::Assumed => Ok(()),
        }
    }

    /// Returns its name in the policy file.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns its state.
    #[must_use]
    pub fn state(&self) -> &Arc<EmbedderState> {
        &self.state
    }

    /// Returns the space of its vectors.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Returns whether it is a model in this process.
    #[must_use]
    pub fn is_local(&self) -> bool {
        !matches!(self.source, Source::Remote(_))
    }

    /// Returns where it is asked, without a query; the directory of a model in this process.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.source {
            Source::Remote(remote) => remote.service.address(),
            Source::Static(model) => model.directory().display().to_string(),
            Source::Assumed => "a model that is not read here".to_owned(),
        }
    }

    /// Until a request goes to the default, whatever the embedder does.
    #[must_use]
    pub(super) fn timeout(&self) -> Duration {
        self.bounds.timeout
    }

    /// Returns as much of a content as is embedded: of a longer one head and tail.
    pub(super) fn shown(&self, content: &str) -> String {
        bounded(content, self.bounds.max_content_chars).into_owned()
    }

    /// Returns the vector of a text without waiting; `None` if a call is needed.
    ///
    /// # Errors
    /// The model fails: why.
    pub(super) fn at_once(&self, text: &str) -> Option<Result<Vector, String>> {
        match &self.source {
            Source::Static(model) => Some(model.embed(text)),
            Source::Remote(_) | Source::Assumed => None,
        }
    }

    /// Returns the service, if it is an API.
    pub(super) fn service(&self) -> Option<&Service<Scores>> {
        match &self.source {
            Source::Remote(remote) => Some(&remote.service),
            Source::Static(_) | Source::Assumed => None,
        }
    }

    /// Returns the request that embeds one text, if a call is needed.
    pub(super) fn request(&self, text: &str) -> Option<serde_json::Value> {
        match &self.source {
            Source::Remote(remote) => Some(remote.request(&[text])),
            Source::Static(_) | Source::Assumed => None,
        }
    }

    /// Asks for the vector of a prompt, which must have this many dimensions.
    pub(super) async fn embed(&self, text: &str, dimensions: usize, breaker: Breaker) -> Result<Vector, Failure> {
        let Source::Remote(remote) = &self.source else {
            let missing = || Err("the model is not there".to_owned());
            return self.at_once(text).unwrap_or_else(missing).map_err(Failure::Error);
        };
        let deadline = remote.service.deadline(Instant::now());
        let mut vectors = remote.embed(&[text], Some(dimensions), (deadline, breaker)).await?;
        Ok(vectors.remove(0))
    }

    /// Embeds utterances, a batch at a time, and hands each batch's vectors over.
    ///
    /// # Errors
    /// One batch failed: why. Those before it have been handed over.
    pub(super) async fn embed_all(
        &self,
        texts: &[&str],
        mut done: impl FnMut(&[&str], Vec<Vector>),
    ) -> Result<(), String> {
        for batch in texts.chunks(BATCH) {
            let vectors = match &self.source {
                Source::Remote(remote) => {
                    let deadline = Instant::now() + BATCH_TIMEOUT;
                    let asked = remote.embed(batch, None, (deadline, Breaker::Ignored)).await;
                    asked.map_err(|failure| failure.verdict().0.why())?
                }
                Source::Static(model) => self::local(model, batch)?,
                Source::Assumed => return Err("the model is not there".to_owned()),
            };
            done(batch, vectors);
        }
        Ok(())
    }

    /// Embeds utterances without waiting; `None` if calls are needed.
    ///
    /// # Errors
    /// An utterance means nothing to the model.
    pub(super) fn embed_all_at_once(&self, texts: &[&str]) -> Option<Result<Vec<Vector>, String>> {
        match &self.source {
            Source::Static(model) => Some(local(model, texts)),
            Source::Remote(_) | Source::Assumed => None,
        }
    }
}

fn local(model: &StaticModel, texts: &[&str]) -> Result<Vec<Vector>, String> {
    let embed = |text: &&str| match model.embed(text) {
        Ok(vector) if vector.is_zero() => Err(format!("the model knows no word of the utterance `{text}`")),
        Ok(vector) => Ok(vector),
        Err(why) => Err(format!("the utterance `{text}`: {why}")),
    };
    texts.iter().map(embed).collect()
}
