//! The answer that allows a proxy to forward the request.

use bytes::Bytes;
use http::Response;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use super::contract::Contract;
use crate::identity::headers::ACCESS_TOKEN;
use crate::identity::{RenderedIdentity, SignedAssertion};
use crate::respond::answer;

/// Header names for the lines of a chunked session cookie, for proxies (nginx) that pass
/// on only one line per name.
const SET_COOKIES: [HeaderName; 5] = [
    HeaderName::from_static("x-huggate-set-cookie-1"),
    HeaderName::from_static("x-huggate-set-cookie-2"),
    HeaderName::from_static("x-huggate-set-cookie-3"),
    HeaderName::from_static("x-huggate-set-cookie-4"),
    HeaderName::from_static("x-huggate-set-cookie-5"),
];

/// The headers that the proxy should pass on.
pub(crate) struct Allowed<'a> {
    /// All identity headers. Those without a value are sent empty, so that the proxy
    /// overwrites the client's headers.
    pub(crate) names: &'a [HeaderName],
    pub(crate) identity: Option<&'a RenderedIdentity>,
    /// The assertion, and the names of its headers.
    pub(crate) assertion: Option<(&'a [HeaderName], &'a SignedAssertion)>,
    /// Whether the answer is for a trusted proxy. Without routes, browsers may also send
    /// such requests, and scripts of the page can read the answer.
    pub(crate) trusted: bool,
    /// `Cookie` and `Authorization` as the app should receive them, for a trusted proxy.
    pub(crate) cookie: HeaderValue,
    pub(crate) authorization: HeaderValue,
    /// The session's new cookie, if it is renewed.
    pub(crate) renewal: Option<&'a [HeaderValue]>,
}

/// The answer that allows the request.
pub(crate) fn allowed(contract: Contract, allowed: Allowed<'_>) -> Response<Bytes> {
    let mut response = answer::text(contract.allowed(), "");
    let headers = response.headers_mut();
    headers.reserve(allowed.names.len() + 4);
    for name in allowed.names {
        headers.insert(name.clone(), HeaderValue::from_static(""));
    }
    if let Some(identity) = allowed.identity {
        for (name, value) in identity.headers().iter().chain(identity.auth_request()) {
            if allowed.trusted || *name != ACCESS_TOKEN {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
    if let Some((names, assertion)) = allowed.assertion {
        for name in names {
            headers.insert(name.clone(), assertion.value.clone());
        }
    }
    if allowed.trusted {
        headers.insert(COOKIE, allowed.cookie);
        headers.insert(AUTHORIZATION, allowed.authorization);
    }
    // The header names of chunks are readable by scripts, and an untrusted peer may be a
    // script.
    let renewal =
        allowed.renewal.filter(|lines| allowed.trusted || contract != Contract::Nginx || lines.len() == 1);
    if let Some(lines) = renewal {
        renew(contract, headers, lines);
    }
    response
}

/// Adds the session's new cookie. nginx passes on one line per name, so each chunk of a
/// session gets a name of its own. The browser never gets one chunk of the new session
/// next to another of the old one.
fn renew(contract: Contract, headers: &mut HeaderMap, lines: &[HeaderValue]) {
    match (contract, lines) {
        (Contract::Nginx, [_, _, ..]) => {
            for (name, line) in SET_COOKIES.into_iter().zip(lines) {
                headers.insert(name, line.clone());
            }
        }
        _ => {
            for line in lines {
                headers.append(SET_COOKIE, line.clone());
            }
        }
    }
}
