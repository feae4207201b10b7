//! The use of a session, and its end for lack of use or for age.
//!
//! A request and a frame of an open stream are use. The process remembers the last one in
//! the [`SharedSession`](super::shared_session::SharedSession); a cookie says only what was
//! known when it was encrypted.

use std::time::Duration;

use super::active::ActiveSession;
use super::cached::CachedSession;
use super::sessions::Sessions;
use super::store::StoreDown;
use crate::clock::UnixMillis;

impl Sessions {
    /// How long a session lasts if it is not used again; `None` if it is over.
    pub(crate) fn time_left(&self, active: &ActiveSession) -> Option<Duration> {
        let last_use = active.cached.shared.last_use();
        self.lifetimes.time_left(active.cached.began, last_use, self.clock.now_millis())
    }

    /// Ends what is open under a session that has passed one of its time limits.
    ///
    /// # Errors
    /// [`StoreDown`] if it could not be removed from a server-side store.
    pub(crate) async fn expire(&self, active: &ActiveSession) -> Result<(), StoreDown> {
        self.revocations.expire(active.id(), &active.cached.shared);
        match &self.store {
            Some(store) => store.remove(active.id()).await,
            None => Ok(()),
        }
    }

    /// Records the use by a request; in a server-side store once a second.
    pub(super) fn record_request(&self, cached: &CachedSession, now: UnixMillis) {
        let before = cached.shared.record_use(now);
        if let Some(store) = &self.store
            && now / 1000 > before / 1000
        {
            store.touch(cached.id, now / 1000);
        }
    }

    /// Records the last use by a stream in a server-side store.
    pub(crate) fn record_stream(&self, active: &ActiveSession) {
        if let Some(store) = &self.store {
            store.touch(active.id(), active.cached.shared.last_use() / 1000);
        }
    }
}
