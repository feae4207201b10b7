//! What the app gets of a request that may enter: who asks, and nothing that was
//! meant for us or claims what is not so.

use std::sync::Arc;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use super::Inner;
use super::grant::Grant;
use crate::authn::withhold;
use crate::client::{Client, Peer};
use crate::identity::headers::folds_to;
use crate::identity::{RenderedIdentity, SignedAssertion, User};
use crate::policy::BearerUse;
use crate::session::Replacement;

/// Headers, folded, by which some frameworks let a client change the method after
/// the fact. A rule for a method would be worth nothing with them.
const METHOD_OVERRIDES: [&[u8]; 3] = [b"xhttpmethodoverride", b"xhttpmethod", b"xmethodoverride"];

/// Headers, folded, that some apps take for the path that was asked for, or for a
/// part of it: Symfony, Zend and IIS the first two, Gunicorn the last two. A rule
/// for a path would be worth nothing with them. A trusted proxy passes on what a
/// client sends under names that it does not know, so they are nobody's.
const PATH_OVERRIDES: [&[u8]; 5] =
    [b"xoriginalurl", b"xrewriteurl", b"xscriptname", b"scriptname", b"pathinfo"];
/// The same, under names that proxies write: theirs stay.
const PATHS_OF_PROXIES: [&[u8]; 4] =
    [b"xoriginaluri", b"xforwardeduri", b"xforwardedpath", b"xforwardedprefix"];

impl Inner {
    /// Tells the app who is asking: the browser's sealed cookie out, headers, the
    /// assertion and the person in. Hop-by-hop headers go first, so that a
    /// client's `Connection` cannot name what is written here.
    pub(crate) fn introduce(&self, parts: &mut Parts, client: Client, grant: &Grant) {
        let cookies = self.oauth2.sessions.cookies();
        drop_connection_options(&mut parts.headers);
        // Ours, which come next, would only be more names to compare.
        self.drop_overrides(client.trusted, &mut parts.headers);
        // An absolute target names the host that was judged; without this the app
        // could be asked at another one (RFC 9112, section 3.2.2).
        if let Some(authority) = parts.uri.authority()
            && !parts.headers.contains_key(HOST)
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            parts.headers.insert(HOST, host);
        }
        // Without a known peer, as around somebody's own service, they stay as
        // that service is used to.
        if let Some(peer) = parts.extensions.get::<Peer>() {
            client.write_forwarded(*peer, self.oauth2.public_url.is_https(), &mut parts.headers);
        }
        self.withhold_authorization(&mut parts.headers, grant);
        let Some(introduction) = grant.introduction() else {
            cookies.rewrite(&mut parts.headers, None);
            // One that a gate or layer outside of this one left is not our word.
            parts.extensions.remove::<User>();
            parts.extensions.insert(client);
            parts.extensions.insert(grant.clone());
            return;
        };
        parts.headers.reserve(introduction.headers().len() + self.assertion_headers.len());
        for (name, value) in introduction.headers() {
            parts.headers.insert(name.clone(), value.clone());
        }
        let assertion = self.assertion(introduction, &client);
        if let Some(assertion) = &assertion {
            for name in &self.assertion_headers {
                parts.headers.insert(name.clone(), assertion.value.clone());
            }
        }
        cookies.rewrite(&mut parts.headers, assertion.as_deref().map(in_place_of_session));
        parts.extensions.insert(introduction.user().clone());
        parts.extensions.insert(client);
        parts.extensions.insert(grant.clone());
    }

    /// Removes what would change the method or the path, in every spelling that app
    /// servers fold together, as is done with identity.
    fn drop_overrides(&self, trusted: bool, headers: &mut HeaderMap) {
        if !self.methods_matter && !self.paths_matter {
            return;
        }
        let overrides = |name: &&HeaderName| {
            let name = name.as_str();
            let is_one_of = |known: &[&[u8]]| known.iter().any(|known| folds_to(name, known));
            // Nearly every header of a request is passed over by its first letter.
            matches!(name.bytes().find(u8::is_ascii_alphanumeric), Some(b'x' | b's' | b'p'))
                && ((self.methods_matter && is_one_of(&METHOD_OVERRIDES))
                    || (self.paths_matter
                        && (is_one_of(&PATH_OVERRIDES) || (!trusted && is_one_of(&PATHS_OF_PROXIES)))))
        };
        let found: Vec<HeaderName> = headers.keys().filter(overrides).cloned().collect();
        for name in found {
            headers.remove(name);
        }
    }

    /// Removes what the app must not see of `Authorization`: all of it where tokens
    /// are taken, what is a token of the provider's elsewhere, nothing where the
    /// route says so.
    pub(crate) fn withhold_authorization(&self, headers: &mut HeaderMap, grant: &Grant) {
        let route = grant.route().and_then(|index| self.policy.routes.get(index));
        if !route.is_some_and(|route| route.forward_authorization) {
            let off = route.is_some_and(|route| route.bearer == BearerUse::Off);
            withhold(headers, self.bearer.is_some() && !off);
        }
    }

    /// Who they are, signed, for the app that `client` asks for.
    pub(crate) fn assertion(
        &self,
        introduction: &RenderedIdentity,
        client: &Client,
    ) -> Option<Arc<SignedAssertion>> {
        let audience = self.audience(client);
        let signed = || introduction.assertion(&self.assertions, &self.origins, audience, self.clock.now());
        self.assertion_enabled.then(signed).flatten()
    }

    /// Which app an assertion is for: the host of a route, or the public URL's.
    fn audience(&self, client: &Client) -> usize {
        let host = self.oauth2.hosts.iter().position(|host| *host == client.host);
        host.map_or(0, |index| index + 1)
    }
}

/// An assertion as the cookie that the app gets.
pub(crate) fn in_place_of_session(minted: &SignedAssertion) -> Replacement<'_> {
    Replacement { value: &minted.token, line: &minted.cookie }
}

/// Whether a header would change the method.
pub(crate) fn is_method_override(name: &HeaderName) -> bool {
    METHOD_OVERRIDES.iter().any(|known| folds_to(name.as_str(), known))
}

/// Whether a header would change the path, and describes no request to us either.
pub(crate) fn is_path_override(name: &HeaderName) -> bool {
    *name != "x-original-url" && PATH_OVERRIDES.iter().any(|known| folds_to(name.as_str(), known))
}

/// Removes what the client's `Connection` names, and from `Connection` all but
/// what is said of the connection itself (RFC 9110, section 7.6.1). Whoever stands
/// behind us may heed that line once more, when our own headers are there.
fn drop_connection_options(headers: &mut HeaderMap) {
    use http::header::CONNECTION;
    let Some(connection) = headers.get(CONNECTION) else { return };
    if matches!(connection.as_bytes(), b"keep-alive" | b"close" | b"Upgrade" | b"upgrade")
        && headers.get_all(CONNECTION).iter().nth(1).is_none()
    {
        return;
    }
    let options: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .collect();
    headers.remove(CONNECTION);
    let mut kept: Vec<&str> = Vec::new();
    for option in &options {
        match option.as_str() {
            "close" | "keep-alive" | "upgrade" => kept.push(option.as_str()),
            // Without these the request would be another one.
            "cookie" | "host" | "content-length" | "transfer-encoding" => {}
            _ => drop(headers.remove(option)),
        }
    }
    // One line: some servers look at the first alone.
    if let Ok(line) = HeaderValue::try_from(kept.join(", "))
        && !kept.is_empty()
    {
        headers.insert(CONNECTION, line);
    }
}
