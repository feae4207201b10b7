//! A callback that signed nobody in: what happened, whose fault it is, and what to do.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::answer;
use super::endpoint_urls::EndpointUrls;
use super::unavailable::store_unavailable;
use crate::client::IncomingRequest;
use crate::pages::{self, SignInFailed};
use crate::provider::{IdTokenError, Issuer, SignInError, TokenError, UserinfoError};

/// Why a callback signed nobody in.
#[derive(Debug)]
pub(crate) enum SignInFailure {
    /// The sign-in was not begun in this browser, or is over.
    NotBegunHere,
    /// A parameter came twice (RFC 6749, section 3.1).
    RepeatedParameter,
    /// The person declined at the consent page.
    Cancelled,
    /// The provider ended it with an error of its own.
    Provider { error: String, description: String },
    /// `iss` is not the provider's (RFC 9207).
    WrongIssuer,
    /// Neither a code nor an error came.
    NoCode,
    /// The exchange with the provider failed.
    Exchange(SignInError),
    /// The session could not be stored.
    StoreUnavailable,
}

/// What an answer says of a failure.
struct Wording {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    cause: String,
    advice: &'static str,
}

/// The answer to a callback that failed. `start_url` begins again.
pub(crate) fn sign_in_failed(
    request: IncomingRequest<'_>,
    failure: &SignInFailure,
    urls: &EndpointUrls,
    issuer: &Issuer,
    start_url: &str,
) -> Response<Bytes> {
    if request.wants_page() {
        match failure {
            SignInFailure::NotBegunHere => {
                let page = pages::unknown_sign_in(urls.public_url.as_str(), start_url);
                return answer::page(StatusCode::BAD_REQUEST, page);
            }
            SignInFailure::Cancelled => {
                let page = pages::sign_in_cancelled(&request.client.host, start_url);
                return answer::page(StatusCode::FORBIDDEN, page);
            }
            _ => {}
        }
    }
    let Some(Wording { status, code, title, cause, advice }) = Wording::of(failure, issuer) else {
        return store_unavailable(request);
    };
    tracing::warn!(code, %cause, client = ?request.client.ip, "sign-in failed");
    if request.wants_page() {
        let page = pages::sign_in_failed(&SignInFailed { title, cause: &cause, advice, start_url });
        return answer::page(status, page);
    }
    answer::json(status, &json!({"error": code, "error_description": cause}))
}

impl Wording {
    /// `None` for a store that does not answer, which has an answer of its own.
    fn of(failure: &SignInFailure, issuer: &Issuer) -> Option<Self> {
        let bad_request = StatusCode::BAD_REQUEST;
        Some(match failure {
            SignInFailure::NotBegunHere => Self {
                status: bad_request,
                code: "invalid_request",
                title: "",
                cause: "This sign-in was not begun in this browser, is over, or took longer than 10 minutes."
                    .to_owned(),
                advice: "",
            },
            SignInFailure::Cancelled => Self {
                status: StatusCode::FORBIDDEN,
                code: "access_denied",
                title: "",
                cause: "The person chose not to sign in.".to_owned(),
                advice: "",
            },
            SignInFailure::RepeatedParameter => Self {
                status: bad_request,
                code: "invalid_request",
                title: "This address cannot be read",
                cause: "A parameter of the callback came twice, so it is not clear which one counts."
                    .to_owned(),
                advice: "Begin again; the link that led here is not one that Hugging Face makes.",
            },
            SignInFailure::NoCode => Self {
                status: bad_request,
                code: "invalid_request",
                title: "The answer from Hugging Face is incomplete",
                cause: "It holds neither a code nor an error.".to_owned(),
                advice: "Begin again.",
            },
            SignInFailure::WrongIssuer => Self {
                status: bad_request,
                code: "invalid_issuer",
                title: "The answer comes from another provider",
                cause: format!("It should come from {}.", issuer.as_str()),
                advice: "Begin again from the app itself. Somebody may have sent you a link meant to sign you in elsewhere.",
            },
            SignInFailure::Provider { error, description } => Self {
                status: StatusCode::BAD_GATEWAY,
                code: "provider_error",
                title: "Hugging Face ended the sign-in",
                cause: format!(
                    "It says: {error}{}{description}.",
                    if description.is_empty() { "" } else { ", " }
                ),
                advice: "Try again. If it happens again, the people who run this app need to look at its settings at Hugging Face.",
            },
            SignInFailure::Exchange(error) => Self::of_exchange(error),
            SignInFailure::StoreUnavailable => return None,
        })
    }

    fn of_exchange(error: &SignInError) -> Self {
        match error {
            error if is_passing(error) => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: "temporarily_unavailable",
                title: "Hugging Face does not answer",
                cause: format!("What went wrong: {error}."),
                advice: "Wait a moment, then try again.",
            },
            SignInError::Token(TokenError::Refused { error, description }) if error == "invalid_grant" => {
                Self {
                    status: StatusCode::BAD_REQUEST,
                    code: "invalid_grant",
                    title: "Hugging Face did not accept the answer",
                    cause: format!("It says: {error} {description}."),
                    advice: "The code may have expired or been used before. Begin again.",
                }
            }
            error => Self {
                status: StatusCode::BAD_GATEWAY,
                code: "provider_error",
                title: "Hugging Face's answer cannot be trusted",
                cause: format!("What is wrong with it: {error}."),
                advice: "Nobody was signed in. If trying again does not help, the people who run this app need to look at it.",
            },
        }
    }
}

/// Whether trying again in a moment may help.
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
