//! A session that was opened, with everything its requests need ready-made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::{HeaderName, HeaderValue};

use super::live::Live;
use super::{Session, SessionId};
use crate::clock::UnixTime;
use crate::identity::User;
use crate::identity::assertion::{Assertions, REUSE};

/// An opened session. The cache hands out one `Arc` of it per cookie, so nothing
/// here is computed, signed or encoded for a single request.
pub(crate) struct Opened {
    /// The sealed text this was opened from.
    pub(super) sealed: Box<str>,
    /// Sealed by the first secret.
    pub(super) current: bool,
    pub(super) session: Session,
    pub(super) seen: AtomicU64,
    /// When it ends at the latest.
    pub(super) ends: UnixTime,
    pub(super) live: Arc<Live>,
    pub(super) user: User,
    /// A fingerprint of the session's id.
    pub(super) sid: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// One place for each audience.
    pub(super) assertions: Box<[ArcSwapOption<Minted>]>,
    /// The cookie lines that replace this one, once there was reason to.
    pub(super) renewed: ArcSwapOption<Vec<HeaderValue>>,
}

/// A signed assertion, and its form as a field value.
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) value: HeaderValue,
    at: UnixTime,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Minted(..)")
    }
}

impl Opened {
    /// The session's id.
    pub(crate) fn id(&self) -> SessionId {
        self.session.id
    }

    /// Who it belongs to.
    pub(crate) fn user(&self) -> &User {
        &self.user
    }

    /// Whether the session was ended here.
    pub(crate) fn has_ended(&self) -> bool {
        self.live.has_ended()
    }

    /// Waits until the session is ended here, or has reached its greatest age,
    /// which is `now` so far away.
    pub(crate) async fn ended(&self, now: UnixTime) {
        let age = tokio::time::sleep(Duration::from_secs(self.ends.saturating_sub(now)));
        tokio::pin!(age);
        let ended = self.live.ended();
        tokio::pin!(ended);
        std::future::poll_fn(|cx| {
            if ended.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { age.as_mut().poll(cx) }
        })
        .await;
    }

    /// The identity headers.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// When the session was last used, as far as is known.
    pub(super) fn seen(&self) -> UnixTime {
        self.seen.load(Ordering::Relaxed)
    }

    /// The assertion for the audience at `index`: signed at most once every four
    /// minutes. Two requests that come at that moment may both sign; either
    /// result holds.
    pub(crate) fn assertion(
        &self,
        assertions: &Assertions,
        audiences: &[String],
        index: usize,
        now: UnixTime,
    ) -> Option<Arc<Minted>> {
        let place = self.assertions.get(index)?;
        if let Some(minted) = &*place.load()
            && now < minted.at + REUSE
            && now >= minted.at
        {
            return Some(Arc::clone(minted));
        }
        let token = assertions.mint(&self.user, &self.sid, audiences.get(index)?, now)?;
        let mut value = HeaderValue::from_str(&token).ok()?;
        value.set_sensitive(true);
        let minted = Arc::new(Minted { token, value, at: now });
        place.store(Some(Arc::clone(&minted)));
        Some(minted)
    }
}
