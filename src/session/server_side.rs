//! Sessions in a server-side store: loaded again, written, ended; what other processes did
//! to them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::account_names::AccountName;
use super::active::ActiveSession;
use super::cached::CachedSession;
use super::kept_state::KeptState;
use super::record::Session;
use super::sessions::Sessions;
use super::settings::CacheLifetimes;
use super::shared_session::SharedSession;
use super::store::{
    Notice, Revision, SessionKey, StoreAccess, StoreDown, StoreEvent, StoreObserver, StoredSession, Update,
};
use super::vault::{Enclosed, Opened};
use crate::clock::UnixMillis;
use crate::identity::ProviderSession;

/// How often a write is begun again because another process was faster.
const ATTEMPTS: usize = 8;
/// How long after a use a custom store is told of it, and of every later one until then.
const TOUCH: Duration = Duration::from_secs(2);
/// How long a session that ended elsewhere is refused without asking the store. A load that
/// began before the end may still be under way.
const REFUSED: u64 = 60;

/// The result of one write.
pub(super) enum Written {
    /// The record is as this process has it.
    Done,
    /// The session has ended.
    Ended,
    /// Another process was faster, and this one has its record now. It may have written all
    /// that this process knows.
    Changed { has_all: bool },
}

impl Sessions {
    /// Hears of changes by other processes from now on, in place of the settings before a reload.
    pub(crate) fn attach(self: &Arc<Self>) {
        self.follow_revocations();
        let Some(store) = &self.backend.store else { return };
        if let Some(cache) = self.lifetimes.cache {
            store.set_timeout(cache.timeout);
        }
        let observer: Arc<dyn StoreObserver> = Arc::clone(self) as _;
        store.tell(Arc::downgrade(&observer));
    }

    /// Whether the store answered last; `None` without a store that can fail.
    pub(crate) fn store_is_up(&self) -> Option<bool> {
        match (&self.backend.store, &self.backend.shared) {
            (Some(store), _) => self.lifetimes.cache.map(|_| store.is_up()),
            (None, Some(shared)) => Some(shared.is_up()),
            (None, None) => None,
        }
    }

    /// Whether a cached session can be used without asking the store first. If its answer
    /// is soon too old, it is asked in the background. A session that was not used here for
    /// too long may have been used elsewhere.
    pub(super) fn is_known(&self, cached: &CachedSession, in_force: bool, now: UnixMillis) -> bool {
        let (Some(cache), Some(kept)) = (self.lifetimes.cache, &cached.shared.kept) else { return true };
        let age = kept.age(now);
        if in_force && age < cache.age {
            if age >= cache.age / 2 {
                self.refresh_in_task(&cached.shared);
            }
            return true;
        }
        // Nobody waits for a store that is known not to answer.
        let is_down = self.backend.store.as_ref().is_some_and(|store| !store.is_up());
        in_force && is_down && within_grace(kept, cache, now)
    }

    pub(super) fn is_within_grace(&self, cached: &CachedSession, now: UnixMillis) -> bool {
        let (Some(cache), Some(kept)) = (self.lifetimes.cache, &cached.shared.kept) else { return false };
        within_grace(kept, cache, now)
    }

    /// Whether the store's last answer about a session is so old that nothing may stay open
    /// under it, and there is no new one.
    pub(crate) async fn is_past_grace(&self, active: &ActiveSession) -> bool {
        let (Some(cache), Some(kept)) = (self.lifetimes.cache, &active.shared().kept) else { return false };
        !within_grace(kept, cache, self.clock.now_millis())
            && self.refresh(&active.cached.shared).await.is_err()
    }

    /// How often a session with open streams is looked at.
    pub(crate) fn look_interval(&self) -> Option<Duration> {
        let cache = self.lifetimes.cache?;
        Some(Duration::from_millis(cache.age / 2).max(Duration::from_millis(500)))
    }

    /// Loads a session that has open streams again, if the store's answer is soon too old.
    pub(crate) fn look_after(&self, active: &ActiveSession) {
        if let (Some(cache), Some(kept)) = (self.lifetimes.cache, &active.shared().kept)
            && kept.age(self.clock.now_millis()) >= cache.age / 2
        {
            self.refresh_in_task(&active.cached.shared);
        }
    }

    /// Loads a session again; `false` if it has ended.
    pub(super) async fn refresh(&self, shared: &Arc<SharedSession>) -> Result<bool, StoreDown> {
        let (Some(store), Some(kept)) = (&self.backend.store, &shared.kept) else {
            return Ok(!shared.has_ended());
        };
        let (now, asked) = (self.clock.now(), self.clock.now_millis());
        let stored = store.load(kept.key, now).await?;
        let opened =
            stored.and_then(|stored| Some((self.backend.vault.open(&kept.ticket, &stored)?, stored)));
        let Some((opened, stored)) = opened else {
            self.backend.revocations.end(kept.key, now + REFUSED, now);
            return Ok(false);
        };
        self.take(shared, &stored, opened, asked);
        Ok(!shared.has_ended())
    }

    /// Takes over a record that the store was asked for at the time `asked`.
    pub(super) fn take(
        &self,
        shared: &Arc<SharedSession>,
        stored: &StoredSession,
        opened: Opened,
        asked: UnixMillis,
    ) {
        let Some(kept) = &shared.kept else { return };
        shared.record_use(stored.record.last_used.saturating_mul(1000));
        if kept.advance(stored, &opened, asked) {
            // This process may know more than it could write.
            let own = shared.snapshot().session.clone();
            let merged = opened.session.with_newer_of(&own).unwrap_or(opened.session);
            shared.update(self.snapshot_of(merged));
        }
        kept.confirm(asked);
        if kept.unsaved.load(Ordering::Relaxed) {
            self.save_in_task(shared);
        }
    }

    /// Loads a session again in a task, unless one does already.
    fn refresh_in_task(&self, shared: &Arc<SharedSession>) {
        let (Some(sessions), Some(kept)) = (self.own.upgrade(), &shared.kept) else { return };
        if kept.refreshing.swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            // While the store does not answer, requests and streams go on for the grace.
            let _ = sessions.refresh(&shared).await;
            if let Some(kept) = &shared.kept {
                kept.refreshing.store(false, Ordering::Relaxed);
            }
        });
    }

    fn save_in_task(&self, shared: &Arc<SharedSession>) {
        let Some(sessions) = self.own.upgrade() else { return };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            if shared.kept.as_ref().is_some_and(|kept| kept.unsaved.swap(false, Ordering::Relaxed)) {
                // The person may have another name since the last write. A failure of either is
                // one of the store, and the second one notes that the session is unsaved.
                let session = shared.snapshot().session.clone();
                let _ = sessions.note_name(&session).await;
                let _ = sessions.save(&shared).await;
            }
        });
    }

    /// Notes in a store whose sessions a list by this user name has.
    pub(super) async fn note_name(&self, session: &Session) -> Result<(), StoreDown> {
        let Some(store) = &self.backend.store else { return Ok(()) };
        let (person, now) = (&session.person, self.clock.now());
        let expires = self.lifetimes.forgotten(now, now.saturating_add(self.lifetimes.max_age));
        let name = AccountName::User(&person.username);
        self.backend.names.note(store, (name, &person.sub), (now, expires)).await
    }

    /// Notes in a store whose session at the provider this is.
    pub(super) async fn note_provider_session(
        &self,
        session: &Session,
        provider: &ProviderSession,
    ) -> Result<(), StoreDown> {
        let (Some(store), Some(sid)) = (&self.backend.store, &provider.sid) else { return Ok(()) };
        let now = self.clock.now();
        let expires = self.lifetimes.forgotten(now, now.saturating_add(self.lifetimes.max_age));
        let name = AccountName::ProviderSession(sid);
        self.backend.names.note(store, (name, &session.person.sub), (now, expires)).await
    }

    /// Writes the session as this process has it. What another process wrote since is kept.
    pub(super) async fn save(&self, shared: &Arc<SharedSession>) -> Result<(), StoreDown> {
        let (Some(store), Some(kept)) = (&self.backend.store, &shared.kept) else { return Ok(()) };
        let saved = self.write(store, kept, shared).await;
        if saved.is_err() {
            kept.unsaved.store(true, Ordering::Relaxed);
        }
        saved
    }

    async fn write(
        &self,
        store: &Arc<StoreAccess>,
        kept: &KeptState,
        shared: &Arc<SharedSession>,
    ) -> Result<(), StoreDown> {
        for _ in 0..ATTEMPTS {
            match self.write_over(store, kept, shared, kept.basis(self.backend.process)).await? {
                Written::Done | Written::Ended | Written::Changed { has_all: true } => return Ok(()),
                Written::Changed { has_all: false } => {}
            }
        }
        tracing::error!(sid = %kept.key, "other processes write a session all the time");
        Err(StoreDown)
    }

    /// Writes the session once, in place of the revision that `basis` says and with what is
    /// enclosed there.
    pub(super) async fn write_over(
        &self,
        store: &Arc<StoreAccess>,
        kept: &KeptState,
        shared: &Arc<SharedSession>,
        (expected, enclosed): (Revision, Enclosed),
    ) -> Result<Written, StoreDown> {
        let (now, asked) = (self.clock.now(), self.clock.now_millis());
        let seen = shared.last_use() / 1000;
        let session = Session { seen, ..shared.snapshot().session.clone() };
        let expires = self.lifetimes.forgotten(session.began, seen);
        let record = self.backend.vault.seal(&kept.ticket, expected.next(), (&session, &enclosed), expires);
        let Ok(record) = record else {
            tracing::error!(sid = %kept.key, "a session has become too large for the store");
            return Err(StoreDown);
        };
        match store.update(kept.key, expected, record, now).await? {
            Update::Done => {
                kept.wrote(expected.next(), enclosed, asked);
                kept.confirm(asked);
                Ok(Written::Done)
            }
            Update::Ended => {
                self.backend.revocations.end(kept.key, now + REFUSED, now);
                Ok(Written::Ended)
            }
            Update::Changed(stored) => {
                let Some(opened) = self.backend.vault.open(&kept.ticket, &stored) else {
                    return Err(StoreDown);
                };
                // Another process may have written all of it.
                let has_all = opened.session.with_newer_of(&session).is_none();
                self.take(shared, &stored, opened, asked);
                Ok(Written::Changed { has_all })
            }
        }
    }

    /// Ends a session here and in the store. If the store does not answer, the session
    /// ends here, and there as soon as it does.
    pub(super) async fn end_everywhere(&self, key: SessionKey, until: u64) -> Result<bool, StoreDown> {
        let is_first = self.backend.revocations.end(key, until, self.clock.now());
        let Some(store) = &self.backend.store else { return Ok(is_first) };
        match store.end(key).await {
            Ok(_) => Ok(is_first),
            Err(down) => {
                self.backend.revocations.owe(key);
                Err(down)
            }
        }
    }

    /// Tells a store of the last use, a little later and of all uses until then at once. A
    /// request does not wait for it.
    pub(super) fn touch(&self, shared: &Arc<SharedSession>) {
        let (Some(store), Some(kept)) = (&self.backend.store, &shared.kept) else { return };
        let is_told = kept.told_use.load(Ordering::Relaxed) >= shared.last_use();
        if is_told || kept.touching.swap(true, Ordering::Relaxed) {
            return;
        }
        let (store, shared, clock) = (Arc::clone(store), Arc::clone(shared), self.clock.clone());
        let (lifetimes, delay) = (self.lifetimes, self.lifetimes.cache.map(|_| TOUCH));
        tokio::spawn(async move {
            if let Some(delay) = delay {
                tokio::time::sleep(delay).await;
            }
            let Some(kept) = &shared.kept else { return };
            kept.touching.store(false, Ordering::Relaxed);
            let last_use = shared.last_use();
            let expires = lifetimes.forgotten(shared.snapshot().session.began, last_use / 1000);
            if store.touch(kept.key, last_use / 1000, expires, clock.now()).await.is_ok() {
                kept.told_use.fetch_max(last_use, Ordering::Relaxed);
            }
        });
    }

    /// Writes what could not be written while the store did not answer.
    fn catch_up(&self) {
        for shared in self.backend.revocations.open() {
            if shared.kept.as_ref().is_some_and(|kept| kept.unsaved.load(Ordering::Relaxed)) {
                self.save_in_task(&shared);
            }
        }
        let Some(sessions) = self.own.upgrade() else { return };
        tokio::spawn(async move {
            for key in sessions.backend.revocations.owed() {
                let until = sessions.clock.now() + sessions.lifetimes.max_age;
                if sessions.end_everywhere(key, until).await.is_err() {
                    tracing::warn!(sid = %key, "an ended session could not be removed from the store yet");
                }
            }
        });
    }
}

impl StoreObserver for Sessions {
    fn observe(&self, event: StoreEvent) {
        let now = self.clock.now();
        match event {
            StoreEvent::Back => self.catch_up(),
            StoreEvent::Notice(Notice::Ended(key)) => {
                _ = self.backend.revocations.end(key, now + REFUSED, now)
            }
            StoreEvent::Notice(Notice::Changed(key, revision)) => {
                let Some(shared) = self.backend.revocations.get(key) else { return };
                if shared.kept.as_ref().is_some_and(|kept| kept.revision() < revision) {
                    self.distrust(&shared);
                    // For the streams that are open under it.
                    self.refresh_in_task(&shared);
                }
            }
            StoreEvent::Notice(Notice::Missed) => {
                // Each is loaded when it is used. That may be all of them, so not at once.
                self.backend.revocations.open().iter().for_each(|shared| self.distrust(shared));
            }
        }
    }
}

impl Sessions {
    /// The store's last answer about a session counts no longer: the next request waits for
    /// a new one.
    fn distrust(&self, shared: &SharedSession) {
        if let (Some(cache), Some(kept)) = (self.lifetimes.cache, &shared.kept) {
            kept.distrust(cache.age, self.clock.now_millis());
        }
    }
}

fn within_grace(kept: &KeptState, cache: CacheLifetimes, now: UnixMillis) -> bool {
    kept.age(now) < cache.age.saturating_add(cache.grace)
}
