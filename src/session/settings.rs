//! How sessions are kept.

use std::time::Duration;

use super::cookie::SameSitePolicy;
use super::store::StoreSettings;
use crate::clock::UnixTime;
use crate::keys::Secret;

/// How sessions are kept.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The first seals, all open.
    pub secrets: Vec<Secret>,
    /// The cookie's name, without the `__Host-` that https adds.
    pub cookie_name: String,
    /// When browsers send the cookie with requests that other sites cause.
    pub same_site: SameSitePolicy,
    /// A session ends when it was not used for so long.
    pub idle_timeout: Duration,
    /// A session ends so long after the sign-in, used or not.
    pub max_age: Duration,
    /// How long the provider's word on a person and their organisations counts
    /// before it is asked again.
    pub revalidate: Duration,
    /// How much longer it counts while the provider cannot be asked.
    pub revalidate_grace: Duration,
    /// Where sessions are kept.
    pub store: StoreSettings,
    /// How many opened sessions are cached, so that their requests neither decrypt
    /// nor sign. One takes about 4 kB.
    pub cached_sessions: usize,
}

impl SessionSettings {
    /// The defaults, with `secret`.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self {
            secrets: vec![secret],
            cookie_name: "huggate".to_owned(),
            same_site: SameSitePolicy::Lax,
            idle_timeout: Duration::from_secs(12 * 3600),
            max_age: Duration::from_secs(7 * 24 * 3600),
            revalidate: Duration::from_secs(15 * 60),
            revalidate_grace: Duration::from_secs(3600),
            store: StoreSettings::Cookie,
            cached_sessions: 8_192,
        }
    }

    pub(super) fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            idle: self.idle_timeout.as_secs(),
            max_age: self.max_age.as_secs(),
            revalidate: self.revalidate.as_secs(),
            grace: self.revalidate_grace.as_secs(),
        }
    }
}

/// How long a session and what the provider said of it hold, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub(super) idle: u64,
    pub(super) max_age: u64,
    pub(super) revalidate: u64,
    pub(super) grace: u64,
}

/// Whether the provider's last answer about a person still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It was given less than `session.revalidate` ago.
    Fresh,
    /// It is time to ask again; until there is an answer, the old one holds.
    Stale,
    /// It is too old to let anybody in.
    Expired,
}

impl Lifetimes {
    /// Whether a session is within both its limits. One from the future, sealed by a
    /// machine whose clock is ahead, counts as begun now.
    pub(super) fn in_force(&self, began: UnixTime, seen: UnixTime, now: UnixTime) -> bool {
        now.saturating_sub(began) < self.max_age && now.saturating_sub(seen) < self.idle
    }

    /// The freshness of an answer that was given at `checked`.
    pub(super) fn freshness(&self, checked: UnixTime, now: UnixTime) -> Freshness {
        match now.saturating_sub(checked) {
            age if age < self.revalidate => Freshness::Fresh,
            age if age < self.revalidate.saturating_add(self.grace) => Freshness::Stale,
            _ => Freshness::Expired,
        }
    }
}
