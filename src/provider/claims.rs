//! Claims that userinfo and whoami have in common, under different names. They are validated
//! and bounded here, so that the results are safe in headers and pages.

use serde::Deserialize;

use crate::identity::{Email, ResourceGroup, Role, Standing};

/// Maximum number of organisations that are read.
pub(super) const MAX_ORGS: usize = 2_000;
/// Maximum number of resource groups that are read per organisation.
const MAX_GROUPS: usize = 500;
/// Maximum length of an identifier (id, username, slug, role), in bytes.
const MAX_IDENTIFIER: usize = 128;
/// Maximum length of a display name, in characters; longer names are truncated.
pub(super) const MAX_NAME: usize = 200;
/// RFC 5321, section 4.5.3.1.3, without the angle brackets.
const MAX_EMAIL: usize = 254;
/// Maximum length of an avatar's URL.
const MAX_PICTURE: usize = 512;

/// The members of an organisation that describe the membership.
#[derive(Deserialize)]
pub(super) struct Membership {
    /// Present only if the user granted the app access to the organisation.
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
    /// The state of the membership. Any restriction counts, known or not. `None` if the role is
    /// invalid.
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

/// Id, name and role of a resource group, not validated.
pub(super) type Group = (String, Option<String>, Option<String>);

/// The valid resource groups.
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

/// Validates an id, username, slug or role.
pub(super) fn identifier(text: String) -> Option<Box<str>> {
    let sound = !text.is_empty() && text.len() <= MAX_IDENTIFIER && !text.chars().any(char::is_control);
    sound.then(|| text.into())
}

/// Removes control characters from a display name and truncates it.
pub(super) fn display_name(text: &str) -> Option<Box<str>> {
    let name: String = text.chars().filter(|character| !character.is_control()).take(MAX_NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.into())
}

/// Validates an e-mail address: exactly one `@`, and no characters that could split a header.
pub(super) fn email(address: String, verified: Option<bool>) -> Option<Email> {
    let (local, domain) = address.split_once('@')?;
    let sound = !local.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
        && address.len() <= MAX_EMAIL
        && !address.chars().any(|character| character.is_control() || character.is_whitespace());
    sound.then(|| Email { address: address.into(), verified: verified == Some(true) })
}

/// Validates the URL of an avatar, which apps embed in pages.
pub(super) fn picture(url: String) -> Option<Box<str>> {
    (url.starts_with("https://") && url.len() <= MAX_PICTURE).then(|| url.into())
}
