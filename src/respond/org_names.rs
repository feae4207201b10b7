//! What organisations are called, and what their ids are: rules have one of the
//! two, and a refusal wants the other.

use std::sync::{PoisonError, RwLock};

use crate::identity::Org;

/// Ids and names as they came with people who signed in, each of an organisation
/// that some rule names.
#[derive(Debug, Default)]
pub(crate) struct OrgNames(RwLock<Vec<(Box<str>, Box<str>)>>);

impl OrgNames {
    /// Notes an organisation. Whoever has a name now had it last.
    pub(crate) fn note(&self, org: &Org) {
        let known =
            |list: &[(Box<str>, Box<str>)]| list.iter().any(|(id, slug)| *id == org.id && *slug == org.slug);
        if known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        list.retain(|(id, slug)| *id != org.id && *slug != org.slug);
        list.push((org.id.clone(), org.slug.clone()));
    }

    /// The id of the organisation with this name.
    pub(crate) fn id_of(&self, slug: &str) -> Option<String> {
        let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().find(|(_, known)| **known == *slug).map(|(id, _)| id.to_string())
    }

    /// The name of the organisation with this id.
    pub(crate) fn name_of(&self, id: &str) -> Option<String> {
        let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
        list.iter().find(|(known, _)| known.eq_ignore_ascii_case(id)).map(|(_, slug)| slug.to_string())
    }
}
