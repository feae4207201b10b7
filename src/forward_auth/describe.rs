//! Turns a question into the request that it describes.

use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;

use super::ambiguous::AmbiguousOriginal;
use super::contract::Contract;
use super::original::{Description, OriginalRequest};
use crate::client::{Client, OverrideHeaders};
use crate::identity::headers::IdentityHeaderNames;
use crate::oauth2::{AUTH_REQUEST_REDIRECT, OAuth2};

/// What stays of a WebSocket handshake whose `Upgrade` ended at the proxy
/// (RFC 6455, section 4.1; RFC 8441 has the version alone).
const HANDSHAKE: [&str; 2] = ["sec-websocket-key", "sec-websocket-version"];

/// What questions are checked against.
#[derive(Clone, Copy)]
pub(crate) struct DescriptionRules<'a> {
    pub(crate) oauth2: &'a OAuth2,
    /// Whether there are routes: without any, nothing depends on what was asked for.
    pub(crate) has_routes: bool,
    pub(crate) overrides: OverrideHeaders,
    pub(crate) identity_names: &'a IdentityHeaderNames,
    /// The identity headers that an answer overwrites.
    pub(crate) overwritten: &'a [HeaderName],
}

/// A question that was understood: `parts` and `client` are those of the original.
pub(crate) struct Described {
    /// For logs; `None` where nothing was described and nothing had to be.
    pub(crate) original: Option<OriginalRequest>,
    /// Where to return after a sign-in, if that is not the original's own target.
    pub(crate) return_address: Option<String>,
}

/// Makes `parts` and `client` those of the request that is asked about.
///
/// # Errors
/// [`AmbiguousOriginal`], if the proxy is not trusted, or does not describe exactly one
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
        // The gate's own endpoints are answered at their own addresses. Allowing one
        // would lead past the rules, and a redirect to sign in would never end.
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
    // A host where no sign-in ends: the return address has to name it.
    if !oauth2.is_sign_in_host(&client.host) && return_address.is_none() {
        let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        return_address = Some(format!("{}{target}", oauth2.urls.public_url.sibling(&client.host)));
    }
    Ok(Described { original: Some(original), return_address })
}

/// Headers of the client that the proxy would let through to the app whatever is
/// answered, and that claim an identity or change what was judged.
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

/// `X-Auth-Request-Redirect`, if it came.
fn return_address(parts: &Parts) -> Result<Option<String>, AmbiguousOriginal> {
    let mut lines = parts.headers.get_all(AUTH_REQUEST_REDIRECT).iter();
    let Some(first) = lines.next() else { return Ok(None) };
    let alone = lines.next().is_none();
    let address = first.to_str().ok().filter(|_| alone).map(str::to_owned);
    address.map(Some).ok_or_else(AmbiguousOriginal::redirect)
}
