//! Who calls: a session cookie, a bearer token, or nobody.

use std::sync::Arc;

use http::HeaderMap;

use super::bearer::{TokenAuthenticator, TokenCaller};
use crate::identity::RenderedIdentity;
use crate::oauth2::OAuth2;
use crate::policy::BearerUse;
use crate::provider::TokenKind;
use crate::respond::Refusal;
use crate::session::ActiveSession;

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// No session, or nothing that is one.
    Nobody,
    /// Somebody with a session in force.
    Session(ActiveSession),
    /// Somebody with a token that counts.
    Token(Arc<TokenCaller>),
}

impl Caller {
    /// What the app is told of them.
    pub(crate) fn introduction(&self) -> Option<&RenderedIdentity> {
        match self {
            Self::Nobody => None,
            Self::Session(session) => Some(session.introduction()),
            Self::Token(bearing) => Some(bearing.introduction()),
        }
    }

    /// The kind of token, if that is how they are known.
    pub(crate) fn token(&self) -> Option<TokenKind> {
        match self {
            Self::Nobody | Self::Session(_) => None,
            Self::Token(bearing) => Some(bearing.kind()),
        }
    }

    /// The session, if that is how they are known.
    pub(crate) fn session(&self) -> Option<&ActiveSession> {
        match self {
            Self::Nobody | Self::Token(_) => None,
            Self::Session(session) => Some(session),
        }
    }
}

/// Finds out: a session, unless the route is for tokens alone; else a token, where
/// tokens count. A cookie that is garbage is nobody's. A token that is garbage is
/// refused, since whoever sends one does not mean to be nobody.
pub(crate) async fn authenticate(
    oauth2: &Arc<OAuth2>,
    bearer: Option<&TokenAuthenticator>,
    used: BearerUse,
    headers: &HeaderMap,
) -> Result<Caller, Refusal> {
    if used != BearerUse::Only
        && let Some(session) = oauth2.session(headers).await?
    {
        return Ok(Caller::Session(session));
    }
    let Some(bearer) = bearer.filter(|_| used != BearerUse::Off) else { return Ok(Caller::Nobody) };
    let bearing = bearer.authenticate(headers, used != BearerUse::Only).await?;
    Ok(bearing.map_or(Caller::Nobody, Caller::Token))
}
