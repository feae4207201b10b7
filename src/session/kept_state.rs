//! What this process knows of a session's record in a server-side store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::lease::{Lease, LeaseElsewhere, ProcessId};
use super::store::{Revision, SessionKey, StoredSession};
use super::ticket::Ticket;
use super::vault::{Enclosed, Extension, Opened};
use crate::clock::{UnixMillis, UnixTime};
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
    /// The lease in it, and when this process saw it first.
    seen: Option<(Lease, UnixMillis)>,
    /// The lease that this process holds.
    own: Option<Lease>,
}

impl Known {
    fn replace(&mut self, revision: Revision, enclosed: Enclosed, at: UnixMillis) {
        let lease = Lease::of(&enclosed);
        // Another write may have kept it.
        if self.seen.map(|(seen, _)| seen) != lease {
            self.seen = lease.map(|lease| (lease, at));
        }
        (self.revision, self.enclosed) = (revision, enclosed);
    }
}

impl KeptState {
    /// A record that was asked for at the time `asked`.
    pub(super) fn new(ticket: Ticket, revision: Revision, enclosed: Enclosed, asked: UnixMillis) -> Self {
        let seen = Lease::of(&enclosed).map(|lease| (lease, asked));
        Self {
            key: ticket.id.key(),
            ticket,
            asked: AtomicU64::new(asked),
            refreshing: AtomicBool::new(false),
            touching: AtomicBool::new(false),
            told_use: AtomicU64::new(0),
            unsaved: AtomicBool::new(false),
            record: Mutex::new(Known { revision, enclosed, seen, own: None }),
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

    /// The revision, and what goes into the next one beside the session: the lease that this
    /// process holds, or that of another one.
    pub(super) fn basis(&self, process: ProcessId) -> (Revision, Enclosed) {
        let known = self.lock();
        let mut enclosed = known.enclosed.clone();
        match known.own {
            Some(own) => own.put(&mut enclosed),
            None if known.seen.is_some_and(|(lease, _)| lease.is_of(process)) => Lease::remove(&mut enclosed),
            None => {}
        }
        (known.revision, enclosed)
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
    pub(super) fn wrote(&self, revision: Revision, enclosed: Enclosed, asked: UnixMillis) {
        let mut known = self.lock();
        if known.revision <= revision {
            known.replace(revision, enclosed, asked);
        }
    }

    /// What another process says about its exchange with the provider.
    pub(super) fn lease_elsewhere(&self, process: ProcessId, now: UnixMillis) -> Option<LeaseElsewhere> {
        let mut known = self.lock();
        let (lease, seen) = known.seen.as_mut()?;
        // The clock may have been turned back.
        *seen = now.min(*seen);
        if lease.is_of(process) {
            return None;
        }
        lease.elsewhere(*seen, now)
    }

    /// Notes that this process holds a lease.
    pub(super) fn hold(&self, lease: Lease) {
        self.lock().own = Some(lease);
    }

    /// The next write removes the lease that this process holds. Returns whether the record
    /// has it, as far as this process knows.
    pub(super) fn release(&self) -> bool {
        let mut known = self.lock();
        let own = known.own.take();
        own.is_some() && known.seen.map(|(lease, _)| lease) == own
    }

    /// Whether this process holds a lease, however old.
    pub(super) fn holds_lease(&self) -> bool {
        self.lock().own.is_some()
    }

    /// Whether there is time to refresh tokens and store them.
    pub(super) fn lease_lasts(&self, now: UnixTime) -> bool {
        self.lock().own.is_none_or(|own| own.lasts(now))
    }

    /// Notes a record; `false` if it is not newer than what is known.
    pub(super) fn advance(&self, stored: &StoredSession, opened: &Opened, asked: UnixMillis) -> bool {
        let mut known = self.lock();
        if stored.revision <= known.revision {
            return false;
        }
        known.replace(stored.revision, opened.enclosed.clone(), asked);
        true
    }

    /// A panic while the lock was held leaves a whole value: each change is an assignment.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::record::SessionId;
    use crate::session::store::{OwnerKey, SessionRecord};
    use crate::session::tests::session;
    use crate::session::vault::Extension;

    const SELF: ProcessId = [1; 8];
    const OTHER: ProcessId = [2; 8];
    const NOW: UnixMillis = 1_000_000_000;

    fn stored(revision: Revision) -> StoredSession {
        let owner = OwnerKey::from_bytes([0; 16]);
        let record = SessionRecord::new(owner, "".into(), "".into(), 0, 0);
        StoredSession::new(revision, record)
    }

    /// What a version before leases writes: what it does not know, it keeps.
    fn opened(enclosed: &Enclosed) -> Opened {
        Opened { session: session(), enclosed: enclosed.clone() }
    }

    fn kept(enclosed: Enclosed) -> KeptState {
        KeptState::new(Ticket::new(SessionId::from([1; 16])), Revision::FIRST, enclosed, NOW)
    }

    #[test]
    fn a_lease_that_another_write_kept_ends_no_later() {
        let mut enclosed = Enclosed::default();
        Lease::in_progress(OTHER, NOW / 1000).put(&mut enclosed);
        let kept = kept(enclosed.clone());
        let second = Revision::FIRST.next();
        assert!(kept.advance(&stored(second), &opened(&enclosed), NOW + 30_000));
        assert!(kept.lease_elsewhere(SELF, NOW + 34_999).is_some());
        assert!(kept.lease_elsewhere(SELF, NOW + 35_000).is_none());
        // Another lease is measured from when it was seen.
        Lease::in_progress(OTHER, NOW / 1000).put(&mut enclosed);
        assert!(kept.advance(&stored(second.next()), &opened(&enclosed), NOW + 36_000));
        assert!(kept.lease_elsewhere(SELF, NOW + 36_000).is_some());
        // A clock that is turned back prolongs none.
        assert!(kept.lease_elsewhere(SELF, NOW).is_some());
        assert!(kept.lease_elsewhere(SELF, NOW + 35_000).is_none());
    }

    #[test]
    fn a_write_keeps_the_lease_of_others_and_removes_a_released_one() {
        let mut enclosed = Enclosed::default();
        enclosed.extensions.push(Extension { tag: 7, content: Vec::new() });
        let own = Lease::in_progress(SELF, NOW / 1000);
        own.put(&mut enclosed);
        let kept = kept(Enclosed::default());
        kept.wrote(Revision::FIRST.next(), enclosed.clone(), NOW);
        kept.hold(own);
        assert!(kept.lease_elsewhere(SELF, NOW).is_none());
        assert_eq!(Lease::of(&kept.basis(SELF).1), Some(own));
        assert!(kept.release());
        let (_, next) = kept.basis(SELF);
        assert_eq!((Lease::of(&next), next.extensions.len()), (None, 1));
        let other = Lease::in_progress(OTHER, NOW / 1000);
        other.put(&mut enclosed);
        kept.advance(&stored(Revision::FIRST.next().next()), &opened(&enclosed), NOW);
        assert!(!kept.release());
        assert_eq!(Lease::of(&kept.basis(SELF).1), Some(other));
    }
}
