//! The noticeboard, tested without a provider or a network.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use huggate::clock::Clock;
use huggate::hub::{Endpoint, Fault};
use huggate::testing::{self, SignedIn, TestUser};
use huggate::{Gate, Grant, Role, User};
use noticeboard::{Accounts, Board, SharedSessions, app, configure};
use tower::ServiceExt;

type Tested = Result<(), Box<dyn Error>>;

/// A noticeboard of its own for each test.
struct World {
    gate: Gate,
    board: Board,
    accounts: Arc<Accounts>,
}

impl World {
    async fn new() -> Result<Self, Box<dyn Error>> {
        let accounts = Arc::new(Accounts::default());
        let gate = configure(testing::gate(), &accounts, SharedSessions::default()).build().await?;
        Ok(Self { gate, board: Board::default(), accounts })
    }

    fn app(&self) -> Router {
        app(&self.gate, self.board.clone())
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str, who: &SignedIn) -> Response<Body> {
        self.send(who.authenticate(request(path))).await
    }
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// The address bar of a browser.
fn navigation(path: &str) -> Request<Body> {
    let mut request = request(path);
    request.headers_mut().insert("accept", "text/html".parse().unwrap());
    request.headers_mut().insert("sec-fetch-mode", "navigate".parse().unwrap());
    request
}

async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn json(response: Response<Body>) -> serde_json::Value {
    serde_json::from_str(&text(response).await).unwrap()
}

fn ada() -> TestUser {
    testing::user("ada").org("acme", Role::Admin).pro()
}

fn ben() -> TestUser {
    testing::user("ben").org("acme", Role::Read)
}

/// Waits for what another task does.
async fn eventually(done: impl Fn() -> bool) {
    let all = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("it does not happen");
}

// Where the layer stands.

#[tokio::test]
async fn a_sign_in_reaches_the_endpoints_of_a_nested_router() -> Tested {
    let world = World::new().await?;
    let start = world.send(navigation("/board/me?tab=1")).await;
    assert_eq!(start.status(), StatusCode::FOUND);
    assert!(start.headers()["location"].to_str()?.contains("app.test%2Fboard%2Foauth2%2Fcallback"));

    let ada =
        ada().sign_in_through(&world.gate, |request: Request<Body>| world.app().oneshot(request)).await?;
    assert_eq!(text(world.get("/board", &ada).await).await, "welcome back, ada\n");
    Ok(())
}

#[tokio::test]
async fn what_is_outside_of_the_layer_needs_no_session() -> Tested {
    let world = World::new().await?;
    for (path, status) in [("/health", 200), ("/board", 200), ("/board/me", 401), ("/nowhere", 404)] {
        assert_eq!(world.send(request(path)).await.status(), status, "{path}");
    }
    // No route, so the layer does not see it.
    assert_eq!(world.send(request("/board/nowhere")).await.status(), 404);
    Ok(())
}

#[tokio::test]
async fn a_layer_applied_twice_is_in_effect_once() -> Tested {
    let world = World::new().await?;
    let ada = ada().sign_in(&world.gate).await?;
    let twice = world.app().layer(world.gate.layer());
    let response = twice.oneshot(ada.authenticate(request("/board/archive"))).await?;
    assert_eq!(response.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_handler_without_the_layer_says_so() -> Tested {
    let bare: Router = Router::new()
        .route("/user", get(|user: User| async move { user.username().to_owned() }))
        .route("/grant", get(|_: Grant| async { "granted" }))
        .route("/maybe", get(|user: Option<User>| async move { user.is_some().to_string() }));
    for path in ["/user", "/grant", "/maybe"] {
        let response = bare.clone().oneshot(request(path)).await?;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    }
    Ok(())
}

// Rules.

#[tokio::test]
async fn a_rule_of_one_router_or_route_holds_besides_those_of_the_gate() -> Tested {
    let world = World::new().await?;
    let (ada, ben) = (ada().sign_in(&world.gate).await?, ben().sign_in(&world.gate).await?);
    let eve = testing::user("eve").pro().sign_in(&world.gate).await?;
    for path in ["/board/admin/people", "/board/archive"] {
        assert_eq!(world.get(path, &ada).await.status(), 200, "{path}");
        assert_eq!(world.get(path, &ben).await.status(), 403, "{path}");
        assert_eq!(world.send(request(path)).await.status(), 401, "{path}");
    }
    // PRO, and not in acme: the rule of the gate holds as well. The front page is public.
    assert_eq!(world.get("/board/archive", &eve).await.status(), 403);
    assert_eq!(text(world.get("/board", &eve).await).await, "welcome back, eve\n");
    Ok(())
}

// What handlers read.

#[tokio::test]
async fn handlers_read_the_person_their_claims_and_the_client() -> Tested {
    let world = World::new().await?;
    let ben = ben().sign_in(&world.gate).await?;
    let app = world.app().layer(MockConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4711))));
    let me = json(app.oneshot(ben.authenticate(request("/board/me"))).await?).await;
    assert_eq!(me["user"]["preferred_username"], "ben");
    assert_eq!(me["plan"], "gold");
    assert_eq!(me["address"], "192.0.2.7");
    assert_eq!(me["host"], "app.test");
    Ok(())
}

#[tokio::test]
async fn handlers_and_programs_use_tokens() -> Tested {
    let world = World::new().await?;
    let token = ben().access_token(&world.gate);
    let mut request = request("/board/hub");
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    assert_eq!(text(world.send(request).await).await, "would be sent\n");
    Ok(())
}

#[tokio::test]
async fn a_permission_that_ends_is_told() -> Tested {
    let world = World::new().await?;
    let ben = ben().sign_in(&world.gate).await?;
    let come = Request::post("/board/presence").body(Body::empty())?;
    assert_eq!(world.send(ben.authenticate(come)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.board.present(), ["ben"]);
    ben.sign_out(&world.gate).await?;
    eventually(|| world.board.present().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_with_its_session() -> Tested {
    let world = World::new().await?;
    let ben = ben().sign_in(&world.gate).await?;
    let mut body = world.get("/board/notices", &ben).await.into_body();
    let hello = body.frame().await.ok_or("no event")??;
    assert_eq!(hello.data_ref().ok_or("no data")?.as_ref(), b"data: hello ben\n\n");

    let notice = Request::post("/board/notices").body(Body::from("cake in the kitchen"))?;
    world.send(ben.authenticate(notice)).await;
    let notice = body.frame().await.ok_or("no event")??;
    assert_eq!(notice.data_ref().ok_or("no data")?.as_ref(), b"data: ben: cake in the kitchen\n\n");

    ben.sign_out(&world.gate).await?;
    // It does not look complete.
    assert!(body.frame().await.ok_or("the stream looks complete")?.is_err());
    Ok(())
}

// Hooks and pages.

#[tokio::test]
async fn a_hook_refuses_a_sign_in_and_learns_of_a_sign_out() -> Tested {
    let world = World::new().await?;
    let ben = ben().id("4242");
    ben.sign_in(&world.gate).await?.sign_out(&world.gate).await?;
    assert_eq!(world.accounts.left(), ["ben"]);

    world.accounts.suspend("4242");
    let refused = ben.sign_in(&world.gate).await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().contains("Your account is suspended."), "{refused}");
    Ok(())
}

#[tokio::test]
async fn refusals_and_pages_are_ours() -> Tested {
    let world = World::new().await?;
    let refused = world.send(request("/board/hub")).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert_eq!(json(refused).await["type"], "https://example.com/errors/login_required");

    let page = text(world.send(navigation("/board/oauth2/sign_in")).await).await;
    assert!(page.contains("<h1>The noticeboard</h1>"), "{page}");
    let ben = ben().sign_in(&world.gate).await?;
    let page = text(world.send(ben.authenticate(navigation("/board/archive"))).await).await;
    assert!(page.contains("<h1>For members of acme</h1>") && page.contains("ben"), "{page}");
    Ok(())
}

// Sessions.

#[tokio::test]
async fn the_store_keeps_what_it_promises() {
    let store = SharedSessions::default();
    testing::store_conformance(store.clone(), store).await;
}

#[tokio::test]
async fn replicas_share_sessions_and_their_end() -> Tested {
    let (accounts, sessions) = (Arc::new(Accounts::default()), SharedSessions::default());
    let clock = Clock::manual(1_800_000_000);
    let replica = || {
        let gate = testing::gate().secret("5e".repeat(32)).clock(clock.clone());
        configure(gate, &accounts, sessions.clone()).build()
    };
    let (here, there) = (replica().await?, replica().await?);
    let ben = ben().sign_in(&here).await?;
    let status = async |gate: &Gate| {
        let request = ben.authenticate(request("/board/me"));
        app(gate, Board::default()).oneshot(request).await.unwrap().status()
    };
    assert_eq!(status(&there).await, StatusCode::OK);
    ben.sign_out(&here).await?;
    for _ in 0..1000 {
        if status(&there).await == StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err("the other replica does not learn of the end".into())
}

#[tokio::test]
async fn a_session_ends_that_nobody_uses() -> Tested {
    let world = World::new().await?;
    let ben = ben().sign_in(&world.gate).await?;
    testing::advance(&world.gate, Duration::from_secs(11 * 3600));
    assert_eq!(world.get("/board/me", &ben).await.status(), StatusCode::OK);
    testing::advance(&world.gate, Duration::from_secs(13 * 3600));
    assert_eq!(world.get("/board/me", &ben).await.status(), StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn somebody_who_leaves_acme_is_refused() -> Tested {
    let world = World::new().await?;
    let ben = ben().sign_in(&world.gate).await?;
    testing::user("ben").apply(&world.gate);
    testing::advance(&world.gate, Duration::from_secs(76 * 60));
    assert_eq!(world.get("/board/me", &ben).await.status(), StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn people_stay_signed_in_while_the_provider_is_down() -> Tested {
    let world = World::new().await?;
    let ben = ben().sign_in(&world.gate).await?;
    testing::provider(&world.gate).behave(|provider| provider.fail(Endpoint::Token, Fault::Status(503)));
    assert_eq!(world.get("/board/me", &ben).await.status(), StatusCode::OK);
    assert_eq!(ada().sign_in(&world.gate).await.unwrap_err().status(), StatusCode::SERVICE_UNAVAILABLE);
    Ok(())
}

#[tokio::test]
async fn a_drain_ends_the_stream_of_notices() -> Tested {
    let world = World::new().await?;
    let ben = ben().sign_in(&world.gate).await?;
    let mut body = world.get("/board/notices", &ben).await.into_body();
    assert!(body.frame().await.ok_or("no notice")?.is_ok());
    world.gate.drain();
    let end = tokio::time::timeout(Duration::from_secs(5), body.frame()).await?;
    // It does not look complete.
    assert!(end.is_some_and(|frame| frame.is_err()));
    Ok(())
}

/// A log that a test reads.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_says_who_was_refused_and_where() -> Tested {
    let world = World::new().await?;
    let ben = ben().sign_in(&world.gate).await?;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(world.get("/board/admin/people", &ben).await.status(), StatusCode::FORBIDDEN);
    let text = String::from_utf8(log.0.lock().unwrap().clone())?;
    // The event, and the fields of the span around it.
    for words in
        ["event=\"refused\"", "decision=\"forbidden\"", "username=\"ben\"", "enduser.id=", "huggate.route="]
    {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    Ok(())
}
