//! Roles and their ranking on Hugging Face.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A role in an organisation or in one of its resource groups.
///
/// Ranked `read < contributor < write < admin`; a custom role has no rank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Role {
    /// A member without access, except through resource groups.
    NoAccess,
    /// `read`
    Read,
    /// `contributor`
    Contributor,
    /// `write`
    Write,
    /// `admin`
    Admin,
    /// A custom role of an organisation; it matches only by its exact name.
    Custom(Box<str>),
}

impl Role {
    /// Parses the name that the provider uses; an unknown name is a custom role.
    ///
    /// ```
    /// use huggate::Role;
    ///
    /// assert!(Role::parse("admin").at_least(&Role::parse("write")));
    /// assert!(!Role::parse("ml-ops").at_least(&Role::parse("read")));
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "no_access" => Self::NoAccess,
            "read" => Self::Read,
            "contributor" => Self::Contributor,
            "write" => Self::Write,
            "admin" => Self::Admin,
            custom => Self::Custom(custom.into()),
        }
    }

    /// The name that the provider uses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::NoAccess => "no_access",
            Self::Read => "read",
            Self::Contributor => "contributor",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Custom(name) => name,
        }
    }

    /// Whether this role includes `needed`.
    #[must_use]
    pub fn at_least(&self, needed: &Self) -> bool {
        match (self.rank(), needed.rank()) {
            (Some(has), Some(needs)) => has >= needs,
            _ => self == needed && *self != Self::NoAccess,
        }
    }

    /// The role of a test subject if none was given. The provider's roles always have a
    /// name, so none is parsed as this.
    pub(crate) fn unsaid() -> Self {
        Self::Custom("".into())
    }

    pub(crate) fn is_unsaid(&self) -> bool {
        matches!(self, Self::Custom(name) if name.is_empty())
    }

    /// `None` for roles that cannot be compared: custom roles and no access at all.
    fn rank(&self) -> Option<u8> {
        match self {
            Self::Read => Some(1),
            Self::Contributor => Some(2),
            Self::Write => Some(3),
            Self::Admin => Some(4),
            Self::NoAccess | Self::Custom(_) => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ranked_and_custom_ones_match_by_name_only() {
        let order = ["read", "contributor", "write", "admin"].map(Role::parse);
        for (has, role) in order.iter().enumerate() {
            for (needs, needed) in order.iter().enumerate() {
                assert_eq!(role.at_least(needed), has >= needs, "{role} for {needed}");
            }
        }
        let custom = Role::parse("ml-ops");
        assert!(custom.at_least(&Role::parse("ml-ops")));
        assert!(!custom.at_least(&Role::Read) && !Role::Admin.at_least(&custom));
        assert!(!Role::NoAccess.at_least(&Role::NoAccess), "no_access satisfies no rule");
        assert!(!Role::NoAccess.at_least(&Role::Read));
    }
}
