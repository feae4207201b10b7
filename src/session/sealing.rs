//! The content of a session cookie, and its encryption.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::{Session, SessionId};
use crate::keys::{Keyring, Purpose, random};

/// The format of an encrypted session; any other is treated as signed out.
const FORMAT: u8 = 3;

/// The content of a session cookie.
#[derive(Serialize, Deserialize)]
pub(super) enum Sealed {
    /// The session.
    Whole(Box<Session>),
    /// The id of a session in a server-side store.
    Ticket(SessionId),
}

/// Encrypts and decrypts the values of session cookies.
pub(super) struct SessionSealer {
    keyring: Arc<Keyring>,
    /// Part of the associated data, so that no other cookie's value can be decrypted as a
    /// session.
    cookie_name: String,
}

/// A decrypted cookie.
pub(super) struct Unsealed {
    pub(super) content: Sealed,
    /// Whether the first secret encrypted it; the others only decrypt (rotation).
    pub(super) by_first_secret: bool,
}

impl SessionSealer {
    pub(super) fn new(keyring: Arc<Keyring>, cookie_name: &str) -> Self {
        Self { keyring, cookie_name: cookie_name.to_owned() }
    }

    pub(super) fn seal(&self, content: &Sealed) -> String {
        let plain =
            postcard::to_extend(content, vec![FORMAT]).expect("writing plain data to memory does not fail");
        self.keyring.seal(Purpose::Session, &self.cookie_name, random(), &plain)
    }

    /// `None` for a text that none of the secrets encrypted, or of another format.
    pub(super) fn unseal(&self, sealed: &[u8]) -> Option<Unsealed> {
        let unsealed = self.keyring.open(Purpose::Session, &self.cookie_name, sealed)?;
        let (&FORMAT, plain) = unsealed.plain.split_first()? else { return None };
        Some(Unsealed { content: postcard::from_bytes(plain).ok()?, by_first_secret: unsealed.current })
    }
}
