//! Hooks: the embedder's own code at a sign-in, at a sign-out, and in place of refusals.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use huggate::hooks::{HookError, RefusedRequest, SignIn};
use huggate::session::StoreSettings;
use huggate::{GateBuilder, Grant, PathPattern, Route, Rule, TrustedProxies, User};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::http2;
use crate::world::{Answer, Ask, Browser, FRONTS, Front, Log, World, send};

const AXUM: Front = FRONTS[1];

/// What a hook noted, in order.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn gold(gate: GateBuilder) -> GateBuilder {
    gate.allow(Rule::org("acme")).on_sign_in(|signing_in| async move {
        let of = format!("gold of {}", signing_in.user().username());
        Ok(SignIn::admit().claim("tier", of).claim("seats", 3).claim("teams", ["a", "b"]))
    })
}

/// What a handler reads of the claims.
async fn claims(user: User, grant: Grant) -> String {
    let claims = user.claims();
    let same = grant.user().unwrap().claims().text("tier") == claims.text("tier");
    let (tier, seats) = (claims.text("tier").unwrap_or("none"), claims.get::<u32>("seats"));
    format!("{tier}, {seats:?}, {:?}, {same}", claims.get::<Vec<String>>("teams"))
}

const READ: &str = "gold of ada, Some(3), Some([\"a\", \"b\"]), true";

/// Serves `router` behind the gate of `world` over HTTP/1.1 or HTTP/2; returns its address.
async fn serve(world: &World, router: Router, http2: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = router.layer(world.gate.layer());
    if !http2 {
        tokio::spawn(async move { axum::serve(listener, router).await });
        return address;
    }
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let router = router.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = router.clone().oneshot(request.map(Body::new));
                async move { Ok::<_, Infallible>(answer.await.unwrap()) }
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

/// What handlers behind the gate of `world` read, over HTTP/1.1 and HTTP/2.
async fn read(world: &World, browser: &Browser<'_>) -> [String; 2] {
    let router = Router::new().route("/claims", get(claims));
    let cookie = browser.cookie_line();
    let address = serve(world, router.clone(), false).await;
    let ask = Ask::get("/claims").with("cookie", &cookie).or_host(&world.address);
    let one = send(&address, ask).await.expect(200).text().to_owned();
    let mut sender = http2::connect(&serve(world, router, true).await).await;
    let host = world.public_url.split_once("://").unwrap().1;
    let request = Request::get(format!("http://{host}/claims")).header("cookie", cookie);
    let answer = http2::ask(&mut sender, request.body(http_body_util::Full::default()).unwrap()).await;
    [one, http2::text(answer).await]
}

#[tokio::test]
async fn claims_of_a_sign_in_last_as_long_as_its_session() {
    for store in [StoreSettings::Cookie, StoreSettings::Memory] {
        let settings = move |gate: GateBuilder| gold(gate).session(move |session| session.store = store);
        let world = World::start(AXUM, settings).await;
        let mut browser = world.signed_in("ada").await;
        assert_eq!(read(&world, &browser).await, [READ; 2]);
        // Revalidated, and renewed.
        for _ in 0..3 {
            world.advance(2 * 3600);
            browser.open("/").await.expect(200);
            assert_eq!(read(&world, &browser).await, [READ; 2], "{store:?}");
        }
        // By a gate after a reload, which has no hook any more.
        let after = move |gate: GateBuilder| {
            gate.allow(Rule::org("acme")).session(move |session| session.store = store)
        };
        let reloaded = world.reloaded(after).await;
        assert_eq!(read(&reloaded, &browser.at(&reloaded)).await, [READ; 2], "{store:?}");
        // By another process, as far as it has the session.
        if matches!(store, StoreSettings::Cookie) {
            let replica = world.replica(after).await;
            assert_eq!(read(&replica, &browser.at(&replica)).await, [READ; 2]);
        }
    }
}

#[tokio::test]
async fn the_assertion_carries_the_claims_and_userinfo_does_not() {
    for front in FRONTS {
        let world = World::start(front, gold).await;
        let mut browser = world.signed_in("ada").await;
        let echo = browser.open("/page").await.expect(200).echo();
        let assertion = echo.header("x-huggate-assertion").unwrap();
        let payload = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["tier"], "gold of ada", "{front:?}");
        assert_eq!((&claims["seats"], &claims["teams"][1]), (&3.into(), &"b".into()));
        assert_eq!(claims["preferred_username"], "ada");
        let userinfo = browser.fetch("/oauth2/userinfo").await.expect(200);
        assert!(!userinfo.text().contains("gold"), "{}", userinfo.text());
    }
}

#[tokio::test]
async fn the_hook_gets_the_person_the_client_and_the_token() {
    let notes = Notes::default();
    let world = World::start(AXUM, |gate| {
        let notes = notes.clone();
        gate.allow(Rule::org("acme")).on_sign_in(move |signing_in| {
            let token = signing_in.access_token();
            let shown = format!("{signing_in:?}");
            assert!(!shown.contains(token.expose()), "the token is printed");
            notes.add(format!(
                "{} in {:?} from {} at {} to {}; token: {}",
                signing_in.user().username(),
                signing_in.user().groups(),
                signing_in.client_ip().unwrap(),
                signing_in.host(),
                signing_in.return_to(),
                token.expose().len() > 20,
            ));
            async { Ok(SignIn::admit()) }
        })
    })
    .await;
    let mut browser = world.browser();
    browser.be_at_hub("ada", &["acme"]);
    browser.open("/page?x=1").await.expect(200);
    let host = &world.address;
    let expected =
        format!("ada in [\"acme\", \"acme:admin\"] from 127.0.0.1 at {host} to /page?x=1; token: true");
    assert_eq!(notes.take(), [expected]);
    // It is asked once for a sign-in, and not for a request.
    browser.open("/page").await.expect(200);
    browser.fetch("/page").await.expect(200);
    assert_eq!(notes.take(), [""; 0]);
}

#[tokio::test]
async fn a_refused_person_reads_the_message_and_gets_no_session() {
    for store in [StoreSettings::Cookie, StoreSettings::Memory] {
        let world = World::start(AXUM, |gate| {
            gate.allow_anyone().session(move |session| session.store = store).on_sign_in(
                |signing_in| async move {
                    Ok(match signing_in.user().username() {
                        "ada" => SignIn::refuse("Suspended <b>until</b> \"Monday\".\u{1b}"),
                        "ben" => SignIn::refuse(" "),
                        _ => SignIn::admit(),
                    })
                },
            )
        })
        .await;
        let log = Log::start();
        let mut browser = world.browser();
        let page = browser.sign_in("ada").await.expect(403);
        assert!(log.text().contains("sign_in_refused") && log.text().contains("ada"));
        assert!(page.text().contains("Suspended &lt;b&gt;until&lt;/b&gt; &quot;Monday&quot;.\u{fffd}"));
        assert!(!browser.has_session());
        // A program gets JSON.
        let mut browser = world.browser();
        let callback = browser.callback_url("ada").await;
        let callback = callback.strip_prefix(&world.public_url).unwrap();
        let answer = browser.fetch(callback).await.expect(403);
        assert_eq!(answer.json()["error"], "sign_in_refused");
        assert_eq!(answer.json()["error_description"], "Suspended <b>until</b> \"Monday\".\u{1b}");
        assert!(!browser.has_session());
        let mut browser = world.browser();
        let page = browser.sign_in("ben").await.expect(403);
        assert!(page.text().contains("do not let this account in"), "{}", page.text());
        assert_eq!(world.app.calls(), 0);
        world.signed_in("dan").await;
    }
}

#[tokio::test]
async fn a_hook_that_fails_panics_hangs_or_adds_bad_claims_lets_nobody_in() {
    type Answer = Pin<Box<dyn Future<Output = Result<SignIn, HookError>> + Send>>;
    type Failing = fn(usize) -> Answer;
    let failing: Failing = |case| {
        Box::pin(async move {
            match case {
                0 => Err("the database is down".into()),
                1 => panic!("it panicked {case}"),
                2 => std::future::pending().await,
                3 => Ok(SignIn::admit().claim("groups", "admins")),
                4 => Ok(SignIn::admit().claim("long", "x".repeat(1025))),
                _ => Ok(SignIn::admit().claim("a b", 1)),
            }
        })
    };
    let logged = [
        "the database is down",
        "it panicked 1",
        "a hook took too long",
        "is one that huggate or a standard defines",
        "at most 1024 are allowed",
        "has an invalid name",
    ];
    for (case, logged) in logged.into_iter().enumerate() {
        let log = Log::start();
        let world = World::start(AXUM, |gate| {
            gate.allow(Rule::org("acme"))
                .hook_timeout(Duration::from_millis(if case == 2 { 20 } else { 5_000 }))
                .on_sign_in(move |_| failing(case))
        })
        .await;
        let mut browser = world.browser();
        let page = browser.sign_in("ada").await.expect(500);
        assert!(page.text().contains("Nobody was signed in"), "{}", page.text());
        assert!(!page.text().contains("database"));
        assert!(!browser.has_session() && world.app.calls() == 0);
        let text = log.text();
        assert!(text.contains(logged) && text.contains("on_sign_in"), "{case}: {text}");
    }
    // A closure that panics before its future is there.
    let world = World::start(AXUM, |gate| {
        gate.allow(Rule::org("acme")).on_sign_in(|signing_in| {
            assert_eq!(signing_in.user().username(), "nobody");
            async { Ok(SignIn::admit()) }
        })
    })
    .await;
    let mut browser = world.browser();
    browser.sign_in("ada").await.expect(500);
    assert!(!browser.has_session());
}

#[tokio::test]
async fn the_hook_is_asked_only_about_people_whom_the_rules_admit_somewhere() {
    let notes = Notes::default();
    let hook = |gate: GateBuilder| {
        let notes = notes.clone();
        gate.on_sign_in(move |signing_in| {
            notes.add(signing_in.user().username().to_owned());
            async { Ok(SignIn::admit()) }
        })
    };
    let path = |path| Route::path(PathPattern::parse(path).unwrap());
    let world = World::start(AXUM, |gate| {
        hook(gate.allow(Rule::user("ada")).route(path("/dan/**").allow(vec![Rule::user("dan")])))
    })
    .await;
    let mut browser = world.browser();
    let page = browser.sign_in("ben").await.expect(403);
    assert!(page.text().contains("no access") && page.text().contains("ben"), "{}", page.text());
    assert!(!browser.has_session(), "a session that the hook has not seen");
    assert_eq!(notes.take(), [""; 0]);
    // He is admitted at one route, and not at the page that he came for.
    let mut browser = world.browser();
    browser.sign_in("dan").await.expect(403);
    assert!(browser.has_session());
    assert_eq!(notes.take(), ["dan"]);
    // Rules that admit him later lead to a sign-in that the hook sees.
    let reloaded = world.reloaded(|gate| hook(gate.allow_anyone())).await;
    let mut browser = reloaded.browser();
    browser.sign_in("ben").await.expect(200);
    assert_eq!(notes.take(), ["ben"]);
}

#[tokio::test]
async fn a_sign_out_is_told_once_with_the_person_and_their_claims() {
    for store in [StoreSettings::Cookie, StoreSettings::Memory] {
        let notes = Notes::default();
        let world = World::start(AXUM, |gate| {
            let notes = notes.clone();
            gold(gate).session(move |session| session.store = store).on_sign_out(move |signed_out| {
                let user = signed_out.user();
                notes.add(format!(
                    "{}, {}, {}, {}",
                    user.username(),
                    user.claims().text("tier").unwrap(),
                    signed_out.client_ip().unwrap(),
                    signed_out.host(),
                ));
                async { Ok(()) }
            })
        })
        .await;
        let mut browser = world.signed_in("ada").await;
        let before = browser.cookie_line();
        // A fetch ends nothing.
        browser.fetch("/oauth2/sign_out").await.expect(200);
        assert_eq!(notes.take(), [""; 0]);
        browser.open("/oauth2/sign_out").await.expect(200);
        assert_eq!(notes.take(), [format!("ada, gold of ada, 127.0.0.1, {}", world.address)]);
        // Nobody is signed in any more, whatever cookies come.
        browser.open("/oauth2/sign_out").await.expect(200);
        let again = Ask::navigation("/oauth2/sign_out").with("cookie", &before);
        world.send(again).await.expect(200);
        assert_eq!(notes.take(), [""; 0]);
    }
}

#[tokio::test]
async fn a_hook_that_fails_at_a_sign_out_keeps_nobody_signed_in() {
    for case in 0..3 {
        let log = Log::start();
        let world = World::start(AXUM, |gate| {
            gate.allow(Rule::org("acme")).hook_timeout(Duration::from_millis(20)).on_sign_out(
                move |_| async move {
                    match case {
                        0 => Err("no bus".into()),
                        1 => panic!("no bus"),
                        _ => std::future::pending().await,
                    }
                },
            )
        })
        .await;
        let mut browser = world.signed_in("ada").await;
        let page = browser.open("/oauth2/sign_out").await.expect(200);
        assert!(page.text().contains("You are signed out"));
        assert!(!browser.has_session());
        assert!(log.text().contains("on_sign_out"), "{}", log.text());
    }
}

/// The data of a refusal, in a line.
fn line(refused: &RefusedRequest) -> String {
    format!(
        "{} {} {} {} {} {:?}",
        refused.status().as_u16(),
        refused.code(),
        refused.method(),
        refused.path(),
        refused.user().map_or("nobody", User::username),
        refused.client_kind(),
    )
}

/// A gate whose refusals are noted, and are those of the embedder.
async fn refusing(front: Front, notes: &Notes) -> World {
    let notes = notes.clone();
    World::start(front, move |gate| {
        let public = Route::public("/public/**");
        let admin = Route::path(PathPattern::parse("/admin/**").unwrap());
        let loopback = TrustedProxies::parse(["127.0.0.0/8"]).unwrap();
        gate.allow(Rule::org("acme"))
            .route(public)
            .route(admin.allow(vec![Rule::user("nobody")]))
            .trusted_proxies(loopback)
            .on_refusal(move |refused| {
                notes.add(line(&refused));
                async move {
                    assert!(!refused.reason().is_empty(), "{}", refused.code());
                    let body = format!("{}: {}", refused.code(), refused.reason());
                    let response = Response::builder().status(refused.status()).header("x-mine", "yes");
                    Ok(Some(response.body(Bytes::from(body))?))
                }
            })
    })
    .await
}

/// Checks an answer of the embedder.
fn mine(answer: &Answer, code: &str) {
    assert_eq!(answer.headers.get("x-mine").unwrap(), "yes");
    assert!(answer.text().starts_with(&format!("{code}: ")), "{}", answer.text());
    assert_eq!(answer.headers.get("cache-control").unwrap(), "no-store");
    assert_eq!(answer.headers.get("x-content-type-options").unwrap(), "nosniff");
    let policy = answer.headers.get("content-security-policy").unwrap().to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
}

#[tokio::test]
async fn every_refusal_is_the_embedders_and_a_redirect_to_sign_in_is_none() {
    let notes = Notes::default();
    for front in FRONTS {
        let world = refusing(front, &notes).await;
        let mut browser = world.signed_in("ada").await;
        assert_eq!(notes.take(), [""; 0], "a sign-in and an allowed request");
        let cookie = browser.cookie_line();

        let answer = world.send(Ask::get("/page")).await.expect(401);
        mine(&answer, "login_required");
        assert!(answer.headers.contains_key("www-authenticate"));
        let answer = browser.step("/admin/x?secret=1").await.expect(403);
        mine(&answer, "access_denied");
        let answer = browser.fetch("/admin/x").await.expect(403);
        mine(&answer, "access_denied");
        mine(&browser.step("/public/..%2fadmin").await.expect(400), "ambiguous_path");
        let answer = world.send(Ask::navigation("/oauth2/callback?state=x&code=y")).await.expect(400);
        assert_eq!(answer.headers.get("x-mine").unwrap(), "yes");
        mine(&world.send(Ask::get("/oauth2/nothing")).await.expect(404), "not_found");
        let answer = world.send(Ask::new("DELETE", "/oauth2/start")).await.expect(405);
        mine(&answer, "method_not_allowed");
        assert!(answer.headers.contains_key("allow"));
        mine(&world.send(Ask::get("/oauth2/userinfo")).await.expect(401), "login_required");
        assert_eq!(
            notes.take(),
            [
                "401 login_required GET /page nobody Program",
                "403 access_denied GET /admin/x ada Page",
                "403 access_denied GET /admin/x ada Program",
                "400 ambiguous_path GET /public/..%2fadmin nobody Page",
                "400 invalid_request GET /oauth2/callback nobody Page",
                "404 not_found GET /oauth2/nothing nobody Program",
                "405 method_not_allowed DELETE /oauth2/start nobody Program",
                "401 login_required GET /oauth2/userinfo nobody Program",
            ]
        );
        // Forward auth, about another request.
        let url = format!("{}/admin/y", world.public_url);
        let ask = Ask::get("/oauth2/auth").with("x-original-method", "POST").with("x-original-url", &url);
        mine(&world.send(ask).await.expect(401), "login_required");
        let ask = Ask::get("/oauth2/auth").with("x-original-method", "POST").with("x-original-url", &url);
        mine(&world.send(ask.with("cookie", &cookie)).await.expect(403), "access_denied");
        let ask = Ask::get("/oauth2/auth/envoy/admin/z").with("cookie", &cookie);
        mine(&world.send(ask).await.expect(403), "access_denied");
        assert_eq!(
            notes.take(),
            [
                "401 login_required POST /admin/y nobody Program",
                "403 access_denied POST /admin/y ada Program",
                "403 access_denied GET /admin/z ada Program",
            ]
        );
        // The way to sign in goes on.
        world.send(Ask::navigation("/page")).await.expect(302);
        assert_eq!(notes.take(), [""; 0]);
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_a_refusal_of_the_embedders() {
    let world = World::without_provider(AXUM, |gate| {
        gate.allow(Rule::org("acme")).on_refusal(|refused| async move {
            Ok(Some(Response::builder().status(refused.status()).body(Bytes::from("later"))?))
        })
    })
    .await;
    let answer = world.send(Ask::navigation("/page")).await.expect(503);
    assert_eq!((answer.text(), answer.headers.get("retry-after").unwrap().to_str().unwrap()), ("later", "5"));
}

#[tokio::test]
async fn an_answer_of_the_embedder_stays_a_refusal() {
    let log = Log::start();
    let world = World::start(AXUM, |gate| {
        let loopback = TrustedProxies::parse(["127.0.0.0/8"]).unwrap();
        gate.allow(Rule::org("acme")).trusted_proxies(loopback).on_refusal(|refused| async move {
            let response = Response::builder()
                .status(200)
                .header("content-type", "text/html")
                .header("content-length", "3")
                .header("transfer-encoding", "chunked")
                .header("connection", "x-hop")
                .header("set-cookie", "huggate=stolen; Path=/")
                .header("set-cookie", "mine=1; Path=/")
                .header("www-authenticate", "Basic realm=\"x\"")
                .header("cache-control", "private, no-cache")
                .header("content-security-policy", "default-src 'self'");
            Ok(Some(response.body(Bytes::from(format!("<p>{}</p>", refused.code())))?))
        })
    })
    .await;
    // Unchecked: its fields are not the gate's.
    let ask = |ask: Ask| send(&world.address, ask.or_host(&world.address));
    let answer = ask(Ask::get("/page")).await.expect(401);
    assert_eq!(answer.text(), "<p>login_required</p>");
    let all = |name: &str| -> Vec<&str> {
        answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    };
    assert_eq!(all("set-cookie"), ["mine=1; Path=/"]);
    assert_eq!(all("www-authenticate"), ["Basic realm=\"x\"", "Bearer realm=\"huggate\""]);
    assert_eq!(all("cache-control"), ["private, no-cache"]);
    assert_eq!(all("content-security-policy"), ["default-src 'self'"]);
    assert_eq!(all("content-length"), ["21"]);
    assert_eq!(all("transfer-encoding"), [""; 0]);
    assert!(log.text().contains("a hook answered a refusal with a status that is none"));
    // A proxy that asks must not take it as permission.
    for path in ["/oauth2/auth", "/oauth2/auth/envoy/page"] {
        ask(Ask::get(path)).await.expect(401);
    }
    // HEAD has the length, and no body.
    let answer = ask(Ask::new("HEAD", "/page")).await.expect(401);
    assert!(answer.body.is_empty());
    assert_eq!(answer.headers.get("content-length").unwrap(), "21");
    // A gRPC client reads a grpc-status alone.
    let answer = ask(Ask::new("POST", "/page").with("content-type", "application/grpc")).await;
    assert_eq!(answer.expect(200).headers.get("grpc-status").unwrap(), "16");
}

#[tokio::test]
async fn the_gates_cookies_are_sent_with_an_answer_of_the_embedder() {
    let world = World::start(AXUM, |gate| {
        gate.allow(Rule::org("acme")).on_refusal(|refused| async move {
            let body = Bytes::from(refused.code().to_owned());
            Ok(Some(Response::builder().status(refused.status()).body(body)?))
        })
    })
    .await;
    // A browser that keeps no session is told so, and the counter of its attempts is removed.
    let mut browser = world.browser();
    browser.refused = Some("huggate".to_owned());
    browser.be_at_hub("ada", &["acme"]);
    let ask = Ask::navigation("/").with("cookie", "huggate-attempts=2");
    let answer = world.send(ask).await.expect(400);
    assert_eq!(answer.text(), "sign_in_loop");
    assert!(answer.cookie("huggate-attempts=").unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn a_refusal_hook_without_an_answer_leaves_ours() {
    for case in 0..4 {
        let log = Log::start();
        let world = World::start(AXUM, |gate| {
            gate.allow(Rule::org("acme")).hook_timeout(Duration::from_millis(20)).on_refusal(
                move |_| async move {
                    match case {
                        0 => Ok(None),
                        1 => Err("no template".into()),
                        2 => panic!("no template"),
                        _ => std::future::pending().await,
                    }
                },
            )
        })
        .await;
        let answer = world.send(Ask::get("/page")).await.expect(401);
        assert_eq!(answer.json()["error"], "login_required");
        assert_eq!(log.text().contains("on_refusal"), case > 0, "{case}");
        assert!(!answer.text().contains("template"));
    }
}

#[tokio::test]
async fn a_request_whose_session_ends_meanwhile_is_a_refusal_of_the_embedders() {
    let notes = Notes::default();
    let world = refusing(AXUM, &notes).await;
    let browser = world.signed_in("ada").await;
    let started = Arc::new(tokio::sync::Notify::new());
    let signal = Arc::clone(&started);
    let router = Router::new().route(
        "/hang",
        get(move || {
            signal.notify_one();
            std::future::pending::<()>()
        }),
    );
    let address = serve(&world, router, false).await;
    let ask = Ask::get("/hang?x=1").with("cookie", &browser.cookie_line()).or_host(&world.address);
    let waiting = tokio::spawn(async move { send(&address, ask).await });
    started.notified().await;
    let mut other = browser.at(&world);
    other.open("/oauth2/sign_out").await.expect(200);
    let answer = waiting.await.unwrap().expect(401);
    mine(&answer, "session_ended");
    assert!(answer.headers.contains_key("www-authenticate"));
    assert_eq!(notes.take(), ["401 session_ended GET /hang ada Program"]);
}

#[tokio::test]
async fn refusals_are_the_embedders_over_http2() {
    let notes = Notes::default();
    let world = refusing(AXUM, &notes).await;
    let mut sender = http2::connect(&serve(&world, Router::new(), true).await).await;
    for (method, text) in [("GET", true), ("HEAD", false)] {
        let request = Request::builder().method(method).uri(format!("http://{}/page", world.address));
        let answer = http2::ask(&mut sender, request.body(http_body_util::Full::default()).unwrap()).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["x-mine"].to_str().unwrap()), (401, "yes"));
        assert_eq!(http2::text(answer).await.starts_with("login_required: "), text, "{method}");
    }
    assert_eq!(
        notes.take(),
        ["401 login_required GET /page nobody Program", "401 login_required HEAD /page nobody Program"]
    );
}
