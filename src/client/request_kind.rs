//! The kind of a request: a page navigation, or a program.

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER, UPGRADE, USER_AGENT};
use http::{Method, request::Parts};

use super::field_set::FieldSet;
use super::public_url::PublicUrl;
use super::request_head::RequestHead;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Fields that say why a page is loaded, of browsers past and present and of frameworks.
const PURPOSES: [HeaderName; 5] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-sec-purpose"),
    HeaderName::from_static("x-moz"),
];
/// Fields of Next.js' own requests, for a prefetch or for a part of a page; a browser that
/// opens the page sends none of them.
const ROUTER_FIELDS: [HeaderName; 5] = [
    HeaderName::from_static("next-router-prefetch"),
    HeaderName::from_static("next-router-segment-prefetch"),
    HeaderName::from_static("next-router-state-tree"),
    HeaderName::from_static("x-middleware-prefetch"),
    HeaderName::from_static("rsc"),
];
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
        let dest = headers.get(SEC_FETCH_DEST).map_or("document".as_bytes(), HeaderValue::as_bytes);
        let Some(mode) = headers.get(SEC_FETCH_MODE) else {
            let page = *method == Method::GET
                && wants_html(headers)
                && dest == b"document"
                && !headers.contains_key(X_REQUESTED_WITH);
            return if page { Self::Navigation } else { Self::Program };
        };
        if mode != "navigate" {
            return Self::Program;
        }
        match dest {
            b"iframe" | b"frame" | b"embed" | b"object" | b"fencedframe" => Self::Framed,
            // A service worker that passes a navigation on may send it with "empty"; no
            // script can make a request with this mode.
            b"document" | b"empty" if reads => Self::Navigation,
            b"document" | b"empty" => Self::Form,
            _ => Self::Program,
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

/// Whether the page is loaded speculatively, by the browser or by a framework.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    let says_so = |purpose: &HeaderValue| {
        let purpose = purpose.as_bytes().to_ascii_lowercase();
        ["prefetch", "prerender", "preview"]
            .iter()
            .any(|word| memchr::memmem::find(&purpose, word.as_bytes()).is_some())
    };
    PURPOSES.iter().any(|name| headers.get_all(name).iter().any(says_so))
        || ROUTER_FIELDS.iter().any(|name| headers.contains_key(name))
}

/// Whether a request may change what the person has here, as far as its method and kind
/// say: a form or a script posts it, a person opens it as a page, or a program that is no
/// browser asks for it, such as curl. A prefetch, a script that reads, an image and a
/// frame may not.
pub(crate) fn may_change_state(parts: &Parts, kind: RequestKind) -> bool {
    match parts.method {
        _ if is_prefetch(&parts.headers) => false,
        Method::POST => true,
        Method::GET => kind == RequestKind::Navigation || is_plain_program(&parts.headers),
        _ => false,
    }
}

/// Whether this is certainly not a part of a page. Browsers send no Fetch Metadata to a
/// plain http origin, but always an `Accept` and a `User-Agent` that begins with `Mozilla/`.
fn is_plain_program(headers: &HeaderMap) -> bool {
    ![SEC_FETCH_MODE, SEC_FETCH_DEST, SEC_FETCH_SITE, X_REQUESTED_WITH, UPGRADE]
        .iter()
        .any(|name| headers.contains_key(name))
        && headers.get(ACCEPT).is_none_or(|accept| accept == "*/*")
        && !headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
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
            ("GET", vec![html, ("x-purpose", "preview")], RequestKind::Program),
            ("GET", vec![html, ("x-moz", "Prefetch")], RequestKind::Program),
            ("GET", vec![html, ("x-sec-purpose", "prefetch")], RequestKind::Program),
            ("GET", vec![html, navigate, ("next-router-prefetch", "1")], RequestKind::Program),
            ("GET", vec![html, ("rsc", "1")], RequestKind::Program),
            ("GET", vec![html, ("x-purpose", "navigation")], RequestKind::Navigation),
            ("GET", vec![html, ("sec-fetch-dest", "image")], RequestKind::Program),
            ("GET", vec![navigate, ("sec-fetch-dest", "image")], RequestKind::Program),
            ("GET", vec![navigate, ("sec-fetch-dest", "empty")], RequestKind::Navigation),
            ("GET", vec![html, ("upgrade", "WebSocket")], RequestKind::Program),
        ] {
            assert_eq!(kind(method, &headers), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn only_a_page_a_post_and_a_plain_program_may_change_state() {
        let (html, any) = (("accept", "text/html,*/*;q=0.8"), ("accept", "*/*"));
        let browser = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/60.0");
        let navigate = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        for (method, headers, expected) in [
            ("GET", navigate.to_vec(), true),
            ("GET", vec![html, browser], true),
            ("GET", vec![any, ("user-agent", "curl/8.5.0")], true),
            ("GET", vec![], true),
            ("POST", vec![("sec-fetch-mode", "cors"), any], true),
            ("HEAD", navigate.to_vec(), false),
            ("HEAD", vec![], false),
            ("GET", vec![any, browser], false),
            ("GET", vec![("accept", "image/avif,image/webp,*/*")], false),
            ("GET", vec![html, ("x-requested-with", "XMLHttpRequest")], false),
            ("GET", vec![any, ("sec-fetch-mode", "cors")], false),
            ("GET", vec![any, ("sec-fetch-site", "same-origin")], false),
            ("GET", vec![("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], false),
            ("GET", vec![html, ("purpose", "prefetch")], false),
            ("POST", vec![("sec-purpose", "prefetch")], false),
        ] {
            let mut request = http::Request::builder().method(method);
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            let may = may_change_state(&parts, RequestKind::of(&parts));
            assert_eq!(may, expected, "{method} {headers:?}");
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
