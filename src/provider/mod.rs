//! The provider's side of a sign-in: one file per exchange.
//!
//! Nothing is asked before it is needed, and nothing that failed is final: the
//! gate starts while the provider is down and signs people in once it is back.

mod authorization;
mod claims;
mod discovery;
mod http_client;
mod id_token;
mod issuer;
mod jwks;
mod rate_limit;
mod settings;
mod token;
mod userinfo;
mod whoami;

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;
use url::Url;

use crate::clock::Clock;
use crate::identity::{Person, Tokens};
use crate::keys::SecretString;

pub(crate) use authorization::AuthorizationRequest;
pub(crate) use discovery::{DiscoveryError, Metadata, Reachability};
use http_client::{FetchError, HttpClient};
use id_token::Expected;
pub(crate) use id_token::IdTokenError;
pub use issuer::{Issuer, IssuerError};
pub use settings::ProviderSettings;
pub(crate) use token::{CodeGrant, MAX_TOKEN, TokenError, truncated};
pub(crate) use userinfo::UserinfoError;
pub(crate) use whoami::{TokenKind, TokenOwner, Whoami, WhoamiError};

/// Talks to the provider.
pub(crate) struct Provider {
    settings: ProviderSettings,
    http: HttpClient,
    metadata: discovery::Cache,
    jwks: jwks::Cache,
    clock: Clock,
}

/// Why nobody was signed in, though the callback was in order.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    IdToken(#[from] IdTokenError),
    #[error(transparent)]
    Userinfo(#[from] UserinfoError),
}

impl SignInError {
    /// Whether the provider says that the tokens speak for nobody, or for somebody
    /// else: asking again will not change that.
    pub(crate) fn is_rejection(&self) -> bool {
        use http::StatusCode;
        match self {
            Self::Userinfo(UserinfoError::Fetch(FetchError::Status { status, .. })) => {
                matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            }
            Self::Userinfo(UserinfoError::Subject) => true,
            Self::Token(TokenError::Refused { error, .. }) => error == "invalid_grant",
            Self::Userinfo(_) | Self::Token(_) | Self::Discovery(_) | Self::IdToken(_) => false,
        }
    }
}

impl Provider {
    pub(crate) fn new(settings: ProviderSettings, clock: Clock) -> Self {
        Self {
            http: HttpClient::new(),
            settings,
            metadata: discovery::Cache::default(),
            jwks: jwks::Cache::default(),
            clock,
        }
    }

    /// Who the provider is.
    pub(crate) fn issuer(&self) -> &Issuer {
        &self.settings.issuer
    }

    /// Our id there.
    pub(crate) fn client_id(&self) -> &str {
        &self.settings.client_id
    }

    /// Whether every sign-in asks for organisations.
    pub(crate) fn asks_for_orgs(&self) -> bool {
        !self.settings.orgs.is_empty()
    }

    /// The provider's metadata: asked once, kept, and asked again when a failure
    /// is a moment old.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, DiscoveryError> {
        self.metadata.load(&self.http, &self.settings.issuer, Instant::now()).await
    }

    /// Whether the last question to the provider was answered.
    pub(crate) fn reachability(&self) -> Reachability {
        self.metadata.reachability()
    }

    /// The authorize URL (RFC 6749, section 4.1.1; RFC 7636, section 4.3).
    pub(crate) fn authorize_url(&self, metadata: &Metadata, request: &AuthorizationRequest<'_>) -> Url {
        authorization::url(&self.settings, metadata, request)
    }

    /// Exchanges the code, checks the ID token, asks userinfo: the person, and
    /// the tokens that speak for them.
    pub(crate) async fn sign_in(&self, grant: &CodeGrant<'_>) -> Result<(Person, Tokens), SignInError> {
        let metadata = self.metadata().await?;
        let now = self.clock.now();
        let (tokens, id_token) = token::exchange(&self.http, &metadata, &self.settings, grant, now).await?;
        let expected = Expected {
            issuer: self.settings.issuer.as_str(),
            client_id: &self.settings.client_id,
            nonce: grant.nonce,
            access_token: tokens.access.expose(),
            now,
        };
        let id_token = id_token::parse(id_token.expose())?;
        let keys = self.jwks.for_token(&self.http, &metadata, id_token.kid()).await;
        let keys = keys.map_err(IdTokenError::from)?;
        let subject = id_token.verify(&keys, &expected)?;
        let person = userinfo::ask(&self.http, &metadata, &tokens.access, &subject).await?;
        Ok((person, tokens))
    }

    /// Asks userinfo once more; the answer must be about `subject`.
    pub(crate) async fn person(
        &self,
        access_token: &SecretString,
        subject: &str,
    ) -> Result<Person, SignInError> {
        let metadata = self.metadata().await?;
        Ok(userinfo::ask(&self.http, &metadata, access_token, subject).await?)
    }

    /// Exchanges a refresh token, which may be worth nothing from then on.
    pub(crate) async fn refresh(&self, refresh_token: &SecretString) -> Result<Tokens, SignInError> {
        let metadata = self.metadata().await?;
        let now = self.clock.now();
        Ok(token::refresh(&self.http, &metadata, &self.settings, refresh_token, now).await?)
    }

    /// Asks whom a token of an API client belongs to. Whoever calls sees to it that
    /// this is not asked too often: the provider limits it, by address.
    pub(crate) async fn whoami(&self, token: &SecretString) -> Whoami {
        whoami::ask(&self.http, &self.settings.issuer.whoami(), token).await
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}
