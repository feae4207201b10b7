//! The client of a request: the peer, or the client that trusted proxies forward for.

use std::net::IpAddr;
use std::sync::Arc;

use super::Peer;
use super::host::{NoHost, checked, requested_host};
use super::request_head::RequestHead;
use super::trusted_proxies::TrustedProxies;

/// The origin of the public URL, as requests are compared with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnOrigin<'a> {
    /// Normalized.
    pub(crate) host: &'a Arc<str>,
    pub(crate) https: bool,
}

/// The client of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// The rightmost address that is not a trusted proxy's.
    pub ip: Option<IpAddr>,
    /// The requested host in lower case, with its port if there was one.
    pub host: Arc<str>,
    /// Whether the client used https, according to the peer or a trusted proxy. A trusted
    /// proxy that does not say means the public URL's scheme.
    pub https: bool,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
}

impl Client {
    /// The client of a request. `X-Forwarded-*` and `Forwarded` are used only if `peer`
    /// is a trusted proxy. `own` is what most requests have.
    ///
    /// # Errors
    /// [`NoHost`], if the request does not name exactly one host.
    pub(crate) fn resolve(
        peer: Option<&Peer>,
        head: RequestHead<'_>,
        trusted_proxies: &TrustedProxies,
        own: OwnOrigin<'_>,
    ) -> Result<Self, NoHost> {
        let trusted = peer.is_some_and(|peer| trusted_proxies.trusts(peer));
        let mut client = Self {
            ip: peer.and_then(|peer| peer.addr).map(|addr| addr.ip().to_canonical()),
            host: checked(requested_host(head.headers, head.uri, head.version)?, own.host)?,
            https: peer.is_some_and(|peer| peer.tls),
            trusted,
        };
        if trusted {
            let forwarded = trusted_proxies.read(head.headers);
            client.ip = forwarded.ip.or(client.ip);
            client.https = forwarded.https.unwrap_or(own.https);
            client.host = forwarded.host.map_or(client.host, Arc::from);
        }
        Ok(client)
    }

    /// Whether a trusted proxy says that the client used http where the public URL is
    /// `https`: cookies with `Secure` would not be kept.
    pub(crate) fn is_insecure(&self, https: bool) -> bool {
        https && self.trusted && !self.https
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn client(peer: &str, headers: &[(&str, &str)]) -> Result<Client, NoHost> {
        client_of(peer, headers, false)
    }

    /// `https`: whether the public URL is.
    fn client_of(peer: &str, headers: &[(&str, &str)], https: bool) -> Result<Client, NoHost> {
        let mut request = http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let peer = Peer { addr: Some(SocketAddr::new(peer.parse().unwrap(), 9)), tls: false };
        let trusted =
            TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()]);
        Client::resolve(
            Some(&peer),
            (&parts).into(),
            &trusted,
            OwnOrigin { host: &"app.example.com".into(), https },
        )
    }

    fn ip(peer: &str, headers: &[(&str, &str)]) -> String {
        let mut with_host = vec![("host", "app.example.com")];
        with_host.extend(headers);
        client(peer, &with_host).unwrap().ip.unwrap().to_string()
    }

    #[test]
    fn forwarding_headers_of_an_untrusted_peer_are_ignored() {
        let headers = [
            ("host", "app.example.com"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=1.1.1.1;proto=https;host=evil.example"),
        ];
        let client = client("203.0.113.9", &headers).unwrap();
        assert_eq!(client.ip.unwrap().to_string(), "203.0.113.9");
        assert_eq!((&*client.host, client.https), ("app.example.com", false));
    }

    #[test]
    fn trusted_hops_are_read_from_the_right() {
        let xff = |value: &'static str| [("x-forwarded-for", value)];
        assert_eq!(
            ip("10.0.0.1", &xff("1.1.1.1, 2.2.2.2")),
            "2.2.2.2",
            "the leftmost was written by the client"
        );
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
    fn scheme_and_host_come_from_the_outermost_trusted_proxy() {
        let headers = [
            ("host", "inner"),
            ("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.2"),
            ("x-forwarded-proto", "http, https, http"),
            ("x-forwarded-host", "evil.example, app.example.com, inner"),
        ];
        let client = client("10.0.0.1", &headers).unwrap();
        assert_eq!((&*client.host, client.https), ("app.example.com", true));
    }

    #[test]
    fn a_trusted_proxy_that_does_not_say_means_the_scheme_of_the_public_url() {
        for (peer, proto, https, expected) in [
            ("10.0.0.1", None, true, true),
            ("10.0.0.1", None, false, false),
            ("10.0.0.1", Some(("x-forwarded-proto", "http")), true, false),
            ("10.0.0.1", Some(("x-forwarded-proto", "https")), false, true),
            ("10.0.0.1", Some(("forwarded", "for=1.1.1.1")), true, true),
            ("10.0.0.1", Some(("forwarded", "for=1.1.1.1;proto=http")), true, false),
            ("203.0.113.9", None, true, false),
        ] {
            let headers: Vec<_> = [("host", "app.example.com")].into_iter().chain(proto).collect();
            let client = client_of(peer, &headers, https).unwrap();
            assert_eq!(client.https, expected, "{peer} {proto:?} {https}");
            assert_eq!(client.is_insecure(https), https && client.trusted && !expected);
        }
    }

    #[test]
    fn a_request_must_name_exactly_one_host() {
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
            assert_eq!(client("203.0.113.9", &[("host", host)]).unwrap().host.as_ref(), normalized);
        }
    }
}
