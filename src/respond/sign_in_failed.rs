//! A failed sign-in: what happened, and what to do.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::answer;
use super::endpoint_urls::EndpointUrls;
use super::unavailable::{STORE_DOWN, store_unavailable};
use crate::causes::Causes;
use crate::client::IncomingRequest;
use crate::events;
use crate::identity::User;
use crate::pages::{self, SignInFailed};
use crate::provider::{IdTokenError, Issuer, SignInError, TokenError, UserinfoError};

const CANCELLED: &str = "The person chose not to sign in.";

/// Why a sign-in failed.
#[derive(Debug)]
pub(crate) enum SignInFailure {
    /// The sign-in was not started in this browser, as far as its cookies say.
    NotBegunHere,
    /// It took too long.
    Expired,
    /// It was finished before.
    UsedBefore,
    /// The browser sent no cookie at all.
    CookiesBlocked,
    /// A parameter is repeated (RFC 6749, section 3.1).
    RepeatedParameter,
    /// The person declined at the consent page.
    Cancelled,
    /// The provider answered with another error.
    Provider { error: String, description: String },
    /// `iss` is not the provider's (RFC 9207).
    WrongIssuer,
    /// The callback has neither a code nor an error.
    NoCode,
    /// The token request failed.
    Exchange(SignInError),
    /// The session could not be stored.
    StoreUnavailable,
    /// The session does not fit the browser's cookies.
    SessionTooLarge,
    /// The app's own hook refused the person, with this message for them.
    Refused { message: String, user: User },
    /// The app's own hook gave no usable answer. The log says which and why.
    HookFailed,
}

impl SignInFailure {
    /// Whether the callback does not belong to a sign-in under way in this browser.
    fn is_unfinished(&self) -> bool {
        matches!(self, Self::NotBegunHere | Self::Expired | Self::UsedBefore | Self::CookiesBlocked)
    }

    /// The person whom the app's hook refused.
    fn user(&self) -> Option<&User> {
        if let Self::Refused { user, .. } = self { Some(user) } else { None }
    }
}

/// The texts of a failure.
struct Wording {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    cause: String,
    advice: &'static str,
}

/// The answer to a failed callback. `start_url` starts the sign-in again.
pub(crate) fn sign_in_failed(
    request: IncomingRequest<'_>,
    failure: &SignInFailure,
    urls: &EndpointUrls,
    issuer: &Issuer,
    start_url: &str,
) -> Response<Bytes> {
    let Some(Wording { status, code, title, cause, advice }) = Wording::of(failure, issuer) else {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        events::sign_in_failed(request, ("temporarily_unavailable", status), STORE_DOWN, None, true);
        return store_unavailable(request);
    };
    let warns = status.is_server_error() || matches!(failure, SignInFailure::WrongIssuer);
    events::sign_in_failed(request, (code, status), &cause, failure.user(), warns);
    if request.wants_page() {
        if matches!(failure, SignInFailure::Cancelled) {
            let page = pages::sign_in_cancelled(&request.client.host, start_url);
            return answer::error_page(status, code, CANCELLED, page);
        }
        if failure.is_unfinished() {
            // With cookies of another sign-in, the cause is not known.
            let known = Some(cause.as_str()).filter(|_| !matches!(failure, SignInFailure::NotBegunHere));
            let page = pages::unfinished_sign_in(known, urls.public_url.as_str(), start_url);
            return answer::error_page(status, code, &cause, page);
        }
        let page = pages::sign_in_failed(&SignInFailed { title, cause: &cause, advice, start_url });
        return answer::error_page(status, code, &cause, page);
    }
    answer::json(status, &json!({"error": code, "error_description": cause}))
}

impl Wording {
    /// `None` for an unavailable store, which has an answer of its own.
    fn of(failure: &SignInFailure, issuer: &Issuer) -> Option<Self> {
        let bad_request = StatusCode::BAD_REQUEST;
        Some(match failure {
            SignInFailure::NotBegunHere
            | SignInFailure::Expired
            | SignInFailure::UsedBefore
            | SignInFailure::CookiesBlocked => Self::unfinished(failure),
            SignInFailure::Cancelled => Self {
                status: StatusCode::FORBIDDEN,
                code: "access_denied",
                title: "",
                cause: CANCELLED.to_owned(),
                advice: "",
            },
            SignInFailure::RepeatedParameter => Self {
                status: bad_request,
                code: "invalid_request",
                title: "This link is invalid",
                cause: "A parameter of the callback is repeated, so it is not clear which value is meant."
                    .to_owned(),
                advice: "Sign in again. Hugging Face does not create links like the one that led here.",
            },
            SignInFailure::NoCode => Self {
                status: bad_request,
                code: "invalid_request",
                title: "The answer from Hugging Face is incomplete",
                cause: "It contains neither a code nor an error.".to_owned(),
                advice: "Sign in again.",
            },
            SignInFailure::WrongIssuer => Self {
                status: bad_request,
                code: "invalid_issuer",
                title: "The answer comes from another provider",
                cause: format!("It should come from {}.", issuer.as_str()),
                advice: "Start again from the app itself. Somebody may have sent you a link that was meant to sign you in elsewhere.",
            },
            SignInFailure::Provider { error, description } => Self {
                status: StatusCode::BAD_GATEWAY,
                code: "provider_error",
                title: "Hugging Face ended the sign-in",
                cause: format!(
                    "It says: {error}{}{description}.",
                    if description.is_empty() { "" } else { ", " }
                ),
                advice: "Try again. If it happens again, the people who run this app need to check its settings on Hugging Face.",
            },
            SignInFailure::Exchange(error) => Self::of_exchange(error),
            SignInFailure::StoreUnavailable => return None,
            SignInFailure::Refused { message, .. } => Self::refused(message),
            SignInFailure::HookFailed => Self::hook_failed(),
            SignInFailure::SessionTooLarge => Self::session_too_large(),
        })
    }

    /// The app's own hook refused the person.
    fn refused(message: &str) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            code: "sign_in_refused",
            title: "You cannot sign in to this app",
            cause: message.to_owned(),
            advice: "Nobody was signed in.",
        }
    }

    fn hook_failed() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal_error",
            title: "Something went wrong",
            cause: "The app could not check whether you may sign in.".to_owned(),
            advice: "Nobody was signed in. Try again. If it happens again, the people who run this app find the cause in the log.",
        }
    }

    fn session_too_large() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "session_too_large",
            title: "The session is too large for a cookie",
            cause: "What the rules need to know about this account does not fit the cookies of a browser."
                .to_owned(),
            advice: "The people who run this app can keep sessions in a server-side store instead (session.store).",
        }
    }

    /// A sign-in that cannot be finished in this browser.
    fn unfinished(failure: &SignInFailure) -> Self {
        let cause = match failure {
            SignInFailure::Expired => "This sign-in took longer than 10 minutes, so it is no longer valid.",
            SignInFailure::UsedBefore => {
                "This sign-in was already finished, and its address was opened again."
            }
            SignInFailure::CookiesBlocked => {
                "The browser sent no cookies, and a sign-in needs one. Most likely cookies are blocked for this site: \
                 allow them, and sign in again. Otherwise the sign-in was started in another browser."
            }
            _ => {
                "This sign-in was not started in this browser, was already completed, took longer than 10 minutes, \
                 or its cookie is missing because the browser blocks cookies of this site."
            }
        };
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_request",
            title: "",
            cause: cause.to_owned(),
            advice: "",
        }
    }

    fn of_exchange(error: &SignInError) -> Self {
        match error {
            error if is_passing(error) => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: "temporarily_unavailable",
                title: "Hugging Face does not answer",
                cause: format!("The error: {}.", Causes(error)),
                advice: "Wait a moment, then try again.",
            },
            SignInError::Token(TokenError::Refused { error, description }) if error == "invalid_grant" => {
                Self {
                    status: StatusCode::BAD_REQUEST,
                    code: "invalid_grant",
                    title: "Hugging Face did not accept the answer",
                    cause: format!("It says: {error} {description}."),
                    advice: "The code may have expired or been used before. Sign in again.",
                }
            }
            error @ SignInError::IdToken(IdTokenError::Future { .. } | IdTokenError::ExpiredAgo { .. }) => {
                Self {
                    status: StatusCode::BAD_GATEWAY,
                    code: "clock_skew",
                    title: "The clock of this server is not Hugging Face's",
                    cause: format!("The problem: {}.", Causes(error)),
                    advice: "Nobody was signed in. The people who run this app need to set the clock of this server, or allow a larger difference (provider.clock_skew).",
                }
            }
            error => Self {
                status: StatusCode::BAD_GATEWAY,
                code: "provider_error",
                title: "The answer from Hugging Face cannot be trusted",
                cause: format!("The problem: {}.", Causes(error)),
                advice: "Nobody was signed in. If trying again does not help, the people who run this app need to look into it.",
            },
        }
    }
}

/// Whether retrying in a moment may help.
fn is_passing(error: &SignInError) -> bool {
    match error {
        SignInError::Discovery(error) => error.is_transient(),
        SignInError::Token(TokenError::Fetch(error))
        | SignInError::Userinfo(UserinfoError::Fetch(error))
        | SignInError::IdToken(IdTokenError::Keys(error)) => error.is_transient(),
        SignInError::IdToken(IdTokenError::KeysUnavailable) => true,
        SignInError::Token(_) | SignInError::Userinfo(_) | SignInError::IdToken(_) => false,
    }
}
