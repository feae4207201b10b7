//! What a trusted proxy says of the scheme.

use huggate::{Route, Rule};

use super::{HEAD, local, noise};
use crate::world::{Answer, Ask, FRONTS, Front, World};

/// The ways to say that the client used http.
const HTTP: [(&str, &str); 3] = [
    ("x-forwarded-proto", "http"),
    ("forwarded", "for=203.0.113.7;proto=http"),
    ("x-forwarded-proto", "HTTP"),
];

async fn world(front: Front) -> World {
    World::at(front, "https://app.example.com", |gate| {
        let mut docs = Route::path("/**");
        docs.host = Some("docs.example.com".to_owned());
        let public = Route::public("/public/**");
        gate.allow(Rule::org("acme")).route(docs).route(public).trusted_proxies(local())
    })
    .await
}

#[track_caller]
fn leads_to(answer: &Answer, location: &str) {
    assert!(answer.status.is_redirection(), "{answer:?}");
    assert_eq!(answer.location(), location);
    assert!(answer.cookies().is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_navigation_over_http_is_redirected_to_https_with_path_and_query() {
    for front in FRONTS {
        let world = world(front).await;
        for (name, value) in HTTP {
            for target in ["/x?a=b%2Fc&d", "/", "//evil.example/x", "/public/page", "/oauth2/start?rd=%2Fx"] {
                let answer = world.send(Ask::navigation(target).with(name, value)).await;
                leads_to(&answer, &format!("https://app.example.com{target}"));
                let head = Ask::navigation(target).with(name, value).method("HEAD");
                leads_to(&world.send(head).await, &format!("https://app.example.com{target}"));
            }
            let docs = Ask::navigation("/x").with("host", "docs.example.com").with(name, value);
            leads_to(&world.send(docs).await, "https://docs.example.com/x");
            // Never an open redirect.
            for host in ["evil.example", "app.example.com.evil.example", "app.example.com:8080"] {
                let evil = Ask::navigation("/x").with("host", host).with(name, value);
                leads_to(&world.send(evil).await, "https://app.example.com/x");
            }
        }
        assert_eq!(world.app.calls(), 0);
    }
}

#[tokio::test]
async fn no_step_of_a_sign_in_is_taken_over_http() {
    for front in FRONTS {
        let world = world(front).await;
        for path in ["/oauth2/start", "/oauth2/sign_in?rd=%2Fx", "/oauth2/callback?code=x&state=y"] {
            for ask in [Ask::navigation(path), Ask::get(path), Ask::fetch(path)] {
                let answer = world.send(ask.with("x-forwarded-proto", "http")).await;
                leads_to(&answer, &format!("https://app.example.com{path}"));
            }
        }
    }
}

#[tokio::test]
async fn a_program_over_http_is_decided_by_the_rules_and_gets_no_cookie() {
    for front in FRONTS {
        let world = world(front).await;
        let http = |ask: Ask| ask.with("x-forwarded-proto", "http");
        let refused = world.send(http(Ask::fetch("/x"))).await.expect(401);
        assert!(refused.cookies().is_empty());
        let url = refused.json()["sign_in_url"].as_str().unwrap().to_owned();
        assert!(url.starts_with("https://app.example.com/oauth2/sign_in"), "{url}");
        let echo = world.send(http(Ask::fetch("/public/x"))).await.expect(200).echo();
        assert_eq!(echo.header("x-forwarded-proto"), Some("http"));
        world.send(http(Ask::get("/oauth2/healthz"))).await.expect(200);
    }
}

#[tokio::test]
async fn the_redirect_of_a_long_address_fits_a_servers_limits() {
    for front in FRONTS {
        let world = world(front).await;
        let target = format!("/x?{}", noise(8_000, 1));
        let answer = world.send(Ask::navigation(&target).with("x-forwarded-proto", "http")).await;
        let answer = answer.expect_page(403, "One moment");
        assert!(answer.head_size() < HEAD && answer.cookies().is_empty(), "{answer:?}");
        assert_eq!(answer.goes_on_to(), Some(format!("https://app.example.com{target}")));
    }
}

#[tokio::test]
async fn a_trusted_proxy_that_says_nothing_means_the_scheme_of_the_public_url() {
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let echo = ada.open("/x").await.expect(200).echo();
        assert_eq!(echo.header("x-forwarded-proto"), Some("https"));
        let forwarded = Ask::fetch("/x").with("forwarded", "for=203.0.113.7");
        let echo = ada.ask(forwarded).await.expect(200).echo();
        assert_eq!(echo.header("x-forwarded-proto"), Some("https"));
        // An origin of that scheme may open a WebSocket, and none of the other.
        for (origin, status) in [("https://app.example.com", 101), ("http://app.example.com", 403)] {
            let line = ada.cookie_line();
            let ask = Ask::websocket("/ws").with("cookie", &line).with("origin", origin);
            let ask = ask.or_host("app.example.com");
            let answer = crate::world::begin(&world.address, ask).await;
            assert_eq!(answer.status(), status, "{origin}");
        }
        // What an untrusted peer says is no reason for anything.
        let world = World::at(front, "https://app.example.com", |gate| gate.allow(Rule::org("acme"))).await;
        let start = world.send(Ask::navigation("/x").with("x-forwarded-proto", "http")).await.expect(302);
        assert!(start.location().starts_with(world.hub.issuer()), "{start:?}");
    }
}

#[tokio::test]
async fn an_http_public_url_is_served_over_http() {
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme")).trusted_proxies(local())).await;
        for proto in [None, Some("http"), Some("https")] {
            let mut ask = Ask::navigation("/x");
            if let Some(proto) = proto {
                ask = ask.with("x-forwarded-proto", proto);
            }
            let start = world.send(ask).await.expect(302);
            assert!(start.location().starts_with(world.hub.issuer()), "{start:?}");
        }
    }
}

#[tokio::test]
async fn forward_auth_passes_the_redirect_on() {
    for front in FRONTS {
        let world = world(front).await;
        let about = |ask: Ask, proto: &str, uri: &str| {
            ask.with("x-forwarded-proto", proto)
                .with("x-forwarded-host", "app.example.com")
                .with("x-forwarded-method", "GET")
                .with("x-forwarded-uri", uri)
        };
        for target in ["/x?a=b", "/public/x"] {
            let ask = about(Ask::navigation("/oauth2/auth/forward"), "http", target);
            leads_to(&world.send(ask).await, &format!("https://app.example.com{target}"));
            let ask = about(Ask::navigation("/oauth2/auth"), "http", target);
            assert!(world.send(ask).await.expect(401).cookies().is_empty());
        }
        // The page in place of a long redirect is no permission.
        let long = format!("/public/{}", noise(8_000, 1));
        let ask = about(Ask::navigation("/oauth2/auth/forward"), "http", &long);
        world.send(ask).await.expect(403);
        let ask = about(Ask::fetch("/oauth2/auth/forward"), "http", "/x");
        world.send(ask).await.expect(401);
        let ask = about(Ask::navigation("/oauth2/auth/forward"), "https", "/x");
        let start = world.send(ask).await.expect(302);
        assert!(start.location().starts_with(world.hub.issuer()), "{start:?}");
    }
}
