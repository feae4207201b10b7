//! What `huggate::testing` gives to the tests of an embedder: handlers behind a gate whose
//! provider is in the same process.

use std::convert::Infallible;
use std::net::ToSocketAddrs;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::get;
use http::header::{AUTHORIZATION, COOKIE, LOCATION};
use http::{Request, Response, StatusCode};
use huggate::authn::BearerSettings;
use huggate::clock::Clock;
use huggate::gate::GateSettings;
use huggate::hub::{Edit, Endpoint, Fault};
use huggate::session::StoreSettings;
use huggate::testing::{self, Role, SignedIn};
use huggate::{Client, Gate, GateBuilder, PathPattern, Route, Rule, User};
use tower::ServiceExt;

/// Past `revalidate` and `revalidate_grace`: requests wait for what the provider says now.
const EXPIRED: Duration = Duration::from_secs(76 * 60);

/// What production would apply to its builder.
fn rules(gate: GateBuilder) -> GateBuilder {
    let admin = Route::path(PathPattern::parse("/admin").unwrap());
    let public = Route::public("/public");
    gate.allow(Rule::org("acme"))
        .route(admin.allow(vec![Rule::org("acme").with_role(Role::Admin)]))
        .route(public)
}

async fn gate() -> Gate {
    rules(testing::gate()).build().await.unwrap()
}

fn app(gate: &Gate) -> Router {
    Router::new()
        .route("/", get(|user: User| async move { user.username().to_owned() }))
        .route("/admin", get(|user: User| async move { user.groups().join(",") }))
        .route("/public", get(|user: Option<User>| async move { user.is_some().to_string() }))
        .route("/me", get(|user: User| async move { axum::Json(user) }))
        .route("/host", get(|client: Client| async move { client.host.to_string() }))
        .layer(gate.layer())
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn send(gate: &Gate, request: Request<Body>) -> Response<Body> {
    app(gate).oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The status of a page of the app for somebody who is signed in.
async fn status(gate: &Gate, who: &SignedIn, path: &str) -> u16 {
    send(gate, who.authenticate(request(path))).await.status().as_u16()
}

#[tokio::test]
async fn a_handler_is_tested_without_a_provider_a_network_or_sockets() {
    let gate = gate().await;
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await.unwrap();
    let response = send(&gate, ada.authenticate(request("/"))).await;
    assert_eq!((response.status(), &*text(response).await), (StatusCode::OK, "ada"));
    let response = send(&gate, ada.authenticate(request("/admin"))).await;
    assert_eq!(text(response).await, "acme,acme:admin");
    // Each exchange of the sign-in took place, at a provider whose host no resolver knows.
    let provider = testing::provider(&gate);
    for endpoint in
        [Endpoint::Discovery, Endpoint::Authorize, Endpoint::Token, Endpoint::Jwks, Endpoint::Userinfo]
    {
        assert_eq!(provider.calls(endpoint), 1, "{endpoint:?}");
    }
    let host = provider.issuer().strip_prefix("https://").unwrap();
    assert!((host, 443).to_socket_addrs().is_err(), "{host}");
}

/// Without tokio's I/O driver, opening a socket panics.
#[test]
fn nothing_needs_the_runtime_to_have_sockets() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let gate = gate().await;
        let ada = testing::user("ada").org("acme", Role::Read).sign_in(&gate).await.unwrap();
        testing::advance(&gate, Duration::from_secs(9 * 3600));
        assert_eq!(status(&gate, &ada, "/").await, 200);
        let provider = testing::provider(&gate);
        provider.behave(|provider| provider.fail(Endpoint::Userinfo, Fault::Reset));
        testing::user("ben").sign_in(&gate).await.unwrap_err();
    });
}

#[tokio::test]
async fn people_without_a_session_are_refused_as_in_production() {
    let gate = gate().await;
    let response = send(&gate, request("/")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let answer: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(answer["sign_in_url"], "https://app.test/oauth2/sign_in?rd=%2F");
    let page = Request::get("/").header("accept", "text/html").body(Body::empty()).unwrap();
    let response = send(&gate, page).await;
    assert_eq!(response.status(), StatusCode::FOUND);
    let location = response.headers()[LOCATION].to_str().unwrap();
    assert!(location.starts_with("https://huggingface.test/oauth/authorize?"), "{location}");
    assert_eq!(text(send(&gate, request("/public")).await).await, "false");
}

#[tokio::test]
async fn rules_decide_about_what_the_test_says_of_a_person() {
    let gate = gate().await;
    let people = [
        (testing::user("ada").org("acme", Role::Admin), 200, 200),
        (testing::user("ben").org("acme", Role::Read), 200, 403),
        (testing::user("cleo"), 403, 403),
        (testing::user("dan").org("acme", Role::Admin).restricted("acme", "sso"), 403, 403),
        (testing::user("eve").org("acme", Role::Admin).not_granted("acme"), 403, 403),
        (testing::user("finn").resource_group("acme", "gpu", Role::Admin), 403, 403),
        (testing::user("gita").org("umbrella", Role::Admin).pro(), 403, 403),
    ];
    for (user, front, admin) in people {
        let who = user.sign_in(&gate).await.unwrap();
        assert_eq!(status(&gate, &who, "/").await, front, "{user:?}");
        assert_eq!(status(&gate, &who, "/admin").await, admin, "{user:?}");
    }
}

#[tokio::test]
async fn every_property_of_an_account_reaches_the_rules_and_the_handler() {
    let acme_gpu = Rule::org("acme").with_resource_group("gpu").with_role(Role::Write);
    for (rule, user) in [
        (acme_gpu, testing::user("ada").resource_group("acme", "gpu", Role::Write)),
        (Rule::email("ada@example.org"), testing::user("ada").email("ada@example.org")),
        (Rule::pro(true), testing::user("ada").pro()),
        (
            Rule::org("acme").with_role(Role::parse("ml-ops")),
            testing::user("ada").org("acme", Role::parse("ml-ops")),
        ),
        (Rule::user("62f264b9f3c90f4b65140001"), testing::user("ada").id("62f264b9f3c90f4b65140001")),
        (Rule::user("ada"), testing::user("ada").account(|account| account.can_pay = true)),
    ] {
        let gate = testing::gate().allow(rule.clone()).build().await.unwrap();
        let ada = user.sign_in(&gate).await.unwrap();
        assert_eq!(status(&gate, &ada, "/").await, 200, "{rule:?}");
        let other = testing::user("other").sign_in(&gate).await.unwrap();
        assert_eq!(status(&gate, &other, "/").await, 403, "{rule:?}");
    }
    let gate = testing::gate().allow_anyone().scope("openid profile email").build().await.unwrap();
    let ada = testing::user("ada").name("Ada Lovelace").email("ada@example.org");
    let signed_in = ada.sign_in(&gate).await.unwrap();
    let response = send(&gate, signed_in.authenticate(request("/me"))).await;
    let me: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!((&me["name"], &me["email"]), (&"Ada Lovelace".into(), &"ada@example.org".into()));
    let unverified = ada.email_verified(false).sign_in(&gate).await.unwrap();
    let response = send(&gate, unverified.authenticate(request("/me"))).await;
    let me: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert!(me["email"].is_null(), "{me}");
}

#[tokio::test]
async fn time_passes_for_sessions_tokens_and_the_provider() {
    let gate = gate().await;
    let mut ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await.unwrap();
    let provider = testing::provider(&gate);
    // Used every 9 hours: the session stays, and each time the access token has expired.
    for hours in 1..=3 {
        testing::advance(&gate, Duration::from_secs(9 * 3600));
        let response = send(&gate, ada.authenticate(request("/"))).await;
        assert_eq!(response.status(), StatusCode::OK, "after {hours} times 9 hours");
        ada.store(&response);
        assert_eq!(provider.calls(Endpoint::Token), 1 + hours);
    }
    // Not used for longer than `idle_timeout`.
    testing::advance(&gate, Duration::from_secs(13 * 3600));
    assert_eq!(status(&gate, &ada, "/").await, 401);
}

#[tokio::test]
async fn renewed_cookies_are_followed() {
    let gate =
        testing::gate().allow_anyone().session(|session| session.cached_sessions = 0).build().await.unwrap();
    let mut ada = testing::user("ada").sign_in(&gate).await.unwrap();
    let before = ada.cookies();
    for _ in 0..4 {
        testing::advance(&gate, Duration::from_secs(11 * 3600));
        let response = send(&gate, ada.authenticate(request("/"))).await;
        assert_eq!(response.status(), StatusCode::OK);
        ada.store(&response);
    }
    assert_ne!(ada.cookies(), before);
}

#[tokio::test]
async fn what_changes_at_the_provider_counts_once_the_last_answer_has_expired() {
    let gate = gate().await;
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await.unwrap();
    let ben = testing::user("ben").org("acme", Role::Admin).sign_in(&gate).await.unwrap();
    let provider = testing::provider(&gate);
    testing::user("ada").apply(&gate);
    provider.edit_user("ben", |ben| ben.orgs[0].role = "read".to_owned());
    assert_eq!(status(&gate, &ada, "/admin").await, 200);
    testing::advance(&gate, EXPIRED);
    assert_eq!(status(&gate, &ada, "/").await, 403);
    assert_eq!(status(&gate, &ben, "/admin").await, 403);
    assert_eq!(status(&gate, &ben, "/").await, 200);
    // "Disconnect" at huggingface.co ends the session.
    provider.disconnect("ben", "the-app-under-test");
    testing::advance(&gate, EXPIRED);
    assert_eq!(status(&gate, &ben, "/").await, 401);
}

#[tokio::test]
async fn a_session_that_was_ended_no_longer_counts_and_others_of_the_person_do() {
    let gate = gate().await;
    let ada = testing::user("ada").org("acme", Role::Admin);
    let (phone, laptop) = (ada.sign_in(&gate).await.unwrap(), ada.sign_in(&gate).await.unwrap());
    assert_ne!(phone.cookies(), laptop.cookies());
    phone.sign_out(&gate).await.unwrap();
    assert_eq!(status(&gate, &phone, "/").await, 401);
    assert_eq!(status(&gate, &laptop, "/").await, 200);
}

#[tokio::test]
async fn a_sign_in_through_the_app_finds_endpoints_that_are_not_reached() {
    let gate = gate().await;
    let ada = testing::user("ada").org("acme", Role::Admin);
    let send = |request: Request<Body>| app(&gate).oneshot(request);
    let signed_in = ada.sign_in_through(&gate, send).await.unwrap();
    assert_eq!(status(&gate, &signed_in, "/").await, 200);
    let routes_alone = Router::new().route("/", get(|| async {})).route_layer(gate.layer());
    let send = |request: Request<Body>| routes_alone.clone().oneshot(request);
    let refused = ada.sign_in_through(&gate, send).await.unwrap_err();
    let message = "the sign-in of ada ended at the gate's start endpoint with 404 Not Found";
    assert_eq!(refused.to_string(), message);
    let with_endpoints = routes_alone.clone().route_service("/oauth2/{*endpoint}", gate.endpoints());
    let send = |request: Request<Body>| with_endpoints.clone().oneshot(request);
    ada.sign_in_through(&gate, send).await.unwrap();
    let failing = |_: Request<()>| async { Err::<Response<Body>, _>("out of order") };
    let refused = ada.sign_in_through(&gate, failing).await.unwrap_err();
    assert_eq!((refused.status().as_u16(), refused.text()), (500, "out of order"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_people_sign_in_at_many_gates_at_the_same_time() {
    let mut tasks = tokio::task::JoinSet::new();
    for gate in [gate().await, gate().await] {
        for number in 0..8 {
            let (gate, user) = (gate.clone(), testing::user(&format!("user-{number}")));
            tasks.spawn(async move {
                let who = user.org("acme", Role::Read).sign_in(&gate).await.unwrap();
                let response = send(&gate, who.authenticate(request("/"))).await;
                assert_eq!(text(response).await, who.username());
            });
        }
    }
    assert_eq!(tasks.join_all().await.len(), 16);
}

#[tokio::test]
async fn sessions_in_memory_are_tested_alike() {
    let gate = rules(testing::gate()).session(|session| session.store = StoreSettings::Memory);
    let gate = gate.build().await.unwrap();
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await.unwrap();
    assert_eq!(status(&gate, &ada, "/").await, 200);
    ada.sign_out(&gate).await.unwrap();
    assert_eq!(status(&gate, &ada, "/").await, 401);
}

/// Streams are looked at by tokio's timers, which take no time on a paused clock.
#[tokio::test(start_paused = true)]
async fn an_open_stream_ends_with_its_session() {
    let gate = gate().await;
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await.unwrap();
    let endless =
        || async { Body::from_stream(futures_util::stream::pending::<Result<String, Infallible>>()) };
    let app = Router::new().route("/events", get(endless)).layer(gate.layer());
    let response = app.oneshot(ada.authenticate(request("/events"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    testing::advance(&gate, Duration::from_secs(13 * 3600));
    let before = tokio::time::Instant::now();
    to_bytes(response.into_body(), usize::MAX).await.unwrap_err();
    assert!(before.elapsed() <= Duration::from_secs(60), "{:?}", before.elapsed());
}

#[tokio::test]
async fn cookies_of_the_request_stay() {
    let gate = gate().await;
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await.unwrap();
    let themed = Request::get("/").header(COOKIE, "theme=dark").body(()).unwrap();
    let cookies = ada.authenticate(themed).headers()[COOKIE].clone();
    assert!(cookies.to_str().unwrap().starts_with("theme=dark; __Host-huggate="), "{cookies:?}");
    assert!(cookies.is_sensitive());
    assert!(!format!("{ada:?}").contains(ada.cookies().to_str().unwrap().split_once('=').unwrap().1));
}

#[tokio::test]
async fn a_sign_in_that_fails_says_where_and_why() {
    let gate = gate().await;
    let provider = testing::provider(&gate);
    for (endpoint, fault, place, status, words) in [
        (Endpoint::Authorize, Fault::Status(503), "the provider", 503, "This failure was injected"),
        (Endpoint::Authorize, Fault::Reset, "the provider", 502, "the connection was reset"),
        (Endpoint::Token, Fault::Status(503), "the gate's callback", 503, "answered 503"),
        (Endpoint::Token, Fault::Reset, "the gate's callback", 503, "the connection was closed"),
        (Endpoint::Token, Fault::Truncated, "the gate's callback", 503, "the connection was closed"),
        (Endpoint::Userinfo, Fault::NotJson, "the gate's callback", 502, "not the expected JSON"),
        (Endpoint::Userinfo, Fault::Huge(3 << 20), "the gate's callback", 502, "more than 2097152 bytes"),
    ] {
        provider.behave(|provider| provider.fail(endpoint, fault.clone()));
        let refused = testing::user("ada").sign_in(&gate).await.unwrap_err();
        provider.behave(|provider| provider.clear_faults(endpoint));
        let message = refused.to_string();
        assert_eq!(refused.status().as_u16(), status, "{fault:?}: {message}");
        assert!(message.contains(&format!("the sign-in of ada ended at {place} with")), "{message}");
        assert!(refused.text().contains(words), "{fault:?}: {message}");
        assert!(!message.contains('<'), "{message}");
    }
    // Nothing of it stays.
    testing::user("ada").sign_in(&gate).await.unwrap();
}

/// The timeout is the one of the network, and takes no time on a paused clock.
#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_answer_is_given_up_after_ten_seconds() {
    let gate = gate().await;
    let provider = testing::provider(&gate);
    for (endpoint, status) in [(Endpoint::Token, 503), (Endpoint::Authorize, 504)] {
        provider.behave(|provider| provider.fail_times(endpoint, Fault::Hang, 1));
        let before = tokio::time::Instant::now();
        let refused = testing::user("ada").sign_in(&gate).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), status, "{refused}");
        let waited = before.elapsed();
        assert!((10..11).contains(&waited.as_secs()), "{endpoint:?}: {waited:?}");
    }
    provider.behave(|provider| provider.fail_times(Endpoint::Token, Fault::Slow(Duration::from_secs(9)), 1));
    testing::user("ada").sign_in(&gate).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_is_down_does_not_sign_out_anybody() {
    let gate = gate().await;
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await.unwrap();
    testing::provider(&gate).stop().await;
    testing::advance(&gate, Duration::from_secs(16 * 60));
    assert_eq!(status(&gate, &ada, "/").await, 200);
    let refused = testing::user("ben").sign_in(&gate).await.unwrap_err();
    assert_eq!(refused.text(), "the connection was refused");
    testing::advance(&gate, EXPIRED);
    assert_eq!(status(&gate, &ada, "/").await, 503);
}

#[tokio::test]
async fn programs_use_the_token_of_an_account() {
    let gate = rules(testing::gate()).bearer(BearerSettings::default()).build().await.unwrap();
    let with = |token: &str| {
        Request::get("/").header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap()
    };
    let token = testing::user("ada").org("acme", Role::Admin).access_token(&gate);
    let response = send(&gate, with(&token)).await;
    assert_eq!((response.status(), &*text(response).await), (StatusCode::OK, "ada"));
    let token = testing::user("a-da").access_token(&gate);
    assert_eq!(send(&gate, with(&token)).await.status(), StatusCode::FORBIDDEN);
    let made_up = with("hf_0000000000000000000000000000000000");
    assert_eq!(send(&gate, made_up).await.status(), StatusCode::UNAUTHORIZED);
    // And the token that the app itself was given at a sign-in.
    testing::user("ada").org("acme", Role::Admin).apply(&gate);
    let token = testing::provider(&gate).oauth_token("ada", "the-app-under-test").unwrap();
    assert_eq!(send(&gate, with(&token)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn gates_side_by_side_share_nothing() {
    let (first, second) = (gate().await, gate().await);
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&first).await.unwrap();
    assert_eq!(status(&first, &ada, "/").await, 200);
    assert_eq!(status(&second, &ada, "/").await, 401);
    testing::advance(&second, Duration::from_secs(13 * 3600));
    assert_eq!(status(&first, &ada, "/").await, 200);
    assert_eq!(testing::provider(&second).users(), []);
}

#[tokio::test]
async fn replicas_share_what_the_test_gives_them() {
    let secret = huggate::keys::Secret::generate();
    let clock = Clock::manual(1_790_000_000);
    let replica = || rules(testing::gate()).secret(&secret).clock(clock.clone()).build();
    let (first, second) = (replica().await.unwrap(), replica().await.unwrap());
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&first).await.unwrap();
    assert_eq!(status(&second, &ada, "/").await, 200);
    testing::advance(&first, Duration::from_secs(13 * 3600));
    assert_eq!(status(&second, &ada, "/").await, 401);
}

#[tokio::test]
async fn the_settings_of_production_still_reach_no_network() {
    let docs = Route::host("Docs.example.com:443").allow(vec![Rule::user("ada")]);
    let gate = rules(testing::gate())
        .public_url("https://app.example.com")
        .issuer("https://huggingface.co")
        .client("01234567-89ab-4cde-8f01-23456789abcd", "oauth_app_secret_0123456789")
        .prefix("/auth")
        .route(docs)
        .build()
        .await
        .unwrap();
    let ada = testing::user("ada").org("acme", Role::Read).sign_in(&gate).await.unwrap();
    assert_eq!(status(&gate, &ada, "/").await, 200);
    assert_eq!(status(&gate, &ada, "https://docs.example.com/").await, 200);
    assert_eq!(text(send(&gate, ada.authenticate(request("/host"))).await).await, "app.example.com");
    let provider = testing::provider(&gate);
    assert_eq!(provider.issuer(), "https://huggingface.co");
    assert_eq!(provider.calls(Endpoint::Token), 1);
    let public = testing::gate().allow_anyone().public_client("a-public-client").build().await.unwrap();
    testing::user("ada").sign_in(&public).await.unwrap();
}

#[tokio::test]
async fn the_configuration_of_production_is_tested_in_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let config = "public_url = \"https://app.example.com\"\naccess.allow = [{ org = \"acme\" }]\n\
                  [provider]\nclient_id = \"id\"\nclient_secret = \"oauth_app_secret_0123456789\"\n\
                  [session]\nsecret = \"5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e\"\n";
    std::fs::write(&file, config).unwrap();
    let gate = testing::from_settings(GateSettings::from_config(&file).unwrap()).unwrap();
    assert_eq!(testing::provider(&gate).issuer(), "https://huggingface.co");
    let ada = testing::user("ada").org("acme", Role::Read).sign_in(&gate).await.unwrap();
    assert_eq!(status(&gate, &ada, "/").await, 200);
    let ben = testing::user("ben").sign_in(&gate).await.unwrap();
    assert_eq!(status(&gate, &ben, "/").await, 403);
    testing::advance(&gate, Duration::from_secs(13 * 3600));
    assert_eq!(status(&gate, &ada, "/").await, 401);
}

#[tokio::test]
async fn an_endpoint_at_another_host_is_not_reached() {
    let gate = gate().await;
    let provider = testing::provider(&gate);
    provider.behave(|provider| {
        provider.edit_discovery = Some(Edit::new(|document| {
            document.insert("token_endpoint".to_owned(), "https://elsewhere.example/token".into());
        }));
    });
    let reloaded = gate.prepare_reload(rules(testing::gate()).settings().unwrap()).unwrap().activate();
    let refused = testing::user("ada").sign_in(&reloaded).await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.text().contains("the host name could not be resolved"), "{refused}");
}

#[tokio::test]
async fn a_reloaded_gate_stays_at_its_provider() {
    let gate = gate().await;
    let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await.unwrap();
    let secret = huggate::keys::Secret::generate();
    let settings =
        testing::gate().allow(Rule::user("ada")).prefix("/auth").secret(secret).settings().unwrap();
    let reloaded = gate.prepare_reload(settings).unwrap().activate();
    // Another secret, so nobody is signed in; the account is there.
    assert_eq!(status(&reloaded, &ada, "/").await, 401);
    let users = testing::provider(&reloaded).users();
    assert_eq!(users.len(), 1);
    let ada = testing::user("ada").sign_in(&reloaded).await.unwrap();
    assert_eq!(status(&reloaded, &ada, "/").await, 200);
    assert_eq!(testing::provider(&gate).calls(Endpoint::Token), 2);
    // Settings of production are for huggingface.co, which is not reached from here.
    let production = Gate::builder()
        .public_url("https://app.test")
        .client("id", "secret")
        .secret(huggate::keys::Secret::generate())
        .allow_anyone();
    let reloaded = reloaded.prepare_reload(production.settings().unwrap()).unwrap().activate();
    let refused = testing::user("ada").sign_in(&reloaded).await.unwrap_err();
    assert!(refused.text().contains("the host name could not be resolved"), "{refused}");
}

#[tokio::test]
#[should_panic(expected = "this gate was not made by `huggate::testing`")]
async fn a_gate_of_production_is_refused() {
    let gate = Gate::builder()
        .public_url("https://app.example.com")
        .issuer("http://127.0.0.1:1")
        .client("id", "secret")
        .secret(huggate::keys::Secret::generate())
        .allow_anyone()
        .build()
        .await
        .unwrap();
    testing::advance(&gate, Duration::from_secs(1));
}

#[tokio::test]
#[should_panic(expected = "the gate has the system's clock")]
async fn the_systems_clock_is_not_moved() {
    let gate = testing::gate().allow_anyone().clock(Clock::system()).build().await.unwrap();
    testing::advance(&gate, Duration::from_secs(1));
}

#[test]
#[should_panic(expected = "is no username")]
fn a_username_that_nobody_can_have_is_refused() {
    drop(testing::user("ada lovelace"));
}
