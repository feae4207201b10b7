//! What a proxy says of the original request: believed from few, and only if it
//! says one thing.

use huggate::{Route, Rule};

use super::{WAYS, Way, local, path, rules, world};
use crate::paths;
use crate::world::{Ask, FRONTS, Front, Log, World, raw};

#[tokio::test]
async fn a_stranger_describes_nothing() {
    // Threats 2: CVE-2026-40575, CVE-2026-76835, authentik GHSA-5wcc.
    for front in FRONTS {
        let world = World::start(front, rules).await;
        let mut ada = world.signed_in("ada").await;
        for way in WAYS {
            for target in ["/public/x", "/x"] {
                let ask = way.about(Ask::get(target), &world.address);
                let answer = ada.ask(ask).await.expect(way.no(400));
                assert_eq!(answer.json()["error"], "invalid_forward_auth");
                let said = answer.json()["error_description"].to_string();
                assert!(said.contains("not in trusted_proxies"), "{said}");
            }
        }
        assert_eq!(world.app.calls(), 1, "only the sign-in's own page");
    }
}

#[tokio::test]
async fn what_is_missing_is_refused_and_named() {
    let log = Log::start();
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        let whole = [
            ("x-forwarded-method", "GET"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", &*world.address),
            ("x-forwarded-uri", "/x"),
        ];
        let ask = |without: &str| {
            let left = whole.iter().filter(|(name, _)| *name != without);
            left.fold(Ask::get("/oauth2/auth/forward"), |ask, (name, value)| ask.with(name, value))
        };
        ada.ask(ask("nothing")).await.expect(200);
        for (name, shown) in whole.iter().zip([
            "X-Forwarded-Method",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X-Forwarded-Uri",
        ]) {
            let answer = ada.ask(ask(name.0)).await.expect(400);
            let said = answer.json()["error_description"].to_string();
            assert!(said.contains(&format!("{shown} is missing")), "{said}");
            assert!(log.text().contains(&format!("header=\"{shown}\"")), "{}", log.text());
        }
        let nginx = Ask::get("/oauth2/auth");
        ada.ask(nginx.clone()).await.expect(401);
        ada.ask(nginx.clone().with("x-original-uri", "/x")).await.expect(401);
        ada.ask(nginx.clone().with("x-original-method", "GET")).await.expect(401);
        for (uri, method) in [
            ("x-original-uri", "x-original-method"),
            ("x-forwarded-uri", "x-forwarded-method"),
            ("x-original-uri", "x-forwarded-method"),
        ] {
            ada.ask(nginx.clone().with(uri, "/x").with(method, "GET")).await.expect(202);
        }
        let url = format!("https://{}/x?y", world.address);
        ada.ask(nginx.with("x-original-url", &url).with("x-original-method", "GET")).await.expect(202);
        for target in ["/oauth2/auth/envoy", "/oauth2/auth/envoy?x"] {
            ada.ask(Ask::get(target)).await.expect(400);
        }
    }
}

#[tokio::test]
async fn without_routes_nginx_need_not_say_anything() {
    for trusted in [true, false] {
        for front in FRONTS {
            let world = World::start(front, |gate| {
                let gate = gate.allow(Rule::org("acme"));
                if trusted { gate.trusted_proxies(local()) } else { gate }
            })
            .await;
            let mut ada = world.signed_in("ada").await;
            ada.ask(Ask::get("/oauth2/auth")).await.expect(202);
            world.send(Ask::get("/oauth2/auth")).await.expect(401);
            let mut eve = world.signed_in("cleo").await;
            eve.ask(Ask::get("/oauth2/auth")).await.expect(403);
            // The other two always have to.
            for target in ["/oauth2/auth/forward", "/oauth2/auth/envoy"] {
                ada.ask(Ask::get(target)).await.expect(400);
            }
            // What is said all the same must make sense, if it is believed.
            for (name, value) in
                [("x-original-uri", "x"), ("x-original-uri", "/x#y"), ("x-forwarded-uri", "")]
            {
                let expected = if trusted { 401 } else { 202 };
                ada.ask(Ask::get("/oauth2/auth").with(name, value)).await.expect(expected);
            }
        }
    }
}

#[tokio::test]
async fn what_comes_twice_or_disagrees_is_refused_and_named() {
    // Threats 2: a client sends what the recipe does not overwrite.
    let log = Log::start();
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        let elsewhere = format!("http://{}/public/x", world.address);
        let other_host = "http://other.example/x".to_owned();
        for (name, value, problem) in [
            ("x-original-uri", "/public/x", "X-Original-URI"),
            ("x-forwarded-uri", "/public/x", "X-Forwarded-Uri"),
            ("x-original-url", &*elsewhere, "X-Original-URL"),
            ("x-original-url", &*other_host, "X-Original-URL"),
            ("x-original-url", "not a url", "X-Original-URL is malformed"),
            ("x-original-url", "/x", "X-Original-URL is malformed"),
            ("x-original-url", "ftp://a/x", "X-Original-URL is malformed"),
            ("x-original-url", "http://me@a/x", "X-Original-URL is malformed"),
            ("x-original-method", "POST", "X-Original-Method"),
            ("x-forwarded-method", "POST", "X-Forwarded-Method"),
            ("x-forwarded-host", "other.example", "X-Forwarded-Host"),
            ("x-forwarded-host", "a, b", "X-Forwarded-Host is repeated"),
            ("x-forwarded-host", "a b", "X-Forwarded-Host is malformed"),
            ("x-forwarded-proto", "https, http", "X-Forwarded-Proto is repeated"),
            ("x-forwarded-proto", "gopher", "X-Forwarded-Proto is malformed"),
        ] {
            for way in WAYS {
                let before = log.text().len();
                let ask = way.about(Ask::get("/x"), &world.address).with(name, value);
                let said = ada.ask(ask).await.expect(way.no(400)).json()["error_description"].to_string();
                // Where the same header is part of the contract, it came twice now.
                assert!(said.contains(problem) || said.contains("is repeated"), "{way:?}: {said}");
                assert!(log.text()[before..].contains("header=\"X-") || way == Way::Envoy, "{}", log.text());
            }
        }
        // The same thing said twice over is one thing; the same header twice is not.
        let url = format!("http://{}/x", world.address);
        for (name, value) in [
            ("x-original-uri", "/x"),
            ("x-forwarded-uri", "/x"),
            ("x-original-url", &*url),
            ("x-original-method", "GET"),
            ("x-forwarded-method", "GET"),
            ("x-forwarded-host", &*world.address),
        ] {
            for way in WAYS {
                let ask = way.about(Ask::get("/x"), &world.address);
                ada.ask(ask.clone().set(name, value)).await.expect(way.yes());
                ada.ask(ask.set(name, value).with(name, value)).await.expect(way.no(400));
            }
        }
        for way in WAYS {
            let ask = way.about(Ask::get("/x"), &world.address);
            let ask = ask.with("x-auth-request-redirect", "/a").with("x-auth-request-redirect", "/a");
            ada.ask(ask).await.expect(way.no(400));
        }
    }
}

#[tokio::test]
async fn a_target_that_is_no_path_is_refused() {
    // Threats 2: Authelia CVE-2021-32637; raw `#` (CVE-2025-54576, GHSA-pxq7).
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(path("/**").public()).trusted_proxies(local())
        })
        .await;
        for target in
            ["", "*", "x", "?x", "http://a/x", "a.example:443", "/x#y", "/x?y#z", "#", "/a b", "/<x>"]
        {
            for (way, name) in [(Way::Nginx, "x-original-uri"), (Way::Forward, "x-forwarded-uri")] {
                let ask = way.about(Ask::get("/x"), &world.address);
                let answer = world.send(ask.set(name, target)).await;
                assert_eq!(answer.status.as_u16(), way.no(400), "{target}");
            }
        }
        for method in ["", "GET POST", "GET,POST", "G\"T"] {
            for way in [Way::Nginx, Way::Forward] {
                let ask = way.about(Ask::get("/x"), &world.address);
                let name = if way == Way::Nginx { "x-original-method" } else { "x-forwarded-method" };
                world.send(ask.set(name, method)).await.expect(way.no(400));
            }
        }
    }
}

#[tokio::test]
async fn our_own_endpoints_are_not_asked_about() {
    // Threats 2: own prefix named there gives no pass.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(path("/**").public()).trusted_proxies(local())
        })
        .await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        ada.open("/oauth2/start").await.expect(200);
        for target in [
            "/oauth2",
            "/oauth2/",
            "/oauth2/start",
            "/oauth2/callback?code=x&state=y",
            "/oauth2/auth",
            "/oauth2/auth/forward",
            "/oauth2/auth/envoy/x",
            "/oauth2/nothing",
            "/x/../oauth2/start",
            "//oauth2/start",
            "/%6fauth2/start",
        ] {
            for way in WAYS {
                let ask = way.about(Ask::get(target), &world.address);
                world.send(ask.clone()).await.expect(way.no(400));
                ada.ask(ask).await.expect(way.no(400));
                // Nor is a page sent round in circles.
                let page = way.about(Ask::navigation(target), &world.address);
                world.send(page).await.expect(way.no(400));
            }
        }
        for way in WAYS {
            ada.ask(way.about(Ask::get("/oauth2x"), &world.address)).await.expect(way.yes());
        }
    }
}

/// The question about a target that is any bytes, as a proxy asks it; the status
/// of the answer.
async fn status(world: &World, way: Way, target: &[u8]) -> u16 {
    let host = &world.address;
    let (before, after) = match way {
        Way::Nginx => {
            ("/oauth2/auth HTTP/1.1\r\nX-Original-Method: GET\r\nX-Original-URI: ".to_owned(), "\r\n")
        }
        Way::Forward => (
            format!(
                "/oauth2/auth/forward HTTP/1.1\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: http\r\n\
                 X-Forwarded-Host: {host}\r\nX-Forwarded-Uri: "
            ),
            "\r\n",
        ),
        Way::Envoy => ("/oauth2/auth/envoy".to_owned(), " HTTP/1.1\r\n"),
    };
    let before = format!("GET {before}");
    let after = format!("{after}Host: {host}\r\nConnection: close\r\n\r\n");
    let answer = raw(&world.address, &[before.as_bytes(), target, after.as_bytes()].concat()).await;
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_path_is_judged_in_every_reading() {
    let cases = paths::cases();
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let closed = |pattern| path(pattern).allow(vec![Rule::user("nobody-at-all")]);
            gate.allow(Rule::org("acme"))
                .route(closed("/admin/**"))
                .route(closed("/settings"))
                .route(path("/public/**").public())
                .route(path("/status").public())
                .trusted_proxies(local())
        })
        .await;
        for way in WAYS {
            for (case, target) in paths::targets(&world, &cases["refused"]) {
                // What follows Envoy's prefix is a path.
                if way == Way::Envoy && !target.starts_with(b"/") {
                    continue;
                }
                let status = status(&world, way, &target).await;
                assert!(status == way.no(400) || status == 400, "{way:?} {case}: {status}");
            }
            for (case, target) in paths::targets(&world, &cases["passed"]) {
                assert_eq!(status(&world, way, &target).await, way.yes(), "{way:?} {case}");
            }
        }
        for way in WAYS {
            for (target, status) in [
                ("/public/x?p=/admin", way.yes()),
                ("/public/a//b", way.yes()),
                ("/public/%7Ex;v=1", way.yes()),
                ("/x?p=/public/x", 401),
                ("/publicity", 401),
                ("/Public/x", 401),
                ("/admin/x", 401),
            ] {
                let ask = way.about(Ask::get(target), &world.address);
                assert_eq!(world.send(ask).await.status.as_u16(), status, "{way:?} {target}");
            }
        }
    }
}

#[tokio::test]
async fn the_original_method_and_host_decide() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let mut read = path("/data/**").public();
            read.methods = vec![http::Method::GET];
            let docs = Route::host("docs.example.com").public();
            gate.allow(Rule::org("acme")).route(read).route(docs).trusted_proxies(local())
        })
        .await;
        for way in WAYS {
            for (method, status) in [("GET", way.yes()), ("HEAD", way.yes()), ("POST", 401), ("OPTIONS", 401)]
            {
                let ask = way.about(Ask::new(method, "/data/x"), &world.address);
                assert_eq!(world.send(ask).await.status.as_u16(), status, "{way:?} {method}");
            }
            // No header changes it after the fact.
            for name in ["x-http-method-override", "x_http_method_override", "x-method-override"] {
                let ask = way.about(Ask::get("/data/x"), &world.address).with(name, "POST");
                let said = world.send(ask).await.expect(way.no(400)).json()["error_description"].to_string();
                assert!(said.contains("would change the method"), "{said}");
            }
            for (host, status) in [
                ("docs.example.com", way.yes()),
                ("DOCS.example.com.:443", way.yes()),
                ("docs.example.com:8080", way.no(400)),
                ("docs.example.com.evil.example", 401),
            ] {
                let ask = way.about(Ask::get("/x"), host);
                assert_eq!(world.send(ask).await.status.as_u16(), status, "{way:?} {host}");
            }
        }
        // nginx may say the host in the URL, whatever its own question's host is.
        let ask = Ask::get("/oauth2/auth").with("x-original-method", "GET");
        let docs = ask.clone().with("x-original-url", "https://docs.example.com/x");
        world.send(docs.clone()).await.expect(202);
        world.send(docs.clone().with("host", "huggate.auth.svc:4180")).await.expect(202);
        world.send(docs.with("x-forwarded-host", "other.example")).await.expect(401);
        // A host that the recipe overwrites, and one that the client sent beside it.
        let ask = ask.with("x-original-uri", "/x");
        world.send(ask.clone().with("x-forwarded-host", "docs.example.com")).await.expect(401);
        // A recipe that keeps its own host and describes the other.
        let inner = ask.with("host", "huggate:4180").with("x-forwarded-host", "docs.example.com");
        world.send(inner.clone()).await.expect(202);
        // `Forwarded` describes nothing here: recipes do not overwrite it.
        let forwarded = inner.set("x-forwarded-host", "other.example");
        world.send(forwarded.with("forwarded", "for=1.1.1.1;host=docs.example.com")).await.expect(401);
    }
}

#[tokio::test]
async fn a_question_without_one_host_is_answered_within_the_contract() {
    let world = world(Front::Proxy).await;
    for (path, status) in [("auth", 401), ("auth/forward", 400), ("auth/envoy/x", 400)] {
        for host in ["Host: a\r\nHost: b\r\n", "Host: a@b\r\n", ""] {
            let request = format!("GET /oauth2/{path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
            let answer = raw(&world.address, request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {host}: {answer}");
        }
    }
}
