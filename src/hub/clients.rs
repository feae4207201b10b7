//! Registered clients: their scopes and redirect URIs.

use std::fmt;

use url::Url;

use super::random;
use crate::setters::setters;

/// Every scope that huggingface.co knows.
pub(super) const SCOPES: [&str; 21] = [
    "openid",
    "profile",
    "email",
    "read-memberships",
    "read-billing",
    "read-repos",
    "write-repos",
    "manage-repos",
    "gated-repos",
    "contribute-repos",
    "read-collections",
    "write-collections",
    "inference-api",
    "read-endpoints",
    "write-endpoints",
    "jobs",
    "webhooks",
    "write-discussions",
    "read-mcp",
    "read-network-security",
    "write-network-security",
];

/// Default lifetime of an access token: 8 hours.
const TOKEN_LIFETIME: u64 = 28_800;

/// A registered client.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// The client id.
    pub id: String,
    /// The client secret; `None` for a public client, which uses PKCE alone.
    pub secret: Option<String>,
    /// The name on the consent page.
    pub name: String,
    /// The allowed redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Also accept any `http` loopback redirect URI: for development, before the app's port is
    /// known. huggingface.co has no such option.
    pub any_loopback_redirect: bool,
    /// The scopes it may request.
    pub scopes: Vec<String>,
    /// The lifetime of its access tokens, in seconds.
    pub token_lifetime: u64,
}

impl Client {
    setters!(
        any_loopback_redirect: bool,
        token_lifetime: u64;
        name: into String,
        redirect_uris: into Vec<String>,
        scopes: into Vec<String>,
    );

    /// A confidential client that may request every scope.
    #[must_use]
    pub fn confidential(id: &str, secret: &str, name: &str, redirect_uris: &[&str]) -> Self {
        Self { secret: Some(secret.to_owned()), ..Self::public(id, name, redirect_uris) }
    }

    /// A public client that may request every scope.
    #[must_use]
    pub fn public(id: &str, name: &str, redirect_uris: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            secret: None,
            name: name.to_owned(),
            redirect_uris: redirect_uris.iter().map(|&uri| uri.to_owned()).collect(),
            any_loopback_redirect: false,
            scopes: SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
            token_lifetime: TOKEN_LIFETIME,
        }
    }

    /// A confidential client with a random id and secret that accepts any loopback redirect
    /// URI.
    #[must_use]
    pub fn for_development(name: &str) -> Self {
        Self {
            any_loopback_redirect: true,
            ..Self::confidential(&random::uuid(), &fresh_secret(), name, &[])
        }
    }

    /// Whether `asked` is an allowed redirect URI.
    pub(super) fn redirects_to(&self, asked: &str) -> bool {
        // RFC 6749, section 3.1.2: no fragment. Other characters are not valid in a header, or
        // browsers interpret them differently.
        let plain = asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
        plain
            && (self.redirect_uris.iter().any(|known| known == asked || same_but_port(known, asked))
                || (self.any_loopback_redirect && loopback(asked).is_some()))
    }

    /// The first of `scopes` that the client may not request.
    pub(super) fn forbidden<'a>(&self, scopes: &'a [String]) -> Option<&'a str> {
        scopes.iter().find(|scope| !self.scopes.contains(scope)).map(String::as_str)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A random client secret in huggingface.co's format.
pub(super) fn fresh_secret() -> String {
    format!("oauth_app_secret_{}", random::alphanumeric(34))
}

/// Loopback redirect URIs may use any port (RFC 8252, section 7.3); everything else must be
/// equal, including the spelling of the host.
fn same_but_port(known: &str, asked: &str) -> bool {
    matches!((loopback(known), loopback(asked)), (Some(known), Some(asked)) if known == asked)
}

/// Splits an `http` loopback URI into the parts before and after the port.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let (authority, path) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
    let start = authority.rfind('@').map_or(0, |at| at + 1);
    let address = authority.get(start..)?;
    let host = ["localhost", "127.0.0.1", "[::1]"].into_iter().find(|host| address.starts_with(host))?;
    let port = address.strip_prefix(host)?;
    if !port.is_empty() {
        port.strip_prefix(':')?.parse::<u16>().ok()?;
    }
    // The URL parser must agree about the host, as a browser would.
    let opened = Url::parse(uri).ok()?;
    (opened.host_str() == Some(host)).then_some((authority.get(..start + host.len())?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_match_exactly_except_for_loopback_ports() {
        let known = [
            "https://app.example.com/callback",
            "https://localhost:8443/cb",
            "http://localhost/cb",
            "http://127.0.0.1:4000/cb?x=1",
            "http://[::1]/cb",
            "myapp://cb",
        ];
        let client = Client::public("id", "App", &known);
        for (asked, expected) in [
            ("https://app.example.com/callback", true),
            ("https://app.example.com/callback/", false),
            ("https://app.example.com:443/callback", false),
            ("https://app.example.com/callback?x", false),
            ("https://localhost:9443/cb", false),
            ("http://localhost:9999/cb", true),
            ("http://localhost:99999/cb", false),
            ("http://LOCALHOST:9999/cb", false),
            ("http://localhost:9999/CB", false),
            ("http://localhost:9999/cb#x", false),
            ("http://localhost.evil.example/cb", false),
            ("http://localhost:80@evil.example/cb", false),
            ("http://evil@localhost/cb", false),
            ("http://127.0.0.1/cb?x=1", true),
            ("http://127.0.0.1/cb", false),
            ("http://[::1]:1/cb", true),
            ("myapp://cb", true),
            ("myapp://cb:1", false),
            ("", false),
        ] {
            assert_eq!(client.redirects_to(asked), expected, "{asked}");
        }
    }

    #[test]
    fn a_development_client_accepts_loopback_redirects_only() {
        let client = Client::for_development("App");
        assert!(client.redirects_to("http://127.0.0.1:4180/oauth2/callback"));
        assert!(!client.redirects_to("https://127.0.0.1:4180/oauth2/callback"));
        assert!(!client.redirects_to("http://example.com/oauth2/callback"));
        assert!(!format!("{client:?}").contains("oauth_app_secret_"));
    }
}
