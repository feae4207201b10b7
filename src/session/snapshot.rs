//! A snapshot of a session. It is replaced when the provider is contacted again, while
//! cookies with an older state may still arrive.

use std::fmt;

use super::record::Session;
use crate::identity::RenderedIdentity;

/// A session's content, and the identity that the app receives.
pub(crate) struct SessionSnapshot {
    pub(super) session: Session,
    pub(super) identity: RenderedIdentity,
    /// The settings that rendered the identity; see [`Sessions::generation`].
    ///
    /// [`Sessions::generation`]: super::sessions::Sessions
    pub(super) generation: u64,
}

impl fmt::Debug for SessionSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSnapshot").field("identity", &self.identity).finish_non_exhaustive()
    }
}
