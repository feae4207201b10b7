//! What the gate says by `tracing`: fields of the embedder's span, and events.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use huggate::authn::BearerSettings;
use huggate::hooks::SignIn;
use huggate::policy::BearerUse;
use huggate::{Gate, Role, Route, Rule, TrustedProxies, request_span};
use tracing::field::Empty;
use tracing::{Instrument, Level, Span};

use crate::embedding::Served;
use crate::world::{
    Ask, Browser, CLIENT_SECRET, Collector, FRONTS, JWT, Recorded, SECRET, World, parameter, raw,
};

const AUDIT: &str = "huggate::audit";

/// A gate for members of acme, with a route of each kind, which accepts tokens.
async fn world() -> World {
    World::start(FRONTS[0], |gate| {
        gate.allow(Rule::org("acme"))
            .bearer(BearerSettings::default())
            .trusted_proxies(TrustedProxies::parse(["127.0.0.0/8"]).unwrap())
            .route(Route::public("/public/**"))
            .route(Route::path("/admin/**").allow(Rule::org("acme").with_role(Role::Admin)))
            .route(Route::path("/api/**").bearer(BearerUse::Only))
            .route(Route::path("/write").methods([http::Method::POST]).allow_anyone())
    })
    .await
}

async fn hello() -> &'static str {
    "hello"
}

#[tokio::test]
async fn the_span_of_this_crate_fits_the_trace_layer_of_tower_http() {
    let world = world().await;
    let trace = tower_http::trace::TraceLayer::new_for_http().make_span_with(request_span);
    let router = Router::new().fallback(hello).layer(world.gate.layer()).layer(trace);
    let app = Served::new(&world, router).await;
    let collector = Collector::start(Level::INFO);
    app.get("/public/x", "").await.expect(200);
    let fields = collector.take_spans().pop().unwrap();
    assert_eq!(fields["huggate.decision"], "public");
}

/// An app behind the layer, within a span of the embedder's for each request.
async fn served(world: &World, span: fn(&Request) -> Span) -> Served {
    let router = Router::new()
        .route("/ada", get(hello).layer(world.gate.require(Rule::user("ada"))))
        .fallback(hello)
        .layer(world.gate.layer())
        .layer(from_fn(move |request: Request, next: Next| {
            let span = span(&request);
            next.run(request).instrument(span)
        }));
    Served::new(world, router).await
}

/// The only event, as its fields and level.
fn only(events: Vec<Recorded>) -> Recorded {
    assert_eq!(events.len(), 1, "{events:#?}");
    events.into_iter().next().unwrap()
}

#[tokio::test]
async fn the_embedders_span_says_who_it_was_and_what_was_decided() {
    let world = world().await;
    let ada = world.signed_in("ada").await;
    let ben = world.signed_in("ben").await.cookie_line();
    let id = id_of(&world, &ada).await;
    let cookie = ada.cookie_line();
    let app = served(&world, request_span).await;
    let collector = Collector::start(Level::INFO);
    let [decision, reason, route, user] =
        ["huggate.decision", "huggate.reason", "huggate.route", "enduser.id"];
    for (path, cookie, status, expected) in [
        ("/page?code=x", &*cookie, 200, vec![(decision, "allow"), (route, "access"), (user, &*id)]),
        ("/admin/x", &cookie, 200, vec![(decision, "allow"), (route, "/admin/**"), (user, &id)]),
        ("/public/x", &cookie, 200, vec![(decision, "public"), (route, "/public/**"), (user, &id)]),
        ("/public/x", "", 200, vec![(decision, "public"), (route, "/public/**")]),
        (
            "/page",
            "",
            401,
            vec![(decision, "unauthenticated"), (reason, "login_required"), (route, "access")],
        ),
        ("/oauth2/userinfo", &cookie, 200, vec![(user, &id)]),
    ] {
        app.get(path, cookie).await.expect(status);
        let spans = collector.take_spans();
        assert_eq!(spans.len(), 1, "{spans:#?}");
        let mut fields = spans.into_iter().next().unwrap();
        assert_eq!(fields.remove("http.request.method").unwrap(), "GET");
        assert_eq!(fields.remove("url.path").unwrap(), path.split('?').next().unwrap());
        let expected = expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields, expected.collect(), "{path}");
    }
    // The rule of one router is decided last.
    app.get("/ada", &ben).await.expect(403);
    let fields = collector.take_spans().pop().unwrap();
    assert_eq!((&*fields[decision], &*fields[reason]), ("forbidden", "access_denied"));
    assert!(fields.contains_key(user) && fields[user] != id);
}

#[tokio::test]
async fn a_span_has_what_it_declares_and_none_is_needed() {
    let world = world().await;
    let ada = world.signed_in("ada").await;
    let (id, cookie) = (id_of(&world, &ada).await, ada.cookie_line());
    let collector = Collector::start(Level::INFO);
    let app = served(&world, |_| tracing::info_span!("mine", enduser.id = Empty, other = 1)).await;
    app.get("/page", &cookie).await.expect(200);
    app.get("/page", "").await.expect(401);
    let spans = collector.take_spans();
    assert_eq!(
        spans[0].iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>(),
        [("enduser.id", &*id), ("other", "1")]
    );
    assert_eq!(spans[1].len(), 1);
    for span in
        [|_: &Request| Span::none(), |_: &Request| tracing::debug_span!("disabled", enduser.id = Empty)]
    {
        let app = served(&world, span).await;
        app.get("/page", &cookie).await.expect(200);
        app.get("/page", "").await.expect(401);
    }
    assert_eq!(collector.take_spans().len(), 0);
}

/// The rows of a table of refusals: the request, who sends it, the status of the answer, the
/// level, and what the event says.
type Row = (Ask, &'static str, u16, Level, [&'static str; 3]);

fn rows(world: &World) -> Vec<Row> {
    let (info, warn) = (Level::INFO, Level::WARN);
    let host = &*world.address;
    let token = |path: &str, value: &str| Ask::get(path).with("authorization", value);
    vec![
        (Ask::navigation("/x?code=y"), "", 302, info, ["sign_in", "login_required", "access"]),
        (Ask::fetch("/x"), "", 401, info, ["unauthenticated", "login_required", "access"]),
        (Ask::fetch("/ada"), "", 401, info, ["unauthenticated", "login_required", "access"]),
        (Ask::fetch("/ada"), "ben", 403, info, ["forbidden", "access_denied", "access"]),
        (Ask::fetch("/admin/x"), "ben", 403, info, ["forbidden", "access_denied", "/admin/**"]),
        (Ask::navigation("/x"), "dan", 403, info, ["forbidden", "access_denied", "access"]),
        (
            Ask::websocket("/public/ws").with("origin", "https://evil.example"),
            "ada",
            403,
            info,
            ["forbidden", "cross_origin", "/public/**"],
        ),
        (Ask::get("/public/..%2fadmin/x"), "", 400, info, ["bad_request", "ambiguous_path", ""]),
        (Ask::new("post", "/write"), "ada", 400, info, ["bad_request", "ambiguous_method", ""]),
        (Ask::new("OPTIONS", "*"), "", 400, info, ["bad_request", "invalid_target", ""]),
        (Ask::get("/x").with("host", "a b"), "", 400, info, ["bad_request", "invalid_host", ""]),
        (token("/x", "Bearer hf_wrong"), "", 401, info, ["unauthenticated", "invalid_token", "access"]),
        (token("/x", "Bearer a b"), "", 400, info, ["bad_request", "invalid_request", "access"]),
        (Ask::get("/api/x"), "", 401, info, ["unauthenticated", "token_required", "/api/**"]),
        (
            token("/oauth2/userinfo", "Bearer hf_wrong"),
            "",
            401,
            info,
            ["unauthenticated", "invalid_token", ""],
        ),
        (Ask::get("/oauth2/auth"), "", 401, warn, ["bad_request", "invalid_forward_auth", ""]),
        (
            Ask::navigation("/oauth2/auth/forward")
                .with("x-forwarded-method", "GET")
                .with("x-forwarded-proto", "http")
                .with("x-forwarded-host", "elsewhere.example")
                .with("x-forwarded-uri", "/x"),
            "",
            400,
            warn,
            ["bad_request", "unknown_host", "access"],
        ),
        (
            Ask::navigation("/oauth2/auth/forward")
                .with("x-forwarded-method", "GET")
                .with("x-forwarded-proto", "http")
                .with("x-forwarded-host", host)
                .with("x-forwarded-uri", "/admin/y"),
            "ben",
            403,
            info,
            ["forbidden", "access_denied", "/admin/**"],
        ),
        (
            Ask::navigation("/x").with("cookie", "huggate-attempts=2"),
            "",
            400,
            warn,
            ["unauthenticated", "sign_in_loop", "access"],
        ),
    ]
}

#[tokio::test]
async fn each_refusal_is_one_event() {
    let world = world().await;
    let people = ["ada", "ben", "dan"];
    let mut cookies = std::collections::BTreeMap::from([("", (String::new(), String::new()))]);
    for name in people {
        let browser = match name {
            "dan" => {
                let mut dan = world.browser();
                dan.sign_in("dan").await.expect(403);
                dan
            }
            _ => world.signed_in(name).await,
        };
        cookies.insert(name, (browser.cookie_line(), id_of(&world, &browser).await));
    }
    let app = served(&world, request_span).await;
    let collector = Collector::start(Level::INFO);
    for (ask, who, status, level, [decision, reason, route]) in rows(&world) {
        let what = format!("{ask:?}");
        let (cookie, id) = &cookies[who];
        let mut ask = ask.with("x-request-id", "a-1_b.c");
        if !cookie.is_empty() {
            ask = ask.with("cookie", cookie);
        }
        app.send(ask).await.expect(status);
        let event = only(collector.take(AUDIT));
        assert_eq!((event.level, event.field("event")), (level, Some("refused")), "{what}");
        assert_eq!(event.field("decision"), Some(decision), "{what}");
        assert_eq!(event.field("reason"), Some(reason), "{what}");
        assert_eq!(event.field("route").unwrap_or_default(), route, "{what}");
        // nginx' contract has statuses of its own.
        let expected = if reason == "invalid_forward_auth" { "400".to_owned() } else { status.to_string() };
        assert_eq!(event.field("status"), Some(&*expected), "{what}");
        assert_eq!(event.field("client"), Some("127.0.0.1"), "{what}");
        assert_eq!(event.field("request_id"), Some("a-1_b.c"), "{what}");
        let knows = decision == "forbidden" && reason == "access_denied";
        assert_eq!(event.field("sub"), knows.then_some(&**id), "{what}");
        assert_eq!(event.field("username"), knows.then_some(who), "{what}");
        assert!(!event.field("path").unwrap().contains('?'), "{what}");
        for name in ["method", "path", "host"] {
            assert!(event.field(name).is_some(), "{what}: {name}");
        }
    }
    // A request whose fields name no host and no id.
    raw(&app.address, b"GET / HTTP/1.1\r\nconnection: close\r\nx-request-id: a b\r\n\r\n").await;
    let event = only(collector.take(AUDIT));
    assert_eq!(event.field("reason"), Some("invalid_host"));
    assert_eq!(event.field("request_id"), None);
    // What is allowed is no event.
    app.get("/x", &cookies["ada"].0).await.expect(200);
    app.get("/public/x", "").await.expect(200);
    app.get("/oauth2/healthz", "").await.expect(200);
    assert_eq!(collector.take(AUDIT).len(), 0);
}

#[tokio::test]
async fn a_refusal_for_lack_of_an_answer_is_a_warning() {
    let world = world().await;
    let ada = world.signed_in("ada").await.cookie_line();
    let other = World::without_provider(FRONTS[0], |gate| {
        gate.allow(Rule::org("acme")).bearer(BearerSettings::default())
    })
    .await;
    world.hub.stop().await;
    // Past revalidate and its grace.
    world.advance(3 * 3_600);
    let collector = Collector::start(Level::INFO);
    for (world, ask) in [
        (&world, Ask::fetch("/x").with("cookie", &ada)),
        (&other, Ask::get("/x").with("authorization", "Bearer hf_unknown")),
        (&other, Ask::navigation("/x")),
    ] {
        world.send(ask).await.expect(503);
        let event = only(collector.take(AUDIT));
        assert_eq!(event.level, Level::WARN);
        assert_eq!(event.field("decision"), Some("unavailable"));
        assert_eq!(event.field("reason"), Some("temporarily_unavailable"));
    }
    // The same at the address that begins a sign-in.
    other.send(Ask::navigation("/oauth2/start")).await.expect(503);
    let event = only(collector.take(AUDIT));
    assert_eq!((event.level, event.field("event")), (Level::WARN, Some("sign_in_failed")));
}

#[tokio::test]
async fn a_page_over_http_is_one_event() {
    let world = World::at(FRONTS[0], "https://app.example.com", |gate| {
        gate.allow_anyone().trusted_proxies(TrustedProxies::parse(["127.0.0.0/8"]).unwrap())
    })
    .await;
    let collector = Collector::start(Level::INFO);
    world.send(Ask::navigation("/x").with("x-forwarded-proto", "http")).await.expect(307);
    let event = only(collector.take(AUDIT));
    assert_eq!(event.field("reason"), Some("https_required"));
    assert_eq!(event.field("status"), Some("307"));
}

#[tokio::test]
async fn a_sign_in_and_a_sign_out_are_one_event_each() {
    let world = world().await;
    let collector = Collector::start(Level::INFO);
    let mut ada = world.browser();
    let callback = ada.callback_url("ada").await;
    collector.take(AUDIT);
    ada.step(&callback).await.expect(302);
    let id = id_of(&world, &ada).await;
    let event = only(collector.take(AUDIT));
    assert_eq!((event.level, event.field("event")), (Level::INFO, Some("sign_in")));
    assert_eq!((event.field("sub"), event.field("username")), (Some(&*id), Some("ada")));
    assert_eq!(event.field("client"), Some("127.0.0.1"));
    ada.open("/oauth2/sign_out").await.expect(200);
    let event = only(collector.take(AUDIT));
    assert_eq!((event.level, event.field("event")), (Level::INFO, Some("sign_out")));
    assert_eq!((event.field("sub"), event.field("username")), (Some(&*id), Some("ada")));
    // Nobody is signed in any more.
    ada.open("/oauth2/sign_out").await.expect(200);
    assert_eq!(collector.take(AUDIT).len(), 0);
}

#[tokio::test]
async fn a_failed_sign_in_is_one_event() {
    let world = World::start(FRONTS[0], |gate| {
        gate.allow_anyone().on_sign_in(|signing_in| async move {
            Ok(match signing_in.user().username() {
                "ben" => SignIn::refuse("Ask admin@example.com."),
                _ => SignIn::admit(),
            })
        })
    })
    .await;
    let collector = Collector::start(Level::INFO);
    let failed = |level: Level, reason: &str| {
        let event = only(collector.take(AUDIT));
        assert_eq!((event.level, event.field("event")), (level, Some("sign_in_failed")), "{event:?}");
        assert_eq!(event.field("reason"), Some(reason));
        event
    };
    world.send(Ask::navigation("/oauth2/callback?state=x&code=y")).await.expect(400);
    failed(Level::INFO, "invalid_request");
    let mut ben = world.browser();
    let callback = ben.callback_url("ben").await;
    collector.take(AUDIT);
    ben.step(&callback).await.expect(403);
    let event = failed(Level::INFO, "sign_in_refused");
    assert_eq!(event.field("username"), Some("ben"));
    assert_eq!(event.field("detail"), Some("Ask [email]"));
    for (parameter, status, level, reason) in [
        ("error=access_denied", 403, Level::INFO, "access_denied"),
        ("error=server_error&error_description=a%0Ab", 502, Level::WARN, "provider_error"),
    ] {
        let mut browser = world.browser();
        let callback = browser.callback_url("ada").await;
        collector.take(AUDIT);
        let code = self::parameter(&callback, "code").unwrap();
        let callback = callback.replace(&format!("code={code}"), parameter);
        browser.step(&callback).await.expect(status);
        let event = failed(level, reason);
        assert!(!event.field("detail").unwrap().contains('\n'));
    }
}

#[tokio::test]
async fn events_and_spans_hold_no_secret_and_clients_cannot_forge_a_line() {
    let collector = Collector::start(Level::TRACE);
    let world = world().await;
    let mut ada = world.browser();
    let callback = ada.callback_url("ada").await;
    ada.open(&callback).await.expect(200);
    let session = ada.session().unwrap();
    let app = served(&world, request_span).await;
    let cookie = ada.cookie_line();
    for path in [
        "/x?token=query-secret",
        "/users/eve@example.com",
        "/users/eve%40example.com",
        "/files/hf_pathSecret1234",
        "/eyJwYXRo.c2VjcmV0.x",
    ] {
        app.get(path, &cookie).await.expect(200);
        app.get(path, "huggate=cookie-secret").await.expect(401);
    }
    for line in ["GET /\u{202e}evil HTTP/1.1", "GET /%0d%0aforged HTTP/1.1", "GET /\u{7f} HTTP/1.1"] {
        let ask = format!("{line}\r\nhost: {}\r\nconnection: close\r\n\r\n", app.host);
        raw(&app.address, ask.as_bytes()).await;
    }
    let ask = Ask::get("/x")
        .with("authorization", "Bearer hf_headerSecret")
        .with("user-agent", "agent-secret\u{85}")
        .with("x-request-id", "hf_idSecret");
    app.send(ask).await.expect(401);
    let other = Ask::new("FOO", "/x").with("host", "evil.example:1");
    app.send(other.with("referer", "https://x/?code=referer-secret")).await.expect(401);
    ada.open("/oauth2/sign_out?rd=/x?return-secret").await.expect(200);
    ada.open(&callback).await.expect(400);
    let text = collector.text();
    assert!(
        text.contains("sign_in_failed") && text.contains("[email]") && text.contains("[token]"),
        "{text}"
    );
    let (code, state) = (parameter(&callback, "code").unwrap(), parameter(&callback, "state").unwrap());
    for secret in [
        session.as_str(),
        &code,
        &state,
        "hf_oauth_",
        JWT[0],
        JWT[1],
        CLIENT_SECRET,
        SECRET,
        "query-secret",
        "cookie-secret",
        "eve@",
        "eve%40",
        "ada@",
        "hf_pathSecret",
        "c2VjcmV0",
        "hf_headerSecret",
        "hf_idSecret",
        "agent-secret",
        "referer-secret",
        "return-secret",
        "\u{7f}",
        "\u{202e}",
    ] {
        assert!(!text.contains(secret), "{secret:?} is recorded:\n{text}");
    }
}

#[tokio::test]
async fn without_a_subscriber_nothing_is_recorded_and_requests_are_answered() {
    let world = world().await;
    let app = served(&world, request_span).await;
    let collector = Collector::start(Level::ERROR);
    app.get("/x", "").await.expect(401);
    let _: &Gate = &world.gate;
    assert_eq!(collector.take(AUDIT).len(), 0);
    assert_eq!(collector.take_spans().len(), 0);
}

/// The account id of the person whose session `browser` has.
async fn id_of(world: &World, browser: &Browser<'_>) -> String {
    let ask = Ask::get("/oauth2/userinfo").with("cookie", &browser.cookie_line());
    world.send(ask).await.expect(200).json()["sub"].as_str().unwrap().to_owned()
}
