//! Tokens of API clients: `Authorization: Bearer hf_…` (RFC 6750).
//!
//! Reads the token of a request. `token_introspection` asks the provider for its owner and
//! caches the answer; while the provider is unavailable, uncached tokens are refused.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use super::authorization::bearer_token;
use super::error::{AuthnError, TokenError};
use super::person_filter::PersonFilter;
use super::settings::BearerSettings;
use super::token_caller::TokenCaller;
use super::token_introspection::TokenIntrospector;
use super::token_policy::TokenPolicy;
use crate::clock::Clock;
use crate::identity::IdentityRenderer;
use crate::keys::{Keyring, SecretString};
use crate::provider::{MAX_TOKEN, Provider};

const TOO_LONG: &str = "This is longer than any Hugging Face token.";

/// Authenticates requests by bearer tokens.
pub(crate) struct TokenAuthenticator {
    introspector: Arc<TokenIntrospector>,
}

/// The result for a request's token without a request to the provider.
pub(super) enum TokenCheck {
    /// The request has no token.
    NoToken,
    /// The token is valid.
    Valid(Arc<TokenCaller>),
    /// The provider has to be contacted.
    Unknown,
}

impl TokenAuthenticator {
    /// An authenticator that goes on counting where `before` stops.
    pub(crate) fn new(
        settings: &BearerSettings,
        provider: Arc<Provider>,
        keyring: &Keyring,
        renderer: &IdentityRenderer,
        retain: PersonFilter,
        clock: Clock,
        before: Option<&Self>,
    ) -> Self {
        let policy = TokenPolicy::new(settings, provider.client_id());
        // The client sent its token to the gate and not to the app, so the app does not
        // receive it even if the header is configured for signed-in people.
        let renderer = renderer.without_access_token();
        let limit = before.map(|before| Arc::clone(before.introspector.limit())).unwrap_or_default();
        let introspector = TokenIntrospector::new(policy, provider, keyring, renderer, retain, limit, clock);
        Self { introspector: Arc::new(introspector) }
    }

    /// Checks a request's token, as far as the answer is cached.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<TokenCheck, AuthnError> {
        let Some(token) = token_of(headers)? else { return Ok(TokenCheck::NoToken) };
        match self.introspector.cached(token) {
            Some(Ok(verified)) => {
                Ok(TokenCheck::Valid(Arc::new(TokenCaller { verified, token: SecretString::new(token) })))
            }
            Some(Err(error)) => Err(error.into()),
            None => Ok(TokenCheck::Unknown),
        }
    }

    /// The caller, by the request's `Authorization` header; `None` without a bearer
    /// token. `address` is the client's.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Result<Option<Arc<TokenCaller>>, AuthnError> {
        let Some(token) = token_of(headers)? else { return Ok(None) };
        let verified = self.introspector.verify(token, address).await?;
        Ok(Some(Arc::new(TokenCaller { verified, token: SecretString::new(token) })))
    }

    /// Verifies the token of an open stream again: from the cache while the answer is
    /// valid, otherwise with the provider.
    pub(crate) async fn reauthenticate(&self, caller: &TokenCaller) -> Result<Arc<TokenCaller>, TokenError> {
        // The token was valid when the stream began, so its address does not matter.
        let verified = self.introspector.verify(caller.token.expose(), None).await?;
        Ok(Arc::new(TokenCaller { verified, token: caller.token.clone() }))
    }
}

fn token_of(headers: &HeaderMap) -> Result<Option<&str>, AuthnError> {
    let token = bearer_token(headers).map_err(AuthnError::MalformedAuthorization)?;
    match token {
        Some(token) if token.len() > MAX_TOKEN => Err(TokenError::Invalid(TOO_LONG).into()),
        token => Ok(token),
    }
}

impl fmt::Debug for TokenAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenAuthenticator(..)")
    }
}
