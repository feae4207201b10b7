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

    /// The same after asking a server-side store: another process may have used the
    /// session.
    pub(crate) async fn time_left_anywhere(&self, active: &ActiveSession) -> Option<Duration> {
        if let Some(left) = self.time_left(active) {
            return Some(left);
        }
        if self.lifetimes.cache.is_some() {
            // Without an answer, what this process knows counts.
            let _ = self.refresh(&active.cached.shared).await;
        }
        self.time_left(active)
    }

    /// Ends what is open under a session that has passed one of its time limits.
    ///
    /// # Errors
    /// [`StoreDown`] if it could not be removed from a server-side store.
    pub(crate) async fn expire(&self, active: &ActiveSession) -> Result<(), StoreDown> {
        let key = active.id().key();
        self.backend.revocations.expire(key, &active.cached.shared);
        match &self.backend.store {
            Some(store) => store.end(key).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Records the use by a request; in a server-side store once a second.
    pub(super) fn record_request(&self, cached: &CachedSession, now: UnixMillis) {
        let before = cached.shared.record_use(now);
        if self.backend.store.is_some() && now / 1000 > before / 1000 {
            self.touch(&cached.shared);
        }
    }

    /// Records the last use by a stream in a server-side store.
    pub(crate) fn record_stream(&self, active: &ActiveSession) {
        self.touch(&active.cached.shared);
    }
}
