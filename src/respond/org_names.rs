//! Names and ids of organisations: a rule contains one of the two, and a refusal needs
//! the other.

use std::sync::{PoisonError, RwLock};

use crate::identity::Org;

/// Ids and names of organisations that some rule names, collected from sign-ins.
#[derive(Debug, Default)]
pub(crate) struct OrgNames(RwLock<Vec<(Box<str>, Box<str>)>>);

impl OrgNames {
    /// Records an organisation and replaces entries with the same id or name.
    pub(crate) fn note(&self, org: &Org) {
        let is_recorded =
            |list: &[(Box<str>, Box<str>)]| list.iter().any(|(id, slug)| *id == org.id && *slug == org.slug);
        if is_recorded(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        list.retain(|(id, slug)| *id != org.id && *slug != org.slug);
        list.push((org.id.clone(), org.slug.clone()));
    }

    /// The id of the organisation with this name.
    pub(crate) fn id_of(&self, slug: &str) -> Option<String> {
        let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().find(|(_, name)| **name == *slug).map(|(id, _)| id.to_string())
    }

    /// The name of the organisation with this id.
    pub(crate) fn name_of(&self, id: &str) -> Option<String> {
        let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().find(|(recorded, _)| recorded.eq_ignore_ascii_case(id)).map(|(_, slug)| slug.to_string())
    }
}
