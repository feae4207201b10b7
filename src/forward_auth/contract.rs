//! The forward-auth contracts of different proxies.

use bytes::Bytes;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};

/// How a proxy interprets an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    /// nginx `auth_request`: 202, 401 or 403; anything else is an error.
    Nginx,
    /// Traefik and Caddy: 2xx, or an answer that is passed on to the client.
    Forward,
    /// Envoy `ext_authz` over HTTP: 200, or an answer that is passed on to the client.
    Envoy,
}

impl Contract {
    /// The contract of the part of a path after the prefix, if it is a forward-auth
    /// endpoint.
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

    /// Converts a refusal to the form that this contract requires.
    pub(crate) fn shape(self, mut response: Response<Bytes>) -> Response<Bytes> {
        if self == Self::Nginx && response.status() != StatusCode::FORBIDDEN {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            let challenge = HeaderValue::from_static("Bearer realm=\"huggate\"");
            response.headers_mut().entry(WWW_AUTHENTICATE).or_insert(challenge);
        }
        response
    }
}
