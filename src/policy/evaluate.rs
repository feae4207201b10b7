//! Evaluates a condition for a person. The match is derived from the explained result, so
//! the decision and its explanation cannot differ.

use super::rule::{Condition, Domain, Match, Name, NameMatch, Rule, is_id};
use crate::identity::{Missing, Org, Person, ResourceGroup, Role, Shown, Standing};

/// The result of one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConditionResult<'a> {
    ThisAccount(&'a str),
    OtherAccount(&'a str),
    /// The rule names a username, and the credential shows only the id.
    UsernameNotShown(&'a str),
    /// The name of an account, organisation or group cannot be compared to the rule's
    /// with certainty.
    AmbiguousName {
        wanted: &'a str,
        found: &'a str,
        how: NameMatch,
    },
    /// The provider returned no list of organisations.
    OrgsNotTold,
    NotAMember(&'a str),
    /// Not listed, and the credential does not show every membership.
    NotShown(&'a str),
    /// Not among those that a filter of other rules kept.
    NotHeld(&'a str),
    NotGranted(&'a Org),
    Restricted(&'a Org),
    /// The role is `no_access`, and the rule names no resource group.
    NoAccess(&'a Org),
    Member(Membership<'a>),
    /// `no_access` in a resource group is too low for every rule.
    RoleTooLow(Membership<'a>, Option<&'a Role>),
    /// Only for a test subject: a role is needed and none was given.
    RoleNotSaid(Membership<'a>, &'a Role),
    /// A member of the organisation, but not of this resource group.
    NotInGroup(&'a Org, &'a str),
    /// A member of the organisation, whose resource groups the credential does not show.
    GroupsNotShown(&'a Org, &'a str),
    NoEmail,
    EmailNotVerified(&'a str),
    ThisEmail(&'a str),
    OtherEmail(&'a str),
    Pro(bool),
    NotPro(bool),
    /// An app has no subscription, so `pro` is unknown.
    NotAnAccount,
    /// The provider did not say in a form that can be read.
    ProNotTold,
}

/// A membership in an organisation or in one of its resource groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership<'a> {
    pub(crate) org: &'a Org,
    pub(crate) group: Option<&'a ResourceGroup>,
    pub(crate) role: &'a Role,
}

impl ConditionResult<'_> {
    /// The match that follows from this result.
    pub(crate) fn matches(&self) -> Match {
        match self {
            Self::ThisAccount(_) | Self::Member(_) | Self::ThisEmail(_) | Self::Pro(_) => Match::Yes,
            // Without a grant, restrictions are not visible; an existing restriction may
            // be lifted at any time. Both are neither a match nor a mismatch.
            Self::AmbiguousName { .. }
            | Self::UsernameNotShown(_)
            | Self::OrgsNotTold
            | Self::NotShown(_)
            | Self::NotGranted(_)
            | Self::GroupsNotShown(..)
            | Self::Restricted(_)
            | Self::RoleNotSaid(..)
            | Self::NoEmail
            | Self::NotAnAccount
            | Self::ProNotTold
            | Self::EmailNotVerified(_) => Match::Unknown,
            Self::NotHeld(_) => Match::NotHeld,
            Self::OtherAccount(_)
            | Self::NotAMember(_)
            | Self::NoAccess(_)
            | Self::RoleTooLow(..)
            | Self::NotInGroup(..)
            | Self::OtherEmail(_)
            | Self::NotPro(_) => Match::No,
        }
    }
}

impl ConditionResult<'_> {
    /// Whether it depends on something that this credential does not show, and one that
    /// shows `asks` would.
    pub(crate) fn would_be_shown(&self, shown: Shown, asks: Shown) -> bool {
        match self {
            Self::NoEmail => asks.email && !shown.email,
            Self::UsernameNotShown(_) => asks.profile && !shown.profile,
            Self::OrgsNotTold | Self::NotShown(_) | Self::NotGranted(_) => {
                asks.memberships && !shown.memberships
            }
            _ => false,
        }
    }
}

impl Rule {
    /// Whether the rule matches `person`, of whom this is missing.
    pub(crate) fn matches(&self, person: &Person, missing: Missing) -> Match {
        self.conditions
            .iter()
            .map(|condition| condition.evaluate(person, missing).matches())
            .min()
            .unwrap_or(Match::No)
    }
}

impl Condition {
    /// Evaluates the condition for `person`, of whom this is missing.
    pub(crate) fn evaluate<'a>(&'a self, person: &'a Person, missing: Missing) -> ConditionResult<'a> {
        match self {
            // App names are not account names and need not be unique.
            Self::User(name) if person.is_app() => {
                if is_id(&name.0) && *name.0 == *person.sub {
                    ConditionResult::ThisAccount(person.shown())
                } else {
                    ConditionResult::OtherAccount(person.shown())
                }
            }
            Self::Pro(_) if person.is_app() => ConditionResult::NotAnAccount,
            Self::Pro(_) if !person.shown.pro => ConditionResult::ProNotTold,
            // The id then stands in for the username.
            Self::User(name) if !person.shown.profile && person.username == person.sub && !is_id(&name.0) => {
                ConditionResult::UsernameNotShown(person.shown())
            }
            Self::User(name) => match name.compare(&person.sub, &person.username) {
                NameMatch::Same => ConditionResult::ThisAccount(person.shown()),
                NameMatch::Other => ConditionResult::OtherAccount(person.shown()),
                how => ConditionResult::AmbiguousName { wanted: &name.0, found: person.shown(), how },
            },
            Self::Org { .. } if !person.orgs_known => ConditionResult::OrgsNotTold,
            Self::Org { org, role, group } => {
                let found = person.orgs.iter().filter_map(|listed| {
                    let result = || membership(listed, role.as_ref(), group.as_ref(), missing);
                    if_named(org, (&listed.id, &listed.slug), result)
                });
                let not_found = if missing.orgs {
                    ConditionResult::NotHeld(&org.0)
                } else if person.shown.memberships {
                    ConditionResult::NotAMember(&org.0)
                } else {
                    ConditionResult::NotShown(&org.0)
                };
                best(found, not_found)
            }
            Self::Email(wanted) => email(person, |address| same_address(address, wanted)),
            Self::EmailDomain(domain) => email(person, |address| domain.has(address)),
            Self::Pro(wanted) if person.pro == *wanted => ConditionResult::Pro(person.pro),
            Self::Pro(_) => ConditionResult::NotPro(person.pro),
        }
    }
}

/// `found`, if `name` is the name or id in `listed` (an id and a name). If the comparison
/// is ambiguous, the result is ambiguous too, unless `found` is a mismatch anyway or the
/// provider is to be asked.
fn if_named<'a>(
    name: &'a Name,
    listed: (&'a str, &'a str),
    found: impl FnOnce() -> ConditionResult<'a>,
) -> Option<ConditionResult<'a>> {
    let how = name.compare(listed.0, listed.1);
    if how == NameMatch::Other {
        return None;
    }
    let found = found();
    if how == NameMatch::Same || matches!(found.matches(), Match::No | Match::NotHeld) {
        return Some(found);
    }
    let shown = if listed.1.is_empty() { listed.0 } else { listed.1 };
    Some(ConditionResult::AmbiguousName { wanted: &name.0, found: shown, how })
}

/// The best of what was found. An entry that may be the wanted one proves nothing while the
/// session does not hold everything: the wanted one may be among the rest.
fn best<'a>(
    found: impl Iterator<Item = ConditionResult<'a>>,
    otherwise: ConditionResult<'a>,
) -> ConditionResult<'a> {
    let rank = |result: &ConditionResult<'a>| match result {
        ConditionResult::AmbiguousName { .. } => (Match::No, true),
        result => (result.matches(), false),
    };
    match (found.max_by_key(rank), otherwise) {
        (Some(ConditionResult::AmbiguousName { .. }) | None, otherwise @ ConditionResult::NotHeld(_))
        | (None, otherwise) => otherwise,
        (Some(best), _) => best,
    }
}

/// Whether a membership has the role, in the group if one is named.
fn membership<'a>(
    org: &'a Org,
    needed: Option<&'a Role>,
    group: Option<&'a Name>,
    missing: Missing,
) -> ConditionResult<'a> {
    match (&org.standing, group) {
        (Standing::NotGranted, _) => ConditionResult::NotGranted(org),
        (Standing::Restricted, _) => ConditionResult::Restricted(org),
        (Standing::Member(Role::NoAccess), None) => ConditionResult::NoAccess(org),
        (Standing::Member(role), None) => ranked(Membership { org, group: None, role }, needed),
        (Standing::Member(_), Some(name)) => {
            let found = org.resource_groups.iter().filter_map(|group| {
                let result = || ranked(Membership { org, group: Some(group), role: &group.role }, needed);
                if_named(name, (&group.id, &group.name), result)
            });
            let not_found = if missing.groups {
                ConditionResult::NotHeld(&name.0)
            } else if org.groups_shown {
                ConditionResult::NotInGroup(org, &name.0)
            } else {
                ConditionResult::GroupsNotShown(org, &name.0)
            };
            best(found, not_found)
        }
    }
}

fn ranked<'a>(membership: Membership<'a>, needed: Option<&'a Role>) -> ConditionResult<'a> {
    match needed {
        _ if *membership.role == Role::NoAccess => ConditionResult::RoleTooLow(membership, needed),
        Some(needed) if membership.role.is_unsaid() => ConditionResult::RoleNotSaid(membership, needed),
        Some(role) if !membership.role.at_least(role) => ConditionResult::RoleTooLow(membership, needed),
        Some(_) | None => ConditionResult::Member(membership),
    }
}

fn email(person: &Person, matches: impl FnOnce(&str) -> bool) -> ConditionResult<'_> {
    match &person.email {
        None => ConditionResult::NoEmail,
        Some(email) if !email.verified => ConditionResult::EmailNotVerified(&email.address),
        Some(email) if matches(&email.address) => ConditionResult::ThisEmail(&email.address),
        Some(email) => ConditionResult::OtherEmail(&email.address),
    }
}

/// RFC 5321, section 2.4: the domain is case-insensitive. Local parts are case-sensitive
/// in theory, but providers that verify addresses do not give two people addresses that
/// differ only by case.
fn same_address(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl Domain {
    /// Whether the address has exactly one `@` and its domain equals this one or is a
    /// subdomain of it.
    fn has(&self, address: &str) -> bool {
        let Some((_, domain)) = address.split_once('@').filter(|(_, domain)| !domain.contains('@')) else {
            return false;
        };
        if domain.eq_ignore_ascii_case(&self.name) {
            return true;
        }
        let Some(start) = domain.len().checked_sub(self.name.len() + 1) else { return false };
        self.below
            && domain.as_bytes().get(start) == Some(&b'.')
            && domain.get(start + 1..).is_some_and(|end| end.eq_ignore_ascii_case(&self.name))
    }
}
