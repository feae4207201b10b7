//! The provider's side of a sign-in: one file per exchange.
//!
//! Nothing is asked before it is needed, and nothing that failed is final: the
//! gate starts while the provider is down and signs people in once it is back.

mod discovery;
mod fields;
mod http_client;
mod id_token;
mod jwks;
mod rate_limit;
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

pub(crate) use discovery::{DiscoveryError, Metadata};
pub use discovery::{Issuer, IssuerError};
use http_client::{FetchError, HttpClient};
use id_token::Expected;
pub(crate) use id_token::IdTokenError;
pub(crate) use token::{MAX_TOKEN, TokenError, cut};
pub(crate) use userinfo::UserinfoError;
pub(crate) use whoami::{Owner, TokenKind, Whoami, WhoamiError};

/// The provider, and who we are to it.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// `https://huggingface.co`, unless told otherwise.
    pub issuer: Issuer,
    /// The OAuth app's client id.
    pub client_id: String,
    /// The app's secret; `None` is a public client, with PKCE alone.
    pub client_secret: Option<SecretString>,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// Ids of organisations the consent page must ask for.
    pub orgs: Vec<String>,
}

/// Talks to the provider.
pub(crate) struct Provider {
    settings: ProviderSettings,
    http: HttpClient,
    metadata: discovery::Cache,
    jwks: jwks::Cache,
    clock: Clock,
}

/// What the authorize URL must carry for one attempt.
pub(crate) struct AuthorizeRequest<'a> {
    pub(crate) redirect_uri: &'a str,
    pub(crate) state: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) code_challenge: &'a str,
    /// One more organisation to ask for.
    pub(crate) org: Option<&'a str>,
}

/// What a callback brought, and what it must match.
pub(crate) struct CodeGrant<'a> {
    pub(crate) code: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) code_verifier: &'a str,
    pub(crate) nonce: &'a str,
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

/// What the provider says of itself at the moment, for readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reachable {
    Yes,
    No,
    NotAskedYet,
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
    pub(crate) fn reachable(&self) -> Reachable {
        self.metadata.reachable()
    }

    /// The authorize URL (RFC 6749, section 4.1.1; RFC 7636, section 4.3).
    pub(crate) fn authorize_url(&self, metadata: &Metadata, request: &AuthorizeRequest<'_>) -> Url {
        let mut url = metadata.authorization_endpoint.clone();
        let mut orgs: Vec<&str> = self.settings.orgs.iter().map(String::as_str).collect();
        if let Some(org) = request.org
            && !orgs.contains(&org)
        {
            orgs.push(org);
        }
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("client_id", &self.settings.client_id)
                .append_pair("redirect_uri", request.redirect_uri)
                .append_pair("response_type", "code")
                .append_pair("scope", &self.settings.scope)
                .append_pair("state", request.state)
                .append_pair("nonce", request.nonce)
                .append_pair("code_challenge", request.code_challenge)
                .append_pair("code_challenge_method", "S256");
            if !orgs.is_empty() {
                query.append_pair("orgIds", &orgs.join(","));
            }
        }
        url
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
        let keys = self.jwks.for_token(&self.http, &metadata, id_token.kid()).await?;
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
