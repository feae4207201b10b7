//! Session settings.

use std::path::PathBuf;
use std::time::Duration;

use super::cookie::{DEFAULT_COOKIE_NAME, SameSitePolicy};
#[cfg(feature = "redis-store")]
use super::store::RedisSettings;
use super::store::{CustomStore, StoreLocation, StoreSettings};
use crate::clock::{UnixMillis, UnixTime};
use crate::keys::Secret;
use crate::setters::setters;

/// Session settings.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionSettings {
    /// The first secret encrypts; all of them decrypt.
    pub secrets: Vec<Secret>,
    /// The cookie's name, without the `__Host-` prefix that is added for https. The
    /// builder and the configuration file add a port of the public URL to the default.
    pub cookie_name: String,
    /// When browsers send the cookie with cross-site requests.
    pub same_site: SameSitePolicy,
    /// A session ends when it was not used for this long: no request, and no frame of an
    /// open stream in either direction.
    pub idle_timeout: Duration,
    /// A session ends this long after the sign-in, even if it is used.
    pub max_age: Duration,
    /// How long the provider's answer about a person and their organisations is valid
    /// before the provider is contacted again.
    pub revalidate: Duration,
    /// How much longer it is valid while the provider is unavailable.
    pub revalidate_grace: Duration,
    /// The session store, unless there is a custom one.
    pub store: StoreSettings,
    /// A store that outlives this process, in place of [`SessionSettings::store`].
    pub store_location: Option<StoreLocation>,
    /// A store of another kind, in place of both.
    pub custom_store: Option<CustomStore>,
    /// The maximum age of a custom store's answer about a session when a request uses it.
    /// [`Notices`](super::store::Notices) of the store take effect at once.
    pub cache: Duration,
    /// How much longer the sessions that this process knows go on while the custom store
    /// does not answer.
    pub store_grace: Duration,
    /// The time limit of a custom store's answer.
    pub store_timeout: Duration,
    /// Where it is kept, for other processes, until when the sessions of a person have
    /// ended. Only the cookie store needs it.
    pub revocations: RevocationSettings,
    /// The maximum number of cached sessions, whose requests need no decryption and no
    /// signature. One takes about 4 kB.
    pub cached_sessions: usize,
}

impl SessionSettings {
    /// The default settings with `secret`.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self {
            secrets: vec![secret],
            cookie_name: DEFAULT_COOKIE_NAME.to_owned(),
            same_site: SameSitePolicy::Lax,
            idle_timeout: Duration::from_secs(12 * 3600),
            max_age: Duration::from_secs(7 * 24 * 3600),
            revalidate: Duration::from_secs(15 * 60),
            revalidate_grace: Duration::from_secs(3600),
            store: StoreSettings::Cookie,
            store_location: None,
            custom_store: None,
            cache: Duration::from_secs(10),
            store_grace: Duration::from_secs(5 * 60),
            store_timeout: Duration::from_millis(500),
            revocations: RevocationSettings::InProcess,
            cached_sessions: 8_192,
        }
    }

    setters!(
        same_site: SameSitePolicy,
        idle_timeout: Duration,
        max_age: Duration,
        revalidate: Duration,
        revalidate_grace: Duration,
        store: StoreSettings,
        revocations: RevocationSettings,
        cached_sessions: usize;
        secrets: into Vec<Secret>,
        cookie_name: into String,
    );

    /// Whether other processes, or the file system, can change sessions or fail.
    fn has_shared_store(&self) -> bool {
        self.custom_store.is_some() || self.store_location.is_some()
    }

    pub(super) fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            idle: self.idle_timeout.as_secs(),
            max_age: self.max_age.as_secs(),
            revalidate: self.revalidate.as_secs(),
            grace: self.revalidate_grace.as_secs(),
            cache: self.has_shared_store().then(|| CacheLifetimes {
                age: millis(self.cache),
                grace: millis(self.store_grace),
                timeout: self.store_timeout,
            }),
        }
    }
}

/// The place where revocations of sessions in cookies are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RevocationSettings {
    /// In this process, until it ends.
    #[default]
    InProcess,
    /// In a file that processes of one machine share. It is looked at four times a second.
    File(PathBuf),
    /// In Redis or Valkey, which is asked twice a second.
    #[cfg(feature = "redis-store")]
    Redis(Box<RedisSettings>),
}

/// The lifetimes of a session and of the provider's answer, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub(super) idle: u64,
    pub(super) max_age: u64,
    pub(super) revalidate: u64,
    pub(super) grace: u64,
    /// Absent where nobody else changes the sessions, or nothing is stored.
    pub(super) cache: Option<CacheLifetimes>,
}

/// How long a store's answer about a session is used, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheLifetimes {
    pub(super) age: UnixMillis,
    /// How much longer while the store does not answer.
    pub(super) grace: UnixMillis,
    /// The time limit of one answer.
    pub(super) timeout: Duration,
}

fn millis(duration: Duration) -> UnixMillis {
    UnixMillis::try_from(duration.as_millis()).unwrap_or(UnixMillis::MAX)
}

/// How much longer than a session a store keeps its record: the use of an open stream is
/// told to the store once a minute.
pub(super) const STORED_LONGER: u64 = 120;

/// Whether the provider's last answer about a person is still valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It is younger than `session.revalidate`.
    Fresh,
    /// A new one is due; the old one is used until it arrives.
    Stale,
    /// It is too old to grant access.
    Expired,
}

impl Lifetimes {
    /// Whether a session is within both limits. A session from the future, encrypted by a
    /// machine whose clock is ahead, is treated as begun now.
    pub(super) fn in_force(&self, began: UnixTime, seen: UnixTime, now: UnixTime) -> bool {
        now.saturating_sub(began) < self.max_age && now.saturating_sub(seen) < self.idle
    }

    /// How long a session stays within both limits if it is not used again; `None` if it
    /// has passed one.
    pub(super) fn time_left(
        &self,
        began: UnixTime,
        last_use: UnixMillis,
        now: UnixMillis,
    ) -> Option<Duration> {
        let end = began.saturating_add(self.max_age).saturating_mul(1000);
        let idle = last_use.saturating_add(self.idle.saturating_mul(1000));
        Some(Duration::from_millis(end.min(idle).checked_sub(now)?)).filter(|left| !left.is_zero())
    }

    /// From when on a store need not have a session.
    pub(super) fn forgotten(&self, began: UnixTime, last_use: UnixTime) -> UnixTime {
        let (end, idle) = (began.saturating_add(self.max_age), last_use.saturating_add(self.idle));
        end.min(idle).saturating_add(STORED_LONGER)
    }

    /// The freshness of an answer from the time `checked`.
    pub(super) fn freshness(&self, checked: UnixTime, now: UnixTime) -> Freshness {
        match now.saturating_sub(checked) {
            age if age < self.revalidate => Freshness::Fresh,
            age if age < self.revalidate.saturating_add(self.grace) => Freshness::Stale,
            _ => Freshness::Expired,
        }
    }
}
