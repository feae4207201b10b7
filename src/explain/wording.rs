//! Condition results as text for operators, with account names and addresses. The text
//! for a person who was refused is in `policy::obstacle`.

use crate::identity::{Missing, Org, Person, Role};
use crate::policy::{ConditionResult, Membership};
use crate::policy::{Match, NameMatch, Rule, is_id};

const NOT_GRANTED: &str = "was not granted to the app, so its role and restrictions are not visible";
const RESTRICTED: &str = "currently restricts the membership (single sign-on, a second factor, …)";

impl Rule {
    /// Why the rule matches `person`; otherwise the conditions that do not match or are
    /// unknown.
    pub(crate) fn because(&self, person: &Person, missing: Missing) -> Vec<String> {
        let matches = self.matches(person, missing);
        let results = self.conditions.iter().map(|condition| condition.evaluate(person, missing));
        results
            .filter(|result| matches == Match::Yes || result.matches() != Match::Yes)
            .map(|result| result.text())
            .collect()
    }
}

impl ConditionResult<'_> {
    fn text(&self) -> String {
        match self {
            Self::ThisAccount(name) => format!("{name} is this account"),
            Self::UsernameNotShown(id) => format!("not known: of {id} only the id is shown"),
            Self::OtherAccount(name) => format!("{name} is another account"),
            Self::AmbiguousName { wanted, found, how: NameMatch::ByCase } => {
                format!("not known: {found} differs from {wanted} only by case")
            }
            Self::AmbiguousName { wanted, found, .. } if is_id(wanted) => {
                format!("not known: the rule contains an id, and the id of {found} was not given")
            }
            Self::AmbiguousName { wanted, found, .. } => {
                format!(
                    "not known: the rule contains the name {wanted}, and the name of {found} was not given"
                )
            }
            Self::OrgsNotTold => "not known: Hugging Face returned no list of organisations".to_owned(),
            Self::NotAMember(org) => format!("{org}: not a member"),
            Self::NotShown(org) => {
                format!("not known: {org} is not listed, and not every organisation is shown")
            }
            Self::NotHeld(name) => {
                format!("not in the session: the rules of its sign-in did not name {name}")
            }
            Self::GroupsNotShown(org, _) => unknown(org, "does not show its resource groups to the app"),
            Self::NotGranted(org) => unknown(org, NOT_GRANTED),
            Self::Restricted(org) => unknown(org, RESTRICTED),
            Self::NoAccess(org) => format!(
                "{}: a member with the role no_access, which gives access only through resource groups",
                org.shown()
            ),
            Self::Member(membership) if membership.role.is_unsaid() => membership.text(),
            Self::Member(membership) => format!("{} with the role {}", membership.text(), membership.role),
            Self::RoleTooLow(membership, needed) => membership.role_too_low(&needed_role(*needed)),
            Self::RoleNotSaid(membership, needed) => {
                let (text, needed) = (membership.text(), needed_role(Some(needed)));
                format!("not known: {text}, but the role was not given and {needed} is needed")
            }
            Self::NotInGroup(org, group) => format!("{}: a member, but not of {group}", org.shown()),
            Self::NoEmail => "not known: there is no e-mail address".to_owned(),
            Self::EmailNotVerified(address) => {
                format!("not known: the e-mail address {address} is not verified")
            }
            Self::ThisEmail(address) => format!("the e-mail address is {address}"),
            Self::OtherEmail(address) => format!("the e-mail address is another: {address}"),
            Self::ProNotTold => "not known: Hugging Face did not say".to_owned(),
            Self::NotAnAccount => "not known: an app has no subscription of its own".to_owned(),
            Self::Pro(true) | Self::NotPro(true) => "a PRO account".to_owned(),
            Self::Pro(false) | Self::NotPro(false) => "not a PRO account".to_owned(),
        }
    }
}

impl Membership<'_> {
    fn role_too_low(&self, needed: &str) -> String {
        // A custom role has no rank.
        let rank = if matches!(self.role, Role::Custom(_)) { ", which has no rank," } else { "" };
        format!("{}, but the role is {}{rank} and {needed} is needed", self.text(), self.role)
    }

    /// `acme: a member`, or `acme: in gpu-team`.
    fn text(&self) -> String {
        match self.group {
            Some(group) => format!("{}: in {}", self.org.shown(), group.shown()),
            None => format!("{}: a member", self.org.shown()),
        }
    }
}

/// What about `org` is not known.
fn unknown(org: &Org, why: &str) -> String {
    format!("not known: {} {why}", org.shown())
}

/// The needed role.
fn needed_role(needed: Option<&Role>) -> String {
    match needed {
        Some(role @ Role::Custom(_)) => format!("exactly {role}"),
        Some(role) => role.to_string(),
        None => "another".to_owned(),
    }
}
