//! What is known of a session at one moment. It is replaced when the provider is
//! asked again, while cookies with an older state still come in.

use std::fmt;

use super::record::Session;
use crate::identity::RenderedIdentity;

/// A session's content, and the identity that the app is told.
pub(crate) struct SessionSnapshot {
    pub(super) session: Session,
    pub(super) identity: RenderedIdentity,
}

impl fmt::Debug for SessionSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSnapshot").field("identity", &self.identity).finish_non_exhaustive()
    }
}
