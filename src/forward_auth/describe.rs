//! Replaces a forward-auth request by the original request that it describes.

use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;

use super::ambiguous::AmbiguousOriginal;
use super::contract::Contract;
use super::original::{Description, OriginalRequest};
use crate::client::{Client, OverrideHeaders};
use crate::identity::headers::IdentityHeaderNames;
use crate::oauth2::{AUTH_REQUEST_REDIRECT, OAuth2};

/// The headers that remain of a WebSocket handshake whose `Upgrade` was removed by the
/// proxy (RFC 6455, section 4.1; RFC 8441 has only the version).
const HANDSHAKE: [&str; 2] = ["sec-websocket-key", "sec-websocket-version"];

/// The settings for checking a forward-auth request.
#[derive(Clone, Copy)]
pub(crate) struct DescriptionRules<'a> {
    pub(crate) oauth2: &'a OAuth2,
    /// Whether there are routes. Without any, the decision does not depend on the
    /// original request.
    pub(crate) has_routes: bool,
    pub(crate) overrides: OverrideHeaders,
    pub(crate) identity_names: &'a IdentityHeaderNames,
    /// The identity headers that an answer overwrites.
    pub(crate) overwritten: &'a [HeaderName],
}

/// A valid forward-auth request: `parts` and `client` are now those of the original
/// request.
pub(crate) struct Described {
    /// For logs; `None` if nothing was described and nothing had to be.
    pub(crate) original: Option<OriginalRequest>,
    /// The return address after a sign-in, if it differs from the original request's
    /// target.
    pub(crate) return_address: Option<String>,
}

/// Replaces `parts` and `client` by those of the original request.
///
///
/// # Errors
/// [`AmbiguousOriginal`], if the proxy is not trusted or does not describe exactly one
/// request; then both are unchanged.
pub(crate) fn describe(
    contract: Contract,
    rules: DescriptionRules<'_>,
    parts: &mut Parts,
    client: &mut Client,
) -> Result<Described, AmbiguousOriginal> {
    check_headers(rules, parts)?;
    let return_address = return_address(parts);
    if !client.trusted {
        if contract == Contract::Nginx && !rules.has_routes {
            parts.uri = http::Uri::from_static("/");
            return Ok(Described { original: None, return_address: None });
        }
        return Err(AmbiguousOriginal::untrusted(contract, &parts.headers));
    }
    let oauth2 = rules.oauth2;
    let target = parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let below = target.get(oauth2.urls.prefix.as_str().len() + "/auth/envoy".len()..).unwrap_or_default();
    let said = Description::read(contract, parts, below, |host| oauth2.is_sign_in_host(host))?;
    let needed = contract != Contract::Nginx || rules.has_routes;
    match &said.target {
        // The gate answers its own endpoints directly. Allowing one would bypass the
        // rules, and a redirect to sign in would loop.
        Some(target) if oauth2.urls.own(target.path()) => {
            return Err(AmbiguousOriginal::own_endpoint(said.target_from));
        }
        None if needed => return Err(AmbiguousOriginal::missing_target(contract)),
        Some(_) | None => {}
    }
    if said.method.is_none() && needed {
        return Err(AmbiguousOriginal::missing_method(contract));
    }
    let mut return_address = return_address?;
    let original = said.replace(parts, client);
    if HANDSHAKE.iter().any(|name| parts.headers.contains_key(*name)) {
        parts.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    // People do not sign in on this host, so the return address has to name it.
    if !oauth2.is_sign_in_host(&client.host) && return_address.is_none() {
        let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        return_address = Some(format!("{}{target}", oauth2.urls.public_url.sibling(&client.host)));
    }
    Ok(Described { original: Some(original), return_address })
}

/// Refuses client headers that the proxy would pass on regardless of the answer, and that
/// contain an identity or change the evaluated request.
fn check_headers(rules: DescriptionRules<'_>, parts: &Parts) -> Result<(), AmbiguousOriginal> {
    for name in parts.headers.keys() {
        if rules.identity_names.covers(name.as_str())
            && !rules.overwritten.contains(name)
            && *name != AUTH_REQUEST_REDIRECT
        {
            return Err(AmbiguousOriginal::spoofed(name));
        }
    }
    if let Some(name) = parts.headers.keys().find(|name| rules.overrides.changes_method(name)) {
        return Err(AmbiguousOriginal::method_override(name));
    }
    if let Some(name) = parts.headers.keys().find(|name| rules.overrides.changes_path(name)) {
        return Err(AmbiguousOriginal::path_override(name));
    }
    Ok(())
}

/// `X-Auth-Request-Redirect`, if present.
fn return_address(parts: &Parts) -> Result<Option<String>, AmbiguousOriginal> {
    let mut lines = parts.headers.get_all(AUTH_REQUEST_REDIRECT).iter();
    let Some(first) = lines.next() else { return Ok(None) };
    let alone = lines.next().is_none();
    let address = first.to_str().ok().filter(|_| alone).map(str::to_owned);
    address.map(Some).ok_or_else(AmbiguousOriginal::redirect)
}
