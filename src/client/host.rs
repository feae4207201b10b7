//! The host of a request, normalized for comparison.

use std::net::Ipv6Addr;
use std::sync::Arc;

use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderMap, Uri, Version};

/// The request does not name exactly one host (RFC 9112, section 3.2), or names it for a
/// scheme that is not HTTP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request does not name exactly one host")]
pub(crate) struct NoHost;

/// The host of the request: exactly one, and the same in an absolute target as in `Host`.
/// RFC 9112, section 3.2.2, says to ignore `Host` then, but two different hosts are an
/// attempt to be interpreted in two ways. `https` passes on a plain connection, since TLS may
/// end in front of it; it does not make the request secure.
pub(crate) fn requested_host<'a>(
    headers: &'a HeaderMap,
    uri: &'a Uri,
    version: Version,
) -> Result<&'a str, NoHost> {
    if uri.scheme().is_some_and(|scheme| !is_http(scheme)) {
        return Err(NoHost);
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().map(|host| host.to_str().map_err(|_| NoHost)).transpose()?;
    if hosts.next().is_some() {
        return Err(NoHost);
    }
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let named = match (host, authority) {
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => return Err(NoHost),
        (Some(named), _) | (None, Some(named)) => named,
        // HTTP/1.0 may omit it; then no route with a host matches.
        (None, None) if version < Version::HTTP_11 => "",
        (None, None) => return Err(NoHost),
    };
    Ok(named)
}

/// Whether a scheme is one of HTTP's. Other resources are not this server's (RFC 9110, section
/// 4.2), nor those that a proxy would fetch.
pub(crate) fn is_http(scheme: &Scheme) -> bool {
    *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS
}

/// Normalizes a host, if all servers parse it alike. `own` is a normalized host that most
/// requests have.
pub(crate) fn checked(named: &str, own: &Arc<str>) -> Result<Arc<str>, NoHost> {
    if *named == **own {
        return Ok(Arc::clone(own));
    }
    if named.is_empty() {
        return Ok(Arc::default());
    }
    if is_authority(named) { Ok(normalized(named).into()) } else { Err(NoHost) }
}

/// Lower case, without a trailing dot and without the default port: one spelling for each
/// host, so that a route's host cannot be bypassed.
pub(crate) fn normalized(host: &str) -> String {
    let (name, port) = name_and_port(host);
    let mut normalized = String::with_capacity(host.len());
    normalized.push_str(name.strip_suffix('.').unwrap_or(name));
    normalized.make_ascii_lowercase();
    if let Some(port) = port.filter(|port| !matches!(*port, "" | "80" | "443")) {
        normalized.push(':');
        normalized.push_str(port);
    }
    normalized
}

/// Splits a host into its name (or bracketed address) and its port.
pub(crate) fn name_and_port(host: &str) -> (&str, Option<&str>) {
    let colon = memchr::memrchr(b':', host.as_bytes());
    match colon.and_then(|colon| Some((host.get(..colon)?, host.get(colon + 1..)?))) {
        Some((name, port)) if !port.as_bytes().contains(&b']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// Whether a text is a host with an optional port that all servers parse alike (RFC 3986,
/// section 3.2): no user name, no second colon, no empty label, no delimiter.
pub(crate) fn is_authority(text: &str) -> bool {
    let (name, port) = name_and_port(text);
    let is_name = |name: &str| {
        let fine = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let mut labels = name.strip_suffix('.').unwrap_or(name).as_bytes().split(|byte| *byte == b'.');
        labels.all(|label| !label.is_empty() && label.iter().all(fine))
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    text.len() <= 255
        && port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
        && address.map_or_else(|| is_name(name), |address| address.parse::<Ipv6Addr>().is_ok())
}
