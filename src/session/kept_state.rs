//! What this process knows of a session's record in a server-side store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::store::{Revision, SessionKey, StoredSession};
use super::ticket::Ticket;
use super::vault::{Enclosed, Extension, Opened};
use crate::clock::UnixMillis;
use crate::identity::ProviderSession;
use crate::keys::SecretString;

/// What is known of a record.
#[derive(Debug)]
pub(super) struct KeptState {
    pub(super) ticket: Ticket,
    pub(super) key: SessionKey,
    /// When the store last said that the session is in this revision.
    asked: AtomicU64,
    /// Whether the session is being loaded again.
    pub(super) refreshing: AtomicBool,
    /// Whether the store will be told of the last use.
    pub(super) touching: AtomicBool,
    /// The last use that the store was told of.
    pub(super) told_use: AtomicU64,
    /// Whether a write failed, so that the store has less than this process.
    pub(super) unsaved: AtomicBool,
    record: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    revision: Revision,
    enclosed: Enclosed,
}

impl KeptState {
    /// A record that was asked for at the time `asked`.
    pub(super) fn new(ticket: Ticket, revision: Revision, enclosed: Enclosed, asked: UnixMillis) -> Self {
        Self {
            key: ticket.id.key(),
            ticket,
            asked: AtomicU64::new(asked),
            refreshing: AtomicBool::new(false),
            touching: AtomicBool::new(false),
            told_use: AtomicU64::new(0),
            unsaved: AtomicBool::new(false),
            record: Mutex::new(Known { revision, enclosed }),
        }
    }

    /// How long ago the store was asked, in milliseconds.
    pub(super) fn age(&self, now: UnixMillis) -> UnixMillis {
        now.saturating_sub(self.asked.load(Ordering::Relaxed))
    }

    /// Notes that the store answered what it was asked at that time.
    pub(super) fn confirm(&self, asked: UnixMillis) {
        self.asked.fetch_max(asked, Ordering::Relaxed);
    }

    /// The answer is older than any cache may be, and `grace` goes on.
    pub(super) fn distrust(&self, cache: UnixMillis, now: UnixMillis) {
        self.asked.fetch_min(now.saturating_sub(cache), Ordering::Relaxed);
    }

    pub(super) fn revision(&self) -> Revision {
        self.lock().revision
    }

    /// What goes into the next record unchanged.
    pub(super) fn enclosed(&self) -> Enclosed {
        self.lock().enclosed.clone()
    }

    /// The ID token of the sign-in, if the record has it.
    pub(super) fn id_token(&self) -> Option<SecretString> {
        Extension::id_token_in(&self.lock().enclosed.extensions)
    }

    /// Takes over what another sign-in of the session says of the provider's.
    pub(super) fn set_provider_session(&self, session: &ProviderSession) {
        let mut known = self.lock();
        let others = known.enclosed.extensions.iter().filter(|extension| !extension.is_of_provider());
        let extensions = others.cloned().chain(Extension::of_provider(session)).collect();
        known.enclosed.extensions = extensions;
    }

    /// Notes a revision that this process wrote.
    pub(super) fn wrote(&self, revision: Revision) {
        let mut known = self.lock();
        known.revision = known.revision.max(revision);
    }

    /// Notes a record; `false` if it is not newer than what is known.
    pub(super) fn advance(&self, stored: &StoredSession, opened: &Opened) -> bool {
        let mut known = self.lock();
        if stored.revision <= known.revision {
            return false;
        }
        *known = Known { revision: stored.revision, enclosed: opened.enclosed.clone() };
        true
    }

    /// A panic while the lock was held leaves a whole value: each change is an assignment.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
