//! Organisations and resource groups on Hugging Face.

use serde::{Deserialize, Serialize};

use super::role::Role;

/// The state of a membership in an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Standing {
    /// A member with this role, without restrictions.
    Member(Role),
    /// Listed without a role: the person did not grant the organisation to the app, so
    /// restrictions are not visible either.
    NotGranted,
    /// A member whose access the organisation currently restricts: single sign-on or a
    /// second factor is missing, or the network or the token is not allowed.
    Restricted,
}

/// An organisation that a person belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Org {
    /// `orgs[].sub`: 24 hex digits, stable across renames.
    pub id: Box<str>,
    /// `orgs[].preferred_username`: the slug, renameable.
    pub slug: Box<str>,
    /// Whether the membership is granted and unrestricted, and its role.
    pub standing: Standing,
    /// The resource groups the person is in.
    pub resource_groups: Vec<ResourceGroup>,
    /// Whether the credential shows the resource groups. Otherwise it is unknown which
    /// others the person is in.
    pub groups_shown: bool,
}

/// A resource group of an organisation, and the person's role in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResourceGroup {
    /// `resourceGroups[].sub`
    pub id: Box<str>,
    /// `resourceGroups[].name`
    pub name: Box<str>,
    /// `resourceGroups[].role`
    pub role: Role,
}

impl ResourceGroup {
    /// The name of the group, or its id if only that is known.
    pub(crate) fn shown(&self) -> &str {
        if self.name.is_empty() { &self.id } else { &self.name }
    }
}

impl Org {
    /// The slug of the organisation, or its id if only that is known.
    pub(crate) fn shown(&self) -> &str {
        if self.slug.is_empty() { &self.id } else { &self.slug }
    }

    /// The role, if the membership is granted, unrestricted and more than `no_access`.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        match &self.standing {
            Standing::Member(Role::NoAccess) | Standing::NotGranted | Standing::Restricted => None,
            Standing::Member(role) => Some(role),
        }
    }
}
