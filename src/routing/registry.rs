//! The registry: one state for each endpoint, target and classifier, shared by all APIs and kept across reloads.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, Weak};

use crate::classifier::{Bounds, ClassifierKey, ClassifierState};
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
}

#[derive(Debug, Default)]
struct States {
    endpoints: HashMap<EndpointKey, Weak<EndpointState>>,
    targets: HashMap<(EndpointKey, ModelName), Weak<TargetState>>,
    classifiers: HashMap<ClassifierKey, Weak<ClassifierState>>,
}

impl Registry {
    /// Returns the endpoint's state, new if no snapshot holds one.
    pub fn endpoint(&self, key: &EndpointKey) -> Arc<EndpointState> {
        let mut states = self.states.lock().expect("no panic while the registry is held");
        live_or(&mut states.endpoints, key, || EndpointState::new(Arc::clone(&key.name)))
    }

    /// Returns the target's state, new if no snapshot holds one.
    pub fn target(&self, key: &EndpointKey, model: &ModelName) -> Arc<TargetState> {
        let endpoint = self.endpoint(key);
        let mut states = self.states.lock().expect("no panic while the registry is held");
        live_or(&mut states.targets, &(key.clone(), model.clone()), || TargetState::new(model.clone(), endpoint))
    }

    /// Returns the classifier's state, new if no snapshot holds one.
    pub fn classifier(&self, key: &ClassifierKey, bounds: &Bounds) -> Arc<ClassifierState> {
        let mut states = self.states.lock().expect("no panic while the registry is held");
        live_or(&mut states.classifiers, key, || ClassifierState::new(Arc::clone(&key.name), bounds))
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
