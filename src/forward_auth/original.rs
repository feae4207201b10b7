//! The original request, as a forward-auth proxy describes it.
//!
//! A client can send each of these headers too, and a proxy that is not configured to
//! overwrite one passes it on. So headers that describe the same property must agree, and
//! none may be repeated.

use http::header::HeaderMap;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::ambiguous::{
    AmbiguousOriginal, FORWARDED_HOST, FORWARDED_METHOD, FORWARDED_PROTO, FORWARDED_URI, ORIGINAL_METHOD,
    ORIGINAL_URI, ORIGINAL_URL, OWN_METHOD, PATH, Problem,
};
use super::contract::Contract;
use crate::client::{Client, is_authority, normalized, requested_host};

/// The original request of a forward-auth request. Forward auth inserts it into the
/// answer's extensions for logs.
#[derive(Debug, Clone)]
pub struct OriginalRequest {
    method: Method,
    uri: Uri,
}

/// The original request as far as the proxy describes it.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) target: Option<PathAndQuery>,
    pub(crate) method: Option<Method>,
    /// Normalized for comparison.
    pub(crate) host: String,
    pub(crate) https: Option<bool>,
    /// The header that contained the target, for error messages.
    pub(crate) target_from: &'static str,
}

impl OriginalRequest {
    /// Its method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Its path, as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }
}

impl Description {
    /// Reads the description of a trusted proxy. `below` is the path after Envoy's
    /// prefix; `is_configured` returns whether a host is configured.
    pub(crate) fn read(
        contract: Contract,
        parts: &Parts,
        below: &str,
        is_configured: impl Fn(&str) -> bool,
    ) -> Result<Self, AmbiguousOriginal> {
        let headers = &parts.headers;
        let url = one(headers, ORIGINAL_URL)?.map(Url::read).transpose()?;
        let forwarded_host = one(headers, FORWARDED_HOST)?.map(host).transpose()?;
        let proto = one(headers, FORWARDED_PROTO)?.map(https).transpose()?;
        let own = (contract == Contract::Envoy).then_some(below).filter(|below| !below.is_empty());
        let original_uri = one(headers, ORIGINAL_URI)?;
        let forwarded_uri = one(headers, FORWARDED_URI)?;
        let target = agreed([
            (PATH, own),
            (ORIGINAL_URL, url.as_ref().map(|url| url.target)),
            (ORIGINAL_URI, original_uri),
            (FORWARDED_URI, forwarded_uri),
        ])?;
        let method = agreed([
            (OWN_METHOD, (contract == Contract::Envoy).then(|| parts.method.as_str())),
            (ORIGINAL_METHOD, one(headers, ORIGINAL_METHOD)?),
            (FORWARDED_METHOD, one(headers, FORWARDED_METHOD)?),
        ])?;
        // If a recipe sets `Host` but no other header with the host, the client must not
        // be able to choose that other header. `Host` is not the original's if the proxy
        // sends its request to a host name of the gate, or if the recipe sets only the
        // URL.
        let requested = normalized(requested_host(headers, &parts.uri, parts.version).unwrap_or_default());
        let counts = match contract {
            Contract::Envoy => true,
            Contract::Nginx => {
                let url_alone = url.is_some() && original_uri.is_none() && forwarded_uri.is_none();
                !url_alone && is_configured(&requested)
            }
            Contract::Forward => false,
        };
        let host = agreed([
            (ORIGINAL_URL, url.as_ref().map(|url| url.host.as_str())),
            (FORWARDED_HOST, forwarded_host.as_deref()),
            ("Host", counts.then_some(requested.as_str())),
        ])?;
        if contract == Contract::Forward {
            for name in [FORWARDED_METHOD, FORWARDED_PROTO, FORWARDED_HOST, FORWARDED_URI] {
                if !headers.contains_key(name) {
                    return Err(AmbiguousOriginal::new(name, Problem::Missing));
                }
            }
        }
        Ok(Self {
            target_from: target.map_or(PATH, |(name, _)| name),
            target: target.map(|(name, text)| path_and_query(name, text)).transpose()?,
            method: method.map(|(name, text)| parse_method(name, text)).transpose()?,
            host: host.map_or(requested.as_str(), |(_, host)| host).to_owned(),
            https: proto.or(url.as_ref().map(|url| url.https)),
        })
    }

    /// Replaces `parts` and `client` by those of the original request. Properties that
    /// were not described default to `GET /`.
    pub(crate) fn replace(self, parts: &mut Parts, client: &mut Client) -> OriginalRequest {
        parts.method = self.method.unwrap_or(Method::GET);
        parts.uri = self.target.map_or_else(|| Uri::from_static("/"), Uri::from);
        client.host = self.host.into();
        client.https = self.https.unwrap_or(client.https);
        OriginalRequest { method: parts.method.clone(), uri: parts.uri.clone() }
    }
}

/// `X-Original-URL`: scheme, host, and the target as it was sent. A URL parser is not
/// used because it would normalize the path that is to be evaluated.
struct Url<'a> {
    https: bool,
    host: String,
    target: &'a str,
}

impl<'a> Url<'a> {
    fn read(text: &'a str) -> Result<Self, AmbiguousOriginal> {
        let unreadable = AmbiguousOriginal::new(ORIGINAL_URL, Problem::Malformed);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| unreadable.clone())?;
        let https = is_https(scheme).ok_or_else(|| unreadable.clone())?;
        let slash = rest.find('/').ok_or_else(|| unreadable.clone())?;
        let (authority, target) = rest.split_at(slash);
        if !is_authority(authority) {
            return Err(unreadable);
        }
        Ok(Self { https, host: normalized(authority), target })
    }
}

/// The only line of a header. Repeated lines are ambiguous, since servers differ in which
/// one they use.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, AmbiguousOriginal> {
    let mut lines = headers.get_all(name).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(AmbiguousOriginal::new(name, Problem::Repeated));
    }
    // A path may contain non-ASCII bytes.
    std::str::from_utf8(line.as_bytes())
        .map(Some)
        .map_err(|_| AmbiguousOriginal::new(name, Problem::Malformed))
}

/// The common value of several headers; an error if they differ.
fn agreed<'a, const N: usize>(
    said: [(&'static str, Option<&'a str>); N],
) -> Result<Option<(&'static str, &'a str)>, AmbiguousOriginal> {
    let mut said = said.into_iter().filter_map(|(name, text)| Some((name, text?)));
    let Some(first) = said.next() else { return Ok(None) };
    match said.find(|(_, text)| *text != first.1) {
        Some((other, _)) => Err(AmbiguousOriginal::new(first.0, Problem::Differs(other))),
        None => Ok(Some(first)),
    }
}

/// A path with an optional query, unchanged. A `#` is refused: servers disagree whether
/// it ends the path.
fn path_and_query(name: &'static str, text: &str) -> Result<PathAndQuery, AmbiguousOriginal> {
    PathAndQuery::try_from(text)
        .ok()
        .filter(|read| read.as_str() == text && text.starts_with('/'))
        .ok_or(AmbiguousOriginal::new(name, Problem::Malformed))
}

fn parse_method(name: &'static str, text: &str) -> Result<Method, AmbiguousOriginal> {
    Method::from_bytes(text.as_bytes()).map_err(|_| AmbiguousOriginal::new(name, Problem::Malformed))
}

fn host(text: &str) -> Result<String, AmbiguousOriginal> {
    if text.contains(',') {
        return Err(AmbiguousOriginal::new(FORWARDED_HOST, Problem::Repeated));
    }
    if is_authority(text) {
        return Ok(normalized(text));
    }
    Err(AmbiguousOriginal::new(FORWARDED_HOST, Problem::Malformed))
}

fn https(text: &str) -> Result<bool, AmbiguousOriginal> {
    let problem = if text.contains(',') { Problem::Repeated } else { Problem::Malformed };
    is_https(text).ok_or(AmbiguousOriginal::new(FORWARDED_PROTO, problem))
}

fn is_https(scheme: &str) -> Option<bool> {
    match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}
