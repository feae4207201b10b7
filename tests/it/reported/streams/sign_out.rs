//! Signing out takes a navigation or a POST.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::{STORES, Stage};
use crate::http2::{ask, connect, text};
use crate::proxy::with_timeout;

/// A method, and fields that say how the address is requested.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const ANY: (&str, &str) = ("accept", "*/*");
const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");
const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
const BROWSER: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0");

/// Fetches of the address that end nothing.
const FETCHES: &[Case] = &[
    ("GET", &[ANY, SAME_ORIGIN, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]),
    ("GET", &[ANY, SAME_ORIGIN, ("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "empty")]),
    ("GET", &[HTML, SAME_ORIGIN, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]),
    (
        "GET",
        &[
            ("accept", "image/avif,image/webp,*/*;q=0.8"),
            SAME_ORIGIN,
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-dest", "image"),
        ],
    ),
    ("GET", &[ANY, SAME_ORIGIN, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")]),
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, ("sec-fetch-dest", "iframe")]),
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, ("sec-fetch-dest", "embed")]),
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT, ("sec-purpose", "prefetch")]),
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT, ("sec-purpose", "prefetch;prerender")]),
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT, ("purpose", "prefetch")]),
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT, ("x-purpose", "preview")]),
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT, ("x-moz", "prefetch")]),
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT, ("x-sec-purpose", "prefetch")]),
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT, ("next-router-prefetch", "1")]),
    (
        "GET",
        &[ANY, SAME_ORIGIN, ("sec-fetch-mode", "cors"), ("next-router-state-tree", "%5B%5D"), ("rsc", "1")],
    ),
    // Without Fetch Metadata, as browsers send it to a plain http origin.
    ("GET", &[ANY, BROWSER]),
    ("GET", &[("accept", "image/avif,image/webp,*/*;q=0.8"), BROWSER]),
    ("GET", &[HTML, BROWSER, ("x-requested-with", "XMLHttpRequest")]),
    ("GET", &[HTML, BROWSER, ("x-moz", "prefetch")]),
    ("GET", &[HTML, BROWSER, ("next-router-prefetch", "1")]),
    ("GET", &[ANY, BROWSER, ("rsc", "1")]),
    ("HEAD", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT]),
    ("HEAD", &[ANY]),
    ("POST", &[ANY, SAME_ORIGIN, ("sec-purpose", "prefetch")]),
    // Another site's form.
    ("POST", &[HTML, ("sec-fetch-site", "cross-site"), NAVIGATE, DOCUMENT]),
    ("GET", &[HTML, ("sec-fetch-site", "cross-site"), NAVIGATE, DOCUMENT]),
];

/// Requests that sign out.
const SIGN_OUTS: &[Case] = &[
    ("GET", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT]),
    ("GET", &[HTML, ("sec-fetch-site", "none"), NAVIGATE, DOCUMENT]),
    ("GET", &[HTML, BROWSER]),
    ("GET", &[ANY, ("user-agent", "curl/8.5.0")]),
    ("POST", &[HTML, SAME_ORIGIN, NAVIGATE, DOCUMENT]),
    ("POST", &[ANY, SAME_ORIGIN, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]),
];

/// Sends the request over HTTP/2, and returns the status and what was said.
async fn over_http2(stage: &Stage, cookie: &str, path: &str, (method, fields): &Case) -> (u16, String) {
    let mut sender = connect(&stage.address).await;
    let mut request = Request::builder().method(*method).uri(format!("http://{}{path}", stage.host()));
    for (name, value) in *fields {
        request = request.header(*name, *value);
    }
    let request = request.header("cookie", cookie).body(Full::<Bytes>::default()).unwrap();
    let response = ask(&mut sender, request).await;
    (response.status().as_u16(), with_timeout(text(response)).await)
}

/// The same over HTTP/1.1.
async fn over_http1(stage: &Stage, cookie: &str, path: &str, (method, fields): &Case) -> (u16, String) {
    let mut ask = crate::world::Ask::new(method, path).with("cookie", cookie);
    for (name, value) in *fields {
        ask = ask.with(name, value);
    }
    let answer = stage.world.send(ask).await;
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
}

async fn send(stage: &Stage, http2: bool, cookie: &str, path: &str, case: &Case) -> (u16, String) {
    if http2 {
        over_http2(stage, cookie, path, case).await
    } else {
        over_http1(stage, cookie, path, case).await
    }
}

#[tokio::test]
async fn fetching_the_sign_out_address_in_any_other_way_than_opening_it_ends_nothing() {
    for store in STORES {
        let stage = Stage::new(store).await;
        let mut ada = stage.world.signed_in("ada").await;
        let cookie = ada.cookie_line();
        for http2 in [false, true] {
            for case in FETCHES {
                let (status, said) = send(&stage, http2, &cookie, "/oauth2/sign_out", case).await;
                assert_eq!(status, 200, "{case:?}: {said}");
                assert!(case.0 == "HEAD" || said.contains("Nothing has happened yet"), "{case:?}: {said}");
                ada.fetch("/").await.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn a_navigation_and_a_post_of_the_own_site_sign_out() {
    for store in STORES {
        let stage = Stage::new(store).await;
        for http2 in [false, true] {
            for case in SIGN_OUTS {
                let mut ada = stage.world.signed_in("ada").await;
                let cookie = ada.cookie_line();
                let (status, said) = send(&stage, http2, &cookie, "/oauth2/sign_out?rd=/bye", case).await;
                assert_eq!(status, 200, "{case:?}: {said}");
                assert!(said.contains("You are signed out"), "{case:?}: {said}");
                ada.fetch("/").await.expect(401);
            }
        }
    }
}
