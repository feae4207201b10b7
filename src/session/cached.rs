//! A session cookie that was opened: one for each sealed text, so that the
//! requests which carry it neither decrypt nor decode.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use http::header::HeaderValue;

use super::revocation::SharedSession;
use super::{SessionId, SnapshotVersion};
use crate::clock::UnixTime;

/// An opened cookie.
pub(crate) struct CachedSession {
    /// The sealed text this was opened from.
    pub(super) sealed: Box<[u8]>,
    /// Sealed by the first secret.
    pub(super) current: bool,
    pub(super) id: SessionId,
    pub(super) began: UnixTime,
    /// When it was sealed, for the cookie store.
    pub(super) seen_when_sealed: UnixTime,
    /// What the session was known by when it was sealed.
    pub(super) stamp: SnapshotVersion,
    pub(super) seen: AtomicU64,
    /// When the session ends at the latest.
    pub(super) ends: UnixTime,
    pub(super) live: Arc<SharedSession>,
    /// What replaces this cookie, once there was reason to.
    pub(super) renewed: ArcSwapOption<RenewedCookie>,
}

/// Cookie lines, and what the session in them is known by.
pub(super) struct RenewedCookie {
    pub(super) stamp: SnapshotVersion,
    pub(super) lines: Arc<Vec<HeaderValue>>,
}

impl CachedSession {
    /// When the session was last used, as far as is known.
    pub(super) fn seen(&self) -> UnixTime {
        self.seen.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for CachedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedSession").field("live", &self.live).finish_non_exhaustive()
    }
}
