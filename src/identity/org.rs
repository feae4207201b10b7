//! Organisations and resource groups, as Hugging Face has them.

use serde::{Deserialize, Serialize};

use super::role::Role;

/// How somebody stands in an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Standing {
    /// A member with this role, and nothing restricts them.
    Member(Role),
    /// Listed without a role: the person did not grant the app access to the
    /// organisation, so restrictions would not be visible either.
    NotGranted,
    /// A member whom the organisation keeps out for now: SSO or a second
    /// factor is missing, the network or the token is refused.
    Restricted,
}

/// An organisation somebody belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Org {
    /// `orgs[].sub`: 24 hex digits, stable across renames.
    pub id: Box<str>,
    /// `orgs[].preferred_username`: the slug, renameable.
    pub slug: Box<str>,
    /// Whether and how the membership counts.
    pub standing: Standing,
    /// The resource groups the person is in.
    pub resource_groups: Vec<ResourceGroup>,
}

/// A resource group of an organisation, and the person's role in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceGroup {
    /// `resourceGroups[].sub`
    pub id: Box<str>,
    /// `resourceGroups[].name`
    pub name: Box<str>,
    /// `resourceGroups[].role`
    pub role: Role,
}

impl ResourceGroup {
    /// What people call the group: its name, or its id where only that is known.
    pub(crate) fn shown(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }
}

impl Org {
    /// What people call the organisation: its slug, or its id where only that is
    /// known.
    pub(crate) fn shown(&self) -> &str {
        if self.slug.is_empty() { &self.id } else { &self.slug }
    }

    /// The role, if the membership counts: nothing restricts it, and it is more
    /// than `no_access`.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        match &self.standing {
            Standing::Member(Role::NoAccess) | Standing::NotGranted | Standing::Restricted => None,
            Standing::Member(role) => Some(role),
        }
    }
}
