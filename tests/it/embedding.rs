//! The layer in the positions where people put it, and what their handlers read.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::routing::get;
use huggate::{AccessToken, Client, ExtractError, Gate, Grant, Route, Rule, TrustedProxies, User};
use tokio::net::TcpListener;

use crate::world::{Answer, Ask, CLIENT, CLIENT_SECRET, FRONTS, JWT, Log, SECRET, World, parameter, send};

/// A gate for members of acme, with a public `/public/**`.
async fn world() -> World {
    World::start(FRONTS[0], |gate| {
        let public = Route::public("/public/**");
        gate.allow(Rule::org("acme")).route(public).prefix("/oauth2")
    })
    .await
}

/// An axum app on a socket of its own.
pub(crate) struct Served {
    pub(crate) address: String,
    pub(crate) host: String,
}

impl Served {
    pub(crate) async fn new(world: &World, router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, host: world.address.clone() }
    }

    /// Sends a request for the world's host, whose cookies the browser has.
    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        send(&self.address, ask.or_host(&self.host)).await
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.send(Ask::get(path).with("cookie", cookie)).await
    }
}

/// Says who is signed in, and which path the handler sees.
async fn who(user: User, request: Request) -> String {
    format!("{} at {}", user.username(), request.uri())
}

#[tokio::test]
async fn a_layer_applied_twice_is_in_effect_once() {
    let world = world().await;
    let cookie = world.signed_in("ada").await.cookie_line();
    let inner = Router::new().route("/inner", get(who)).layer(world.gate.layer());
    let router = Router::new().route("/", get(who)).merge(inner).layer(world.gate.layer());
    let app = Served::new(&world, router).await;
    for path in ["/", "/inner"] {
        assert_eq!(app.get(path, &cookie).await.expect(200).text(), format!("ada at {path}"));
        assert_eq!(app.get(path, "").await.expect(401).json()["error"], "login_required");
    }
}

#[tokio::test]
async fn a_layer_applied_twice_is_in_effect_once_around_a_reload() {
    let world = world().await;
    let cookie = world.signed_in("ada").await.cookie_line();
    let inner = Router::new().route("/inner", get(who)).layer(world.gate.layer());
    let settings = Gate::builder()
        .public_url(&world.public_url)
        .issuer(world.hub.issuer())
        .client(CLIENT, CLIENT_SECRET)
        .secret(SECRET)
        .session(|session| session.cookie_name = "huggate".to_owned())
        .allow(Rule::user("ada"));
    let reloaded = world.gate.prepare_reload(settings.settings().unwrap()).unwrap().activate();
    let app = Served::new(&world, inner.layer(reloaded.layer())).await;
    assert_eq!(app.get("/inner", &cookie).await.expect(200).text(), "ada at /inner");
}

#[tokio::test]
async fn two_different_gates_around_one_service_are_a_500_that_says_so() {
    let log = Log::start();
    let world = world().await;
    let cookie = world.signed_in("ada").await.cookie_line();
    let other = world.replica(|gate| gate.allow_anyone()).await;
    let router = Router::new().route("/", get(who)).layer(other.gate.layer()).layer(world.gate.layer());
    let app = Served::new(&world, router).await;
    let answer = app.get("/", &cookie).await.expect(500);
    assert!(answer.text().contains("two different gates"), "{}", answer.text());
    assert!(log.text().contains("two different gates are layered around one service"));
    // Nobody comes as far as the second one without a session.
    app.get("/", "").await.expect(401);
}

#[tokio::test]
async fn in_a_nested_router_the_address_as_the_client_wrote_it_counts() {
    let world = World::start(FRONTS[0], |gate| {
        let admin = Route::path("/app/admin/**");
        gate.allow(Rule::org("acme")).route(admin.allow(vec![Rule::user("nobody")])).prefix("/app/oauth2")
    })
    .await;
    let browser = world.signed_in("ada").await;
    let inner = Router::new()
        .route("/page", get(who))
        .route("/admin/page", get(who)) // axum gives paths without a route to the outer router, past this layer.
        .route_service("/oauth2/{*endpoint}", world.gate.endpoints())
        .layer(world.gate.layer());
    let app = Served::new(&world, Router::new().nest("/app", inner)).await;
    let cookie = browser.cookie_line();
    // The handler sees the path below the prefix, as with any other layer.
    assert_eq!(app.get("/app/page?x=1", &cookie).await.expect(200).text(), "ada at /page?x=1");
    app.get("/app/admin/page", &cookie).await.expect(403);
    // A sign-in returns to the address that was asked for, and its callback is reached.
    let mut browser = world.browser();
    browser.be_at_hub("ada", &["acme"]);
    let start = app.send(Ask::navigation("/app/page?x=1")).await.expect(302);
    let redirect = parameter(start.location(), "redirect_uri").unwrap();
    assert_eq!(redirect, format!("{}/app/oauth2/callback", world.public_url));
    let back = browser.step(start.location()).await.expect(303);
    let callback = back.location().strip_prefix(&world.public_url).unwrap();
    let pending: Vec<&str> = start.cookies().iter().map(|line| line.split(';').next().unwrap()).collect();
    let answer = app.send(Ask::navigation(callback).with("cookie", &pending.join("; "))).await.expect(302);
    assert_eq!(answer.location(), "/app/page?x=1");
    assert!(answer.cookie("huggate=").is_some());
}

#[tokio::test]
async fn a_route_layer_signs_people_in_if_the_endpoints_are_routed() {
    let world = world().await;
    let mut browser = world.browser();
    let router = Router::new()
        .route("/page", get(who))
        .route_layer(world.gate.layer())
        .route_service("/oauth2/{*endpoint}", world.gate.endpoints());
    let app = Served::new(&world, router).await;
    app.send(Ask::navigation("/page")).await.expect(302);
    let callback = browser.callback_url("ada").await;
    let callback = callback.strip_prefix(&world.public_url).unwrap();
    let answer = app.send(Ask::navigation(callback).with("cookie", &browser.cookie_line())).await.expect(302);
    assert!(answer.cookie("huggate=").is_some());
    app.get("/oauth2/healthz", "").await.expect(200);
    app.get("/oauth2/nothing", "").await.expect(404);
}

#[tokio::test]
async fn handlers_without_a_layer_are_a_500_and_a_line_in_the_log() {
    let log = Log::start();
    let world = world().await;
    let router = Router::new()
        .route("/user", get(|user: User| async move { user.username().to_owned() }))
        .route("/perhaps", get(|user: Option<User>| async move { format!("{user:?}") }))
        .route("/grant", get(|grant: Grant| async move { format!("{grant:?}") }))
        .route("/client", get(|client: Client| async move { client.host.to_string() }))
        .route("/token", get(|token: AccessToken| async move { format!("{token:?}") }))
        .route("/perhaps-token", get(|token: Option<AccessToken>| async move { format!("{token:?}") }));
    let app = Served::new(&world, router).await;
    for (index, path) in
        ["/user", "/perhaps", "/grant", "/client", "/token", "/perhaps-token"].iter().enumerate()
    {
        let answer = app.get(path, "").await.expect(500);
        assert_eq!(answer.text(), "huggate: the layer is missing in front of this handler");
        let lines = log.text().matches("no huggate layer is in front of this handler").count();
        assert_eq!(lines, index + 1, "{path}");
    }
}

#[tokio::test]
async fn handlers_read_the_grant_the_client_and_the_access_token() {
    let world = world().await;
    let cookie = world.signed_in("ada").await.cookie_line();
    let router = Router::new()
        .route("/public/grant", get(|grant: Grant| async move { format!("{:?}", grant.route()) }))
        .route("/client", get(|client: Client| async move { client.ip.unwrap().to_string() }))
        .route("/public/user", get(|user: Option<User>| async move { format!("{:?}", user.is_some()) }))
        .route("/public/must", get(|user: User| async move { user.username().to_owned() }))
        .route(
            "/token",
            get(|token: AccessToken| async move {
                let (text, shown) = (token.expose().to_owned(), format!("{token:?}"));
                format!("{text} {shown} {}", token.expires().is_some())
            }),
        )
        .route("/public/token", get(|token: Option<AccessToken>| async move { format!("{token:?}") }))
        .layer(world.gate.layer());
    let app = Served::new(&world, router).await;
    assert_eq!(app.get("/public/grant", "").await.expect(200).text(), "Some(0)");
    assert_eq!(app.get("/client", &cookie).await.expect(200).text(), "127.0.0.1");
    assert_eq!(app.get("/public/user", "").await.expect(200).text(), "false");
    assert_eq!(app.get("/public/user", &cookie).await.expect(200).text(), "true");
    app.get("/public/must", "").await.expect(401);
    let answer = app.get("/token", &cookie).await.expect(200);
    let words: Vec<&str> = answer.text().split(' ').collect();
    assert!(words[0].starts_with("hf_oauth_") || words[0].starts_with(JWT[0]), "{}", words[0].len());
    assert_eq!(&words[1..], ["AccessToken(..)", "true"]);
    assert_eq!(app.get("/public/token", "").await.expect(200).text(), "None");
}

#[tokio::test]
async fn functions_on_extensions_tell_a_missing_layer_from_an_anonymous_request() {
    let extensions = http::Extensions::new();
    assert_eq!(User::from_extensions(&extensions).err(), Some(ExtractError::MissingLayer));
    assert_eq!(Client::from_extensions(&extensions).err(), Some(ExtractError::MissingLayer));
    assert_eq!(Grant::from_extensions(&extensions).err(), Some(ExtractError::MissingLayer));
    assert_eq!(AccessToken::from_extensions(&extensions).err(), Some(ExtractError::MissingLayer));
    assert_eq!(ExtractError::MissingLayer.status(), 500);
    assert_eq!(ExtractError::NobodySignedIn.status(), 401);
}

#[tokio::test]
async fn trusted_proxies_take_effect_with_axums_connect_info() {
    let loopback = || TrustedProxies::parse(["127.0.0.0/8"]).unwrap();
    let log = Log::start();
    let world = World::start(FRONTS[0], |gate| {
        let public = Route::public("/**");
        gate.allow(Rule::org("acme")).route(public).trusted_proxies(loopback())
    })
    .await;
    let router = Router::new()
        .route(
            "/",
            get(|client: Client| async move { client.ip.map(|ip| ip.to_string()).unwrap_or_default() }),
        )
        .layer(world.gate.layer());
    let forwarded = || Ask::get("/").with("x-forwarded-for", "203.0.113.7");
    let app = Served::new(&world, router.clone()).await;
    assert_eq!(app.send(forwarded()).await.expect(200).text(), "203.0.113.7");
    assert!(!log.text().contains("trusted_proxies has no effect"));
    // Without it nobody is trusted, and the log says so once.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    for _ in 0..3 {
        assert_eq!(send(&address, forwarded().or_host(&world.address)).await.expect(200).text(), "");
    }
    assert_eq!(log.text().matches("trusted_proxies has no effect").count(), 1);
}

#[tokio::test]
async fn a_user_serializes_as_userinfo_shows_them() {
    let world = world().await;
    let mut browser = world.signed_in("ada").await;
    let router = Router::new()
        .route("/me", get(|user: User| async move { axum::Json(user) }))
        .layer(world.gate.layer());
    let app = Served::new(&world, router).await;
    let me = app.get("/me", &browser.cookie_line()).await.expect(200).json();
    assert_eq!(me["preferred_username"], "ada");
    assert_eq!(me, browser.fetch("/oauth2/userinfo").await.expect(200).json());
}

#[tokio::test]
async fn middleware_outside_of_the_layer_sees_the_user_in_the_response() {
    let world = world().await;
    let cookie = world.signed_in("ada").await.cookie_line();
    let router = Router::new().route("/", get(who)).layer(world.gate.layer()).layer(
        axum::middleware::from_fn(|request: Request, next: Next| async move {
            let mut response = next.run(request).await;
            let name = response.extensions().get::<User>().map(|user| user.username().to_owned());
            response.headers_mut().insert("x-seen", name.unwrap_or_default().parse().unwrap());
            response
        }),
    );
    let app = Served::new(&world, router).await;
    assert_eq!(app.get("/", &cookie).await.expect(200).header("x-seen"), Some("ada"));
}
