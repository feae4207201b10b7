//! Every "no", and the one place that turns it into an answer.

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

use super::answer;
use crate::authn::Unconfirmed;
use crate::client::{Kind, speaks_openai};
use crate::forward_auth::AmbiguousOriginal;
use crate::gate::Inner;
use crate::identity::AuthMethod;
use crate::oauth2::Ask;
use crate::pages;
use crate::policy::AmbiguousPath;
use crate::policy::Denial;
use crate::provider::TokenKind;
use crate::session::StoreDown;

const TOKEN_NEEDED: &str = "This address is for API clients. Send a Hugging Face token: Authorization: Bearer hf_... (huggingface.co/settings/tokens)";

/// Why a request did not reach the app. It is left in the response's extensions
/// for logs and metrics, and so is the [`Client`](crate::Client) it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request does not name one host, or names one by a port that makes it
    /// another to some servers and not to others.
    NoHost,
    /// The target is no path: `*`, an authority, or something with a raw `#`.
    NoPath,
    /// The path can be read in several ways that would be decided differently.
    AmbiguousPath,
    /// The method is one of a route's but for capitals, which some servers overlook.
    AmbiguousMethod,
    /// Nobody is signed in.
    SignIn,
    /// Somebody is signed in, and it is not their place.
    Forbidden(Forbidden),
    /// A page of another site asked for a WebSocket.
    CrossOrigin,
    /// The session store cannot be asked.
    StoreUnavailable,
    /// The provider cannot be asked whether a session still counts, and its last
    /// word is too old.
    Unconfirmed {
        /// Seconds until it is asked again.
        retry_after: u64,
    },
    /// A proxy asks (forward auth) without saying unmistakably about what.
    ForwardAuth(AmbiguousOriginal),
    /// A proxy asks (forward auth) for a host where nobody can sign in.
    UnknownHost,
    /// `Authorization` cannot be read, or came twice.
    BadAuthorization(&'static str),
    /// Nobody has sent a token, and the route is for tokens alone.
    TokenNeeded,
    /// The token does not count.
    #[non_exhaustive]
    InvalidToken {
        /// Why.
        why: &'static str,
        /// Whether the route takes sessions as well.
        session_would_do: bool,
    },
    /// Whether the token counts cannot be found out now.
    #[non_exhaustive]
    TokenUnchecked {
        /// Why.
        why: &'static str,
        /// Another try may be worth it in so many seconds.
        retry_after: u64,
    },
}

impl From<Unconfirmed> for Refusal {
    fn from(unconfirmed: Unconfirmed) -> Self {
        match unconfirmed {
            Unconfirmed::Store(StoreDown) => Self::StoreUnavailable,
            Unconfirmed::Provider { retry_after } => Self::Unconfirmed { retry_after },
        }
    }
}

/// Who was refused, and what would have helped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden(pub(crate) Denial);

impl Forbidden {
    /// Who was refused.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.0.username
    }

    /// How they showed who they are.
    #[must_use]
    pub fn auth_method(&self) -> AuthMethod {
        self.0.token.map_or(AuthMethod::Session, TokenKind::auth_method)
    }

    /// Who may enter, and what is in the way; or who may not.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        self.0.sentences()
    }
}

impl From<AmbiguousPath> for Refusal {
    fn from(AmbiguousPath: AmbiguousPath) -> Self {
        Self::AmbiguousPath
    }
}

impl Refusal {
    /// The error code of the JSON answer, and of logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHost => "invalid_host",
            Self::NoPath => "invalid_target",
            Self::AmbiguousPath => "ambiguous_path",
            Self::AmbiguousMethod => "ambiguous_method",
            Self::SignIn => "login_required",
            Self::Forbidden(_) => "access_denied",
            Self::CrossOrigin => "cross_origin",
            Self::ForwardAuth(_) => "invalid_forward_auth",
            Self::UnknownHost => "unknown_host",
            Self::StoreUnavailable | Self::Unconfirmed { .. } | Self::TokenUnchecked { .. } => {
                "temporarily_unavailable"
            }
            // RFC 6750, section 3.1.
            Self::BadAuthorization(_) => "invalid_request",
            Self::InvalidToken { .. } => "invalid_token",
            Self::TokenNeeded => "token_required",
        }
    }
}

impl Inner {
    /// The answer to a request that may not go on.
    pub(crate) async fn refuse(&self, refusal: Refusal, ask: Ask<'_>) -> Response<Bytes> {
        let mut response = match &refusal {
            Refusal::NoHost => bad_request(
                ask,
                &refusal,
                "The request does not name exactly one host, or names it with a port that is not in use here.",
            ),
            Refusal::NoPath => bad_request(ask, &refusal, "The address of the request is not a path."),
            Refusal::AmbiguousPath => bad_request(
                ask,
                &refusal,
                "The path of this address can be read in more than one way, and not every way is open to everybody. Write it as the app does: in the same upper and lower case, with or without a slash at the end, and without dot segments, doubled slashes, backslashes, semicolons and encoded letters.",
            ),
            Refusal::AmbiguousMethod => bad_request(
                ask,
                &refusal,
                "The method of the request has small letters, and with capitals it would not be open to everybody. Write it in capitals.",
            ),
            Refusal::SignIn => self.sign_in(ask).await,
            Refusal::Forbidden(Forbidden(denied)) => self.forbidden(ask, denied),
            Refusal::CrossOrigin => answer::json(
                StatusCode::FORBIDDEN,
                &json!({
                    "error": refusal.code(),
                    "error_description": "A page of another site asked for this WebSocket (its Origin is not this app's).",
                }),
            ),
            Refusal::StoreUnavailable => self.oauth2.unconfirmed(ask, Unconfirmed::Store(StoreDown)),
            Refusal::Unconfirmed { retry_after } => {
                self.oauth2.unconfirmed(ask, Unconfirmed::Provider { retry_after: *retry_after })
            }
            Refusal::ForwardAuth(unclear) => {
                let cause = format!(
                    "The proxy in front of this app does not say which address was asked for: {unclear}."
                );
                bad_request(ask, &refusal, &cause)
            }
            Refusal::UnknownHost => {
                let cause = format!(
                    "Nobody can sign in at {}: it is neither the address of this app, {}, nor the host of a route.",
                    ask.client.host,
                    self.oauth2.public_url.as_str(),
                );
                bad_request(ask, &refusal, &cause)
            }
            Refusal::BadAuthorization(why) => challenge(StatusCode::BAD_REQUEST, &refusal, why, None),
            Refusal::TokenNeeded => challenge(StatusCode::UNAUTHORIZED, &refusal, TOKEN_NEEDED, None),
            Refusal::InvalidToken { why, session_would_do } => {
                let sign_in_url = session_would_do.then(|| self.oauth2.sign_in_url(ask));
                challenge(StatusCode::UNAUTHORIZED, &refusal, why, sign_in_url)
            }
            Refusal::TokenUnchecked { why, retry_after } => {
                let document = json!({"error": refusal.code(), "error_description": why});
                let mut response = answer::json(StatusCode::SERVICE_UNAVAILABLE, &document);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*retry_after));
                response
            }
        };
        response = answer::in_words_of(speaks_openai(&ask.parts.headers), response);
        response.extensions_mut().insert(ask.client.clone());
        response.extensions_mut().insert(refusal);
        response
    }

    /// Nobody is signed in: pages are sent to the provider, programs are told.
    async fn sign_in(&self, ask: Ask<'_>) -> Response<Bytes> {
        match ask.kind {
            Kind::Navigation => match self.oauth2.begin_here(ask).await {
                Ok(response) => response,
                Err(error) => self.oauth2.provider_unavailable(ask, &error),
            },
            Kind::Framed => self.oauth2.framed(ask, &self.oauth2.here(ask)),
            Kind::Form => self.oauth2.form_not_sent(ask),
            Kind::Program => self.oauth2.sign_in_needed(ask),
        }
    }
}

/// No to an `Authorization` header, or for want of one: JSON for everybody, and a
/// challenge (RFC 6750, section 3) without an error where nothing was wrong.
fn challenge(
    status: StatusCode,
    refusal: &Refusal,
    why: &'static str,
    sign_in_url: Option<String>,
) -> Response<Bytes> {
    let mut document = json!({"error": refusal.code(), "error_description": why});
    if let (Some(url), Some(fields)) = (sign_in_url, document.as_object_mut()) {
        fields.insert("sign_in_url".to_owned(), json!(url));
    }
    let challenge = match refusal {
        Refusal::TokenNeeded => "Bearer realm=\"huggate\"".to_owned(),
        _ => format!("Bearer realm=\"huggate\", error=\"{}\", error_description=\"{why}\"", refusal.code()),
    };
    let mut response = answer::json(status, &document);
    // Our own sentences have neither quotation marks nor letters past ASCII.
    let challenge =
        HeaderValue::try_from(challenge).unwrap_or(HeaderValue::from_static("Bearer realm=\"huggate\""));
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

/// 400: a page for people, JSON for programs.
fn bad_request(ask: Ask<'_>, refusal: &Refusal, cause: &str) -> Response<Bytes> {
    if ask.wants_page() {
        return answer::page(StatusCode::BAD_REQUEST, pages::bad_request(cause));
    }
    answer::json(StatusCode::BAD_REQUEST, &json!({"error": refusal.code(), "error_description": cause}))
}
