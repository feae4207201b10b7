//! Refusals of tokens.

use huggate::Rule;
use huggate::hub::{Edit, Endpoint, Fault};
use huggate::policy::BearerUse;
use serde_json::Value;

use super::{of_acme, route, with, with_routes, with_tokens};
use crate::world::{Answer, Ask, CLIENT, FRONTS, Front, JWT, Log, World};

#[tokio::test]
async fn an_invalid_token_gets_401_on_every_route() {
    for front in FRONTS {
        let world = with_routes(front).await;
        for path in ["/", "/public/x", "/only/x", "/forward/x", "/forward-public/x", "/admin/x"] {
            for ask in [
                Ask::get(path),
                Ask::navigation(path),
                Ask::navigation(path).set("sec-fetch-dest", "iframe"),
                Ask::navigation(path).method("POST"),
                Ask::fetch(path),
                Ask::new("POST", path).body("{}"),
                Ask::new("OPTIONS", path),
                Ask::websocket(path),
            ] {
                let answer = world.send(ask.with("authorization", "Bearer hf_wrong")).await.expect(401);
                let told = answer.json();
                assert_eq!(told["error"], "invalid_token");
                let why = told["error_description"].as_str().unwrap();
                assert!(why.contains("does not know this token"), "{why}");
                // RFC 6750, section 3.
                assert_eq!(
                    answer.header("www-authenticate"),
                    Some(&*format!(
                        "Bearer realm=\"huggate\", error=\"invalid_token\", error_description=\"{why}\""
                    ))
                );
                assert!(answer.cookies().is_empty(), "nobody is sent to sign in");
                let sign_in = told["sign_in_url"].as_str();
                assert_eq!(sign_in.is_some(), !path.starts_with("/only"), "{told}");
            }
            let head = world.send(Ask::new("HEAD", path).with("authorization", "Bearer hf_wrong")).await;
            assert!(head.expect(401).body.is_empty());
        }
        assert_eq!((world.app.calls(), world.introspections()), (0, 1));
    }
}

#[tokio::test]
async fn a_refusal_explains_how_to_change_the_token() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            with_tokens(gate.allow(Rule::org("acme"))).route(route("/labs").allow(vec![Rule::org("labs")]))
        })
        .await;
        let hub = world.hub.issuer().to_owned();
        let refused = async |token: &str, path: &str| {
            let answer = world.send(with(token, path).set("accept", "text/html")).await.expect(403);
            // A page with sign-in buttons would not help here.
            let told = answer.json();
            assert_eq!((told["error"].as_str(), told.get("grant_url")), (Some("access_denied"), None));
            let text = told["error_description"].as_str().unwrap().to_owned();
            (told, text)
        };
        let (told, text) = refused(&world.token("dan"), "/").await;
        assert!(text.contains("dan may not enter. It is open to a member of acme."), "{text}");
        assert_eq!(told.get("organisation_not_granted"), None, "such a token shows all there is");
        // Fine-grained: the organisation may not be selected.
        world.hub.edit_user("ben", |ben| ben.token_role = "fineGrained".to_owned());
        let (told, text) = refused(&world.token("ben"), "/labs").await;
        assert_eq!(told["organisation_not_granted"], "labs");
        assert_eq!(told["settings_url"], format!("{hub}/settings/tokens"));
        assert!(text.contains("fine-grained") && text.contains("choose labs"), "{text}");
        // Of an OAuth app: consent is given there.
        let oauth = world.hub.oauth_token("ada", CLIENT).unwrap();
        let (told, text) = refused(&oauth, "/").await;
        assert_eq!(told["organisation_not_granted"], "acme");
        assert_eq!(told["settings_url"], format!("{hub}/settings/connected-applications"));
        assert!(text.contains("select acme when asked"), "{text}");
        // Restricted: neither of these would help.
        let (told, text) = refused(&world.token("cleo"), "/").await;
        assert_eq!(told.get("organisation_not_granted"), None);
        assert!(text.contains("acme currently restricts this token or its owner's membership"), "{text}");
        assert_eq!(world.app.calls(), 0);
    }
}

/// The fields that OpenAI's libraries read.
#[track_caller]
fn openai(answer: Answer, status: u16, kind: &str, code: &str) -> Value {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = answer.json()["error"].clone();
    assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some(kind), Some(code)), "{error}");
    assert!(error["param"].is_null() && error.get("error_description").is_none(), "{error}");
    assert!(error["message"].as_str().unwrap().len() > 20, "{error}");
    error
}

#[tokio::test]
async fn openais_libraries_get_their_own_error_format() {
    for front in FRONTS {
        let world = with_routes(front).await;
        for (name, value) in [
            ("user-agent", "OpenAI/Python 2.8.0"),
            ("user-agent", "AsyncOpenAI/Python 2.8.0"),
            ("x-stainless-lang", "js"),
        ] {
            let ask = |token: &str, path: &str| {
                Ask::new("POST", path)
                    .with(name, value)
                    .with("accept", "application/json")
                    .with("authorization", &format!("Bearer {token}"))
                    .body("{}")
            };
            let error = openai(
                world.send(ask("hf_wrong", "/v1")).await,
                401,
                "authentication_error",
                "invalid_token",
            );
            assert!(error["message"].as_str().unwrap().contains("does not know this token"));
            openai(world.send(ask("sk-x", "/v1")).await, 401, "authentication_error", "invalid_token");
            openai(world.send(ask("hf_x y", "/v1")).await, 400, "invalid_request_error", "invalid_request");
            openai(
                world.send(ask("hf_wrong", "/oauth2/userinfo")).await,
                401,
                "authentication_error",
                "invalid_token",
            );
            let dan = world.token("dan");
            let error = openai(world.send(ask(&dan, "/v1")).await, 403, "permission_error", "access_denied");
            assert!(error["message"].as_str().unwrap().contains("a member of acme"));
            openai(
                world.send(ask(&dan, "/public%2fx")).await,
                400,
                "invalid_request_error",
                "ambiguous_path",
            );
            let nobody = Ask::get("/only/x").with(name, value);
            openai(world.send(nobody).await, 401, "authentication_error", "token_required");
            let error = openai(
                world.send(Ask::get("/v1").with(name, value)).await,
                401,
                "authentication_error",
                "login_required",
            );
            assert!(error["sign_in_url"].is_string());
            world.behave(|hub| hub.fail(Endpoint::Whoami, Fault::Status(500)));
            world.advance(1);
            let token = format!("hf_{}{}", name.len(), value.len());
            let answer = world.send(ask(&token, "/v1")).await;
            assert!(answer.header("retry-after").is_some());
            openai(answer, 503, "server_error", "temporarily_unavailable");
            world.behave(|hub| hub.clear_faults(Endpoint::Whoami));
            // A person with access gets the app's own answer.
            world.send(ask(&world.token("ada"), "/v1")).await.expect(200).echo();
        }
        // Other clients get the usual format.
        let plain = world.send(with("hf_wrong", "/v1")).await.expect(401).json();
        assert_eq!(plain["error"], "invalid_token");
    }
}

#[tokio::test]
async fn proxy_errors_use_openais_error_format_too() {
    use huggate::upstream::UpstreamUrl;
    let mut world = of_acme(Front::Proxy).await;
    // Bound, but not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nowhere = UpstreamUrl::parse(&format!("http://{}", socket.local_addr().unwrap())).unwrap();
    let mut settings = crate::world::upstream(nowhere);
    settings.body_bytes = Some(10);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (running, _serving) = crate::world::proxy(&world.gate, &settings, crate::world::server(), listener);
    world.address = address;
    let ask = || with(&world.token("ada"), "/v1").method("POST").set("user-agent", "OpenAI/Python 2.8.0");
    openai(world.send(ask()).await, 502, "server_error", "upstream_down");
    openai(world.send(ask().body("more than ten bytes")).await, 413, "invalid_request_error", "too_large");
    running.stop();
}

#[tokio::test]
async fn no_token_is_in_any_log_line_or_answer() {
    // Attack: tokens in logs, pages and `Debug`. `World::send` checks every answer.
    let log = Log::start();
    let world = with_routes(FRONTS[0]).await;
    world.hub.consent("ada", CLIENT, &["acme"]);
    let oauth = world.hub.oauth_token("ada", CLIENT).unwrap();
    let refresh = format!("hf_oauth__refresh_{}", "r".repeat(34));
    let tokens = [world.token("ada"), world.token("dan"), oauth, refresh, "hf_wrongwrong".to_owned()];
    let faults =
        [None, Some(Fault::Status(500)), Some(Fault::NotJson), Some(Fault::Status(429)), Some(Fault::Reset)];
    for fault in faults {
        world.advance(400);
        world.behave(|hub| {
            hub.clear_faults(Endpoint::Whoami);
            if let Some(fault) = fault {
                hub.fail(Endpoint::Whoami, fault);
            }
        });
        for token in &tokens {
            world.advance(2);
            for path in ["/", "/public/x", "/admin/x", "/oauth2/userinfo"] {
                world.send(with(token, path)).await;
            }
            world
                .send(Ask::get("/").with("authorization", &format!("Bearer {token} {token}")))
                .await
                .expect(400);
        }
    }
    // The hub's error message may quote the request.
    let quoted = tokens[0].clone();
    world.behave(|hub| {
        hub.clear_faults(Endpoint::Whoami);
        hub.edit_whoami = Some(Edit::new(move |answer| {
            answer.insert("auth".to_owned(), quoted.clone().into());
        }));
    });
    world.advance(400);
    world.send(with(&tokens[0], "/")).await.expect(503);
    let text = format!("{} {:?}", log.text(), world.gate);
    assert!(
        text.contains("token_checked") && text.contains("could not be introspected"),
        "nothing was recorded"
    );
    for token in &tokens {
        assert!(!text.contains(token.as_str()), "{token} is in the log:\n{text}");
    }
    for start in ["hf_oauth_", JWT[0], JWT[1]] {
        assert!(!text.contains(start), "{start} is in the log:\n{text}");
    }
}

#[tokio::test]
async fn debug_output_of_a_grant_contains_no_token() {
    use huggate::{Grant, User};
    use tower::{Layer, ServiceExt};
    let world = of_acme(FRONTS[0]).await;
    let token = world.token("ada");
    let look = tower::service_fn(async |request: http::Request<http_body_util::Empty<bytes::Bytes>>| {
        let grant = request.extensions().get::<Grant>().unwrap();
        let user = request.extensions().get::<User>().unwrap();
        let printed = format!("{grant:?} {user:?} {:?}", request.headers());
        let answer = http_body_util::Full::new(bytes::Bytes::from(printed));
        Ok::<_, std::convert::Infallible>(http::Response::new(answer))
    });
    let request = http::Request::get("/")
        .header("host", "a.example")
        .header("authorization", format!("Bearer {token}"))
        .body(http_body_util::Empty::new())
        .unwrap();
    let answer = world.gate.layer().layer(look).oneshot(request).await.unwrap();
    // For loggers around the layer.
    assert_eq!(answer.extensions().get::<User>().unwrap().auth_method().as_str(), "access_token");
    let printed = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    let printed = String::from_utf8(printed.to_vec()).unwrap();
    assert!(printed.contains("TokenCaller") && printed.contains("ada"), "{printed}");
    assert!(!printed.contains(&token) && !printed.contains("hf_"), "{printed}");
}

#[tokio::test]
async fn routes_with_different_bearer_settings_are_not_alike() {
    // A path with both readings must not select the authentication method.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            with_tokens(gate.allow(Rule::org("acme")))
                .route(route("/v1/**").bearer(BearerUse::Only))
                .route(route("/app/**").forward_authorization())
        })
        .await;
        let token = world.token("ada");
        for path in ["/x/../v1/models", "/v1/..%2fx", "//v1/x", "/app/../x", "/x/..;/app/x", "/%61pp%2fx"] {
            let answer = world.send(with(&token, path)).await.expect(400);
            assert_eq!(answer.json()["error"], "ambiguous_path", "{path}");
        }
        assert_eq!(world.app.calls(), 0);
    }
}

#[cfg(feature = "bin")]
#[tokio::test]
async fn the_log_names_the_person_and_the_authentication_method() {
    use huggate::telemetry::AuditEntry;
    use tower::{Layer, ServiceExt};
    let world = of_acme(FRONTS[0]).await;
    let mut ben = world.signed_in("ben").await;
    ben.open("/").await.expect(200);
    let app = tower::service_fn(async |_: http::Request<http_body_util::Empty<bytes::Bytes>>| {
        Ok::<_, std::convert::Infallible>(
            http::Response::new(http_body_util::Full::<bytes::Bytes>::default()),
        )
    });
    for (name, value, line) in [
        (
            "authorization",
            format!("Bearer {}", world.token("ada")),
            r#"event="answered" username="ada" auth_method="access_token""#,
        ),
        ("cookie", ben.cookie_line(), r#"event="answered" username="ben" auth_method="session""#),
        (
            "authorization",
            format!("Bearer {}", world.token("dan")),
            r#"username="dan" auth_method="access_token""#,
        ),
        (
            "authorization",
            "Bearer hf_wrong".to_owned(),
            r#"event="refused" decision="unauthenticated" reason="invalid_token""#,
        ),
    ] {
        let log = Log::start();
        let request = http::Request::get("/x").header("host", "a.example").header(name, &value);
        let request = request.body(http_body_util::Empty::new()).unwrap();
        let entry = AuditEntry::of(&request).unwrap();
        entry.record(&world.gate.layer().layer(app).oneshot(request).await.unwrap());
        assert!(log.text().contains(line), "{line} is not in {}", log.text());
        assert!(!log.text().contains(&value), "{}", log.text());
    }
}
