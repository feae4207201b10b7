//! Requests that the listener answers itself, before the service sees them.

use http::StatusCode;

/// Why a request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// A raw `#` in the target of an HTTP/1 request.
    RawFragment,
    /// More header lines than `limits.headers` allows.
    TooManyHeaders,
    /// CONNECT for a protocol other than WebSocket.
    UnsupportedConnect,
    /// The random generator failed, so there is no `Sec-WebSocket-Key`.
    NoRandomness,
}

impl Rejection {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::RawFragment => StatusCode::BAD_REQUEST,
            Self::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            // RFC 9220, section 3.
            Self::UnsupportedConnect => StatusCode::NOT_IMPLEMENTED,
            Self::NoRandomness => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body of the response.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::RawFragment => "the request target contains a raw #; encode it as %23\n",
            Self::TooManyHeaders => "the request has too many headers\n",
            Self::UnsupportedConnect => "CONNECT is only supported for WebSockets\n",
            Self::NoRandomness => "an internal error occurred\n",
        }
    }
}
