//! A borrowed view of a request, which decisions are made from.
//!
//! One view is made from HTTP/1.1, HTTP/2, an extended CONNECT, a forward-auth
//! description and the layer's request alike, and decisions look at nothing else. What
//! is judged is what is sent: the path in it is forwarded byte for byte.

use std::net::IpAddr;

use http::Method;
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, HeaderMap, HeaderValue, ORIGIN, TRANSFER_ENCODING,
};
use http::request::Parts;

use crate::client::{Client, FieldSet, RequestHead, wants_websocket};
use crate::policy::{PreflightHeaders, requested_method};

/// A request as it is judged.
#[derive(Clone, Copy)]
pub(crate) struct RequestView<'a> {
    /// `GET` for an extended CONNECT, which opens what a GET would (RFC 8441,
    /// section 5).
    pub(crate) method: &'a Method,
    /// As it was sent; not a path for `*` and for the authority of a CONNECT.
    pub(crate) path: &'a str,
    pub(crate) host: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) opens_websocket: bool,
    /// The client's address, for limits; rules do not see it.
    pub(crate) address: Option<IpAddr>,
}

impl<'a> RequestView<'a> {
    /// The view of a request, in whatever version of HTTP it came.
    pub(crate) fn of(head: RequestHead<'a>, client: &'a Client) -> Self {
        // With a path it is an extended CONNECT.
        let connect = *head.method == Method::CONNECT;
        Self {
            method: if connect { &Method::GET } else { head.method },
            path: head.uri.path(),
            host: &client.host,
            headers: head.headers,
            opens_websocket: connect || (head.fields.has(FieldSet::UPGRADE) && wants_websocket(head.headers)),
            address: client.ip,
        }
    }

    /// The view of a request that forward auth describes.
    pub(crate) fn described(parts: &'a Parts, client: &'a Client) -> Self {
        Self {
            method: &parts.method,
            path: parts.uri.path(),
            host: &client.host,
            headers: &parts.headers,
            opens_websocket: wants_websocket(&parts.headers),
            address: client.ip,
        }
    }

    /// The value of `Origin`; empty unless there is exactly one.
    pub(crate) fn origin(&self) -> &'a [u8] {
        the_origin(self.headers).map(HeaderValue::as_bytes).unwrap_or_default()
    }

    /// The method that it asks about, if it is a CORS preflight.
    pub(crate) fn preflight(&self) -> Option<Method> {
        if *self.method != Method::OPTIONS {
            return None;
        }
        let mut requested = self.headers.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
        let first = requested.next().filter(|_| requested.next().is_none());
        let body = self.headers.contains_key(TRANSFER_ENCODING)
            || self.headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0");
        let headers = PreflightHeaders {
            origins: self.headers.get_all(ORIGIN).iter().count(),
            requested_method: first.map(HeaderValue::as_bytes),
            body,
        };
        requested_method(self.method, headers)
    }
}

/// The only `Origin` of a request.
pub(crate) fn the_origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut origins = headers.get_all(ORIGIN).iter();
    origins.next().filter(|_| origins.next().is_none())
}
