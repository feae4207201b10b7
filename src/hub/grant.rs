//! What a user granted to a client: consents, codes, tokens.

use std::collections::BTreeSet;

use crate::clock::UnixTime;

/// What a user consented to for a client.
#[derive(Debug, Clone, Default)]
pub(super) struct Consent {
    /// The scopes.
    pub(super) scopes: BTreeSet<String>,
    /// The ids of the granted organisations.
    pub(super) orgs: BTreeSet<String>,
}

/// What a code or a token grants.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// The user's id.
    pub(super) user: String,
    /// The client's id.
    pub(super) client: String,
    /// The scopes.
    pub(super) scopes: Vec<String>,
    /// When the user authenticated in the browser.
    pub(super) auth_time: UnixTime,
    /// When the token expires.
    pub(super) expires: UnixTime,
}

impl Grant {
    /// Whether `scope` was granted.
    pub(super) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }
}

/// An authorization code.
#[derive(Debug, Clone)]
pub(super) struct AuthorizationCode {
    /// The grant it is redeemed for.
    pub(super) grant: Grant,
    /// The redirect URI it was sent to.
    pub(super) redirect_uri: String,
    /// The `nonce` of the authorization request, for the ID token.
    pub(super) nonce: Option<String>,
    /// The PKCE challenge of the authorization request.
    pub(super) challenge: Option<String>,
}
