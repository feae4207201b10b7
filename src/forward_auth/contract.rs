//! The contracts of proxies that ask.

use bytes::Bytes;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

/// What an asking proxy can make of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    /// nginx `auth_request`: 202, 401 or 403; anything else is an error to it.
    Nginx,
    /// Traefik and Caddy: 2xx, or an answer to pass on.
    Forward,
    /// Envoy `ext_authz` over HTTP: 200, or an answer to pass on.
    Envoy,
}

impl Contract {
    /// The contract of what follows our prefix in a path, if it is one to ask at.
    pub(crate) fn of(rest: &str) -> Option<Self> {
        match rest.strip_prefix("/auth")? {
            "" => Some(Self::Nginx),
            "/forward" => Some(Self::Forward),
            "/envoy" => Some(Self::Envoy),
            name => name.starts_with("/envoy/").then_some(Self::Envoy),
        }
    }

    pub(super) fn allowed(self) -> StatusCode {
        match self {
            Self::Nginx => StatusCode::ACCEPTED,
            Self::Forward | Self::Envoy => StatusCode::OK,
        }
    }

    /// A refusal as this contract has it.
    pub(crate) fn shape(self, mut response: Response<Bytes>) -> Response<Bytes> {
        if self == Self::Nginx && response.status() != StatusCode::FORBIDDEN {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let challenge = HeaderValue::from_static("Bearer realm=\"huggate\"");
            response.headers_mut().entry(WWW_AUTHENTICATE).or_insert(challenge);
        }
        response
    }
}
