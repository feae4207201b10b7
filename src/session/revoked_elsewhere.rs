//! Sessions in cookies that an operator or the person ended, here or in another process.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::active::SessionLookup;
use super::sessions::Sessions;
use super::shared_revocations::Seen;
use crate::clock::UnixTime;

impl Sessions {
    /// Follows what other processes write, for as long as the store of revocations is in use. A
    /// gate can be made outside of a runtime; then its first request does this.
    pub(super) fn follow_revocations(&self) {
        let Some(shared) = self.backend.shared.as_ref().filter(|_| self.backend.store.is_none()) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else { return };
        if !shared.begin_to_follow() {
            return;
        }
        let (shared, own) = (Arc::clone(shared), self.own.clone());
        runtime.spawn(async move {
            let mut seen = Seen::default();
            while let Some(sessions) = own.upgrade() {
                let backend = Arc::clone(&sessions.backend);
                drop(sessions);
                let before = backend.not_before.table();
                shared.follow(&backend.not_before, &mut seen, backend.clock.now()).await;
                if !Arc::ptr_eq(&before, &backend.not_before.table()) {
                    let now = backend.clock.now();
                    let until = now.saturating_add(backend.max_age);
                    backend.revocations.end_before(&backend.not_before, until, now);
                }
            }
            // After a reload, the next sessions follow.
            shared.stop_following();
        });
    }

    /// Whether it is known which sessions were ended elsewhere.
    pub(super) fn knows_revocations(&self) -> bool {
        let Some(shared) = &self.backend.shared else { return true };
        if !shared.is_followed() {
            self.follow_revocations();
        }
        shared.is_known()
    }

    /// The result of a lookup, if the session did not begin before its person's sessions were
    /// ended.
    pub(super) fn unless_revoked(&self, found: SessionLookup, now: UnixTime) -> SessionLookup {
        let SessionLookup::Session(active) = &found else { return found };
        let session = &active.snapshot.session;
        if !self.backend.not_before.has_ended(session) {
            return found;
        }
        self.backend.revocations.end(session.id.key(), active.ends(), now);
        SessionLookup::Nobody
    }
}
