//! A cached session: the decrypted content of one session cookie, so that further
//! requests with it need no decryption and decoding.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::header::HeaderValue;

use super::record::{SessionId, SnapshotVersion};
use super::shared_session::SharedSession;
use crate::clock::UnixTime;

/// A decrypted session cookie.
pub(crate) struct CachedSession {
    /// The encrypted text that it came from.
    pub(super) sealed: Box<[u8]>,
    /// Whether the first secret encrypted it.
    pub(super) by_first_secret: bool,
    pub(super) id: SessionId,
    pub(super) began: UnixTime,
    /// When the session was last used at the time of encryption, for the cookie store.
    pub(super) seen_when_sealed: UnixTime,
    /// The state of the session in this cookie.
    pub(super) version: SnapshotVersion,
    /// When the session ends at the latest.
    pub(super) ends: UnixTime,
    pub(super) shared: Arc<SharedSession>,
    /// The cookie that replaces this one, if any.
    pub(super) renewed: ArcSwapOption<RenewedCookie>,
}

/// Cookie lines, and the state of the session in them.
pub(super) struct RenewedCookie {
    pub(super) version: SnapshotVersion,
    pub(super) lines: Arc<Vec<HeaderValue>>,
}

impl fmt::Debug for CachedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedSession").field("shared", &self.shared).finish_non_exhaustive()
    }
}
