//! The content of a session, as it is encrypted into a cookie or stored.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::store::SessionKey;
use crate::clock::UnixTime;
use crate::identity::{AppClaims, Dropped, FilterId, Person, Tokens};
use crate::keys::sha256;

/// The id of a session; new at each sign-in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct SessionId(pub(super) [u8; 16]);

/// A hash of the secret that binds sign-ins to a browser.
pub(crate) type BrowserTag = [u8; 8];

impl SessionId {
    /// A new id, of which one half says under which binding the sign-in was begun.
    pub(crate) fn new(browser: BrowserTag, random: [u8; 8]) -> Self {
        let mut id = [0; 16];
        let (first, second) = id.split_at_mut(8);
        first.copy_from_slice(&browser);
        second.copy_from_slice(&random);
        Self(id)
    }

    /// What names the session in a store, and outside this process (`sid`). No key is needed
    /// to hide an id, since it cannot be guessed: half of it is random. So the name stays the
    /// same when the session secret is rotated.
    pub(crate) fn key(self) -> SessionKey {
        let hash = sha256(&[b"huggate session key v1".as_slice(), &self.0].concat());
        SessionKey::from_bytes(hash.first_chunk().copied().unwrap_or_default())
    }

    /// Whether the sign-in of this session was begun in the browser with this binding.
    pub(crate) fn is_of(self, browser: BrowserTag) -> bool {
        self.0.starts_with(&browser)
    }

    /// Tells this session from others of the same browser.
    pub(crate) fn tail(self) -> [u8; 8] {
        let mut tail = [0; 8];
        tail.copy_from_slice(self.0.get(8..).unwrap_or_default());
        tail
    }
}

/// Where and when a sign-in was begun.
pub(crate) struct SignInOrigin {
    /// The binding that it was begun under.
    pub(crate) browser: BrowserTag,
    /// The bindings that the browser has: tabs that begin at the same moment get one each.
    pub(crate) bindings: Vec<BrowserTag>,
    pub(crate) began: UnixTime,
    /// The session that the browser had then.
    pub(crate) session: Option<[u8; 8]>,
}

impl SignInOrigin {
    /// Whether another tab of this browser has begun the session `id` in the meantime,
    /// under the same binding.
    pub(crate) fn is_overtaken_by(&self, id: SessionId) -> bool {
        id.is_of(self.browser) && !self.had(id)
    }

    pub(super) fn had(&self, id: SessionId) -> bool {
        self.session == Some(id.tail())
    }

    pub(super) fn has_binding_of(&self, id: SessionId) -> bool {
        self.bindings.iter().any(|binding| id.is_of(*binding))
    }
}

impl From<[u8; 16]> for SessionId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SessionId {
    /// A ticket's id alone grants no access, but it must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// A session, as it is encrypted or stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    /// Shared with the identity that is rendered from it.
    pub(crate) person: Arc<Person>,
    pub(crate) began: UnixTime,
    pub(crate) seen: UnixTime,
    /// When the provider last confirmed the person.
    pub(crate) checked: UnixTime,
    /// The tokens for requests to the provider.
    pub(crate) tokens: Tokens,
    /// What the app added when the session began. Written beside the session, so that
    /// sessions from before there were claims can be read: `sealing`.
    #[serde(skip)]
    pub(crate) claims: AppClaims,
}

/// Identifies the state of a session: when it was checked, what its person lost to which
/// rules, and when its access token expires.
pub(super) type SnapshotVersion = (UnixTime, Option<Dropped>, Option<UnixTime>);

impl Session {
    pub(super) fn version(&self) -> SnapshotVersion {
        (self.checked, self.person.dropped, self.tokens.expires)
    }

    /// Whether a cookie with this version holds this session, whole or cut to fit.
    pub(super) fn is_in(&self, version: SnapshotVersion, filter: FilterId) -> bool {
        let (checked, dropped, expires) = self.version();
        (version.0, version.2) == (checked, expires)
            && (version.1 == dropped || version.1 == Some(Dropped::with_cut(dropped, filter)))
    }

    /// This session with the newer parts of `other`, if there are any: another process
    /// may have contacted the provider, or refreshed the tokens.
    pub(super) fn with_newer_of(&self, other: &Self) -> Option<Self> {
        let (checked, refreshed) = (other.checked > self.checked, other.tokens.expires > self.tokens.expires);
        if !checked && !refreshed {
            return None;
        }
        let mut merged = if checked { other.clone() } else { self.clone() };
        merged.tokens = if refreshed { other.tokens.clone() } else { self.tokens.clone() };
        Some(merged)
    }
}
