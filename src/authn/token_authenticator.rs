//! Tokens of API clients: `Authorization: Bearer hf_…` (RFC 6750).
//!
//! The provider is asked whom a token belongs to, and limits such requests strictly.
//! So an answer is cached for a minute, under a keyed hash of the token and without
//! the token; requests with the same token share one request to the provider; and
//! while the provider cannot be asked, nobody is let in.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use super::authorization::bearer_token;
use super::error::{AuthnError, TokenError};
use super::introspection::TokenIntrospector;
use super::person_filter::PersonFilter;
use super::settings::BearerSettings;
use super::token_caller::TokenCaller;
use super::token_policy::TokenPolicy;
use crate::clock::Clock;
use crate::identity::IdentityRenderer;
use crate::keys::{Keyring, SecretString};
use crate::provider::{MAX_TOKEN, Provider};

const TOO_LONG: &str = "This is longer than any token of Hugging Face.";

/// Finds out who sends which token.
pub(crate) struct TokenAuthenticator {
    introspector: Arc<TokenIntrospector>,
}

/// What is known of a request's token without asking the provider.
pub(super) enum TokenCheck {
    /// The request has none.
    NoToken,
    /// It is valid.
    Valid(Arc<TokenCaller>),
    /// The provider has to be asked.
    Unknown,
}

impl TokenAuthenticator {
    pub(crate) fn new(
        settings: &BearerSettings,
        provider: Arc<Provider>,
        keyring: &Keyring,
        renderer: &IdentityRenderer,
        retain: PersonFilter,
        clock: Clock,
    ) -> Self {
        let policy = TokenPolicy::new(settings, provider.client_id());
        // The client gave the token to the gate and not to the app, whatever is
        // configured for people who signed in.
        let renderer = renderer.without_access_token();
        let introspector = TokenIntrospector::new(policy, provider, keyring, renderer, retain, clock);
        Self { introspector: Arc::new(introspector) }
    }

    /// Who sends a request, as far as that is cached.
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

    /// Who sends a request, by its `Authorization`; `None` without a bearer token.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<TokenCaller>>, AuthnError> {
        let Some(token) = token_of(headers)? else { return Ok(None) };
        let verified = self.introspector.verify(token).await?;
        Ok(Some(Arc::new(TokenCaller { verified, token: SecretString::new(token) })))
    }

    /// Verifies the token of an open stream once more: from the cache while the
    /// answer counts, and then by asking the provider.
    pub(crate) async fn reauthenticate(&self, caller: &TokenCaller) -> Result<Arc<TokenCaller>, TokenError> {
        let verified = self.introspector.verify(caller.token.expose()).await?;
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
