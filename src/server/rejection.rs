//! Requests that the listener answers itself, before the service sees them.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};

/// The fields of every answer of the gate.
const FIELDS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

/// Why a request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The head does not follow the grammar of HTTP.
    Malformed,
    /// A raw `#` in the target.
    RawFragment,
    /// A target longer than the URI parser takes.
    TargetTooLong,
    /// A longer head than `limits.header_bytes` allows; or, with HTTP/1, too many lines.
    HeadTooLarge,
    /// More header lines than `limits.headers` allows.
    TooManyHeaders,
    /// CONNECT for a protocol other than WebSocket.
    UnsupportedConnect,
    /// The random generator failed, so there is no `Sec-WebSocket-Key`.
    NoRandomness,
    /// The service panicked.
    Panicked,
}

impl Rejection {
    /// The rejection that hyper answers with this status, without a body.
    pub(super) fn of_hyper(status: &[u8]) -> Option<Self> {
        match status {
            b"400" => Some(Self::Malformed),
            b"414" => Some(Self::TargetTooLong),
            b"431" => Some(Self::HeadTooLarge),
            _ => None,
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::RawFragment => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge | Self::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            // RFC 9220, section 3.
            Self::UnsupportedConnect => StatusCode::NOT_IMPLEMENTED,
            Self::NoRandomness | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error code of the JSON answer, and of logs.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_request",
            Self::RawFragment => "invalid_target",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLarge | Self::TooManyHeaders => "headers_too_large",
            Self::UnsupportedConnect => "unsupported_connect",
            Self::NoRandomness | Self::Panicked => "internal_error",
        }
    }

    /// One sentence, without characters that HTML or JSON escape.
    fn cause(self) -> &'static str {
        match self {
            Self::Malformed => "The request is not valid HTTP.",
            Self::RawFragment => "The request target contains a raw #. Encode it as %23.",
            Self::TargetTooLong => "The address of this request is too long.",
            Self::HeadTooLarge => {
                "The request has more headers than this server accepts (limits.header_bytes, limits.headers)."
            }
            Self::TooManyHeaders => "The request has too many headers (limits.headers).",
            Self::UnsupportedConnect => "CONNECT is only supported for WebSockets.",
            Self::NoRandomness | Self::Panicked => "An internal error occurred. The log has the details.",
        }
    }

    /// The answer: a page or JSON. Writes the audit line, which the service writes of what
    /// it answers.
    pub(super) fn answer(self, wants_page: bool, client: Option<IpAddr>) -> Response<Bytes> {
        let (status, code, cause) = (self.status(), self.code(), self.cause());
        let decision = if status.is_server_error() { "unavailable" } else { "bad_request" };
        tracing::info!(
            target: "huggate::audit", event = "refused", decision, reason = code, status = status.as_u16(),
            client = client.map(tracing::field::display), "refused",
        );
        let (content_type, body) = if wants_page {
            let title = status.canonical_reason().unwrap_or("Refused");
            let page = format!(
                "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
                 <h1>{title}</h1>\n<p>{cause}</p>\n"
            );
            ("text/html; charset=utf-8", page)
        } else {
            ("application/json", format!(r#"{{"error":"{code}","error_description":"{cause}"}}"#))
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        response.headers_mut().extend(FIELDS);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }

    /// The answer as HTTP/1.1 writes it, at the end of a connection.
    pub(super) fn http1_answer(self, wants_page: bool, client: Option<IpAddr>) -> Bytes {
        let response = self.answer(wants_page, client);
        let mut text = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
        for (name, value) in response.headers() {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        let length = response.body().len();
        text.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
        text.extend_from_slice(response.body());
        text.into()
    }
}
