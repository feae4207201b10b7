//! 401: nobody is signed in, and the client cannot be redirected to sign in.

use bytes::Bytes;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

use super::answer;
use crate::pages::{self, Page};

/// RFC 9110, section 15.5.2, requires a challenge; browsers open no dialog for this one.
pub(super) const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"huggate\"");

/// For a program: the error, and a URL where a person can sign in.
pub(crate) fn login_required(sign_in_url: &str) -> Response<Bytes> {
    challenged(answer::json(
        StatusCode::UNAUTHORIZED,
        &json!({
            "error": "login_required",
            "error_description": "Nobody is signed in. Open sign_in_url in a browser to sign in with Hugging Face.",
            "sign_in_url": sign_in_url,
        }),
    ))
}

/// For a page in a frame: a page with a button that opens the sign-in in a tab, since the
/// provider does not allow framing.
pub(crate) fn framed(host: &str, start_url: &str) -> Response<Bytes> {
    const TEXT: &str = "Nobody is signed in. Hugging Face cannot be shown in a frame: sign in in a tab.";
    as_page(TEXT, pages::sign_in_framed(host, start_url))
}

/// For a form: nothing was sent; the person can send it again after signing in.
pub(crate) fn form_not_sent(host: &str, start_url: &str) -> Response<Bytes> {
    const TEXT: &str = "Nobody is signed in any more, and the form was not sent. Sign in in another tab, \
                        then send it again from this one.";
    as_page(TEXT, pages::form_not_sent(host, start_url))
}

fn as_page(text: &str, page: Page) -> Response<Bytes> {
    challenged(answer::error_page(StatusCode::UNAUTHORIZED, "login_required", text, page))
}

fn challenged(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
    response
}
