//! The return address of a sign-in or sign-out: `rd`, parsed once.

use url::Url;

use crate::client::PublicUrl;

/// The maximum length of an address. A longer one is lost: the sign-in ends on a page that
/// says so. Servers in front accept 8 kB for a request line.
pub(super) const MAX_ADDRESS: usize = 16 * 1024;

/// Hosts that a sign-in may return to, besides the gate's own.
#[derive(Debug, Clone, Default)]
pub struct ReturnHosts(Vec<HostPattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct HostPattern {
    name: String,
    /// `*.`: every subdomain, and not the name itself.
    below: bool,
    port: Option<u16>,
}

/// Why a text is not a return host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a host name, as in \"app.example.com\" or \"*.example.com\"")]
#[non_exhaustive]
pub struct ReturnHostError;

impl ReturnHosts {
    /// Parses `app.example.com` and `*.example.com`, each with or without a port.
    ///
    /// # Errors
    /// [`ReturnHostError`] for the first entry that is not of that form.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, ReturnHostError> {
        entries.into_iter().map(HostPattern::parse).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn contains(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let port = url.port();
        self.0.iter().any(|pattern| {
            let name = if pattern.below {
                host.strip_suffix(&pattern.name)
                    .and_then(|below| below.strip_suffix('.'))
                    .is_some_and(|below| !below.is_empty())
            } else {
                host == pattern.name
            };
            name && port == pattern.port
        })
    }
}

impl HostPattern {
    fn parse(entry: &str) -> Result<Self, ReturnHostError> {
        let (below, rest) = match entry.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, entry),
        };
        // The host as the URL parser normalizes it: lower case, IDN as punycode.
        let url = Url::parse(&format!("https://{rest}/")).map_err(|_| ReturnHostError)?;
        let name = url.host_str().filter(|_| !rest.is_empty()).ok_or(ReturnHostError)?;
        let plain = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty();
        if !plain || rest.contains(['/', '*', '@', '\\']) || (below && !name.contains('.')) {
            return Err(ReturnHostError);
        }
        Ok(Self { name: name.to_owned(), below, port: url.port() })
    }
}

/// An address that every browser resolves to our origin or to a listed host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReturnTo {
    address: String,
    /// Whether the address was too long, and `address` is the root instead.
    lost: bool,
}

impl ReturnTo {
    /// The root of the app.
    pub(crate) fn root() -> Self {
        Self::of("/".to_owned())
    }

    /// The value for `Location`: a path on our origin, or a URL of a listed host.
    pub(crate) fn as_str(&self) -> &str {
        &self.address
    }

    /// Whether the address was too long to be kept.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// The root, in place of an address that was too long.
    pub(crate) fn lost() -> Self {
        Self { lost: true, ..Self::root() }
    }

    fn of(address: String) -> Self {
        Self { address, lost: false }
    }

    /// Parses an `rd` parameter; an invalid one becomes `/`.
    ///
    /// The text is parsed by the algorithm that browsers use (WHATWG URL). The result is
    /// validated, and its serialization is what is sent, so a browser cannot interpret it
    /// differently.
    pub(crate) fn parse(rd: &str, own: &PublicUrl, prefix: &str, hosts: &ReturnHosts) -> Self {
        if rd.len() > MAX_ADDRESS {
            return Self::lost();
        }
        Self::checked(rd, own, prefix, hosts).unwrap_or_else(Self::root)
    }

    fn checked(rd: &str, own: &PublicUrl, prefix: &str, hosts: &ReturnHosts) -> Option<Self> {
        // Browsers drop tabs and line breaks and treat `\` as `/`. No legitimate address
        // contains them.
        let honest = !rd.chars().any(|c| c.is_control() || c == '\\' || c.is_whitespace());
        if !honest {
            return None;
        }
        let base = Url::parse(own.as_str()).ok()?;
        let url = if rd.starts_with('/') {
            // `//host` would name another host.
            if rd.starts_with("//") {
                return None;
            }
            base.join(rd).ok()?
        } else {
            Url::parse(rd).ok().filter(|_| rd.contains("://"))?
        };
        if url.origin() == base.origin() {
            let path = &url.as_str().get(url.origin().ascii_serialization().len()..)?;
            // A path that starts with two slashes would name a host, and one of our own
            // endpoints would cause a redirect loop.
            let rest = url.path().strip_prefix(prefix);
            let ours = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            // The one that is a page for whoever is signed in.
            let ours = ours && !(rest == Some("/sessions") && url.query().is_none());
            let sound =
                url.username().is_empty() && path.starts_with('/') && !path.starts_with("//") && !ours;
            return sound.then(|| Self::of((*path).to_owned()));
        }
        let sound = url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && hosts.contains(&url);
        sound.then(|| Self::of(url.into()))
    }

    /// A short name for the address: its host, or the path.
    pub(crate) fn name(&self) -> &str {
        match self.address.strip_prefix("https://") {
            Some(rest) => rest.split('/').next().unwrap_or(rest),
            None => &self.address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rd: &str) -> String {
        let own = PublicUrl::parse("https://app.example.com").unwrap();
        let hosts =
            ReturnHosts::parse(["docs.example.com", "*.apps.example.com", "dev.example.com:8443"]).unwrap();
        ReturnTo::parse(rd, &own, "/oauth2", &hosts).address
    }

    #[test]
    fn local_paths_and_listed_hosts_are_kept_with_query_and_fragment() {
        for rd in [
            "/",
            "/reports/42?tab=2&x=%2Fy#part",
            "/caf%C3%A9",
            "/a//b",
            "/?next=https://evil.example",
            "https://docs.example.com/x?y=1",
            "https://a.b.apps.example.com/",
            "https://dev.example.com:8443/",
            "/oauth2x",
        ] {
            assert_eq!(parse(rd), rd);
        }
        assert_eq!(parse("https://app.example.com/a?b#c"), "/a?b#c");
        assert_eq!(parse("https://app.example.com:443/a"), "/a");
        assert_eq!(parse("/café"), "/caf%C3%A9");
    }

    #[test]
    fn addresses_that_a_browser_could_resolve_to_another_site_become_the_root() {
        for rd in [
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/%0d%0aLocation: x\r\n",
            "\t//evil.example",
            " //evil.example",
            "https://evil.example",
            "https:evil.example",
            "https:/evil.example",
            "http://docs.example.com/",
            "https://docs.example.com.evil.example/",
            "https://evildocs.example.com/",
            "https://docs.example.com@evil.example/",
            "https://evil.example\\@docs.example.com/",
            "https://user@docs.example.com/",
            "https://docs.example.com:444/",
            "https://apps.example.com/",
            "https://docs。example。com.evil.example/",
            "https://evil.example/docs.example.com",
            "https://evil.example#docs.example.com",
            "https://[::1]/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/..//evil.example",
            "/.//evil.example",
            "/%2e%2e//evil.example",
            "/a/..//evil.example",
            "",
            "evil.example",
            "?x",
            "#x",
            "/oauth2/sign_out",
            "/oauth2",
            "/x/../oauth2/start",
            "https://app.example.com/oauth2/start",
            "https://app.example.com//evil.example",
            "https://me@app.example.com/x",
        ] {
            assert_eq!(parse(rd), "/", "{rd:?}");
        }
        assert_eq!(parse(&format!("/{}", "a".repeat(MAX_ADDRESS))), "/");
    }

    #[test]
    fn a_pattern_is_a_host_or_all_its_subdomains() {
        for entry in
            ["", "*", "*.com", "https://x.example", "x.example/path", "a@b.example", "x y", "**.example.com"]
        {
            assert!(ReturnHosts::parse([entry]).is_err(), "{entry}");
        }
        assert!(ReturnHosts::parse(["MÜNCHEN.example", "localhost", "*.a.example"]).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_address_leads_to_another_host(rd in "[/\\\\:@.#?%\t\na-z0-9。-]{0,40}") {
            let own = Url::parse("https://app.example.com/x").unwrap();
            let target = own.join(&parse(&rd)).unwrap();
            let host = target.host_str().unwrap();
            proptest::prop_assert!(host.ends_with("example.com"), "{rd:?} leads to {target}");
        }
    }
}
