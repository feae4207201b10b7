//! `X-Forwarded-*` for the app: added to requests, and removed if an untrusted peer sent
//! them.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};

use super::resolve::Client;
use super::trusted_proxies::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, forwarded_chain};
use super::{Peer, PeerRef};

/// Longer names are not known to app servers.
const LONGEST: usize = 64;

/// The maximum length of an IPv4 address as text.
const LONGEST_IPV4: usize = 15;

/// Folded names of headers that describe the client or the original request. They are
/// removed in every spelling that app servers fold together.
const CLAIMS: &[&[u8]] = &[
    b"forwarded",
    b"xrealip",
    b"xclientip",
    b"trueclientip",
    b"xclusterclientip",
    b"xoriginalurl",
    b"xoriginaluri",
    b"xoriginalhost",
    b"xoriginalmethod",
    b"xoriginalforwardedfor",
    b"xrewriteurl",
];

/// `X-Forwarded-*` as the app receives them.
#[derive(Debug)]
pub(crate) struct ForwardedHeaders {
    pub(crate) x_forwarded_for: Option<HeaderValue>,
    pub(crate) x_forwarded_proto: HeaderValue,
    pub(crate) x_forwarded_host: Option<HeaderValue>,
}

impl ForwardedHeaders {
    /// Sets the fields.
    pub(crate) fn set(self, headers: &mut HeaderMap) {
        if let Some(chain) = self.x_forwarded_for {
            headers.insert(X_FORWARDED_FOR, chain);
        }
        headers.insert(X_FORWARDED_PROTO, self.x_forwarded_proto);
        if let Some(host) = self.x_forwarded_host {
            headers.insert(X_FORWARDED_HOST, host);
        }
    }
}

impl Peer {
    fn ip(&self) -> Option<IpAddr> {
        self.addr.map(|addr| addr.ip().to_canonical())
    }

    /// Its address as a field value.
    pub(crate) fn address(&self) -> Option<HeaderValue> {
        self.ip().and_then(address)
    }
}

impl Client {
    /// The forwarding headers for the app. The chain of a trusted proxy is continued, also
    /// one in `Forwarded`; any other starts with the peer. `https`: whether the public URL uses https; `host`: the
    /// `Host` that the app gets.
    pub(crate) fn forwarded_headers(
        &self,
        peer: PeerRef<'_>,
        https: bool,
        host: Option<&HeaderValue>,
        headers: &HeaderMap,
    ) -> ForwardedHeaders {
        let https = if self.trusted { self.https } else { https };
        let as_sent = host.filter(|_| !self.trusted).cloned();
        ForwardedHeaders {
            x_forwarded_for: self.x_forwarded_for(peer, headers),
            x_forwarded_proto: HeaderValue::from_static(if https { "https" } else { "http" }),
            x_forwarded_host: as_sent.or_else(|| HeaderValue::from_str(&self.host).ok()),
        }
    }

    fn x_forwarded_for(&self, peer: PeerRef<'_>, headers: &HeaderMap) -> Option<HeaderValue> {
        if !self.trusted {
            return peer.address.cloned().or_else(|| peer.peer.address());
        }
        let ip = peer.peer.ip()?;
        let mut text = Vec::new();
        for (index, line) in headers.get_all(X_FORWARDED_FOR).iter().enumerate() {
            if index > 0 {
                text.extend_from_slice(b", ");
            }
            text.extend_from_slice(line.as_bytes());
        }
        for ip in forwarded_chain(headers).into_iter().chain([ip]) {
            if !text.is_empty() {
                text.extend_from_slice(b", ");
            }
            text.extend_from_slice(address(ip)?.as_bytes());
        }
        HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
    }
}

/// Whether a header of an untrusted peer is removed because it describes the client or
/// the original request. From a trusted proxy only `Forwarded` is removed, since the gate
/// does not continue it.
pub(crate) fn is_dropped_claim(name: &str, trusted: bool) -> bool {
    if trusted { name == "forwarded" } else { is_claim(name) }
}

/// An address as text. IPv4 addresses, the most common ones, avoid `fmt`, which would
/// dominate the cost of these headers.
fn address(ip: IpAddr) -> Option<HeaderValue> {
    let IpAddr::V4(ip) = ip else { return HeaderValue::try_from(ip.to_string()).ok() };
    let (mut text, mut length) = ([0; LONGEST_IPV4], 0);
    let mut push = |byte| {
        if let Some(slot) = text.get_mut(length) {
            *slot = byte;
            length += 1;
        }
    };
    for (index, byte) in ip.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if byte >= 100 {
            push(b'0' + byte / 100);
        }
        if byte >= 10 {
            push(b'0' + byte / 10 % 10);
        }
        push(b'0' + byte % 10);
    }
    HeaderValue::from_bytes(text.get(..length)?).ok()
}

/// Whether a header describes the client or the original request.
fn is_claim(name: &str) -> bool {
    // The first letter excludes nearly every header.
    if !name.bytes().find(u8::is_ascii_alphanumeric).is_some_and(|first| matches!(first, b'x' | b'f' | b't'))
    {
        return false;
    }
    let mut folded = [0; LONGEST];
    let mut length = 0;
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
        let Some(slot) = folded.get_mut(length) else { return false };
        *slot = byte;
        length += 1;
    }
    let folded = folded.get(..length).unwrap_or_default();
    folded.starts_with(b"xforwarded") || CLAIMS.contains(&folded)
}

#[cfg(test)]
mod tests {
    use http::header::{HOST, HeaderName};

    use super::*;

    fn written(trusted: bool, incoming: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers: HeaderMap = incoming
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        headers.insert(HOST, HeaderValue::from_static("app.example.com"));
        let client = Client { ip: None, host: "outer.example.com".into(), https: true, trusted };
        let peer = Peer { addr: Some(([10, 0, 0, 1], 9).into()), tls: false };
        let forwarded = client.forwarded_headers((&peer).into(), false, headers.get(HOST), &headers);
        let dropped: Vec<HeaderName> =
            headers.keys().filter(|name| is_dropped_claim(name.as_str(), trusted)).cloned().collect();
        for name in dropped {
            headers.remove(name);
        }
        forwarded.set(&mut headers);
        headers
    }

    #[test]
    fn forwarding_headers_of_an_untrusted_peer_are_removed_in_every_spelling() {
        let claims = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x_forwarded_for", "1.1.1.1"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/evil"),
            ("x.forwarded.port", "1"),
            ("forwarded", "for=1.1.1.1"),
            ("x-real-ip", "1.1.1.1"),
            ("x-original-url", "/admin"),
            ("x-rewrite-url", "/admin"),
            ("x-request-id", "kept"),
        ];
        let headers = written(false, &claims);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("host", "app.example.com"),
                ("x-forwarded-for", "10.0.0.1"),
                ("x-forwarded-host", "app.example.com"),
                ("x-forwarded-proto", "http"),
                ("x-request-id", "kept"),
            ]
        );
    }

    #[test]
    fn addresses_are_formatted_like_the_standard_library_does() {
        let every_byte = (0..=u8::MAX).map(|byte| IpAddr::from([byte, 0, 255 - byte, byte]));
        for ip in every_byte.chain(["2001:db8::7".parse().unwrap()]) {
            assert_eq!(address(ip).unwrap(), ip.to_string());
        }
    }

    #[test]
    fn an_empty_chain_leaves_no_comma_and_the_host_is_the_one_that_is_sent() {
        let headers = written(true, &[("x-forwarded-for", "")]);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.1");
        let client = Client { ip: None, host: "app.example.com".into(), https: true, trusted: false };
        let peer = Peer { addr: None, tls: false };
        let sent = HeaderValue::from_static("APP.example.com:80");
        let forwarded = client.forwarded_headers((&peer).into(), true, Some(&sent), &HeaderMap::new());
        assert_eq!(forwarded.x_forwarded_host.as_ref(), Some(&sent));
    }

    #[test]
    fn a_trusted_proxys_chain_is_continued() {
        let headers = written(
            true,
            &[("x-forwarded-for", "2.2.2.2"), ("x-forwarded-prefix", "/app"), ("forwarded", "x")],
        );
        assert_eq!(headers["x-forwarded-for"], "2.2.2.2, 10.0.0.1");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "outer.example.com");
        assert_eq!(headers["x-forwarded-prefix"], "/app");
        assert!(!headers.contains_key("forwarded"));
    }
}
