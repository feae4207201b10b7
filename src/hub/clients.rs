//! Registered applications: what they may ask for, where they may be sent back.

use std::fmt;

use url::Url;

use super::random;

/// Every scope that is known (card, section 2).
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

/// An access token lives this long unless the application says otherwise: 8 hours.
const TOKEN_LIFETIME: u64 = 28_800;

/// A registered application.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// The client id.
    pub id: String,
    /// The secret; `None` is a public client, which has PKCE alone.
    pub secret: Option<String>,
    /// The name on the consent page.
    pub name: String,
    /// Where people may be sent back to.
    pub redirect_uris: Vec<String>,
    /// Any `http` address of this machine will do as well: for developing
    /// before it is known where the app will listen. Hugging Face has no such thing.
    pub any_loopback_redirect: bool,
    /// The scopes it may ask for.
    pub scopes: Vec<String>,
    /// How many seconds its access tokens live.
    pub token_lifetime: u64,
}

impl Client {
    /// A confidential client that may ask for every scope.
    #[must_use]
    pub fn confidential(id: &str, secret: &str, name: &str, redirect_uris: &[&str]) -> Self {
        Self { secret: Some(secret.to_owned()), ..Self::public(id, name, redirect_uris) }
    }

    /// A public client that may ask for every scope.
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

    /// A confidential client with a fresh id and secret that may be sent back
    /// to any address of this machine.
    #[must_use]
    pub fn for_development(name: &str) -> Self {
        Self {
            any_loopback_redirect: true,
            ..Self::confidential(&random::uuid(), &fresh_secret(), name, &[])
        }
    }

    /// Whether people may be sent back to `asked`.
    pub(super) fn redirects_to(&self, asked: &str) -> bool {
        // RFC 6749, section 3.1.2: no fragment. The others would end up in a
        // header or be read differently by the browser.
        let plain = asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
        plain
            && (self.redirect_uris.iter().any(|known| known == asked || same_but_port(known, asked))
                || (self.any_loopback_redirect && loopback(asked).is_some()))
    }

    /// The first of `scopes` that the application may not ask for.
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

/// A client secret in Hugging Face's shape.
pub(super) fn fresh_secret() -> String {
    format!("oauth_app_secret_{}", random::alphanumeric(34))
}

/// The loopback rule (RFC 8252, section 7.3; card, section 3): any port, if all
/// else is equal to the letter, the spelling of the host included.
fn same_but_port(known: &str, asked: &str) -> bool {
    matches!((loopback(known), loopback(asked)), (Some(known), Some(asked)) if known == asked)
}

/// An `http` address of this machine, cut into what stands before the port and
/// what stands after it.
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
    // What the pieces say must be what a browser would open.
    let opened = Url::parse(uri).ok()?;
    (opened.host_str() == Some(host)).then_some((authority.get(..start + host.len())?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_exact_but_for_a_loopback_port() {
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
    fn a_client_for_development_goes_anywhere_on_this_machine_only() {
        let client = Client::for_development("App");
        assert!(client.redirects_to("http://127.0.0.1:4180/oauth2/callback"));
        assert!(!client.redirects_to("https://127.0.0.1:4180/oauth2/callback"));
        assert!(!client.redirects_to("http://example.com/oauth2/callback"));
        assert!(!format!("{client:?}").contains("oauth_app_secret_"));
    }
}
