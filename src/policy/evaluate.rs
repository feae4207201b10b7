//! What a condition says of somebody, and why. The value that decides follows
//! from the reason that explains it, so that the two cannot differ.

use super::rule::{Condition, Domain, Holds, Name, Sameness};
use crate::identity::{Org, Person, ResourceGroup, Role, Standing};

/// What came of one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding<'a> {
    ThisAccount(&'a str),
    OtherAccount(&'a str),
    /// A name (of an account, an organisation or a group) that is not clearly the
    /// one that the rule has.
    Unclear {
        wanted: &'a str,
        found: &'a str,
        how: Sameness,
    },
    /// The provider told of no organisations.
    OrgsNotTold,
    NotAMember(&'a str),
    NotGranted(&'a Org),
    Restricted(&'a Org),
    /// `no_access`, and no group is asked for.
    NoAccess(&'a Org),
    Holds(Membership<'a>),
    /// `no_access` in a group is too low for every rule.
    RoleTooLow(Membership<'a>, Option<&'a Role>),
    /// Of somebody put together by hand: a role is needed, and was not said.
    RoleNotSaid(Membership<'a>, &'a Role),
    /// A member, and not in this group.
    NotInGroup(&'a Org, &'a str),
    NoEmail,
    EmailNotVerified(&'a str),
    ThisEmail(&'a str),
    OtherEmail(&'a str),
    Pro(bool),
    NotPro(bool),
    /// An app has no subscription.
    ProNotTold,
}

/// A place that somebody has, in an organisation or in one of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership<'a> {
    pub(crate) org: &'a Org,
    pub(crate) group: Option<&'a ResourceGroup>,
    pub(crate) role: &'a Role,
}

impl Finding<'_> {
    /// What the reason amounts to.
    pub(crate) fn holds(&self) -> Holds {
        match self {
            Self::ThisAccount(_) | Self::Holds(_) | Self::ThisEmail(_) | Self::Pro(_) => Holds::Yes,
            // Restrictions hide behind a missing grant, and one that is there may be
            // over tomorrow: neither yes nor no.
            Self::Unclear { .. }
            | Self::OrgsNotTold
            | Self::NotGranted(_)
            | Self::Restricted(_)
            | Self::RoleNotSaid(..)
            | Self::NoEmail
            | Self::ProNotTold
            | Self::EmailNotVerified(_) => Holds::Unknown,
            Self::OtherAccount(_)
            | Self::NotAMember(_)
            | Self::NoAccess(_)
            | Self::RoleTooLow(..)
            | Self::NotInGroup(..)
            | Self::OtherEmail(_)
            | Self::NotPro(_) => Holds::No,
        }
    }
}

impl Condition {
    /// What the condition says of `person`.
    pub(crate) fn weigh<'a>(&'a self, person: &'a Person) -> Finding<'a> {
        match self {
            // Names of apps are no names of accounts, and need not be unique.
            Self::User(name) if person.is_app() => {
                if super::rule::is_id(&name.0) && *name.0 == *person.sub {
                    Finding::ThisAccount(person.shown())
                } else {
                    Finding::OtherAccount(person.shown())
                }
            }
            Self::Pro(_) if person.is_app() => Finding::ProNotTold,
            Self::User(name) => match name.compare(&person.sub, &person.username) {
                Sameness::Same => Finding::ThisAccount(person.shown()),
                Sameness::Other => Finding::OtherAccount(person.shown()),
                how => Finding::Unclear { wanted: &name.0, found: person.shown(), how },
            },
            Self::Org { .. } if !person.orgs_known => Finding::OrgsNotTold,
            Self::Org { org, role, group } => {
                let found = person.orgs.iter().filter_map(|listed| {
                    let place = || membership(listed, role.as_ref(), group.as_ref());
                    if_named(org, (&listed.id, &listed.slug), place)
                });
                best(found, Finding::NotAMember(&org.0))
            }
            Self::Email(wanted) => email(person, |address| same_address(address, wanted)),
            Self::EmailDomain(domain) => email(person, |address| domain.has(address)),
            Self::Pro(wanted) if person.pro == *wanted => Finding::Pro(person.pro),
            Self::Pro(_) => Finding::NotPro(person.pro),
        }
    }
}

/// `found`, if `name` is the one of `listed` (an id and a name); and no more than
/// unclear if that is. Where the answer is no in any case, that is the answer.
fn if_named<'a>(
    name: &'a Name,
    listed: (&'a str, &'a str),
    found: impl FnOnce() -> Finding<'a>,
) -> Option<Finding<'a>> {
    let how = name.compare(listed.0, listed.1);
    if how == Sameness::Other {
        return None;
    }
    let found = found();
    if how == Sameness::Same || found.holds() == Holds::No {
        return Some(found);
    }
    let shown = if listed.1.is_empty() { listed.0 } else { listed.1 };
    Some(Finding::Unclear { wanted: &name.0, found: shown, how })
}

fn best<'a>(found: impl Iterator<Item = Finding<'a>>, otherwise: Finding<'a>) -> Finding<'a> {
    found.max_by_key(Finding::holds).unwrap_or(otherwise)
}

/// Whether a membership has the role, in the group if one is named.
fn membership<'a>(org: &'a Org, needed: Option<&'a Role>, group: Option<&'a Name>) -> Finding<'a> {
    match (&org.standing, group) {
        (Standing::NotGranted, _) => Finding::NotGranted(org),
        (Standing::Restricted, _) => Finding::Restricted(org),
        (Standing::Member(Role::NoAccess), None) => Finding::NoAccess(org),
        (Standing::Member(role), None) => ranked(Membership { org, group: None, role }, needed),
        (Standing::Member(_), Some(name)) => {
            let found = org.resource_groups.iter().filter_map(|group| {
                let place = || ranked(Membership { org, group: Some(group), role: &group.role }, needed);
                if_named(name, (&group.id, &group.name), place)
            });
            best(found, Finding::NotInGroup(org, &name.0))
        }
    }
}

fn ranked<'a>(place: Membership<'a>, needed: Option<&'a Role>) -> Finding<'a> {
    match needed {
        _ if *place.role == Role::NoAccess => Finding::RoleTooLow(place, needed),
        Some(needed) if place.role.is_unsaid() => Finding::RoleNotSaid(place, needed),
        Some(role) if !place.role.at_least(role) => Finding::RoleTooLow(place, needed),
        Some(_) | None => Finding::Holds(place),
    }
}

fn email(person: &Person, is_meant: impl FnOnce(&str) -> bool) -> Finding<'_> {
    match &person.email {
        None => Finding::NoEmail,
        Some(email) if !email.verified => Finding::EmailNotVerified(&email.address),
        Some(email) if is_meant(&email.address) => Finding::ThisEmail(&email.address),
        Some(email) => Finding::OtherEmail(&email.address),
    }
}

/// RFC 5321, section 2.4: the domain is case-insensitive. Local parts are not,
/// in theory; no provider that verifies addresses gives two people ones that
/// differ by case.
fn same_address(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl Domain {
    /// One `@`; the domain is equal, or ends in this one at a dot.
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
