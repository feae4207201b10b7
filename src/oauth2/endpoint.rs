//! The endpoints and their names.

use http::Method;

/// An endpoint of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Start,
    Callback,
    SignIn,
    SignOut,
    SignedOut,
    BackchannelLogout,
    Sessions,
    Userinfo,
    Jwks,
    Healthz,
    Readyz,
}

impl Endpoint {
    /// The endpoint for the part of a path after the prefix, including its slash; `None`
    /// if there is no such endpoint.
    pub(crate) fn named(rest: &str) -> Option<Self> {
        Some(match rest.strip_prefix('/')? {
            "start" => Self::Start,
            "callback" => Self::Callback,
            "sign_in" => Self::SignIn,
            "sign_out" => Self::SignOut,
            "signed_out" => Self::SignedOut,
            "backchannel_logout" => Self::BackchannelLogout,
            "sessions" => Self::Sessions,
            "userinfo" => Self::Userinfo,
            "jwks.json" => Self::Jwks,
            "healthz" => Self::Healthz,
            "readyz" => Self::Readyz,
            _ => return None,
        })
    }

    /// Whether a request is a step of a sign-in, which needs cookies.
    pub(crate) fn belongs_to_a_sign_in(self) -> bool {
        matches!(self, Self::Start | Self::Callback | Self::SignIn)
    }

    /// Whether the endpoint supports `method`.
    pub(super) fn takes(self, method: &Method) -> bool {
        let reads = matches!(*method, Method::GET | Method::HEAD) && self != Self::BackchannelLogout;
        reads || (self.takes_post() && *method == Method::POST)
    }

    /// Whether the endpoint needs the body of a request with `method`.
    pub(crate) fn reads_body(self, method: &Method) -> bool {
        self == Self::BackchannelLogout && *method == Method::POST
    }

    /// Whether the endpoint changes something on `POST`.
    pub(super) fn takes_post(self) -> bool {
        matches!(self, Self::SignOut | Self::Sessions | Self::BackchannelLogout)
    }
}
