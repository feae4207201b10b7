//! Who may use the admin listener: programs of the operator, and no web page.
//!
//! A page that an operator has open can send requests to a loopback address. Browsers mark them
//! with `Origin` and Fetch Metadata, and a page that changed the DNS of its own name to that
//! address (DNS rebinding) is told by its `Host`.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, HOST, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::handler::{AdminState, error};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Answers what must not pass, and lets the rest on.
pub(super) async fn guard(admin: AdminState, request: Request, next: Next) -> Response {
    let settings = admin.settings.load_full();
    let headers = request.headers();
    let is_loopback = settings.listen.ip().is_loopback();
    let refusal = if !names_us(headers, is_loopback) {
        Some(error(
            StatusCode::FORBIDDEN,
            "forbidden",
            "the Host field names neither an IP address nor localhost, so the request may come from a web page",
        ))
    } else if is_of_another_site(headers) {
        Some(error(StatusCode::FORBIDDEN, "forbidden", "a page of another site made this request"))
    } else if !settings.accept(bearer(headers)) {
        let mut response = error(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "send the token of admin.token_file as `Authorization: Bearer TOKEN`",
        );
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"huggate admin\""));
        Some(response)
    } else {
        None
    };
    let mut response = match refusal {
        Some(mut refusal) => {
            // Whoever may not use the listener would otherwise hold a place for good: with many
            // requests at once, and by reading none of the answers.
            refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            refusal
        }
        None => next.run(request).await,
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether `Host` is an IP address, or `localhost`. Names are accepted only on other
/// addresses than loopback ones, which need a token.
fn names_us(headers: &HeaderMap, is_loopback: bool) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else {
        return false;
    };
    if !is_loopback {
        return true;
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_of_another_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    let (Some(origin), Some(host)) = (headers.get(ORIGIN), headers.get(HOST)) else {
        return headers.contains_key(ORIGIN);
    };
    let own = [b"http://".as_slice(), host.as_bytes()].concat();
    origin.as_bytes() != own
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
