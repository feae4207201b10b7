//! What a person granted to a client: consents, codes, tokens.

use std::collections::BTreeSet;

use crate::clock::UnixTime;

/// What a person consented to for a client.
#[derive(Debug, Clone, Default)]
pub(super) struct Consent {
    /// The scopes.
    pub(super) scopes: BTreeSet<String>,
    /// The ids of the organisations that were ticked.
    pub(super) orgs: BTreeSet<String>,
}

/// What a code or a token stands for.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// The person's id.
    pub(super) person: String,
    /// The client's id.
    pub(super) client: String,
    /// The scopes.
    pub(super) scopes: Vec<String>,
    /// When the person was last seen in the browser.
    pub(super) auth_time: UnixTime,
    /// When the token ends.
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
    /// What it stands for.
    pub(super) grant: Grant,
    /// Where it was sent to.
    pub(super) redirect_uri: String,
    /// The nonce of the request, for the ID token.
    pub(super) nonce: Option<String>,
    /// The PKCE challenge of the request.
    pub(super) challenge: Option<String>,
}
