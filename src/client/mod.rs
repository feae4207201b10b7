//! Who is connected: the peer, and what a trusted proxy says of the client
//! behind it; how it asks, and which address people type.

mod public_url;
mod request_kind;
mod x_forwarded;

pub use public_url::{PublicUrl, PublicUrlError};
pub(crate) use request_kind::{Kind, is_cross_site, is_prefetch, speaks_openai, wants_html, wants_websocket};

#[cfg(feature = "proxy")]
use std::any::Any;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
#[cfg(feature = "proxy")]
use std::sync::Arc;

use http::header::{FORWARDED, HOST, HeaderMap, HeaderName};
use http::request::Parts;
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How many proxies in a row are believed at most.
const MAX_HOPS: usize = 16;

/// The other end of the connection, as a request extension. The proxy's listener
/// puts it there; around a service of your own, put it there yourself if you
/// want `trusted_proxies` to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// `None` for a unix socket.
    pub addr: Option<SocketAddr>,
    /// Whether TLS ends at this connection.
    pub tls: bool,
}

/// Marks a request that came as an extended CONNECT for a WebSocket (RFC 8441).
/// The listener hands it on in the words of HTTP/1.1, as a `GET` with `Upgrade`,
/// so that everything behind judges and sends one kind of request. Whoever makes a
/// tunnel of it holds this for as long as the tunnel lasts: to the listener the
/// request is under way until then.
#[cfg(feature = "proxy")]
#[derive(Debug, Clone)]
pub(crate) struct ExtendedConnect(
    #[expect(dead_code, reason = "held, not read")] pub(crate) Arc<dyn Any + Send + Sync>,
);

/// The client of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The first address, from the right, that no trusted proxy has.
    pub ip: Option<IpAddr>,
    /// The host that was asked for, with its port if there was one; lower case.
    pub host: String,
    /// Whether the client spoke https, as far as the peer or a trusted proxy knows.
    pub https: bool,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
}

/// Networks whose word on the client counts; nobody's by default.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
}

/// A request that does not say unmistakably which host it is for
/// (RFC 9112, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request does not name one host")]
pub(crate) struct NoHost;

impl TrustedProxies {
    /// Trusts these networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks: networks.into_iter().map(|network| network.trunc()).collect(), unix: false }
    }

    /// Trusts whoever connects to a unix socket of ours as well.
    #[must_use]
    pub fn with_unix_sockets(self) -> Self {
        Self { unix: true, ..self }
    }

    /// Whether nobody at all is trusted.
    #[cfg(feature = "proxy")]
    pub(crate) fn is_nobody(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether the other end of a connection is trusted.
    pub(crate) fn trusts(&self, peer: &Peer) -> bool {
        peer.addr.map_or(self.unix, |addr| self.contains(addr.ip()))
    }

    fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }
}

impl Client {
    /// The client of a request. What everybody else than a trusted proxy says in
    /// `X-Forwarded-*` or `Forwarded` does not count.
    pub(crate) fn of(parts: &Parts, trusted_proxies: &TrustedProxies) -> Result<Self, NoHost> {
        let peer = parts.extensions.get::<Peer>();
        let peer_ip = peer.and_then(|peer| peer.addr).map(|addr| addr.ip().to_canonical());
        let trusted = peer.is_some_and(|peer| trusted_proxies.trusts(peer));
        let mut client = Self {
            ip: peer_ip,
            host: normalized(requested_host(parts)?),
            https: peer.is_some_and(|peer| peer.tls),
            trusted,
        };
        if trusted {
            client.believe(&parts.headers, trusted_proxies);
        }
        Ok(client)
    }

    /// Walks from the peer towards the client for as long as each hop is trusted.
    fn believe(&mut self, headers: &HeaderMap, trusted_proxies: &TrustedProxies) {
        let forwarded = forwarded(headers);
        let hops: Vec<Option<IpAddr>> = match &forwarded {
            Some(elements) => elements.iter().map(|element| element.ip).collect(),
            None => list(headers, &X_FORWARDED_FOR).map(parse_ip).collect(),
        };
        let mut walked = 0;
        for hop in hops.iter().rev().take(MAX_HOPS) {
            // What cannot be read names nobody; the last known hop stands.
            let Some(ip) = hop else { break };
            self.ip = Some(*ip);
            walked += 1;
            if !trusted_proxies.contains(*ip) {
                break;
            }
        }
        // Scheme and host as the outermost trusted proxy saw them: so many places
        // from the right, or the first where fewer were written.
        let nth_last = |values: Vec<&str>| {
            let index = values.len().saturating_sub(walked.max(1));
            values.get(index).map(|value| (*value).to_owned())
        };
        let (proto, host) = match forwarded {
            Some(elements) => {
                let element = elements.get(elements.len().saturating_sub(walked.max(1)));
                let field = |value: Option<&Option<String>>| value.and_then(Clone::clone);
                (field(element.map(|element| &element.proto)), field(element.map(|element| &element.host)))
            }
            None => (
                nth_last(list(headers, &X_FORWARDED_PROTO).collect()),
                nth_last(list(headers, &X_FORWARDED_HOST).collect()),
            ),
        };
        if let Some(proto) = proto {
            self.https = proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss");
        }
        if let Some(host) = host.filter(|host| is_authority(host)) {
            self.host = normalized(&host);
        }
    }
}

/// The host of the request itself: exactly one, and the same in an absolute
/// target as in `Host` (RFC 9112, section 3.2.2, says to ignore `Host` then; two
/// that differ are an attempt to be read in two ways).
pub(crate) fn requested_host(parts: &Parts) -> Result<&str, NoHost> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().map(|host| host.to_str().map_err(|_| NoHost)).transpose()?;
    if hosts.next().is_some() {
        return Err(NoHost);
    }
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let named = match (host, authority) {
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => return Err(NoHost),
        (Some(named), _) | (None, Some(named)) => named,
        // HTTP/1.0 may leave it out; then there is nothing to compare a route to.
        (None, None) if parts.version < http::Version::HTTP_11 => "",
        (None, None) => return Err(NoHost),
    };
    if named.is_empty() || is_authority(named) { Ok(named) } else { Err(NoHost) }
}

/// Lower case, without the root's dot and without a port that goes without
/// saying: one spelling for each host, so that a route's cannot be passed by.
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

/// A host's name, or its address in brackets, and its port.
pub(crate) fn name_and_port(host: &str) -> (&str, Option<&str>) {
    let colon = memchr::memrchr(b':', host.as_bytes());
    match colon.and_then(|colon| Some((host.get(..colon)?, host.get(colon + 1..)?))) {
        Some((name, port)) if !port.as_bytes().contains(&b']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// A host, and maybe its port, that all servers take apart alike (RFC 3986,
/// section 3.2): no user name, no second colon, no empty label, nothing that ends
/// a field.
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

/// The elements of a comma-separated field, over all its lines.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// One element of `Forwarded` (RFC 7239, section 4).
struct Element {
    ip: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

/// `Forwarded`, if it came and no `X-Forwarded-For` did: whoever writes both
/// writes the older one with more care.
fn forwarded(headers: &HeaderMap) -> Option<Vec<Element>> {
    if headers.contains_key(X_FORWARDED_FOR) || !headers.contains_key(FORWARDED) {
        return None;
    }
    let elements = list(headers, &FORWARDED).map(|element| {
        let mut read = Element { ip: None, proto: None, host: None };
        for pair in element.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => read.ip = parse_ip(value),
                "proto" => read.proto = Some(value.to_owned()),
                "host" => read.host = Some(value.to_owned()),
                _ => {}
            }
        }
        read
    });
    Some(elements.collect())
}

/// An address, with or without a port, brackets or quotes.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let ip = text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|addr| addr.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    ip.or_else(bracketed).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&str, &str)]) -> Result<Client, NoHost> {
        let mut request = http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Peer { addr: Some(SocketAddr::new(peer.parse().unwrap(), 9)), tls: false });
        let trusted =
            TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()]);
        Client::of(&parts, &trusted)
    }

    fn ip(peer: &str, headers: &[(&str, &str)]) -> String {
        let mut with_host = vec![("host", "app.example.com")];
        with_host.extend(headers);
        client(peer, &with_host).unwrap().ip.unwrap().to_string()
    }

    #[test]
    fn a_strangers_word_does_not_count() {
        let headers = [
            ("host", "app.example.com"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=1.1.1.1;proto=https;host=evil.example"),
        ];
        let client = client("203.0.113.9", &headers).unwrap();
        assert_eq!(client.ip.unwrap().to_string(), "203.0.113.9");
        assert_eq!((client.host.as_str(), client.https), ("app.example.com", false));
    }

    #[test]
    fn trusted_hops_are_read_from_the_right() {
        let xff = |value: &'static str| [("x-forwarded-for", value)];
        assert_eq!(ip("10.0.0.1", &xff("1.1.1.1, 2.2.2.2")), "2.2.2.2", "left-most is what a client wrote");
        assert_eq!(ip("10.0.0.1", &xff("1.1.1.1, 2.2.2.2, 10.0.0.2")), "2.2.2.2");
        assert_eq!(ip("::ffff:10.0.0.1", &xff("2.2.2.2")), "2.2.2.2");
        assert_eq!(ip("10.0.0.1", &xff("2.2.2.2, nonsense, 10.0.0.2")), "10.0.0.2");
        assert_eq!(ip("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(
            ip("10.0.0.1", &[("forwarded", "for=1.1.1.1, for=\"[2001:db8::7]:4711\";proto=https")]),
            "2001:db8::7"
        );
    }

    #[test]
    fn scheme_and_host_are_those_the_outermost_trusted_proxy_saw() {
        let headers = [
            ("host", "inner"),
            ("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.2"),
            ("x-forwarded-proto", "http, https, http"),
            ("x-forwarded-host", "evil.example, app.example.com, inner"),
        ];
        let client = client("10.0.0.1", &headers).unwrap();
        assert_eq!((client.host.as_str(), client.https), ("app.example.com", true));
    }

    #[test]
    fn a_request_names_one_host() {
        assert_eq!(client("203.0.113.9", &[]), Err(NoHost));
        assert_eq!(client("203.0.113.9", &[("host", "a"), ("host", "a")]), Err(NoHost));
        for host in ["me@a", "a..", ".a", ".", "a:80:80", "a:x", "[::1", "::1", "[a]", "a]:80", ":80"] {
            assert_eq!(client("203.0.113.9", &[("host", host)]), Err(NoHost), "{host}");
        }
        for (host, normalized) in [
            ("A.example:80", "a.example"),
            ("a.example.", "a.example"),
            ("a.example.:443", "a.example"),
            ("a.example:8080", "a.example:8080"),
            ("[::1]:4180", "[::1]:4180"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(client("203.0.113.9", &[("host", host)]).unwrap().host, normalized);
        }
    }
}
