//! What a store tells the gates that share it.

use std::fmt;
use std::sync::Arc;

use super::identifier::{Revision, SessionKey};

/// A change of a store's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The session was ended.
    Ended(SessionKey),
    /// The session was updated, and is in this revision now.
    Changed(SessionKey, Revision),
    /// Notices may have been lost.
    Missed,
}

/// Where [`SessionStore::watch`](super::SessionStore::watch) tells of changes.
#[derive(Clone)]
pub struct Notices(Arc<dyn Fn(Notice) + Send + Sync>);

impl Notices {
    /// Calls `receive` with each notice; it must not block.
    pub fn new(receive: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// The session was ended. What is open under it ends.
    pub fn ended(&self, key: SessionKey) {
        (self.0)(Notice::Ended(key));
    }

    /// The session was updated, and is in this revision now.
    pub fn changed(&self, key: SessionKey, revision: Revision) {
        (self.0)(Notice::Changed(key, revision));
    }

    /// Notices may have been lost: each session is loaded again before it is used.
    pub fn missed(&self) {
        (self.0)(Notice::Missed);
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices(..)")
    }
}
