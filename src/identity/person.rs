//! A person as the provider describes them.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::completeness::{Dropped, FilterId, Missing, Shown};
use super::org::{Org, ResourceGroup};

/// The prefix of an app's name, where a person has a username.
const APP: &str = "app:";

/// The provider's answer about a person, reduced to what rules and headers need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// `sub`: the stable id. Key your data by it: usernames can change hands.
    pub sub: Box<str>,
    /// `preferred_username`, or the id where the `profile` scope is missing; empty if the
    /// provider sent one that is not a name.
    pub username: Box<str>,
    /// `name`
    pub name: Option<Box<str>>,
    /// `email`, with the `email` scope.
    pub email: Option<Email>,
    /// `picture`
    pub picture: Option<Box<str>>,
    /// `isPro`
    pub pro: bool,
    /// The organisations; empty if the provider does not return them.
    pub orgs: Vec<Org>,
    /// Whether the provider returned a list of organisations.
    pub orgs_known: bool,
    /// Whether usable organisations were left out of [`Person::orgs`] because the list
    /// exceeded its maximum size.
    pub orgs_cut: bool,
    /// What the credential shows; of the rest it is unknown whether it exists.
    pub shown: Shown,
    /// What was dropped because no rule named it, and by which rules. `None` is nothing.
    pub(crate) dropped: Option<Dropped>,
}

/// An e-mail address and whether the provider verified it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Email {
    /// The address.
    pub address: Box<str>,
    /// `email_verified`
    pub verified: bool,
}

impl Person {
    /// An app that authenticates as itself. App names are not unique and may equal
    /// usernames, so they get a prefix with a colon, which no username contains.
    pub(crate) fn of_app(id: Box<str>, name: &str) -> Self {
        Self {
            sub: id,
            username: format!("{APP}{name}").into(),
            name: None,
            email: None,
            picture: None,
            pro: false,
            orgs: Vec::new(),
            orgs_known: false,
            orgs_cut: false,
            shown: Shown::ALL,
            dropped: None,
        }
    }

    /// What rules that name the organisations and groups of `filter` may need and was
    /// dropped.
    pub(crate) fn missing_for(&self, filter: FilterId) -> Missing {
        match self.dropped {
            Some(dropped) if dropped.by != filter => dropped.missing,
            Some(_) | None => Missing::NOTHING,
        }
    }

    /// Whether this is an app and not an account.
    pub(crate) fn is_app(&self) -> bool {
        self.username.starts_with(APP)
    }

    pub(crate) fn verified_email(&self) -> Option<&str> {
        self.email.as_ref().filter(|email| email.verified).map(|email| &*email.address)
    }

    /// The username, or the id if only that is known.
    pub(crate) fn shown(&self) -> &str {
        if self.username.is_empty() { &self.sub } else { &self.username }
    }

    /// The entries of the `groups` claim.
    pub(super) fn groups(&self) -> Vec<String> {
        self.orgs.iter().filter_map(org_groups).flatten().collect()
    }

    /// The entries of the `groups` claim that fit into `most` bytes as a header. Organisations
    /// that `named` selects come first, and the entries of an organisation stay together.
    pub(super) fn groups_within(&self, most: usize, named: impl Fn(&Org) -> bool) -> Vec<String> {
        // Each entry is followed by a comma, except for the last.
        let most = most + 1;
        let (first, rest): (Vec<&Org>, Vec<&Org>) = self.orgs.iter().partition(|org| named(org));
        let mut length = 0;
        let fits = |org: &&Org| {
            let with = length + groups_length(org);
            let fits = with <= most;
            if fits {
                length = with;
            }
            fits
        };
        let kept: Vec<&Org> = first.into_iter().chain(rest).filter(fits).collect();
        kept.into_iter().filter_map(org_groups).flatten().collect()
    }

    /// Drops what neither rules nor headers need. Organisations that `named` selects are
    /// kept with any standing, since refusals refer to them. Of the others, those with a
    /// usable membership are kept until the list of groups has `groups_bytes`; `None` keeps
    /// none of them. What was dropped is noted under `filter`, for rules that name others.
    pub(crate) fn retain(
        &mut self,
        filter: FilterId,
        named: impl Fn(&Org) -> bool,
        group_named: impl Fn(&Org, &ResourceGroup) -> bool,
        groups_bytes: Option<usize>,
    ) {
        let mut budget = groups_bytes.unwrap_or_default();
        for org in self.orgs.iter().filter(|org| named(org)) {
            budget = budget.saturating_sub(groups_length(org));
        }
        let (mut cut, mut missing) = (false, Missing::NOTHING);
        self.orgs.retain_mut(|org| {
            // Only rules use resource groups.
            let mut groups = std::mem::take(&mut org.resource_groups);
            let listed = groups.len();
            groups.retain(|group| group_named(org, group));
            missing.groups |= groups.len() < listed;
            org.resource_groups = groups;
            if named(org) {
                return true;
            }
            if groups_bytes.is_none() || org.role().is_none() {
                missing.orgs = true;
                return false;
            }
            let length = groups_length(org);
            if length > budget {
                (cut, missing.orgs) = (true, true);
                return false;
            }
            budget -= length;
            true
        });
        if cut {
            // In a list that is not whole, what rules name comes first.
            self.orgs.sort_by_key(|org| !named(org));
        }
        self.orgs_cut = cut;
        self.dropped = (!missing.is_nothing()).then_some(Dropped { by: filter, missing });
    }

    /// Notes that organisations were left out which the rules of `filter` do not name.
    pub(crate) fn note_cut(&mut self, filter: FilterId) {
        self.orgs_cut = true;
        self.dropped = Some(Dropped::with_cut(self.dropped, filter));
    }
}

fn org_groups(org: &Org) -> Option<[String; 2]> {
    let role = org.role()?;
    let slug = element(&org.slug);
    let with_role = format!("{slug}:{}", element(role.as_str()));
    Some([slug, with_role])
}

fn groups_length(org: &Org) -> usize {
    org_groups(org).map_or(0, |[slug, with_role]| slug.len() + with_role.len() + 2)
}

/// A name as an element of a list of groups. Everything except letters, digits, `-`, `_`
/// and `.` is percent-encoded, so a role called `x,acme:admin` stays one element, and a
/// slug never contains the `:` before a role.
pub(crate) fn element(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    // As nearly all are.
    if name.bytes().all(is_plain) {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
