//! Findings in words, for whoever runs the gate: they name accounts and
//! addresses. What somebody who is refused is told is elsewhere.

use crate::identity::{Person, Role};
use crate::policy::{ConditionResult, Membership};
use crate::policy::{Match, NameMatch, Rule, is_id};

impl Rule {
    /// Why the rule holds for `person`, or all that is in the way: what cannot be
    /// known is, too.
    pub(crate) fn because(&self, person: &Person) -> Vec<String> {
        let matches = self.matches(person);
        let results = self.conditions.iter().map(|condition| condition.evaluate(person));
        results
            .filter(|result| matches == Match::Yes || result.matches() != Match::Yes)
            .map(|result| result.in_words())
            .collect()
    }
}

impl ConditionResult<'_> {
    fn in_words(&self) -> String {
        match self {
            Self::ThisAccount(name) => format!("{name} is this account"),
            Self::OtherAccount(name) => format!("{name} is another account"),
            Self::AmbiguousName { wanted, found, how: NameMatch::ByCase } => {
                format!("not known: {found} differs from {wanted} by case alone")
            }
            Self::AmbiguousName { wanted, found, .. } if is_id(wanted) => {
                format!("not known: the rule names an id, and that of {found} was not said")
            }
            Self::AmbiguousName { wanted, found, .. } => {
                format!("not known: the rule names {wanted}, and of {found} no more than the id was said")
            }
            Self::OrgsNotTold => "not known: Hugging Face told of no organisations".to_owned(),
            Self::NotAMember(org) => format!("{org}: not a member"),
            Self::NotGranted(org) => format!(
                "not known: {} was not granted to the app, which hides role and restrictions",
                org.shown()
            ),
            Self::Restricted(org) => format!(
                "not known: {} restricts the membership at the moment (single sign-on, a second factor, …)",
                org.shown()
            ),
            Self::NoAccess(org) => format!(
                "{}: a member with no_access, which counts through resource groups alone",
                org.shown()
            ),
            Self::Member(place) if place.role.is_unsaid() => place.in_words(),
            Self::Member(place) => format!("{} with the role {}", place.in_words(), place.role),
            Self::RoleTooLow(place, needed) => {
                // One of an organisation's own is neither above nor below another.
                let rank = if matches!(place.role, Role::Custom(_)) { ", which has no rank," } else { "" };
                format!(
                    "{}, but the role is {}{rank} and {} is needed",
                    place.in_words(),
                    place.role,
                    this(*needed)
                )
            }
            Self::RoleNotSaid(place, needed) => {
                format!(
                    "not known: {}, but the role was not said and {} is needed",
                    place.in_words(),
                    this(Some(needed))
                )
            }
            Self::NotInGroup(org, group) => format!("{}: a member, but not of {group}", org.shown()),
            Self::NoEmail => "not known: there is no e-mail address".to_owned(),
            Self::EmailNotVerified(address) => {
                format!("not known: the e-mail address {address} is not verified")
            }
            Self::ThisEmail(address) => format!("the e-mail address is {address}"),
            Self::OtherEmail(address) => format!("the e-mail address is another: {address}"),
            Self::ProNotTold => "not known: an app has no subscription of its own".to_owned(),
            Self::Pro(true) | Self::NotPro(true) => "a PRO account".to_owned(),
            Self::Pro(false) | Self::NotPro(false) => "not a PRO account".to_owned(),
        }
    }
}

impl Membership<'_> {
    /// `acme: a member`, or `acme: in gpu-team`.
    fn in_words(&self) -> String {
        match self.group {
            Some(group) => format!("{}: in {}", self.org.shown(), group.shown()),
            None => format!("{}: a member", self.org.shown()),
        }
    }
}

/// The role that is needed.
fn this(needed: Option<&Role>) -> String {
    match needed {
        Some(role @ Role::Custom(_)) => format!("{role} itself"),
        Some(role) => role.to_string(),
        None => "another".to_owned(),
    }
}
