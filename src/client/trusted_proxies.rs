//! Trusted proxies, and the `X-Forwarded-*` and `Forwarded` headers that they send.

use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::Peer;
use super::forwarded_field::{ForwardedElement, forwarded_elements, node_address};
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

/// A text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network; write it like \"10.0.0.0/8\" or \"192.0.2.1\"")]
#[non_exhaustive]
pub struct NotANetwork(String);

fn network(text: &str) -> Result<IpNet, NotANetwork> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| NotANetwork(text.to_owned()))
}

/// The client according to trusted proxies.
pub(super) struct Forwarded {
    pub(super) ip: Option<IpAddr>,
    pub(super) https: Option<bool>,
    /// Normalized for comparison.
    pub(super) host: Option<String>,
}

impl TrustedProxies {
    /// Parses networks (`10.0.0.0/8`) and single addresses (`192.0.2.1`).
    ///
    /// ```
    /// use huggate::{Gate, TrustedProxies};
    ///
    /// Gate::builder().trusted_proxies(TrustedProxies::parse(["10.0.0.0/8", "fd00::/8"])?);
    /// # Ok::<(), huggate::client::NotANetwork>(())
    /// ```
    ///
    /// # Errors
    /// [`NotANetwork`] for the first that is neither.
    pub fn parse<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, NotANetwork> {
        networks.into_iter().map(network).collect::<Result<_, _>>().map(Self::new)
    }

    /// Trusts these networks.
    #[must_use]
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
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
            None => list(headers, &X_FORWARDED_FOR).map(node_address).collect(),
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

/// The elements of a comma-separated field, over all its lines. A line that is not ASCII is
/// one element that says nothing; without it, the lines before it would be believed.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let text = |value: &'a HeaderValue| value.to_str().unwrap_or("unknown");
    let elements = headers.get_all(name).iter().flat_map(move |value| text(value).split(','));
    elements.map(str::trim).filter(|value| !value.is_empty())
}

/// `Forwarded`, if it is present without `X-Forwarded-For`: proxies that write both
/// maintain the older one more carefully, and those that write only that pass on the
/// `Forwarded` of a client.
fn forwarded(headers: &HeaderMap) -> Option<Vec<ForwardedElement>> {
    let counts = headers.contains_key(FORWARDED) && !headers.contains_key(X_FORWARDED_FOR);
    counts.then(|| forwarded_elements(headers))
}

/// The addresses in `Forwarded`, if it counts, up to the rightmost element that has none:
/// the chain that `X-Forwarded-For` continues. To the left of an unknown hop, nothing says
/// how many there were.
pub(super) fn forwarded_chain(headers: &HeaderMap) -> Vec<IpAddr> {
    let elements = forwarded(headers).unwrap_or_default();
    let unknown = elements.iter().rposition(|element| element.ip.is_none()).map_or(0, |index| index + 1);
    elements.into_iter().skip(unknown).filter_map(|element| element.ip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_ascii_ends_the_walk() {
        let trusted = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(b"\xe9, 203.0.113.7").unwrap());
        assert_eq!(trusted.read(&headers).ip, None, "the line before it is the client's");
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.7, 10.0.0.2"));
        assert_eq!(trusted.read(&headers).ip, Some([203, 0, 113, 7].into()));
    }
}
