//! What userinfo and whoami both say of a person, each in its own names: bounded
//! here, and checked, so that what comes out can stand in a header or a page.

use serde::Deserialize;

use crate::identity::{Email, ResourceGroup, Role, Standing};

/// How many organisations are looked at.
pub(super) const MAX_ORGS: usize = 2_000;
/// How many resource groups of one organisation are looked at.
const MAX_GROUPS: usize = 500;
/// The longest identifier (id, username, slug, role) that is taken, in bytes.
const MAX_IDENTIFIER: usize = 128;
/// A display name is cut to so many characters.
pub(super) const MAX_NAME: usize = 200;
/// RFC 5321, section 4.5.3.1.3, and the angle brackets.
const MAX_EMAIL: usize = 254;
/// The longest address of a picture.
const MAX_PICTURE: usize = 512;

/// The members of an organisation that say how somebody stands in it.
#[derive(Deserialize)]
pub(super) struct Membership {
    /// Only if the person granted the app access to the organisation.
    #[serde(rename = "roleInOrg")]
    role_in_org: Option<String>,
    #[serde(rename = "securityRestrictions")]
    security_restrictions: Option<Vec<serde_json::Value>>,
    #[serde(rename = "pendingSSO")]
    pending_sso: Option<bool>,
    #[serde(rename = "missingMFA")]
    missing_mfa: Option<bool>,
}

impl Membership {
    /// How somebody stands: any restriction counts, known or not. `None` is a role
    /// that cannot be used.
    pub(super) fn standing(self) -> Option<Standing> {
        let restricted = self.security_restrictions.is_some_and(|list| !list.is_empty())
            || self.pending_sso == Some(true)
            || self.missing_mfa == Some(true);
        Some(match self.role_in_org {
            _ if restricted => Standing::Restricted,
            None => Standing::NotGranted,
            Some(role) => Standing::Member(Role::parse(&identifier(role)?)),
        })
    }
}

/// Id, name and role of a resource group, as they came.
pub(super) type Group = (String, Option<String>, Option<String>);

/// The groups that can be used.
pub(super) fn resource_groups(groups: impl Iterator<Item = Group>) -> Vec<ResourceGroup> {
    let group = |(id, name, role): Group| {
        Some(ResourceGroup {
            id: identifier(id)?,
            name: identifier(name?)?,
            role: Role::parse(&identifier(role?)?),
        })
    };
    groups.take(MAX_GROUPS).filter_map(group).collect()
}

/// An id, a username, a slug, a role.
pub(super) fn identifier(text: String) -> Option<Box<str>> {
    let sound = !text.is_empty() && text.len() <= MAX_IDENTIFIER && !text.chars().any(char::is_control);
    sound.then(|| text.into())
}

/// A name for people's eyes, cut to a length.
pub(super) fn display_name(text: &str) -> Option<Box<str>> {
    let name: String = text.chars().filter(|character| !character.is_control()).take(MAX_NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.into())
}

/// One `@`, something on both sides, nothing that could split a header.
pub(super) fn email(address: String, verified: Option<bool>) -> Option<Email> {
    let (local, domain) = address.split_once('@')?;
    let sound = !local.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
        && address.len() <= MAX_EMAIL
        && !address.chars().any(|character| character.is_control() || character.is_whitespace());
    sound.then(|| Email { address: address.into(), verified: verified == Some(true) })
}

/// The address of a picture, which apps put into pages.
pub(super) fn picture(url: String) -> Option<Box<str>> {
    (url.starts_with("https://") && url.len() <= MAX_PICTURE).then(|| url.into())
}
