//! Tokens of API clients: `Authorization: Bearer hf_…` (RFC 6750).
//!
//! The provider is asked whom a token belongs to, which it limits strictly. So an
//! answer is kept for a minute, under a keyed hash of the token and without the
//! token; one question at a time is asked about each, however many requests wait
//! for it; and where the provider cannot be asked, nobody is let in.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use super::{authorization, introspection::TokenIntrospector, token_policy::TokenPolicy};
use crate::clock::{Clock, UnixTime};
use crate::identity::{HeaderSettings, Person, RenderedIdentity};
use crate::keys::{Keyring, SecretString};
use crate::provider::{MAX_TOKEN, Provider, TokenKind};
use crate::respond::Refusal;

/// Which tokens of API clients count, where they count at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BearerSettings {
    /// Ids of further OAuth apps whose tokens (`hf_oauth_…`) count. Those of the
    /// gate's own app do in any case, and user access tokens (`hf_…`) too.
    pub clients: Vec<String>,
    /// Whether tokens of apps count (`hf_app_…`, and those with which an app speaks
    /// for a person). An app is meant by its id alone: its name may be somebody's.
    pub app_tokens: bool,
}

/// Whom a token belongs to, as the provider said not long ago.
pub(crate) struct VerifiedToken {
    pub(super) introduction: RenderedIdentity,
    pub(super) kind: TokenKind,
    /// Until when that word counts.
    pub(crate) until: UnixTime,
}

/// Somebody who came with a token that counts.
pub(crate) struct TokenCaller {
    known: Arc<VerifiedToken>,
    /// The request's own. It is kept nowhere else, and gone with the request.
    token: SecretString,
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// It does not count, for this reason.
    Invalid(&'static str),
    /// Whether it counts cannot be said now, for this reason. It may be worth
    /// another try in so many seconds.
    Unchecked { retry_after: u64, why: &'static str },
}

/// How to make an introduction of a person.
pub(crate) struct IntrospectionConfig {
    pub(crate) headers: HeaderSettings,
    /// How many apps an assertion can be meant for.
    pub(crate) audiences: usize,
    /// Drops from a person what neither rules nor headers need.
    pub(crate) retain: Arc<dyn Fn(&mut Person) + Send + Sync>,
}

/// Knows who sends which token.
pub(crate) struct TokenAuthenticator {
    questions: Arc<TokenIntrospector>,
}

impl TokenAuthenticator {
    pub(crate) fn new(
        settings: &BearerSettings,
        provider: Arc<Provider>,
        keyring: &Keyring,
        manner: IntrospectionConfig,
        clock: Clock,
    ) -> Self {
        let accepted = TokenPolicy::new(settings, provider.client_id());
        // The token is for the provider's ears, whatever the app is told of those
        // who signed in here: nobody gave it to the app.
        let manner = IntrospectionConfig {
            headers: HeaderSettings { access_token: false, ..manner.headers },
            ..manner
        };
        Self { questions: Arc::new(TokenIntrospector::new(accepted, provider, keyring, manner, clock)) }
    }

    /// Who sends a request, by its `Authorization`; nobody, without a bearer token
    /// in it. `session_would_do` is for the answer to one that does not count.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
        session_would_do: bool,
    ) -> Result<Option<Arc<TokenCaller>>, Refusal> {
        let Some(token) = authorization::token(headers).map_err(Refusal::BadAuthorization)? else {
            return Ok(None);
        };
        match self.check(token).await {
            Ok(known) => Ok(Some(Arc::new(TokenCaller { known, token: SecretString::new(token) }))),
            Err(TokenError::Invalid(why)) => Err(Refusal::InvalidToken { why, session_would_do }),
            Err(TokenError::Unchecked { retry_after, why }) => {
                Err(Refusal::TokenUnchecked { why, retry_after })
            }
        }
    }

    /// Whom `token` belongs to: from memory, or after a question to the provider.
    pub(crate) async fn check(&self, token: &str) -> Result<Arc<VerifiedToken>, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Invalid("This is longer than any token of Hugging Face."));
        }
        self.questions.answer(token).await
    }

    /// Asks about somebody again, whose stream may have been open for long: from
    /// memory until [`VerifiedToken::until`], and then by a new question.
    pub(crate) async fn again(&self, bearing: &TokenCaller) -> Result<Arc<TokenCaller>, TokenError> {
        let known = self.check(bearing.token.expose()).await?;
        Ok(Arc::new(TokenCaller { known, token: bearing.token.clone() }))
    }
}

impl TokenCaller {
    /// What the app is told of them.
    pub(crate) fn introduction(&self) -> &RenderedIdentity {
        &self.known.introduction
    }

    /// What kind of token it is.
    pub(crate) fn kind(&self) -> TokenKind {
        self.known.kind
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("introduction", &self.introduction)
            .field("kind", &self.kind)
            .field("until", &self.until)
            .finish()
    }
}

impl fmt::Debug for TokenCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCaller").field("known", &self.known).finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenAuthenticator(..)")
    }
}
