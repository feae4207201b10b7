//! The route of a path, in every spelling.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{Empty, Full};
use huggate::{Route, Rule};
use serde_json::Value;

use crate::world::{Ask, FRONTS, Front, World, raw};

fn path(text: &str) -> Route {
    Route::path(text)
}

/// `/public/**` is public, `/admin/**` admits nobody, and the rest requires acme.
async fn world(front: Front) -> World {
    World::start(front, |gate| {
        gate.allow(Rule::org("acme"))
            .route(path("/admin/**").allow(vec![Rule::user("nobody-at-all")]))
            .route(path("/public/**").without_sign_in())
            .route(path("/status").without_sign_in())
    })
    .await
}

/// Sends the target exactly as written; hyper's client would normalize or refuse it.
async fn status(world: &World, target: &str) -> u16 {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.address);
    let answer = raw(&world.address, request.as_bytes()).await;
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{target}: {answer}"))
}

#[tokio::test]
async fn a_public_path_is_public_and_its_neighbours_are_not() {
    for front in FRONTS {
        let world = world(front).await;
        for (target, expected) in [
            ("/public/a", 200),
            ("/public", 200),
            ("/public/", 200),
            ("/status", 200),
            ("/status?x=/admin", 200),
            ("/publicity", 401),
            ("/status/", 401),
            ("/status/more", 401),
            ("/STATUS", 401),
            ("/Public/a", 401),
            ("/x/public/a", 401),
        ] {
            assert_eq!(status(&world, target).await, expected, "{target}");
        }
    }
}

#[tokio::test]
async fn query_and_fragment_do_not_select_a_route() {
    // Attack: CVE-2025-54576, GHSA-pxq7.
    for front in FRONTS {
        let world = world(front).await;
        for target in [
            "/secret?p=/status",
            "/secret?/public/a",
            "/?/status",
            "/secret?x=%2Fstatus",
            "/secret%23/status",
            "/secret%23/../status",
            "/secret%3f/../public/a",
        ] {
            let status = status(&world, target).await;
            assert!(matches!(status, 400 | 401), "{target}: {status}");
        }
        // A raw fragment: the part before it decides in any case.
        assert!(matches!(status(&world, "/secret#/status").await, 400 | 401));
        assert!(matches!(status(&world, "/secret#/../status").await, 400 | 401));
        assert_eq!(world.app.calls(), 0);
    }
}

/// `tests/cases/paths.json`, which the tests with other proxies also use.
pub(crate) fn cases() -> Value {
    serde_json::from_str(include_str!("../cases/paths.json")).unwrap()
}

/// The targets of a case for this world, one byte per character.
pub(crate) fn targets<'a>(world: &World, cases: &'a Value) -> Vec<(&'a str, Vec<u8>)> {
    let lists = match cases {
        Value::Object(kinds) => kinds.values().collect(),
        list => vec![list],
    };
    let listed =
        lists.into_iter().flat_map(|list| list.as_array().unwrap()).map(|case| case.as_str().unwrap());
    let bytes = |case: &str| {
        case.replace("{host}", &world.address).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
    };
    listed.map(|case| (case, bytes(case))).collect()
}

/// Sends a target unchanged; returns the answer, which may be empty.
async fn answer(world: &World, target: &[u8]) -> String {
    let end = format!(" HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.address);
    raw(&world.address, &[b"GET ", target, end.as_bytes()].concat()).await
}

/// Two tables for `world`: one that also protects settings, and one that is public except
/// for the protected routes.
async fn worlds(front: Front) -> [World; 2] {
    let closed = |pattern| path(pattern).allow(vec![Rule::user("nobody-at-all")]);
    let start = async |last: [Route; 2]| {
        World::start(front, |gate| {
            let gate = gate.allow(Rule::org("acme")).route(closed("/admin/**")).route(closed("/settings"));
            last.into_iter().fold(gate, huggate::GateBuilder::route)
        })
        .await
    };
    let some = start([path("/public/**").without_sign_in(), path("/status").without_sign_in()]).await;
    [some, start([path("/public/**").without_sign_in(), path("/**").without_sign_in()]).await]
}

#[tokio::test]
async fn an_ambiguous_path_is_refused_if_its_readings_are_decided_differently() {
    // Attack: Pomerium CVE-2021-39206, Traefik CVE-2026-40912. The app may resolve any of
    // these to /admin, or to one of the gate's endpoints.
    let cases = cases();
    for front in FRONTS {
        for world in worlds(front).await {
            let mut taken = Vec::new();
            for (case, target) in targets(&world, &cases["refused"]) {
                let answer = answer(&world, &target).await;
                // hyper already refuses some of them.
                if !answer.starts_with("HTTP/1.1 400") {
                    taken.push((case, answer));
                }
            }
            assert!(taken.is_empty(), "{front:?}: {taken:#?}");
            assert_eq!(world.app.calls(), 0);
        }
    }
}

#[tokio::test]
async fn an_invalid_target_never_reaches_the_app() {
    let cases = cases();
    for front in FRONTS {
        for world in worlds(front).await {
            let mut taken = Vec::new();
            for (case, target) in targets(&world, &cases["never"]) {
                let before = world.app.calls();
                let answer = answer(&world, &target).await;
                let status = answer.get(9..12).unwrap_or("400");
                if !status.starts_with('4') || world.app.calls() > before {
                    taken.push((case, answer));
                }
            }
            assert!(taken.is_empty(), "{front:?}: {taken:#?}");
        }
    }
}

#[tokio::test]
async fn public_targets_are_forwarded_byte_for_byte() {
    let cases = cases();
    for front in FRONTS {
        for world in worlds(front).await {
            for (case, target) in targets(&world, &cases["passed"]) {
                let answer = answer(&world, &target).await;
                let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
                let told: Value = serde_json::from_str(&body.unwrap_or_default())
                    .unwrap_or_else(|_| panic!("{front:?}: {case:?}: {answer}"));
                assert_eq!(told["target"].as_str().map(str::as_bytes), Some(&*target), "{front:?}: {case:?}");
            }
        }
    }
}

#[tokio::test]
async fn headers_that_override_the_path_are_removed() {
    // Attack in the other direction: the gate evaluates the target, and the app uses the
    // header.
    const NAMES: [&str; 8] = [
        "x-original-url",
        "X_Rewrite_URL",
        "x-original-uri",
        "x-forwarded-uri",
        "x-forwarded-prefix",
        "SCRIPT_NAME",
        "Script-Name",
        "path_info",
    ];
    for front in FRONTS {
        let world = world(front).await;
        for name in NAMES {
            let ask = Ask::get("/public/a").with(name, "/admin/secret").with("x-request-id", "kept");
            let answer = world.send(ask).await.expect(200);
            assert!(!answer.text().contains("/admin"), "{name}: {}", answer.text());
            assert_eq!(answer.echo().header("x-request-id"), Some("kept"));
        }
    }
    // The layer, where the peer is unknown.
    let world = world(FRONTS[0]).await;
    for name in NAMES {
        let request = Request::builder().uri("/public/a").header("host", "a").header(name, "/admin/secret");
        let app = async |request: Request<Empty<Bytes>>| {
            assert!(!request.headers().contains_key(name), "{name}");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        };
        let Ok(response) = world.gate.handle(request.body(Empty::new()).unwrap(), app).await;
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn a_less_exact_server_does_not_expose_a_protected_path() {
    // Express and IIS ignore case, Express also a trailing slash; PHP runs the script in
    // the path.
    for front in FRONTS {
        let closed = |pattern| path(pattern).allow(vec![Rule::user("nobody-at-all")]);
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme"))
                .route(closed("/admin/**"))
                .route(closed("/settings"))
                .route(closed("/run.php"))
                .route(closed("/café/**"))
                .route(path("/Docs/**").without_sign_in())
                .route(closed("/docs/a"))
                .route(path("/Files/**").without_sign_in())
                .route(closed("/api/**"))
                .route(path("/API/**").without_sign_in())
        })
        .await;
        let ada = world.signed_in("ada").await;
        let cookie = ada.cookie_line();
        for (target, nobody, member) in [
            ("/admin/x", 401, 403),
            ("/Admin/x", 400, 400),
            ("/ADMIN", 400, 400),
            ("/administrators", 401, 200),
            ("/settings", 401, 403),
            ("/settings/", 400, 400),
            ("/Settings", 400, 400),
            ("/settings/x", 401, 200),
            ("/run.php", 401, 403),
            ("/run.php/x", 400, 400),
            ("/Run.PHP/x", 400, 400),
            ("/run.phpx", 401, 200),
            ("/CAF%C3%89/x", 400, 400),
            // Some servers ignore the trailing slash but not case, and others the
            // reverse.
            ("/docs/a", 401, 403),
            ("/docs/a/", 400, 400),
            ("/Docs/a", 200, 200),
            // Access to a public route by another spelling is harmless.
            ("/Files/x", 200, 200),
            ("/files/x", 401, 200),
            // Both are configured, so the server distinguishes them.
            ("/api/x", 401, 403),
            ("/API/x", 200, 200),
            ("/Api/x", 400, 400),
        ] {
            world.send(Ask::get(target)).await.expect(nobody);
            world.send(Ask::get(target).with("cookie", &cookie)).await.expect(member);
        }
    }
}

#[tokio::test]
async fn the_refusal_of_an_ambiguous_path_explains_what_to_do() {
    for front in FRONTS {
        let world = world(front).await;
        let page = world.send(Ask::navigation("/public/%2e%2e/admin")).await;
        page.expect_page(400, "This address cannot be opened");
        let document = world.send(Ask::get("/public/%2e%2e/admin")).await.expect(400).json();
        assert_eq!(document["error"], "ambiguous_path");
    }
}

#[tokio::test]
async fn a_path_whose_readings_are_decided_alike_is_forwarded_unchanged() {
    for front in FRONTS {
        let world = world(front).await;
        for target in [
            "/public/a%20b.txt",
            "/public/caf%C3%A9",
            "/public/a;v=1",
            "/public/x//y",
            "/public/file=/tmp/x.png?q=%2e%2e/",
            "/public/100%25",
            "/public/%7Euser",
            "/public/what%3f",
        ] {
            let answer = world.send(Ask::get(target)).await.expect(200);
            assert_eq!(answer.echo().target(), target);
        }
        // If all paths are decided alike, so are all readings.
        let open = World::of_acme(front).await;
        let mut ada = open.signed_in("ada").await;
        for target in ["/a//b", "/a/../b", "/a%2Fb", "/models/org%2Fname;x"] {
            assert_eq!(ada.ask(Ask::get(target)).await.expect(200).echo().target(), target);
        }
    }
}

#[tokio::test]
async fn a_target_that_is_not_a_path_is_refused() {
    // Attack: Authelia CVE-2021-32637.
    for front in FRONTS {
        let world =
            World::start(front, |gate| gate.allow(Rule::org("acme")).route(path("/**").without_sign_in()))
                .await;
        for request in [
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n",
            "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n",
            "GET x HTTP/1.1\r\nHost: a\r\n",
            "GET  HTTP/1.1\r\nHost: a\r\n",
            "GET /a b HTTP/1.1\r\nHost: a\r\n",
            "GET /x HTTP/1.1\r\n",
            "GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
            "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
            "GET /x HTTP/1.1\r\nHost: a@b\r\n",
            "GET /x HTTP/1.1\r\nHost: a/b\r\n",
            "GET /x HTTP/1.1\r\nHost: a, b\r\n",
            "GET http://b/x HTTP/1.1\r\nHost: a\r\n",
            "GET http://a@b/x HTTP/1.1\r\nHost: b\r\n",
        ] {
            let answer = raw(&world.address, format!("{request}Connection: close\r\n\r\n").as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{request}: {answer}");
        }
        assert_eq!(world.app.calls(), 0);
        let whole =
            format!("GET http://{0}/x HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\n\r\n", world.address);
        assert!(raw(&world.address, whole.as_bytes()).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_route_for_get_covers_only_head_besides_and_no_header_changes_the_method() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let mut read = path("/feed").without_sign_in();
            read.methods = vec![Method::GET];
            gate.allow(Rule::org("acme")).route(read)
        })
        .await;
        for (method, expected) in
            [("GET", 200), ("HEAD", 200), ("POST", 401), ("OPTIONS", 401), ("PUT", 401), ("get", 401)]
        {
            assert_eq!(world.send(Ask::new(method, "/feed")).await.status, expected, "{method}");
        }
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            let answer = world.send(Ask::get("/feed").with(name, "DELETE")).await.expect(200);
            assert_eq!(answer.echo().header(name), None);
            world.send(Ask::new("POST", "/feed").with(name, "GET")).await.expect(401);
        }
    }
}

#[tokio::test]
async fn a_route_for_a_host_matches_only_that_host() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let mut status = path("/**").without_sign_in();
            status.host = Some("status.example.com".to_owned());
            gate.allow(Rule::org("acme")).route(status)
        })
        .await;
        for (host, expected) in [
            ("status.example.com", 200),
            ("STATUS.example.com", 200),
            ("status.example.com:80", 200),
            ("status.example.com.", 200),
            ("status.example.com:8080", 400),
            ("evil.status.example.com", 401),
            ("app.example.com", 401),
        ] {
            assert_eq!(world.send(Ask::get("/x").with("host", host)).await.status, expected, "{host}");
        }
        // Only the request's own host is used.
        let forwarded = Ask::get("/x").with("x-forwarded-host", "status.example.com");
        world.send(forwarded).await.expect(401);
        world.send(Ask::get("/x").with("forwarded", "host=status.example.com")).await.expect(401);
    }
}
