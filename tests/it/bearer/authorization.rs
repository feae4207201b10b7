//! The `Authorization` header: authentication, and whether it is forwarded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use huggate::gate::BuildError;
use huggate::hub::{Edit, Endpoint};
use huggate::policy::BearerUse;
use huggate::{Gate, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{claims, route, with, with_routes, with_tokens};
use crate::world::{Ask, FRONTS, SECRET, World, begin, raw, upgraded};

#[tokio::test]
async fn an_ambiguous_header_is_refused() {
    for front in FRONTS {
        let world = with_routes(front).await;
        let token = world.token("ada");
        for lines in [
            vec!["Bearer".to_owned()],
            vec!["bearer ".to_owned()],
            vec![format!("Bearer:{token}")],
            vec![format!("Bearer {token} {token}")],
            vec![format!("Bearer {token}, Bearer {token}")],
            vec![format!("Bearer \"{token}\"")],
            vec![format!("Bearer\t{token}")],
            vec![format!("Bearer {token}é")],
            vec![format!("Bearer {token}"), format!("Bearer {token}")],
            vec![format!("Bearer {token}"), "Basic YTpi".to_owned()],
            vec!["Basic YTpi".to_owned(), format!("Bearer {token}")],
        ] {
            for path in ["/", "/public/x", "/only/x", "/forward/x", "/oauth2/userinfo"] {
                for ask in [Ask::get(path), Ask::navigation(path)] {
                    let ask = lines.iter().fold(ask, |ask, line| ask.with("authorization", line));
                    let answer = world.send(ask).await.expect(400);
                    assert_eq!(answer.json()["error"], "invalid_request", "{lines:?} at {path}");
                    let challenge = answer.header("www-authenticate").unwrap();
                    assert!(challenge.starts_with("Bearer realm=\"huggate\", error=\"invalid_request\""));
                }
            }
        }
        assert_eq!((world.introspections(), world.app.calls()), (0, 0));
    }
}

#[tokio::test]
async fn only_the_bearer_scheme_in_any_case_authenticates() {
    for front in FRONTS {
        let world = with_routes(front).await;
        let token = world.token("ada");
        for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "] {
            let ask = Ask::get("/").with("authorization", &format!("{scheme} {token}"));
            assert_eq!(world.send(ask).await.expect(200).echo().username(), Some("ada"), "{scheme}");
        }
        let basic = format!("Basic {}", STANDARD.encode(format!("ada:{token}")));
        for line in [basic.as_str(), "Digest username=\"ada\"", "Negotiate abc", &token, "Bearish x", ""] {
            let ask = Ask::get("/").with("authorization", line);
            assert_eq!(world.send(ask).await.expect(401).json()["error"], "login_required", "{line}");
        }
        assert_eq!(world.introspections(), 1);
    }
}

#[tokio::test]
async fn a_valid_session_takes_precedence_and_an_invalid_one_is_ignored() {
    for front in FRONTS {
        let world = with_routes(front).await;
        let mut ben = world.signed_in("ben").await;
        let both = || with(&world.token("ada"), "/");
        let echo = ben.ask(both()).await.expect(200).echo();
        assert_eq!((echo.username(), claims(&echo)["auth_method"].as_str()), (Some("ben"), Some("session")));
        assert_eq!(echo.header("authorization"), None);
        // A session suffices; the other header is not evaluated.
        ben.ask(with("garbage", "/")).await.expect(200);
        assert_eq!(world.introspections(), 0);
        for cookie in ["huggate=garbage", "huggate=", "other=1"] {
            let echo = world.send(both().with("cookie", cookie)).await.expect(200).echo();
            assert_eq!(echo.username(), Some("ada"));
        }
        ben.open("/oauth2/sign_out").await.expect(200);
        ben.set_cookie("huggate", "ended");
        assert_eq!(ben.ask(both()).await.expect(200).echo().username(), Some("ada"));
    }
}

#[tokio::test]
async fn a_route_for_tokens_ignores_cookies_and_does_not_redirect() {
    for front in FRONTS {
        let world = with_routes(front).await;
        let mut ben = world.signed_in("ben").await;
        for ask in [Ask::navigation("/only/x"), Ask::fetch("/only/x"), Ask::new("POST", "/only/x")] {
            for answer in [world.send(ask.clone()).await, ben.ask(ask.clone()).await] {
                let answer = answer.expect(401);
                assert_eq!(answer.json()["error"], "token_required");
                assert_eq!(answer.json().get("sign_in_url"), None);
                // RFC 6750, section 3.1: no error if no token was sent.
                assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"huggate\""));
                assert!(answer.cookies().is_empty());
            }
        }
        assert_eq!(world.app.calls(), 1);
        let echo = ben.ask(with(&world.token("ada"), "/only/x")).await.expect(200).echo();
        assert_eq!(
            (echo.username(), claims(&echo)["auth_method"].as_str()),
            (Some("ada"), Some("access_token"))
        );
        // Ben's session cookie is removed; the assertion that replaces it is about Ada.
        let cookie = echo.cookies().into_iter().find(|(name, _)| *name == "huggate").unwrap().1;
        assert_eq!(Some(cookie), echo.header("x-huggate-assertion"));
        let bad = ben.ask(with("hf_wrong", "/only/x")).await.expect(401);
        assert_eq!(bad.json().get("sign_in_url"), None, "it would not help");
    }
}

#[tokio::test]
async fn a_route_without_tokens_ignores_them() {
    for front in FRONTS {
        let world = with_routes(front).await;
        let token = world.token("ada");
        assert_eq!(world.send(with(&token, "/off/x")).await.expect(401).json()["error"], "login_required");
        world.send(with("garbage", "/off/x").set("accept", "text/html")).await.expect(302);
        let echo = world.send(with(&token, "/off-public/x")).await.expect(200).echo();
        assert_eq!(echo.username(), None);
        world.send(with("garbage", "/off-public/x")).await.expect(200);
        let mut ben = world.signed_in("ben").await;
        assert_eq!(ben.ask(with(&token, "/off/x")).await.expect(200).echo().username(), Some("ben"));
        assert_eq!(world.introspections(), 0);
    }
}

#[tokio::test]
async fn the_header_is_forwarded_only_on_routes_that_allow_it() {
    // Attack: `Authorization` forwarded without permission of the route.
    for front in FRONTS {
        let world = with_routes(front).await;
        let ben = world.signed_in("ben").await;
        let token = format!("Bearer {}", world.token("ada"));
        let git = format!("Basic {}", STANDARD.encode(format!("ada:{}", world.token("ada"))));
        let own = format!("Basic {}", STANDARD.encode("ada:the app's own"));
        let digest = "Digest username=\"ada\"".to_owned();
        let jwt = "Bearer eyJhbGciOi.e30.x".to_owned();
        for (path, line, passes) in [
            ("/", &token, false),
            ("/", &git, false),
            ("/", &own, false),
            ("/", &digest, false),
            ("/", &jwt, false),
            ("/public/x", &token, false),
            ("/public/x", &own, false),
            ("/only/x", &token, false),
            ("/off/x", &token, false),
            ("/off/x", &git, false),
            ("/off/x", &own, true),
            ("/off/x", &digest, true),
            ("/off/x", &jwt, true),
            ("/off-public/x", &token, false),
            ("/off-public/x", &git, false),
            ("/off-public/x", &own, true),
            ("/forward/x", &token, true),
            ("/forward/x", &git, true),
            ("/forward/x", &own, true),
            ("/forward-public/x", &token, true),
            ("/forward-off/x", &token, true),
            ("/forward-off/x", &jwt, true),
        ] {
            // With a session too, so that everybody has access.
            let ask = Ask::get(path).with("authorization", line).with("cookie", &ben.cookie_line());
            let echo = world.send(ask).await.expect(200).echo();
            assert_eq!(echo.header("authorization"), passes.then_some(line.as_str()), "{path} {line}");
        }
    }
}

#[tokio::test]
async fn without_bearer_tokens_the_apps_own_logins_work_and_hub_tokens_are_removed() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme"))
                .route(route("/public/**").without_sign_in())
                .route(route("/forward/**").without_sign_in().forward_authorization())
        })
        .await;
        let git = format!("Basic {}", STANDARD.encode("ada:hf_abcdefgh"));
        for (path, line, passes) in [
            ("/public/x", "Bearer hf_abcdefgh", false),
            ("/public/x", "bearer  hf_abcdefgh", false),
            ("/public/x", &git, false),
            ("/public/x", "Bearer the-apps-own", true),
            ("/public/x", "Basic YWRhOng=", true),
            ("/forward/x", "Bearer hf_abcdefgh", true),
        ] {
            let echo = world.send(Ask::get(path).with("authorization", line)).await.expect(200).echo();
            assert_eq!(echo.header("authorization"), passes.then_some(line), "{path} {line}");
        }
    }
}

#[tokio::test]
async fn the_connection_header_cannot_remove_the_token_or_forward_it() {
    for front in FRONTS {
        let world = with_routes(front).await;
        let request = format!(
            "GET / HTTP/1.1\r\nhost: {}\r\nconnection: close, authorization\r\nauthorization: Bearer {}\r\n\r\n",
            world.address,
            world.token("ada")
        );
        let answer = raw(&world.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("\"ada\"") && !answer.contains("hf_"), "{answer}");
    }
}

#[tokio::test]
async fn a_socket_and_a_stream_open_with_a_token() {
    for front in FRONTS {
        let world = with_routes(front).await;
        let bearer = format!("Bearer {}", world.token("ada"));
        let ask = Ask::websocket("/ws").with("authorization", &bearer).or_host(&world.address);
        let mut socket = upgraded(&world.address, ask).await;
        socket.write_all(b"hello").await.unwrap();
        let mut said = [0; 5];
        socket.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"hello");
        let ask = Ask::get("/events").with("authorization", &bearer).or_host(&world.address);
        assert_eq!(begin(&world.address, ask).await.status(), 200);
        // Without a token or with an invalid one, both are refused.
        for bad in ["Bearer hf_wrong", "Bearer x"] {
            world.send(Ask::websocket("/ws").with("authorization", bad)).await.expect(401);
        }
        // A page of another site cannot use a token that a program stores.
        let ask = Ask::websocket("/ws").with("authorization", &bearer).with("origin", "https://evil.example");
        world.send(ask).await.expect(403);
    }
}

#[tokio::test]
async fn userinfo_accepts_a_token_and_explains_an_invalid_one() {
    for front in FRONTS {
        let world = with_routes(front).await;
        let told = world.send(with(&world.token("dan"), "/oauth2/userinfo")).await.expect(200).json();
        // Userinfo does not depend on access to the app.
        assert_eq!(
            (told["preferred_username"].as_str(), told["auth_method"].as_str()),
            (Some("dan"), Some("access_token"))
        );
        assert_eq!(
            world.send(with("hf_wrong", "/oauth2/userinfo")).await.expect(401).json()["error"],
            "invalid_token"
        );
        assert_eq!(
            world.send(Ask::get("/oauth2/userinfo")).await.expect(401).json()["error"],
            "login_required"
        );
        let mut ben = world.signed_in("ben").await;
        assert_eq!(ben.fetch("/oauth2/userinfo").await.expect(200).json()["auth_method"], "session");
        // Other endpoints ignore the header.
        world.send(with("hf_wrong", "/oauth2/healthz")).await.expect(200);
        world.send(with("hf_wrong", "/oauth2/jwks.json")).await.expect(200);
        assert_eq!(world.introspections(), 2);
    }
}

#[tokio::test]
async fn a_route_for_tokens_requires_bearer_tokens_to_be_enabled() {
    let gate = Gate::builder()
        .public_url("http://127.0.0.1:1")
        .issuer("http://127.0.0.1:1")
        .client("id", "secret")
        .secret(SECRET)
        .allow_anyone()
        .route(route("/v1/**").bearer(BearerUse::Only));
    let error = gate.clone().build().await.unwrap_err();
    assert!(matches!(&error, BuildError::Bearer(route) if route == "/v1/**"), "{error}");
    assert!(error.to_string().contains("/v1/**"), "{error}");
    with_tokens(gate).build().await.unwrap();
}

#[tokio::test]
async fn introspection_requests_look_like_those_of_hub_clients() {
    let world = with_routes(FRONTS[0]).await;
    world.behave(|hub| {
        hub.edit_whoami = Some(Edit::new(|answer| {
            answer.insert("a-field-of-next-year".to_owned(), serde_json::json!({"x": [1]}));
        }));
    });
    world.send(with(&world.token("ada"), "/")).await.expect(200);
    let asked = world.hub.last_request(Endpoint::Whoami).unwrap();
    assert_eq!((asked.method().as_str(), asked.uri().path()), ("GET", "/api/whoami-v2"));
    assert_eq!(asked.headers()["authorization"], format!("Bearer {}", world.token("ada")));
    assert!(asked.headers()["user-agent"].to_str().unwrap().starts_with("huggate/"));
}
