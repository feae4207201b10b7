//! A person's access token, for the app's own requests to Hugging Face.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::clock::UnixTime;
use crate::keys::SecretString;

/// The access token of the person who is signed in, or the token that an API client sent.
/// It grants access to their account within the scopes of the sign-in, so nothing but
/// [`AccessToken::expose`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    token: SecretString,
    expires: Option<UnixTime>,
}

impl AccessToken {
    pub(crate) fn new(token: SecretString, expires: Option<UnixTime>) -> Self {
        Self { token, expires }
    }

    /// The token, for `Authorization: Bearer`.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.token.expose()
    }

    /// When it expires, if the provider said so. The gate refreshes it when it revalidates the
    /// session, every `session.revalidate`.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}
