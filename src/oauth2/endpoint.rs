//! The endpoints by name.

use http::Method;

/// One of our endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Start,
    Callback,
    SignIn,
    SignOut,
    Userinfo,
    Jwks,
    Healthz,
    Readyz,
}

impl Endpoint {
    /// The endpoint of what follows the prefix in a path, its slash included; `None`, if
    /// there is none of this name.
    pub(crate) fn named(rest: &str) -> Option<Self> {
        Some(match rest.strip_prefix('/')? {
            "start" => Self::Start,
            "callback" => Self::Callback,
            "sign_in" => Self::SignIn,
            "sign_out" => Self::SignOut,
            "userinfo" => Self::Userinfo,
            "jwks.json" => Self::Jwks,
            "healthz" => Self::Healthz,
            "readyz" => Self::Readyz,
            _ => return None,
        })
    }

    /// Whether the endpoint has an answer to `method`.
    pub(super) fn takes(self, method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD) || (self == Self::SignOut && *method == Method::POST)
    }
}
