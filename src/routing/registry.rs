//! The registry: one state for each endpoint, target, classifier and embedder, and all known vectors, shared by all
//! APIs and kept across reloads.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::classifier::{
    Bounds, ClassifierState, EmbedderState, ServiceKey, ServiceKind, ServiceState, StaticModel, Vectors,
};
use crate::model_name::ModelName;
use crate::routing::suspension::{EndpointState, TargetState};

/// The identity of an endpoint across reloads: its name, URL and credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointKey {
    /// The endpoint's name in the policy file.
    pub name: Arc<str>,
    /// A hash over URL and credential.
    pub fingerprint: [u8; 32],
}

/// Every state that some snapshot still uses.
#[derive(Debug, Default)]
pub struct Registry {
    states: Mutex<States>,
    vectors: Vectors,
}

#[derive(Debug, Default)]
struct States {
    endpoints: HashMap<EndpointKey, Weak<EndpointState>>,
    targets: HashMap<(EndpointKey, ModelName), Weak<TargetState>>,
    classifiers: HashMap<ServiceKey, Weak<ClassifierState>>,
    embedders: HashMap<ServiceKey, Weak<EmbedderState>>,
    models: HashMap<[u8; 32], Weak<StaticModel>>,
}

impl Registry {
    /// Creates a registry that knows some vectors.
    #[must_use]
    pub fn with_vectors(vectors: Vectors) -> Self {
        Self { states: Mutex::default(), vectors }
    }

    /// Returns the vectors of all utterances.
    pub fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    /// Returns the endpoint's state, new if no snapshot holds one.
    pub fn endpoint(&self, key: &EndpointKey) -> Arc<EndpointState> {
        let mut states = self.lock();
        live_or(&mut states.endpoints, key, || EndpointState::new(Arc::clone(&key.name)))
    }

    /// Returns the target's state, new if no snapshot holds one.
    pub fn target(&self, key: &EndpointKey, model: &ModelName) -> Arc<TargetState> {
        let endpoint = self.endpoint(key);
        let mut states = self.lock();
        live_or(&mut states.targets, &(key.clone(), model.clone()), || TargetState::new(model.clone(), endpoint))
    }

    /// Returns the classifier's state, new if no snapshot holds one.
    pub fn classifier(&self, key: &ServiceKey, bounds: &Bounds) -> Arc<ClassifierState> {
        let new = || ServiceState::new(ServiceKind::Classifier, Arc::clone(&key.name), bounds);
        live_or(&mut self.lock().classifiers, key, new)
    }

    /// Returns the embedder's state, new if no snapshot holds one.
    pub fn embedder(&self, key: &ServiceKey, bounds: &Bounds) -> Arc<EmbedderState> {
        let new = || ServiceState::new(ServiceKind::Embedder, Arc::clone(&key.name), bounds);
        live_or(&mut self.lock().embedders, key, new)
    }

    /// Returns the static model with this identity, loaded if no snapshot holds it.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn model(
        &self,
        space: [u8; 32],
        load: impl FnOnce() -> Result<StaticModel, String>,
    ) -> Result<Arc<StaticModel>, String> {
        if let Some(live) = self.lock().models.get(&space).and_then(Weak::upgrade) {
            return Ok(live);
        }
        let model = Arc::new(load()?);
        let models = &mut self.lock().models;
        models.retain(|_, model| model.strong_count() > 0);
        models.insert(space, Arc::downgrade(&model));
        Ok(model)
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        self.states.lock().expect("no panic while the registry is held")
    }
}

/// Returns the value that a snapshot still uses, or a new one. Unused entries are dropped on the way.
fn live_or<K: Clone + Eq + Hash, V>(map: &mut HashMap<K, Weak<V>>, key: &K, new: impl FnOnce() -> V) -> Arc<V> {
    if let Some(live) = map.get(key).and_then(Weak::upgrade) {
        return live;
    }
    // Before it would grow, so that each entry is visited only a few times in all.
    if map.len() == map.capacity() {
        map.retain(|_, value| value.strong_count() > 0);
    }
    let value = Arc::new(new());
    map.insert(key.clone(), Arc::downgrade(&value));
    value
}
