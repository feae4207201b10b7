//! The filter for properties of a person.

use std::fmt;
use std::sync::Arc;

use crate::identity::{Needs, Person};

/// Removes the properties of a person that neither rules nor headers need, and recognises
/// whether a person was filtered for the same rules.
#[derive(Clone)]
pub(crate) struct PersonFilter {
    needs: Arc<Needs>,
    filter: Arc<dyn Fn(&mut Person) + Send + Sync>,
}

impl PersonFilter {
    /// `filter` is to drop nothing of what the rules need.
    pub(crate) fn new(needs: Arc<Needs>, filter: impl Fn(&mut Person) + Send + Sync + 'static) -> Self {
        Self { needs, filter: Arc::new(filter) }
    }

    /// Removes what is not needed from an answer of the provider.
    pub(crate) fn apply(&self, person: &mut Person) {
        (self.filter)(person);
    }

    /// Whether a person has everything that the rules can need.
    pub(crate) fn suffices(&self, person: &Person) -> bool {
        person.missing_for(self.needs.filter()).is_nothing()
    }
}

impl fmt::Debug for PersonFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonFilter").field("needs", &self.needs).finish_non_exhaustive()
    }
}
