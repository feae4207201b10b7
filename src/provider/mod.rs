//! OpenID Connect and Hugging Face API client, one file per exchange.
//!
//! Requests are made on demand, and failures are not final: the gate starts while the provider
//! is down and signs people in as soon as it responds.

mod authorization;
mod claims;
mod discovery;
mod http_client;
mod id_token;
#[cfg(feature = "testing")]
mod in_process;
mod issuer;
mod json;
mod jwks;
mod key_check;
mod logout_token;
mod rate_limit;
mod settings;
mod signed_jwt;
mod token;
mod userinfo;
mod whoami;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;
use url::Url;

use crate::clock::Clock;
use crate::identity::{Needs, Person, ProviderSession, Shown, Tokens};
use crate::keys::SecretString;

pub(crate) use authorization::AuthorizationRequest;
pub(crate) use discovery::{DiscoveryError, Metadata, Reachability};
use http_client::{FetchError, HttpClient};
use id_token::Expected;
pub(crate) use id_token::IdTokenError;
#[cfg(feature = "testing")]
pub(crate) use in_process::{Answering, InProcess};
pub use issuer::{Issuer, IssuerError};
pub(crate) use key_check::KeyCheckError;
pub(crate) use logout_token::{LogoutTokenError, ProviderLogout};
pub(crate) use rate_limit::RateLimit;
pub use settings::{DEFAULT_CLOCK_SKEW, MAX_CLOCK_SKEW, ProviderSettings};
pub(crate) use token::{CodeGrant, MAX_TOKEN, TokenError, truncated};
pub(crate) use userinfo::UserinfoError;
pub(crate) use whoami::{TokenOwner, Whoami, WhoamiError};

/// The client of one provider.
pub(crate) struct Provider {
    settings: ProviderSettings,
    /// What the rules need of people; scopes that are missing for it are added.
    needs: Arc<Needs>,
    http: HttpClient,
    metadata: discovery::Cache,
    jwks: jwks::Cache,
    /// Anybody can send a token that names a key which is in no JWKS. The fetches that this
    /// causes must not use up those of sign-ins.
    logout_jwks: jwks::Cache,
    clock: Clock,
}

/// How long a sign-out waits for the provider's metadata.
const SIGN_OUT_PATIENCE: Duration = Duration::from_secs(2);

/// What the provider confirmed at a sign-in.
pub(crate) struct SignedIn {
    pub(crate) person: Person,
    pub(crate) tokens: Tokens,
    pub(crate) provider_session: ProviderSession,
}

/// Why a sign-in failed after a valid callback.
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
    /// Whether the provider rejected the tokens, so that another attempt would fail as well.
    /// Of the statuses, only 401 says that (RFC 6750, section 3.1). A 403 may come from a
    /// firewall or a policy in between, and says nothing about the person.
    pub(crate) fn is_rejection(&self) -> bool {
        match self {
            Self::Userinfo(UserinfoError::Fetch(FetchError::Status { status, .. })) => {
                *status == StatusCode::UNAUTHORIZED
            }
            Self::Userinfo(UserinfoError::Subject) => true,
            Self::Token(TokenError::Refused { error, .. }) => error == "invalid_grant",
            Self::Userinfo(_) | Self::Token(_) | Self::Discovery(_) | Self::IdToken(_) => false,
        }
    }

    /// The kind of failure, for logs.
    pub(crate) fn cause(&self) -> &'static str {
        match self.fetch_error() {
            Some(error) => error.cause(),
            None if self.is_rejection() => "rejected",
            None => "malformed",
        }
    }

    /// Seconds to wait before the next request, if the provider said so.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.fetch_error().and_then(FetchError::retry_after)
    }

    fn fetch_error(&self) -> Option<&FetchError> {
        match self {
            Self::Discovery(DiscoveryError::Fetch(error))
            | Self::Token(TokenError::Fetch(error))
            | Self::IdToken(IdTokenError::Keys(error))
            | Self::Userinfo(UserinfoError::Fetch(error)) => Some(error),
            Self::Discovery(_) | Self::Token(_) | Self::IdToken(_) | Self::Userinfo(_) => None,
        }
    }
}

impl Provider {
    pub(crate) fn new(settings: ProviderSettings, needs: Arc<Needs>, clock: Clock) -> Self {
        Self {
            http: HttpClient::new(&settings.issuer),
            settings,
            needs,
            metadata: discovery::Cache::default(),
            jwks: jwks::Cache::default(),
            logout_jwks: jwks::Cache::default(),
            clock,
        }
    }

    /// The provider's issuer identifier.
    pub(crate) fn issuer(&self) -> &Issuer {
        &self.settings.issuer
    }

    /// Our client id.
    pub(crate) fn client_id(&self) -> &str {
        &self.settings.client_id
    }

    /// The scopes that a sign-in requests: those of the settings, and what rules need that
    /// were added since.
    pub(crate) fn scope(&self) -> Cow<'_, str> {
        let (configured, asks) = (Shown::by_scope(&self.settings.scope), self.needs.asks());
        let mut scope = Cow::Borrowed(self.settings.scope.as_str());
        if asks.profile && !configured.profile {
            scope.to_mut().push_str(" profile");
        }
        if asks.email && !configured.email {
            scope.to_mut().push_str(" email");
        }
        if asks.memberships && !configured.memberships {
            scope.to_mut().push_str(" read-memberships");
        }
        scope
    }

    /// Whether every sign-in requests organisations.
    pub(crate) fn asks_for_orgs(&self) -> bool {
        !self.settings.orgs.is_empty()
    }

    /// The provider's metadata, cached; refetched after a failure or when it is stale.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, DiscoveryError> {
        self.metadata.load(&self.http, &self.settings.issuer, Instant::now()).await
    }

    /// Asks for the keys, apart from sign-ins; returns how many can verify ID tokens.
    pub(crate) async fn count_keys(&self) -> Result<usize, KeyCheckError> {
        let metadata = self.metadata().await?;
        key_check::count_keys(&self.http, &metadata).await
    }

    /// Whether the last metadata request succeeded.
    pub(crate) fn reachability(&self) -> Reachability {
        self.metadata.reachability()
    }

    /// The authorization request (RFC 6749, section 4.1.1; RFC 7636, section 4.3).
    pub(crate) fn authorize_url(&self, metadata: &Metadata, request: &AuthorizationRequest<'_>) -> Url {
        authorization::url(&self.settings, metadata, &self.scope(), request)
    }

    /// Where the provider ends its own session, if it has such an endpoint. A provider that does
    /// not answer is not waited for.
    pub(crate) async fn end_session_endpoint(&self) -> Option<Url> {
        let metadata = match tokio::time::timeout(SIGN_OUT_PATIENCE, self.metadata()).await {
            Ok(Ok(metadata)) => Some(metadata),
            Ok(Err(_)) | Err(_) => self.metadata.last(),
        };
        metadata?.end_session_endpoint.clone()
    }

    /// Verifies a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.6).
    pub(crate) async fn verify_logout(&self, token: &str) -> Result<ProviderLogout, LogoutTokenError> {
        let token = signed_jwt::parse(token)?;
        logout_token::check_type(&token)?;
        let expected = logout_token::Expected {
            issuer: self.settings.issuer.as_str(),
            client_id: &self.settings.client_id,
            now: self.clock.now(),
            clock_skew: self.clock_skew(),
        };
        let metadata = self.metadata().await?;
        let keys = match self.jwks.usable(token.kid()) {
            Some(keys) => keys,
            None => self.logout_jwks.for_token(&self.http, &metadata, token.kid()).await?,
        };
        match logout_token::verify(&token, &keys, &expected) {
            Err(LogoutTokenError::Signature) if token.kid().is_none() => {
                let newer = self.logout_jwks.newer_than(&self.http, &metadata, &keys).await;
                let newer = newer.ok_or(LogoutTokenError::Signature)?;
                logout_token::verify(&token, &newer, &expected)
            }
            verified => verified,
        }
    }

    /// Tolerated clock skew between the provider and us, in seconds.
    fn clock_skew(&self) -> u64 {
        self.settings.clock_skew.min(MAX_CLOCK_SKEW).as_secs()
    }

    /// Exchanges the code, validates the ID token and fetches userinfo.
    pub(crate) async fn sign_in(&self, grant: &CodeGrant<'_>) -> Result<SignedIn, SignInError> {
        let metadata = self.metadata().await?;
        let now = self.clock.now();
        let (tokens, raw) = token::exchange(&self.http, &metadata, &self.settings, grant, now).await?;
        let expected = Expected {
            issuer: self.settings.issuer.as_str(),
            client_id: &self.settings.client_id,
            nonce: grant.nonce,
            access_token: tokens.access.expose(),
            now,
            clock_skew: self.clock_skew(),
        };
        let id_token = id_token::parse(raw.expose())?;
        let keys = self.jwks.for_token(&self.http, &metadata, id_token.kid()).await;
        let keys = keys.map_err(IdTokenError::from)?;
        let verified = match id_token::verify(&id_token, &keys, &expected) {
            Err(IdTokenError::Signature) if id_token.kid().is_none() => {
                let newer = self.jwks.newer_than(&self.http, &metadata, &keys).await;
                let newer = newer.ok_or(IdTokenError::Signature)?;
                id_token::verify(&id_token, &newer, &expected)?
            }
            verified => verified?,
        };
        let person = userinfo::fetch(&self.http, &metadata, &tokens.access, &verified.sub).await?;
        let shown = person.shown.and(self.needs.asks());
        let ends_sessions = metadata.end_session_endpoint.is_some();
        let provider_session = ProviderSession::new(Some(raw).filter(|_| ends_sessions), verified.sid);
        Ok(SignedIn { person: Person { shown, ..person }, tokens, provider_session })
    }

    /// Fetches userinfo again; its `sub` must equal that of `before`. The token shows what
    /// it showed before, whatever a sign-in asks for now.
    pub(crate) async fn person(
        &self,
        access_token: &SecretString,
        before: &Person,
    ) -> Result<Person, SignInError> {
        let metadata = self.metadata().await?;
        let person = userinfo::fetch(&self.http, &metadata, access_token, &before.sub).await?;
        let shown = person.shown.and(Shown { pro: true, ..before.shown });
        Ok(Person { shown, ..person })
    }

    /// Exchanges a refresh token, which is invalid afterwards if the provider rotates it.
    pub(crate) async fn refresh(&self, refresh_token: &SecretString) -> Result<Tokens, SignInError> {
        let metadata = self.metadata().await?;
        let now = self.clock.now();
        Ok(token::refresh(&self.http, &metadata, &self.settings, refresh_token, now).await?)
    }

    /// Asks the provider who owns an API client's token. Callers must limit the rate: the
    /// provider's limit is per address.
    pub(crate) async fn whoami(&self, token: &SecretString) -> Whoami {
        whoami::fetch(&self.http, &self.settings.issuer.whoami(), token).await
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}
