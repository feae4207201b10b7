//! `cors`: pages of listed origins may read the gate's refusals, and send preflights.

use http::Method;
use huggate::authn::BearerSettings;
use huggate::hub::{Endpoint, Fault};
use huggate::policy::CorsOrigin;
use huggate::{Route, Rule, TrustedProxies};
use tokio::net::TcpListener;

use crate::world::{Answer, Ask, FRONTS, Front, World, proxy, send, server, upstream};

const PAGE: &str = "https://app.example.com";
const OTHER: &str = "https://other.example";

fn path(text: &str) -> Route {
    Route::path(text)
}

fn listed() -> Vec<CorsOrigin> {
    [PAGE, "https://second.example:8443"].iter().map(|origin| CorsOrigin::parse(origin).unwrap()).collect()
}

async fn world(front: Front) -> World {
    World::start(front, |gate| {
        let local = TrustedProxies::parse(["127.0.0.0/8"]).unwrap();
        let mut posts = path("/posts/**").cors(listed());
        posts.methods = vec![Method::POST];
        gate.allow(Rule::org("acme"))
            .bearer(BearerSettings::default())
            .trusted_proxies(local)
            .route(path("/api/**").cors(listed()))
            .route(path("/admin/**").allow(vec![Rule::user("nobody-at-all")]).cors(listed()))
            .route(path("/both/**").preflight().cors(listed()))
            .route(posts)
            .route(path("/public/**").without_sign_in().cors(listed()))
    })
    .await
}

/// A cross-origin `fetch()` with credentials.
fn fetch(target: &str, origin: &str) -> Ask {
    Ask::get(target)
        .with("accept", "*/*")
        .with("origin", origin)
        .with("sec-fetch-site", "cross-site")
        .with("sec-fetch-mode", "cors")
        .with("sec-fetch-dest", "empty")
}

fn preflight(target: &str, method: &str, origin: &str) -> Ask {
    fetch(target, origin)
        .method("OPTIONS")
        .with("access-control-request-method", method)
        .with("access-control-request-headers", "authorization")
}

/// Asserts that a page of `origin` can read the answer.
#[track_caller]
fn readable(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("WWW-Authenticate") && exposed.contains("Retry-After"), "{exposed}");
    assert_eq!(answer.header("vary"), Some("Origin"));
}

/// Asserts that no page of another origin can.
#[track_caller]
fn hidden(answer: &Answer) {
    let set = answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(set.count(), 0, "{answer:?}");
}

#[tokio::test]
async fn a_page_of_a_listed_origin_can_read_every_refusal() {
    for front in FRONTS {
        let world = world(front).await;
        let bad = |ask: Ask| ask.with("authorization", "Bearer hf_wrong");
        for origin in [PAGE, "https://second.example:8443"] {
            let answer = world.send(bad(fetch("/api/x", origin))).await.expect(401);
            assert_eq!(answer.json()["error"], "invalid_token");
            assert!(answer.header("www-authenticate").is_some());
            readable(&answer, origin);
            let answer = world.send(fetch("/api/x", origin)).await.expect(401);
            assert_eq!(answer.json()["error"], "login_required");
            readable(&answer, origin);
        }
        let ada = world.hub.token_of("ada").unwrap();
        let with_token = |target| fetch(target, PAGE).with("authorization", &format!("Bearer {ada}"));
        readable(&world.send(with_token("/admin/x")).await.expect(403), PAGE);
        world.behave(|hub| hub.fail(Endpoint::Whoami, Fault::RetryAfter(30)));
        let answer =
            world.send(fetch("/api/x", PAGE).with("authorization", "Bearer hf_new")).await.expect(503);
        assert_eq!(answer.header("retry-after"), Some("30"));
        readable(&answer, PAGE);
        let answer = world.send(fetch("/api/x", PAGE).with("authorization", "Bearer")).await.expect(400);
        readable(&answer, PAGE);
    }
}

#[tokio::test]
async fn pages_of_other_origins_read_nothing() {
    for front in FRONTS {
        let world = world(front).await;
        for origin in [
            OTHER,
            "null",
            "*",
            "https://APP.example.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://app.example.com/",
        ] {
            let answer = world.send(fetch("/api/x", origin)).await.expect(401);
            hidden(&answer);
            assert_eq!(answer.header("vary"), Some("Origin"), "caches keep the answers apart");
            world.send(preflight("/api/x", "PUT", origin)).await.expect(401);
        }
        // Two origins are none.
        hidden(&world.send(fetch("/api/x", PAGE).with("origin", OTHER)).await.expect(401));
        // On a route without the option, and at our own endpoints, nothing changes.
        for target in ["/", "/oauth2/userinfo"] {
            let answer = world.send(fetch(target, PAGE)).await.expect(401);
            hidden(&answer);
            assert_eq!(answer.header("vary"), None);
        }
        // A path of which nobody knows the route.
        hidden(&world.send(fetch("/api/..%2fx", PAGE)).await.expect(400));
        assert_eq!(world.app.calls(), 0);
    }
}

#[tokio::test]
async fn a_preflight_of_a_listed_origin_reaches_the_app_and_no_other() {
    for front in FRONTS {
        let world = world(front).await;
        for (target, method, origin, passes) in [
            ("/api/x", "PUT", PAGE, true),
            ("/api/x", "PUT", OTHER, false),
            ("/posts/x", "POST", PAGE, true),
            ("/posts/x", "POST", OTHER, false),
            ("/posts/x", "DELETE", PAGE, false),
            ("/both/x", "PUT", OTHER, true),
            ("/other", "PUT", PAGE, false),
        ] {
            let answer = world.send(preflight(target, method, origin)).await;
            assert_eq!(
                answer.status,
                if passes { 200 } else { 401 },
                "{target} {method} {origin}: {answer:?}"
            );
            if passes {
                let echo = answer.echo();
                assert_eq!((echo.method(), echo.username()), ("OPTIONS", None));
                assert_eq!(echo.header("access-control-request-method"), Some(method));
                assert_eq!(echo.header("origin"), Some(origin));
            } else {
                // The browser reads no preflight, whatever its headers say.
                assert!(answer.cookies().is_empty());
            }
        }
        // OPTIONS that is no preflight is decided like every request.
        world.send(fetch("/api/x", PAGE).method("OPTIONS")).await.expect(401);
        let get = preflight("/api/x", "PUT", PAGE).method("GET");
        world.send(get).await.expect(401);
    }
}

#[tokio::test]
async fn the_answers_of_the_app_are_unchanged() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow_anyone().route(path("/**").without_sign_in().cors(listed()))
        })
        .await;
        let target = "/respond?access-control-allow-origin=https%3A%2F%2Fapps-own.example&vary=Accept";
        let answer = world.send(fetch(target, PAGE)).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://apps-own.example"));
        assert_eq!(answer.header("vary"), Some("Accept"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        // An app without CORS has none because of us.
        hidden(&world.send(fetch("/respond", PAGE)).await.expect(200));
    }
}

#[tokio::test]
async fn a_page_can_read_that_the_app_does_not_answer() {
    let world = world(Front::Proxy).await;
    // A proxy whose app is not running.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let url = huggate::upstream::UpstreamUrl::parse(&format!("http://{gone}")).unwrap();
    let mut settings = upstream(url);
    settings.body_bytes = Some(10);
    let _running = proxy(&world.gate, &settings, server(), listener);
    let host = world.public_url.split_once("://").unwrap().1.to_owned();
    let answer = send(&address, fetch("/public/x", PAGE).or_host(&host)).await.expect(502);
    readable(&answer, PAGE);
    hidden(&send(&address, fetch("/public/x", OTHER).or_host(&host)).await.expect(502));
    let large = fetch("/public/x", PAGE).method("POST").body("x".repeat(11)).or_host(&host);
    readable(&send(&address, large).await.expect(413), PAGE);
}

#[tokio::test]
async fn a_proxy_that_asks_passes_on_a_readable_refusal() {
    let world = world(Front::Proxy).await;
    let host = world.public_url.split_once("://").unwrap().1.to_owned();
    let forward = fetch("/oauth2/auth/forward", PAGE)
        .with("x-forwarded-method", "GET")
        .with("x-forwarded-proto", "http")
        .with("x-forwarded-host", &host)
        .with("x-forwarded-uri", "/api/x");
    readable(&world.send(forward.clone()).await.expect(401), PAGE);
    readable(&world.send(fetch("/oauth2/auth/envoy/api/x", PAGE)).await.expect(401), PAGE);
    hidden(&world.send(forward.set("origin", OTHER)).await.expect(401));
    // Its preflight is allowed, without an identity.
    let asked = preflight("/oauth2/auth/forward", "PUT", PAGE)
        .method("GET")
        .with("x-forwarded-method", "OPTIONS")
        .with("x-forwarded-proto", "http")
        .with("x-forwarded-host", &host)
        .with("x-forwarded-uri", "/api/x");
    let answer = world.send(asked.clone()).await.expect(200);
    assert_eq!(answer.header("x-auth-request-user"), Some(""));
    world.send(asked.set("origin", OTHER)).await.expect(401);
}
