//! CORS preflights: allowed only on routes that enable them.

use http::Method;
use huggate::{Route, Rule};

use crate::world::{Answer, Ask, FRONTS, Front, World, raw};

fn path(text: &str) -> Route {
    Route::path(text)
}

fn methods(mut route: Route, methods: &[Method]) -> Route {
    route.methods = methods.to_vec();
    route
}

/// The request of Chrome before a cross-origin `fetch()` with `method`.
fn preflight(target: &str, method: &str) -> Ask {
    Ask::new("OPTIONS", target)
        .with("accept", "*/*")
        .with("origin", "https://other.example")
        .with("access-control-request-method", method)
        .with("access-control-request-headers", "content-type")
        .with("sec-fetch-site", "cross-site")
        .with("sec-fetch-mode", "cors")
        .with("sec-fetch-dest", "empty")
}

async fn world(front: Front) -> World {
    World::start(front, |gate| {
        gate.allow(Rule::org("acme"))
            .deny(Rule::user("ben"))
            .route(methods(path("/closed/**"), &[Method::OPTIONS]))
            .route(methods(path("/closed/**"), &[Method::POST]).preflight())
            .route(methods(path("/api/**"), &[Method::GET, Method::POST]).preflight())
            .route(path("/open/**").allow(vec![Rule::user("ada")]).preflight())
            .route(methods(path("/asked/**"), &[Method::OPTIONS]).preflight())
    })
    .await
}

/// Asserts a 401 without a redirect.
#[track_caller]
fn refused(answer: Answer) {
    let answer = answer.expect(401);
    assert!(answer.header("location").is_none() && answer.cookies().is_empty(), "{answer:?}");
    assert_eq!(answer.json()["error"], "login_required");
}

#[tokio::test]
async fn a_preflight_is_allowed_on_a_route_that_enables_it() {
    for front in FRONTS {
        let world = world(front).await;
        for (target, method) in [
            ("/api/x", "POST"),
            ("/api/x", "GET"),
            // A route for GET covers HEAD.
            ("/api/x", "HEAD"),
            ("/open/x", "DELETE"),
            ("/open", "brew"),
            ("/asked/x", "PUT"),
            // Several readings, all of them below the same folder.
            ("/api/%61/./b", "POST"),
        ] {
            let echo = world.send(preflight(target, method)).await.expect(200).echo();
            assert_eq!((echo.method(), echo.target()), ("OPTIONS", target));
            assert_eq!(echo.header("origin"), Some("https://other.example"));
            assert_eq!(echo.header("access-control-request-method"), Some(method));
        }
    }
}

#[tokio::test]
async fn a_preflight_to_another_route_is_refused_and_not_redirected() {
    for front in FRONTS {
        let world = world(front).await;
        for (target, method) in [
            ("/", "POST"),
            ("/secret", "GET"),
            // Not a method of the route that enables preflights.
            ("/api/x", "DELETE"),
            ("/api/x", "OPTIONS"),
            ("/api/x", "post"),
            // An earlier route matches OPTIONS and does not enable preflights.
            ("/closed/x", "POST"),
            ("/apis", "POST"),
        ] {
            refused(world.send(preflight(target, method)).await);
        }
        assert_eq!(world.app.calls(), 0);
    }
}

#[tokio::test]
async fn a_request_that_is_not_a_preflight_is_authorized_as_usual() {
    // Attack: a header opens a route, or OPTIONS bypasses the rules.
    for front in FRONTS {
        let world = world(front).await;
        let asked = |method| preflight("/open/x", "POST").method(method);
        for ask in [
            Ask::new("OPTIONS", "/open/x"),
            Ask::new("OPTIONS", "/open/x").with("origin", "https://other.example"),
            Ask::new("OPTIONS", "/open/x").with("access-control-request-method", "POST"),
            preflight("/open/x", "POST").with("origin", "https://other.example"),
            preflight("/open/x", "POST").with("access-control-request-method", "POST"),
            preflight("/open/x", "POST, GET"),
            preflight("/open/x", "POST").body("_method=DELETE"),
            asked("GET"),
            asked("POST"),
            asked("HEAD").set("accept", "text/html").set("sec-fetch-mode", "no-cors"),
            asked("DELETE"),
            asked("options"),
        ] {
            let answer = world.send(ask.clone()).await;
            assert_eq!(answer.status, 401, "{ask:?}");
        }
        assert_eq!(world.app.calls(), 0);
        // A person who is admitted may send any request.
        let mut ada = world.signed_in("ada").await;
        let echo = ada.ask(Ask::new("OPTIONS", "/open/x")).await.expect(200).echo();
        assert_eq!(echo.username(), Some("ada"));
        let mut cleo = world.signed_in("gita").await;
        cleo.ask(Ask::new("OPTIONS", "/open/x")).await.expect(403);
    }
}

#[tokio::test]
async fn a_preflight_is_anonymous() {
    for front in FRONTS {
        let world = world(front).await;
        // A spoofed identity, and a session cookie that no browser sends with a
        // preflight.
        let mut ada = world.signed_in("ada").await;
        ada.set_cookie("theme", "dark");
        let spoofed = preflight("/open/x", "PUT")
            .with("x-forwarded-user", "root")
            .with("X_Forwarded_Preferred_Username", "root")
            .with("x-auth-request-email", "root@acme.example")
            .with("x-forwarded-groups", "acme:admin")
            .with("remote-user", "root")
            .with("x-huggate-assertion", "eyJ.eyJ.x")
            .with("x-http-method-override", "DELETE")
            .with("x_http_method", "DELETE");
        let answer = ada.ask(spoofed).await.expect(200);
        assert!(answer.cookies().is_empty(), "{answer:?}");
        let echo = answer.echo();
        for (name, value) in echo.headers() {
            let harmless = !value.contains("root") && !value.contains("acme") && !value.contains("DELETE");
            assert!(harmless && !value.contains("eyJ"), "{name}: {value}");
        }
        assert_eq!(echo.username(), None);
        assert_eq!(echo.cookies(), [("theme", "dark")], "the sealed cookie stays here");
        // No rule is evaluated, because a preflight is anonymous.
        let mut ben = world.signed_in("ben").await;
        ben.ask(preflight("/open/x", "PUT")).await.expect(200);
        ben.ask(Ask::new("OPTIONS", "/open/x")).await.expect(403);
    }
}

#[tokio::test]
async fn a_preflight_does_not_bypass_other_checks() {
    for front in FRONTS {
        let world = world(front).await;
        for target in ["/api/..%2fsecret", "/api/%2e%2e/secret", "//api/x", "/api;x/y", "/x/../api/y"] {
            world.send(preflight(target, "POST")).await.expect(400);
        }
        // The gate's own endpoints belong to no route.
        world.send(preflight("/oauth2/userinfo", "POST")).await.expect(405);
        world.send(preflight("/oauth2/nothing", "POST")).await.expect(404);
        let socket = preflight("/open/x", "GET").with("connection", "upgrade").with("upgrade", "websocket");
        world.send(socket).await.expect(403);
        // `OPTIONS *` is refused.
        let request = format!(
            "OPTIONS * HTTP/1.1\r\nHost: {}\r\nOrigin: https://other.example\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n",
            world.address
        );
        let answer = raw(&world.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(world.app.calls(), 0);
    }
}
