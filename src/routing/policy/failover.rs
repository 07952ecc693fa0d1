//! Failover: the model that the client asks for names its primary and the fallbacks behind it.

use std::collections::HashMap;

use super::{Candidates, Limits};

/// The targets of each model, in order.
#[derive(Clone, Debug)]
pub struct Failover {
    entries: HashMap<Box<str>, Entry>,
    other_models: Option<Entry>,
}

/// A primary and its fallbacks, as indices into the policy's targets.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The primary first; never empty.
    pub order: Vec<usize>,
    /// The bounds of this entry.
    pub limits: Limits,
}

impl Failover {
    /// Entries by their primary's model; `other_models` serves the rest, which is refused when it is `None`.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = (Box<str>, Entry)>, other_models: Option<Entry>) -> Self {
        Self { entries: entries.into_iter().collect(), other_models }
    }

    /// Returns each entry by the model that clients ask for; `None` for all other models.
    pub fn entries(&self) -> impl Iterator<Item = (Option<&str>, &Entry)> {
        let others = self.other_models.iter().map(|entry| (None, entry));
        self.entries.iter().map(|(model, entry)| (Some(&**model), entry)).chain(others)
    }

    /// Returns the entry of the model asked for, as it is: a fallback has no turns. `None`: nothing serves that model.
    pub(super) fn candidates(&self, requested: Option<&str>) -> Option<Candidates> {
        let entry = requested.and_then(|model| self.entries.get(model)).or(self.other_models.as_ref())?;
        Some(Candidates { order: entry.order.clone(), limits: entry.limits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(failover: &Failover, requested: Option<&str>) -> Option<Vec<usize>> {
        failover.candidates(requested).map(|candidates| candidates.order)
    }

    fn entry(order: &[usize]) -> Entry {
        Entry { order: order.to_vec(), limits: Limits::default() }
    }

    #[test]
    fn the_model_asked_for_names_its_entry() {
        let failover = Failover::new([("a".into(), entry(&[0, 2])), ("b".into(), entry(&[1, 2]))], None);
        assert_eq!(order(&failover, Some("a")), Some(vec![0, 2]));
        assert_eq!(order(&failover, Some("b")), Some(vec![1, 2]));
        assert_eq!(order(&failover, Some("c")), None);
        assert_eq!(order(&failover, None), None);
    }

    #[test]
    fn other_models_have_an_entry_of_their_own_where_the_policy_says_so() {
        let failover = Failover::new([("a".into(), entry(&[0]))], Some(entry(&[1])));
        assert_eq!(order(&failover, Some("c")), Some(vec![1]));
        assert_eq!(order(&failover, None), Some(vec![1]));
    }
}
