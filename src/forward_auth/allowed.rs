//! The answer to a proxy whose client may enter.

use bytes::Bytes;
use http::Response;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use super::contract::Contract;
use crate::identity::headers::ACCESS_TOKEN;
use crate::identity::{RenderedIdentity, SignedAssertion};
use crate::respond::answer;

/// The names of a session cookie's lines, where a proxy can pass on only one of each
/// name. It has one of these names, and the others have the further ones.
const SET_COOKIES: [HeaderName; 5] = [
    HeaderName::from_static("x-huggate-set-cookie-1"),
    HeaderName::from_static("x-huggate-set-cookie-2"),
    HeaderName::from_static("x-huggate-set-cookie-3"),
    HeaderName::from_static("x-huggate-set-cookie-4"),
    HeaderName::from_static("x-huggate-set-cookie-5"),
];

/// What the proxy is told to pass on.
pub(crate) struct Allowed<'a> {
    /// Every header that carries identity. Those without a value are answered empty, so
    /// that the proxy overwrites what the client sent.
    pub(crate) names: &'a [HeaderName],
    pub(crate) identity: Option<&'a RenderedIdentity>,
    /// The assertion, and the headers that carry it.
    pub(crate) assertion: Option<(&'a [HeaderName], &'a SignedAssertion)>,
    /// Whether the answer goes to a trusted proxy. A browser may ask too, where there
    /// are no routes, and scripts of its page can read the answer.
    pub(crate) trusted: bool,
    /// `Cookie` and `Authorization` as the app may see them, for a trusted proxy.
    pub(crate) cookie: HeaderValue,
    pub(crate) authorization: HeaderValue,
    /// The session's new cookie, if it is time for one.
    pub(crate) renewal: Option<&'a [HeaderValue]>,
}

/// The answer that lets the client's request pass.
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
    // Chunks have names that scripts can read, and an untrusted peer may be a script.
    let renewal =
        allowed.renewal.filter(|lines| allowed.trusted || contract != Contract::Nginx || lines.len() == 1);
    if let Some(lines) = renewal {
        renew(contract, headers, lines);
    }
    response
}

/// Adds the session's new cookie. nginx passes on one line of a name: the chunks of a
/// session have a name each, so that the browser never gets one chunk of the new session
/// beside another of the old.
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
