//! The kind of a request: a page navigation, or a program.

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER, UPGRADE, USER_AGENT};
use http::{Method, request::Parts};

use super::field_set::FieldSet;
use super::public_url::PublicUrl;
use super::request_head::RequestHead;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// The kind of answer that a request can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// A page opened in a tab: can be redirected to the provider.
    Navigation,
    /// A page opened in a frame: the provider does not allow framing.
    Framed,
    /// A form sent by a page: a redirect would lose its content.
    Form,
    /// Everything else: fetch, XHR, API clients, WebSockets, prefetches.
    Program,
}

impl RequestKind {
    /// Uses Fetch Metadata (`Sec-Fetch-*`); without it, `GET` and an `Accept` that lists
    /// HTML is a navigation.
    pub(crate) fn of(parts: &Parts) -> Self {
        Self::of_head(parts.into())
    }

    pub(crate) fn of_head(head: RequestHead<'_>) -> Self {
        let RequestHead { method, headers, .. } = head;
        if wants_websocket(headers) || is_prefetch(headers) {
            return Self::Program;
        }
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let Some(mode) = headers.get(SEC_FETCH_MODE) else {
            let page =
                *method == Method::GET && wants_html(headers) && !headers.contains_key(X_REQUESTED_WITH);
            return if page { Self::Navigation } else { Self::Program };
        };
        if mode != "navigate" {
            return Self::Program;
        }
        let framed = headers.get(SEC_FETCH_DEST).is_some_and(|dest| {
            ["iframe", "frame", "embed", "object", "fencedframe"].iter().any(|frame| dest == frame)
        });
        match (framed, reads) {
            (true, _) => Self::Framed,
            (false, true) => Self::Navigation,
            (false, false) => Self::Form,
        }
    }

    /// Whether a redirect opens the page elsewhere.
    pub(crate) fn opens_a_page(self) -> bool {
        matches!(self, Self::Navigation | Self::Framed)
    }
}

/// Whether the client is one of OpenAI's libraries, or compatible: they show errors only
/// in the format of OpenAI's API.
pub(crate) fn speaks_openai(headers: &HeaderMap) -> bool {
    FieldSet::of(headers).has(FieldSet::STAINLESS) || headers.get_all(USER_AGENT).iter().any(is_openai_agent)
}

/// Whether a `User-Agent` is that of one of them.
pub(crate) fn is_openai_agent(agent: &HeaderValue) -> bool {
    agent.as_bytes().starts_with(b"OpenAI/") || agent.as_bytes().starts_with(b"AsyncOpenAI/")
}

/// Whether `Accept` lists HTML explicitly.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .any(|accept| memchr::memmem::find(accept.as_bytes(), b"text/html").is_some())
}

/// Whether this is a WebSocket handshake (RFC 6455, section 4.1).
pub(crate) fn wants_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(UPGRADE).iter().any(|upgrade| {
        upgrade
            .to_str()
            .is_ok_and(|upgrade| upgrade.split(',').any(|name| name.trim().eq_ignore_ascii_case("websocket")))
    })
}

/// Whether the browser loads the page speculatively.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    [SEC_PURPOSE, PURPOSE].iter().any(|name| {
        headers.get(name).is_some_and(|purpose| {
            let purpose = purpose.as_bytes();
            memchr::memmem::find(purpose, b"prefetch").is_some()
                || memchr::memmem::find(purpose, b"prerender").is_some()
        })
    })
}

/// Whether another site caused this request, by Fetch Metadata, otherwise by `Origin` or
/// `Referer`. A request without any of them was typed or comes from a program, and is not
/// cross-site.
pub(crate) fn is_cross_site(headers: &HeaderMap, public_url: &PublicUrl, host: &str) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    let own = |origin: &str| origin == public_url.as_str() || origin == public_url.sibling(host);
    if let Some(origin) = headers.get(ORIGIN) {
        return !origin.to_str().is_ok_and(own);
    }
    headers.get(REFERER).is_some_and(|referer| {
        let origin =
            referer.to_str().ok().and_then(|text| url::Url::parse(text).ok()).map(|url| url.origin());
        !origin.is_some_and(|origin| own(&origin.ascii_serialization()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(method: &str, headers: &[(&str, &str)]) -> RequestKind {
        let mut request = http::Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        RequestKind::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn only_requests_that_can_display_a_page_are_navigations() {
        let html = ("accept", "text/html,application/xhtml+xml");
        let navigate = ("sec-fetch-mode", "navigate");
        for (method, headers, expected) in [
            ("GET", vec![html], RequestKind::Navigation),
            ("GET", vec![("accept", "*/*")], RequestKind::Program),
            ("GET", vec![], RequestKind::Program),
            ("POST", vec![html], RequestKind::Program),
            ("GET", vec![html, ("x-requested-with", "XMLHttpRequest")], RequestKind::Program),
            ("GET", vec![html, ("sec-fetch-mode", "cors")], RequestKind::Program),
            ("GET", vec![html, ("sec-fetch-mode", "no-cors")], RequestKind::Program),
            ("GET", vec![navigate, ("sec-fetch-dest", "document")], RequestKind::Navigation),
            ("GET", vec![navigate, ("sec-fetch-dest", "iframe")], RequestKind::Framed),
            ("GET", vec![navigate, ("sec-fetch-dest", "embed")], RequestKind::Framed),
            ("POST", vec![navigate, ("sec-fetch-dest", "document")], RequestKind::Form),
            ("GET", vec![html, navigate, ("sec-purpose", "prefetch;prerender")], RequestKind::Program),
            ("GET", vec![html, ("purpose", "prefetch")], RequestKind::Program),
            ("GET", vec![html, ("upgrade", "WebSocket")], RequestKind::Program),
        ] {
            assert_eq!(kind(method, &headers), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn openais_libraries_are_recognised_by_their_headers() {
        for (name, value, expected) in [
            ("user-agent", "OpenAI/Python 2.8.0", true),
            ("user-agent", "AsyncOpenAI/Python 2.8.0", true),
            ("user-agent", "OpenAI/JS 6.9.0", true),
            ("x-stainless-lang", "go", true),
            ("user-agent", "python-requests/2.32 OpenAI/x", false),
            ("user-agent", "OpenAIish", false),
            ("x-stainles", "go", false),
        ] {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]);
            assert_eq!(speaks_openai(&headers), expected, "{name}: {value}");
        }
    }

    #[test]
    fn cross_site_requests_are_distinguished_from_same_site_ones() {
        let public_url = PublicUrl::parse("https://app.example.com").unwrap();
        for (name, value, cross) in [
            ("sec-fetch-site", "cross-site", true),
            ("sec-fetch-site", "same-site", true),
            ("sec-fetch-site", "same-origin", false),
            ("sec-fetch-site", "none", false),
            ("origin", "https://app.example.com", false),
            ("origin", "null", true),
            ("origin", "https://app.example.com.evil.example", true),
            ("referer", "https://app.example.com/page", false),
            ("referer", "https://evil.example/", true),
            ("accept", "*/*", false),
        ] {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]);
            assert_eq!(is_cross_site(&headers, &public_url, "app.example.com"), cross, "{name}: {value}");
        }
    }
}
