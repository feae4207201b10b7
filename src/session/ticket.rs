//! The ticket: what the browser's cookie holds of a session in a server-side store.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::record::SessionId;
use crate::keys::random;

/// A session's id, and its share of the key that seals the record.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(super) id: SessionId,
    share: Share,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "[u8; 32]", into = "[u8; 32]")]
struct Share(Zeroizing<[u8; 32]>);

impl Ticket {
    /// A ticket with a new key.
    pub(super) fn new(id: SessionId) -> Self {
        Self { id, share: Share(Zeroizing::new(random())) }
    }

    /// The browser's share of the key.
    pub(super) fn share(&self) -> &[u8] {
        self.share.0.as_slice()
    }
}

impl From<[u8; 32]> for Share {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<Share> for [u8; 32] {
    fn from(share: Share) -> Self {
        *share.0
    }
}

impl fmt::Debug for Ticket {
    /// A ticket signs somebody in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}
