//! The description of the original request: accepted only from trusted proxies, and only
//! if it is consistent.

use huggate::{Route, Rule};

use super::{CONTRACTS, Contract, local, path, rules, world};
use crate::paths;
use crate::world::{Ask, FRONTS, Front, Log, World, raw};

#[tokio::test]
async fn an_untrusted_peer_cannot_describe_a_request() {
    // Attack: CVE-2026-40575, CVE-2026-76835, authentik GHSA-5wcc.
    for front in FRONTS {
        let world = World::start(front, rules).await;
        let mut ada = world.signed_in("ada").await;
        for contract in CONTRACTS {
            for target in ["/public/x", "/x"] {
                let ask = contract.about(Ask::get(target), &world.address);
                let answer = ada.ask(ask).await.expect(contract.refused(400));
                assert_eq!(answer.json()["error"], "invalid_forward_auth");
                let said = answer.json()["error_description"].to_string();
                assert!(said.contains("not in trusted_proxies"), "{said}");
            }
        }
        assert_eq!(world.app.calls(), 1, "only the sign-in's own page");
    }
}

#[tokio::test]
async fn a_missing_header_is_refused_and_named() {
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
async fn without_routes_nginx_need_not_describe_the_request() {
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
            // The other two contracts always require it.
            for target in ["/oauth2/auth/forward", "/oauth2/auth/envoy"] {
                ada.ask(Ask::get(target)).await.expect(400);
            }
            // Headers that are present must still be valid, if the proxy is trusted.
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
async fn repeated_or_conflicting_headers_are_refused_and_named() {
    // Attack: a client sends headers that the recipe does not overwrite.
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
            for contract in CONTRACTS {
                let before = log.text().len();
                let ask = contract.about(Ask::get("/x"), &world.address).with(name, value);
                let said =
                    ada.ask(ask).await.expect(contract.refused(400)).json()["error_description"].to_string();
                // If the header is part of the contract, it is now repeated.
                assert!(said.contains(problem) || said.contains("is repeated"), "{contract:?}: {said}");
                assert!(
                    log.text()[before..].contains("header=\"X-") || contract == Contract::Envoy,
                    "{}",
                    log.text()
                );
            }
        }
        // Different headers with equal values are accepted; a repeated header is not.
        let url = format!("http://{}/x", world.address);
        for (name, value) in [
            ("x-original-uri", "/x"),
            ("x-forwarded-uri", "/x"),
            ("x-original-url", &*url),
            ("x-original-method", "GET"),
            ("x-forwarded-method", "GET"),
            ("x-forwarded-host", &*world.address),
        ] {
            for contract in CONTRACTS {
                let ask = contract.about(Ask::get("/x"), &world.address);
                ada.ask(ask.clone().set(name, value)).await.expect(contract.allowed());
                ada.ask(ask.set(name, value).with(name, value)).await.expect(contract.refused(400));
            }
        }
        for contract in CONTRACTS {
            let ask = contract.about(Ask::get("/x"), &world.address);
            let ask = ask.with("x-auth-request-redirect", "/a").with("x-auth-request-redirect", "/a");
            ada.ask(ask).await.expect(contract.refused(400));
        }
    }
}

#[tokio::test]
async fn a_target_that_is_not_a_path_is_refused() {
    // Attack: Authelia CVE-2021-32637; raw `#` (CVE-2025-54576, GHSA-pxq7).
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(path("/**").without_sign_in()).trusted_proxies(local())
        })
        .await;
        for target in
            ["", "*", "x", "?x", "http://a/x", "a.example:443", "/x#y", "/x?y#z", "#", "/a b", "/<x>"]
        {
            for (contract, name) in
                [(Contract::Nginx, "x-original-uri"), (Contract::Forward, "x-forwarded-uri")]
            {
                let ask = contract.about(Ask::get("/x"), &world.address);
                let answer = world.send(ask.set(name, target)).await;
                assert_eq!(answer.status.as_u16(), contract.refused(400), "{target}");
            }
        }
        for method in ["", "GET POST", "GET,POST", "G\"T"] {
            for contract in [Contract::Nginx, Contract::Forward] {
                let ask = contract.about(Ask::get("/x"), &world.address);
                let name =
                    if contract == Contract::Nginx { "x-original-method" } else { "x-forwarded-method" };
                world.send(ask.set(name, method)).await.expect(contract.refused(400));
            }
        }
    }
}

#[tokio::test]
async fn the_gates_own_endpoints_are_refused_as_targets() {
    // Attack: access through the gate's own prefix.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(path("/**").without_sign_in()).trusted_proxies(local())
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
            for contract in CONTRACTS {
                let ask = contract.about(Ask::get(target), &world.address);
                world.send(ask.clone()).await.expect(contract.refused(400));
                ada.ask(ask).await.expect(contract.refused(400));
                // The redirect does not loop either.
                let page = contract.about(Ask::navigation(target), &world.address);
                world.send(page).await.expect(contract.refused(400));
            }
        }
        for contract in CONTRACTS {
            ada.ask(contract.about(Ask::get("/oauth2x"), &world.address)).await.expect(contract.allowed());
        }
    }
}

/// Sends a forward-auth request about a target of arbitrary bytes; returns the status.
async fn status(world: &World, contract: Contract, target: &[u8]) -> u16 {
    let host = &world.address;
    let (before, after) = match contract {
        Contract::Nginx => {
            ("/oauth2/auth HTTP/1.1\r\nX-Original-Method: GET\r\nX-Original-URI: ".to_owned(), "\r\n")
        }
        Contract::Forward => (
            format!(
                "/oauth2/auth/forward HTTP/1.1\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: http\r\n\
                 X-Forwarded-Host: {host}\r\nX-Forwarded-Uri: "
            ),
            "\r\n",
        ),
        Contract::Envoy => ("/oauth2/auth/envoy".to_owned(), " HTTP/1.1\r\n"),
    };
    let before = format!("GET {before}");
    let after = format!("{after}Host: {host}\r\nConnection: close\r\n\r\n");
    let answer = raw(&world.address, &[before.as_bytes(), target, after.as_bytes()].concat()).await;
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_path_is_evaluated_in_every_reading() {
    let cases = paths::cases();
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let closed = |pattern| path(pattern).allow(vec![Rule::user("nobody-at-all")]);
            gate.allow(Rule::org("acme"))
                .route(closed("/admin/**"))
                .route(closed("/settings"))
                .route(path("/public/**").without_sign_in())
                .route(path("/status").without_sign_in())
                .trusted_proxies(local())
        })
        .await;
        for contract in CONTRACTS {
            for (case, target) in paths::targets(&world, &cases["refused"]) {
                // The part after Envoy's prefix is a path.
                if contract == Contract::Envoy && !target.starts_with(b"/") {
                    continue;
                }
                let status = status(&world, contract, &target).await;
                assert!(status == contract.refused(400) || status == 400, "{contract:?} {case}: {status}");
            }
            for (case, target) in paths::targets(&world, &cases["passed"]) {
                assert_eq!(
                    status(&world, contract, &target).await,
                    contract.allowed(),
                    "{contract:?} {case}"
                );
            }
        }
        for contract in CONTRACTS {
            for (target, status) in [
                ("/public/x?p=/admin", contract.allowed()),
                ("/public/a//b", contract.allowed()),
                ("/public/%7Ex;v=1", contract.allowed()),
                ("/x?p=/public/x", 401),
                ("/publicity", 401),
                ("/Public/x", 401),
                ("/admin/x", 401),
            ] {
                let ask = contract.about(Ask::get(target), &world.address);
                assert_eq!(world.send(ask).await.status.as_u16(), status, "{contract:?} {target}");
            }
        }
    }
}

#[tokio::test]
async fn the_original_method_and_host_select_the_route() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let mut read = path("/data/**").without_sign_in();
            read.methods = vec![http::Method::GET];
            let docs = Route::host("docs.example.com").without_sign_in();
            gate.allow(Rule::org("acme")).route(read).route(docs).trusted_proxies(local())
        })
        .await;
        for contract in CONTRACTS {
            for (method, status) in
                [("GET", contract.allowed()), ("HEAD", contract.allowed()), ("POST", 401), ("OPTIONS", 401)]
            {
                let ask = contract.about(Ask::new(method, "/data/x"), &world.address);
                assert_eq!(world.send(ask).await.status.as_u16(), status, "{contract:?} {method}");
            }
            // No other header changes it.
            for name in ["x-http-method-override", "x_http_method_override", "x-method-override"] {
                let ask = contract.about(Ask::get("/data/x"), &world.address).with(name, "POST");
                let said = world.send(ask).await.expect(contract.refused(400)).json()["error_description"]
                    .to_string();
                assert!(said.contains("would change the method"), "{said}");
            }
            for (host, status) in [
                ("docs.example.com", contract.allowed()),
                ("DOCS.example.com.:443", contract.allowed()),
                ("docs.example.com:8080", contract.refused(400)),
                ("docs.example.com.evil.example", 401),
            ] {
                let ask = contract.about(Ask::get("/x"), host);
                assert_eq!(world.send(ask).await.status.as_u16(), status, "{contract:?} {host}");
            }
        }
        // nginx may send the host in the URL, independent of the host of its own request.
        let ask = Ask::get("/oauth2/auth").with("x-original-method", "GET");
        let docs = ask.clone().with("x-original-url", "https://docs.example.com/x");
        world.send(docs.clone()).await.expect(202);
        world.send(docs.clone().with("host", "huggate.auth.svc:4180")).await.expect(202);
        world.send(docs.with("x-forwarded-host", "other.example")).await.expect(401);
        // A host that the recipe overwrites, next to one that the client sent.
        let ask = ask.with("x-original-uri", "/x");
        world.send(ask.clone().with("x-forwarded-host", "docs.example.com")).await.expect(401);
        // A recipe that keeps its own host and describes the original one.
        let inner = ask.with("host", "huggate:4180").with("x-forwarded-host", "docs.example.com");
        world.send(inner.clone()).await.expect(202);
        // `Forwarded` is ignored here: recipes do not overwrite it.
        let forwarded = inner.set("x-forwarded-host", "other.example");
        world.send(forwarded.with("forwarded", "for=1.1.1.1;host=docs.example.com")).await.expect(401);
    }
}

#[tokio::test]
async fn a_request_without_exactly_one_host_is_refused_within_the_contract() {
    let world = world(Front::Proxy).await;
    for (path, status) in [("auth", 401), ("auth/forward", 400), ("auth/envoy/x", 400)] {
        for host in ["Host: a\r\nHost: b\r\n", "Host: a@b\r\n", ""] {
            let request = format!("GET /oauth2/{path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
            let answer = raw(&world.address, request.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {host}: {answer}");
        }
    }
}
