//! A session that was opened, with everything its requests need ready-made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::HeaderValue;

use super::live::Live;
use super::{Session, SessionId};
use crate::clock::UnixTime;
use crate::identity::{Introduction, User};

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
    pub(super) introduction: Introduction,
    /// The cookie lines that replace this one, once there was reason to.
    pub(super) renewed: ArcSwapOption<Vec<HeaderValue>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("introduction", &self.introduction).finish_non_exhaustive()
    }
}

impl Opened {
    /// The session's id.
    pub(crate) fn id(&self) -> SessionId {
        self.session.id
    }

    /// Who it belongs to.
    pub(crate) fn user(&self) -> &User {
        self.introduction.user()
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

    /// What the app is told.
    pub(crate) fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// When the session was last used, as far as is known.
    pub(super) fn seen(&self) -> UnixTime {
        self.seen.load(Ordering::Relaxed)
    }
}
