//! What the provider says of somebody.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::org::{Org, ResourceGroup};

/// How many bytes the list of groups may take in a header. The same list goes
/// upstream three times (header, assertion, session cookie), and common app
/// servers refuse requests with more than 16 KiB of headers in all.
pub(crate) const GROUPS_BUDGET: usize = 3 * 1024;
/// What stands before an app's name in place of a username.
const APP: &str = "app:";

/// What the provider said of somebody, cut to what rules and headers need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// `sub`: the stable id. Key your data by it: usernames can change hands.
    pub sub: Box<str>,
    /// `preferred_username`, or the id where the `profile` scope is missing.
    pub username: Box<str>,
    /// `name`
    pub name: Option<Box<str>>,
    /// `email`, with the `email` scope.
    pub email: Option<Email>,
    /// `picture`
    pub picture: Option<Box<str>>,
    /// `isPro`
    pub pro: bool,
    /// Organisations; empty where the provider does not tell.
    pub orgs: Vec<Org>,
    /// Whether the provider told of organisations at all.
    pub orgs_known: bool,
    /// Whether organisations that count were left out of [`Person::orgs`],
    /// because the list would have been longer than apps can take.
    pub orgs_cut: bool,
}

/// An e-mail address and whether the provider verified it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The address.
    pub address: Box<str>,
    /// `email_verified`
    pub verified: bool,
}

impl Person {
    /// An app that asks in its own name. Apps may be called like people, and like
    /// each other: no account's name has a colon in it.
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
        }
    }

    /// Whether this is an app, and so no account at all.
    pub(crate) fn is_app(&self) -> bool {
        self.username.starts_with(APP)
    }

    pub(crate) fn verified_email(&self) -> Option<&str> {
        self.email.as_ref().filter(|email| email.verified).map(|email| &*email.address)
    }

    /// What people call the account: its name, or its id where only that is known.
    pub(crate) fn shown(&self) -> &str {
        if self.username.is_empty() { &self.sub } else { &self.username }
    }

    /// The entries of the `groups` claim.
    pub(super) fn groups(&self) -> Vec<String> {
        self.orgs.iter().filter_map(org_groups).flatten().collect()
    }

    /// Drops what neither the rules nor the headers need. Organisations that
    /// `named` wants are kept whatever their standing, since a refusal explains
    /// itself by it; of the others those that count, until the list of groups
    /// is full.
    pub(crate) fn retain(
        &mut self,
        named: impl Fn(&Org) -> bool,
        group_named: impl Fn(&Org, &ResourceGroup) -> bool,
        groups_wanted: bool,
    ) {
        let mut budget = GROUPS_BUDGET;
        for org in self.orgs.iter().filter(|org| named(org)) {
            budget = budget.saturating_sub(groups_length(org));
        }
        let mut cut = false;
        self.orgs.retain_mut(|org| {
            // Resource groups matter to rules alone.
            let mut groups = std::mem::take(&mut org.resource_groups);
            groups.retain(|group| group_named(org, group));
            org.resource_groups = groups;
            if named(org) {
                return true;
            }
            if !groups_wanted || org.role().is_none() {
                return false;
            }
            let length = groups_length(org);
            if length > budget {
                cut = true;
                return false;
            }
            budget -= length;
            true
        });
        self.orgs_cut = cut;
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

/// A name as it may stand in a list of groups: what is not a letter, a digit,
/// `-`, `_` or `.` is percent-encoded, so that a role called `x,acme:admin`
/// stays one element, and a slug never holds the `:` before a role.
pub(crate) fn element(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
