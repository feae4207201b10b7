//! How complete the description of a person is: what the credential shows, and what was
//! dropped from the provider's answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What a credential shows of its owner. What it does not show may be so or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Shown {
    /// The e-mail address.
    pub email: bool,
    /// Every membership: an organisation that is not listed is not the owner's.
    pub memberships: bool,
    /// The username. Without it, only rules that name the account by its id can be judged.
    pub profile: bool,
    /// Whether the account has a PRO subscription. Every credential of a person shows it,
    /// unless the provider's answer cannot be read.
    pub pro: bool,
}

impl Shown {
    /// A credential that shows everything.
    pub const ALL: Self = Self { email: true, memberships: true, profile: true, pro: true };

    /// What a token with this scope shows (RFC 6749, section 3.3).
    pub(crate) fn by_scope(scope: &str) -> Self {
        let has = |wanted: &str| scope.split_ascii_whitespace().any(|name| name == wanted);
        Self { email: has("email"), memberships: has("read-memberships"), profile: has("profile"), pro: true }
    }

    /// What both show.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            email: self.email && other.email,
            memberships: self.memberships && other.memberships,
            profile: self.profile && other.profile,
            pro: self.pro && other.pro,
        }
    }
}

/// Identifies the names that a filter keeps: organisations and resource groups of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilterId(pub(crate) [u8; 8]);

impl FilterId {
    /// That of no rules at all: a person under it has to be asked for again.
    pub(crate) const OF_NO_RULES: Self = Self([0xff; 8]);
}

/// What the rules in force need of people. It grows while the gate is in use, since a rule may
/// be added for one router; a decision reads it without a lock.
#[derive(Debug)]
pub(crate) struct Needs {
    filter: AtomicU64,
    email: AtomicBool,
    memberships: AtomicBool,
    profile: AtomicBool,
}

impl Needs {
    /// `asks` is what a sign-in asks for.
    pub(crate) fn new(filter: FilterId, asks: Shown) -> Self {
        Self {
            filter: AtomicU64::new(u64::from_be_bytes(filter.0)),
            email: AtomicBool::new(asks.email),
            memberships: AtomicBool::new(asks.memberships),
            profile: AtomicBool::new(asks.profile),
        }
    }

    /// Identifies the organisations and resource groups that the rules name.
    pub(crate) fn filter(&self) -> FilterId {
        FilterId(self.filter.load(Ordering::Acquire).to_be_bytes())
    }

    /// What a sign-in asks for.
    pub(crate) fn asks(&self) -> Shown {
        let read = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        Shown {
            email: read(&self.email),
            memberships: read(&self.memberships),
            profile: read(&self.profile),
            pro: true,
        }
    }

    /// From now on the rules name what `filter` identifies, and need `more` as well.
    pub(crate) fn grow(&self, filter: FilterId, more: Shown) {
        self.email.fetch_or(more.email, Ordering::Relaxed);
        self.memberships.fetch_or(more.memberships, Ordering::Relaxed);
        self.profile.fetch_or(more.profile, Ordering::Relaxed);
        self.filter.store(u64::from_be_bytes(filter.0), Ordering::Release);
    }
}

/// What a filter dropped from the provider's answer. Rules that name the same
/// organisations and groups as the filter need nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dropped {
    pub(crate) by: FilterId,
    pub(crate) missing: Missing,
}

impl Dropped {
    /// What was dropped once organisations were also left out which the rules of `filter` do
    /// not name.
    pub(crate) fn with_cut(before: Option<Self>, filter: FilterId) -> Self {
        let missing = before.map_or(Missing::NOTHING, |dropped| dropped.missing);
        // What other rules name may have been left out now, and what these name before.
        let other = before.is_some_and(|dropped| dropped.by != filter);
        let by = if other { FilterId::OF_NO_RULES } else { filter };
        Self { by, missing: Missing { orgs: true, ..missing } }
    }
}

/// What is missing of the provider's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missing {
    /// Organisations.
    pub(crate) orgs: bool,
    /// Resource groups of organisations that were kept.
    pub(crate) groups: bool,
}

impl Missing {
    /// Nothing is missing.
    pub(crate) const NOTHING: Self = Self { orgs: false, groups: false };

    pub(crate) fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }
}
