//! Trusted proxies, and the `X-Forwarded-*` and `Forwarded` headers that they send.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName};
use ipnet::IpNet;

use super::Peer;
use super::host::{is_authority, normalized};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The maximum number of consecutive trusted proxies.
const MAX_HOPS: usize = 16;

/// Networks whose forwarding headers are trusted; empty by default.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
}

/// The client according to trusted proxies.
pub(super) struct Forwarded {
    pub(super) ip: Option<IpAddr>,
    pub(super) https: Option<bool>,
    /// Normalized for comparison.
    pub(super) host: Option<String>,
}

impl TrustedProxies {
    /// Trusts these networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks: networks.into_iter().map(|network| network.trunc()).collect(), unix: false }
    }

    /// Also trusts all peers that connect to a unix socket of the gate.
    #[must_use]
    pub fn with_unix_sockets(self) -> Self {
        Self { unix: true, ..self }
    }

    /// Whether no peer is trusted.
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

    /// Reads the client from the forwarding headers: walks from the peer towards the
    /// client as long as each hop is trusted.
    pub(super) fn read(&self, headers: &HeaderMap) -> Forwarded {
        let forwarded = forwarded(headers);
        let hops: Vec<Option<IpAddr>> = match &forwarded {
            Some(elements) => elements.iter().map(|element| element.ip).collect(),
            None => list(headers, &X_FORWARDED_FOR).map(parse_ip).collect(),
        };
        let (mut walked, mut client) = (0, None);
        for hop in hops.iter().rev().take(MAX_HOPS) {
            // An address that does not parse ends the walk; the last known hop is used.
            let Some(ip) = hop else { break };
            client = Some(*ip);
            walked += 1;
            if !self.contains(*ip) {
                break;
            }
        }
        // Scheme and host as the outermost trusted proxy saw them: the element at the
        // same index from the right, or the first if there are fewer.
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
        let is_https =
            |proto: String| proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss");
        Forwarded {
            ip: client,
            https: proto.map(is_https),
            host: host.filter(|host| is_authority(host)).map(|host| normalized(&host)),
        }
    }
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

/// `Forwarded`, if it is present without `X-Forwarded-For`: proxies that write both
/// maintain the older one more carefully.
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
