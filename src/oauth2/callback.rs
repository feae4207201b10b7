//! The callback: RFC 6749, section 4.1.2; RFC 9207; OpenID Connect Core 1.0,
//! section 3.1.2.5.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Response, StatusCode};
use serde_json::json;

use super::pending::{PendingSignIn, Taken};
use super::return_to::ReturnTo;
use super::{ATTEMPTS_LIFETIME, Ask, OAuth2};
use crate::pages::{self, SignInFailed};
use crate::provider::{CodeGrant, SignInError, TokenError, truncated};
use crate::respond::answer;
use crate::session::SessionLookup;

/// The parameters of a callback, each of them at most once
/// (RFC 6749, section 3.1).
#[derive(Default)]
struct Parameters<'a> {
    state: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
    error_description: Option<Cow<'a, str>>,
    iss: Option<Cow<'a, str>>,
}

/// A parameter that came twice.
struct Repeated;

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Self, Repeated> {
        let mut read = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut read.state,
                "code" => &mut read.code,
                "error" => &mut read.error,
                "error_description" => &mut read.error_description,
                "iss" => &mut read.iss,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Repeated);
            }
        }
        Ok(read)
    }
}

/// Why a callback signed nobody in.
enum Failure {
    /// Something is wrong with the callback itself: not the provider's doing.
    NotBegunHere,
    Repeated,
    /// The person said no.
    Cancelled,
    /// The provider ended it with an error of its own.
    Provider {
        error: String,
        description: String,
    },
    /// The callback does not come from the provider it should.
    Issuer,
    NoCode,
    SignIn(SignInError),
    Store(crate::session::StoreDown),
}

impl OAuth2 {
    /// Finishes a sign-in. `state` is looked at before anything else: a callback
    /// that this browser did not cause never reaches the provider.
    pub(super) async fn callback(&self, ask: Ask<'_>) -> Response<Bytes> {
        let Ok(parameters) = Parameters::read(ask.parts.uri.query().unwrap_or_default()) else {
            return self.failed(ask, &Failure::Repeated, &ReturnTo::root());
        };
        let state = parameters.state.as_deref().unwrap_or_default();
        let (pending, removal) = match self.pendings.take(state, &ask.parts.headers, self.clock.now()) {
            Taken::Yes { pending, removal } => (pending, removal),
            Taken::UsedBefore { return_to, removal } => {
                let return_to = self.trusted(&return_to);
                return answer::with_cookies(self.stale(ask, &return_to).await, removal);
            }
            Taken::Unknown => return self.stale(ask, &ReturnTo::root()).await,
        };
        let return_to = self.trusted(&pending.return_to);
        let response = match self.finish(ask, &parameters, &pending).await {
            Ok(cookies) => answer::with_cookies(answer::redirect(return_to.as_str()), cookies),
            Err(failure) => self.failed(ask, &failure, &return_to),
        };
        answer::with_cookies(response, removal)
    }

    /// A callback that is over: somebody who is signed in simply goes on (the back
    /// button, a second tab), anybody else is told.
    async fn stale(&self, ask: Ask<'_>, return_to: &ReturnTo) -> Response<Bytes> {
        match self.sessions.open(&ask.parts.headers).await {
            SessionLookup::Session(_) => answer::redirect(return_to.as_str()),
            SessionLookup::Nobody | SessionLookup::Unknown(_) => {
                self.failed(ask, &Failure::NotBegunHere, return_to)
            }
        }
    }

    /// From here on the browser is the one that began. Returns the session's
    /// cookie lines.
    async fn finish(
        &self,
        ask: Ask<'_>,
        parameters: &Parameters<'_>,
        pending: &PendingSignIn,
    ) -> Result<Vec<HeaderValue>, Failure> {
        self.check_issuer(parameters).await?;
        if let Some(error) = &parameters.error {
            if error == "access_denied" {
                return Err(Failure::Cancelled);
            }
            let description = parameters.error_description.as_deref().unwrap_or_default();
            return Err(Failure::Provider {
                error: truncated(error, 64),
                description: truncated(description, 300),
            });
        }
        let code = parameters.code.as_deref().filter(|code| !code.is_empty()).ok_or(Failure::NoCode)?;
        let grant = CodeGrant {
            code,
            redirect_uri: &pending.redirect_uri,
            code_verifier: &pending.code_verifier,
            nonce: &pending.nonce,
        };
        let (mut person, tokens) = self.provider.sign_in(&grant).await.map_err(Failure::SignIn)?;
        (self.retain)(&mut person);
        let username = person.username.clone();
        let mut lines =
            self.sessions.begin(person, tokens, &ask.parts.headers).await.map_err(Failure::Store)?;
        tracing::info!(target: "huggate::audit", event = "sign_in", user = %username, client = ?ask.client.ip, "signed in");
        let cookies = self.sessions.cookies();
        let attempts = self.attempts(ask).saturating_add(1).to_string();
        lines.extend(cookies.set(cookies.attempts_name(), Some(&attempts), ATTEMPTS_LIFETIME));
        Ok(lines)
    }

    /// RFC 9207, section 2.4: `iss` must be the provider's, and must be there if
    /// the provider said it would be.
    async fn check_issuer(&self, parameters: &Parameters<'_>) -> Result<(), Failure> {
        let expected = self.provider.issuer().as_str();
        match &parameters.iss {
            Some(iss) if iss == expected => Ok(()),
            Some(_) => Err(Failure::Issuer),
            None => {
                let metadata =
                    self.provider.metadata().await.map_err(|error| Failure::SignIn(error.into()))?;
                if metadata.iss_parameter { Err(Failure::Issuer) } else { Ok(()) }
            }
        }
    }

    /// A return address from a sealed cookie. It was parsed before it was sealed;
    /// parsing it again costs little and holds if the configuration changed.
    fn trusted(&self, return_to: &str) -> ReturnTo {
        ReturnTo::parse(return_to, &self.public_url, &self.prefix, &self.return_hosts)
    }

    fn failed(&self, ask: Ask<'_>, failure: &Failure, return_to: &ReturnTo) -> Response<Bytes> {
        let start_url = self.start_url(return_to, None);
        let (status, code, title, cause, advice) = match failure {
            Failure::NotBegunHere => {
                tracing::warn!(client = ?ask.client.ip, "a callback came whose sign-in was not begun in this browser, is over, or took too long");
                if ask.wants_page() {
                    let page = pages::unknown_sign_in(self.public_url.as_str(), &start_url);
                    return answer::page(StatusCode::BAD_REQUEST, page);
                }
                (
                    StatusCode::BAD_REQUEST,
                    "invalid_request",
                    "",
                    "This sign-in was not begun in this browser, is over, or took longer than 10 minutes."
                        .to_owned(),
                    "",
                )
            }
            Failure::Cancelled => {
                if ask.wants_page() {
                    return answer::page(
                        StatusCode::FORBIDDEN,
                        pages::sign_in_cancelled(&ask.client.host, &start_url),
                    );
                }
                (
                    StatusCode::FORBIDDEN,
                    "access_denied",
                    "",
                    "The person chose not to sign in.".to_owned(),
                    "",
                )
            }
            Failure::Repeated => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "This address cannot be read",
                "A parameter of the callback came twice, so it is not clear which one counts.".to_owned(),
                "Begin again; the link that led here is not one that Hugging Face makes.",
            ),
            Failure::NoCode => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "The answer from Hugging Face is incomplete",
                "It holds neither a code nor an error.".to_owned(),
                "Begin again.",
            ),
            Failure::Issuer => (
                StatusCode::BAD_REQUEST,
                "invalid_issuer",
                "The answer comes from another provider",
                format!("It should come from {}.", self.provider.issuer().as_str()),
                "Begin again from the app itself. Somebody may have sent you a link meant to sign you in elsewhere.",
            ),
            Failure::Provider { error, description } => (
                StatusCode::BAD_GATEWAY,
                "provider_error",
                "Hugging Face ended the sign-in",
                format!("It says: {error}{}{description}.", if description.is_empty() { "" } else { ", " }),
                "Try again. If it happens again, the people who run this app need to look at its settings at Hugging Face.",
            ),
            Failure::SignIn(error) if is_transient(error) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "Hugging Face does not answer",
                format!("What went wrong: {error}."),
                "Wait a moment, then try again.",
            ),
            Failure::SignIn(SignInError::Token(TokenError::Refused { error, description }))
                if error == "invalid_grant" =>
            {
                (
                    StatusCode::BAD_REQUEST,
                    "invalid_grant",
                    "Hugging Face did not accept the answer",
                    format!("It says: {error} {description}."),
                    "The code may have expired or been used before. Begin again.",
                )
            }
            Failure::SignIn(error) => (
                StatusCode::BAD_GATEWAY,
                "provider_error",
                "Hugging Face's answer cannot be trusted",
                format!("What is wrong with it: {error}."),
                "Nobody was signed in. If trying again does not help, the people who run this app need to look at it.",
            ),
            Failure::Store(down) => return crate::respond::store_unavailable(ask, *down),
        };
        tracing::warn!(code, %cause, client = ?ask.client.ip, "sign-in failed");
        if ask.wants_page() {
            let page =
                pages::sign_in_failed(&SignInFailed { title, cause: &cause, advice, start_url: &start_url });
            return answer::page(status, page);
        }
        answer::json(status, &json!({"error": code, "error_description": cause}))
    }
}

fn is_transient(error: &SignInError) -> bool {
    use crate::provider::{IdTokenError, UserinfoError};
    match error {
        SignInError::Discovery(error) => error.is_transient(),
        SignInError::Token(TokenError::Fetch(error))
        | SignInError::Userinfo(UserinfoError::Fetch(error))
        | SignInError::IdToken(IdTokenError::Keys(error)) => error.is_transient(),
        SignInError::IdToken(IdTokenError::KeysUnavailable) => true,
        SignInError::Token(_) | SignInError::Userinfo(_) | SignInError::IdToken(_) => false,
    }
}
