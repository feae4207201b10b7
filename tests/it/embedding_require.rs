//! `Gate::require`: a rule for one router or one route, below the gate's layer.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty, Full};
use huggate::authn::BearerSettings;
use huggate::hub::Endpoint;
use huggate::session::StoreSettings;
use huggate::{Gate, Grant, PathPattern, Refusal, Role, Route, Rule, User};
use tokio::sync::Notify;
use tower::{Layer, ServiceExt};

use crate::embedding::Served;
use crate::world::{
    Answer, Ask, Browser, CLIENT, CLIENT_SECRET, FRONTS, Log, SECRET, World, begin, parameter,
};

/// A rule that needs what no other rule here names: a resource group.
fn of_gpu_team() -> Rule {
    Rule::org("example-labs").with_resource_group("gpu-team")
}

/// A gate for every account, with a public `/public/**`, which takes tokens.
async fn world() -> World {
    World::start(FRONTS[0], open).await
}

fn open(gate: huggate::GateBuilder) -> huggate::GateBuilder {
    let public = Route::public("/public/**");
    gate.allow_anyone().deny(Rule::user("ben")).route(public).bearer(BearerSettings::default())
}

async fn who(user: User) -> String {
    user.username().to_owned()
}

async fn signed_in<'w>(world: &'w World, user: &str) -> Browser<'w> {
    let mut browser = world.browser();
    browser.sign_in_showing(user, &["acme", "example-labs"]).await;
    assert!(browser.has_session());
    browser
}

/// `/open` without a requirement; `/public/lab` and `/lab` for `rule`.
fn router(gate: &Gate, rule: Rule) -> Router {
    let lab = Router::new().route("/lab", get(who)).route("/public/lab", get(who)).layer(gate.require(rule));
    Router::new().route("/open", get(who)).merge(lab).layer(gate.layer())
}

/// Finishes the sign-in that `start` begins, and returns the answer of the callback.
async fn finish(app: &Served, world: &World, start: &Answer, user: &str) -> Answer {
    let mut browser = world.browser();
    browser.be_at_hub(user, &["acme", "example-labs"]);
    let back = browser.step(start.location()).await.expect(303);
    let callback = back.location().strip_prefix(&world.public_url).unwrap();
    let pending: Vec<&str> = start.cookies().iter().map(|line| line.split(';').next().unwrap()).collect();
    app.send(Ask::navigation(callback).with("cookie", &pending.join("; "))).await
}

#[tokio::test]
async fn a_requirement_admits_only_people_whom_its_rule_admits() {
    let world = world().await;
    let app = Served::new(&world, router(&world.gate, Rule::org("acme").with_role(Role::Admin))).await;
    let (ada, hugo) = (signed_in(&world, "ada").await, signed_in(&world, "hugo").await);
    for (cookie, lab) in [(ada.cookie_line(), 200), (hugo.cookie_line(), 403)] {
        app.get("/open", &cookie).await.expect(200);
        app.get("/lab", &cookie).await.expect(lab);
        // On a path that the gate has public, the requirement holds as well.
        app.get("/public/lab", &cookie).await.expect(lab);
    }
    assert_eq!(app.get("/lab", &ada.cookie_line()).await.text(), "ada");
}

#[tokio::test]
async fn a_refusal_has_the_form_that_fits_the_client() {
    let world = world().await;
    let app = Served::new(&world, router(&world.gate, Rule::org("acme"))).await;
    let dan = signed_in(&world, "dan").await.cookie_line();
    let page = app.send(Ask::navigation("/lab").with("cookie", &dan)).await.expect(403);
    assert!(page.header("content-type").unwrap().starts_with("text/html") && page.text().contains("acme"));
    let json = app.get("/lab", &dan).await.expect(403).json();
    assert_eq!(json["error"], "access_denied");
    let openai = Ask::get("/lab").with("cookie", &dan).with("x-stainless-lang", "python");
    assert_eq!(app.send(openai).await.expect(403).json()["error"]["code"], "access_denied");
    let grpc = Ask::new("POST", "/lab").with("cookie", &dan).with("content-type", "application/grpc");
    assert_eq!(app.send(grpc).await.expect(200).header("grpc-status"), Some("7"));
    // Nobody signed in: the same as everywhere.
    let json = app.get("/public/lab", "").await.expect(401).json();
    assert_eq!(json["error"], "login_required");
    let grpc = Ask::new("POST", "/public/lab").with("content-type", "application/grpc");
    assert_eq!(app.send(grpc).await.expect(200).header("grpc-status"), Some("16"));
}

#[tokio::test]
async fn nobody_signed_in_on_a_public_path_starts_a_sign_in_that_comes_back() {
    let world = world().await;
    let app = Served::new(&world, router(&world.gate, Rule::org("acme"))).await;
    let start = app.send(Ask::navigation("/public/lab?x=1")).await.expect(302);
    // The pending sign-in's cookie passes the layer above, and the scope is what the rule needs.
    assert!(!start.cookies().is_empty());
    assert_eq!(parameter(start.location(), "scope").as_deref(), Some("openid profile read-memberships"));
    let answer = finish(&app, &world, &start, "ada").await.expect(302);
    assert_eq!(answer.location(), "/public/lab?x=1");
    let session = answer.cookie("huggate=").unwrap().split(';').next().unwrap().to_owned();
    app.get("/public/lab", &session).await.expect(200);
    // A second tab: the cookie of the first is read, though the layer above hides it from apps.
    let pending: Vec<&str> = start.cookies().iter().map(|line| line.split(';').next().unwrap()).collect();
    let second = app.send(Ask::navigation("/public/lab").with("cookie", &pending.join("; "))).await;
    let direct = app.send(Ask::navigation("/open").with("cookie", &pending.join("; "))).await.expect(302);
    let names = |answer: &Answer| -> Vec<String> {
        answer.cookies().iter().map(|line| line.split('=').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&second.expect(302)).len(), names(&direct).len());
}

#[tokio::test]
async fn the_gates_own_deny_and_rules_hold_above_a_requirement() {
    let world = World::start(FRONTS[0], |gate| {
        let staff = Route::path(PathPattern::parse("/staff/**").unwrap()).allow(vec![Rule::user("ada")]);
        gate.allow(Rule::org("acme")).deny(Rule::user("ben")).route(staff)
    })
    .await;
    let inner = Router::new().route("/page", get(who)).route("/staff/page", get(who));
    // ben and joerg satisfy the requirement, dan does not exist for the gate.
    let inner = inner.layer(world.gate.require(Rule::org("acme").with_role(Role::Read)));
    let app = Served::new(&world, inner.layer(world.gate.layer())).await;
    for (user, page, staff) in [("ada", 200, 200), ("ben", 403, 403), ("joerg", 200, 403), ("dan", 403, 403)]
    {
        let mut browser = world.browser();
        browser.sign_in(user).await;
        let cookie = browser.cookie_line();
        app.get("/page", &cookie).await.expect(page);
        app.get("/staff/page", &cookie).await.expect(staff);
    }
}

#[tokio::test]
async fn several_requirements_all_have_to_hold() {
    let world = world().await;
    let gate = &world.gate;
    let router = Router::new()
        .route("/both", get(who).layer(gate.require(Rule::pro(true))))
        .route("/one", get(who))
        .route_layer(gate.require(Rule::org("acme")))
        .layer(gate.layer());
    let app = Served::new(&world, router).await;
    // ada is PRO and in acme, joerg is in acme alone.
    for (user, one, both) in [("ada", 200, 200), ("joerg", 200, 403), ("dan", 403, 403)] {
        let cookie = signed_in(&world, user).await.cookie_line();
        app.get("/one", &cookie).await.expect(one);
        app.get("/both", &cookie).await.expect(both);
    }
}

#[tokio::test]
async fn a_nested_router_has_its_own_requirement_and_the_whole_address_is_returned_to() {
    let world = world().await;
    let lab = Router::new()
        .route("/page", get(|request: Request| async move { request.uri().to_string() }))
        .layer(world.gate.require(Rule::org("acme")));
    let app = Served::new(&world, Router::new().nest("/public", lab).layer(world.gate.layer())).await;
    let start = app.send(Ask::navigation("/public/page?x=1")).await.expect(302);
    let answer = finish(&app, &world, &start, "ada").await.expect(302);
    assert_eq!(answer.location(), "/public/page?x=1");
    let session = answer.cookie("huggate=").unwrap().split(';').next().unwrap();
    assert_eq!(app.get("/public/page?x=1", session).await.expect(200).text(), "/page?x=1");
}

#[tokio::test]
async fn sessions_from_before_a_requirement_are_completed_and_later_ones_need_no_question() {
    for store in [StoreSettings::Cookie, StoreSettings::Memory] {
        let world = World::start(FRONTS[0], |gate| {
            open(gate.session(move |session| session.store = store)).scope("openid profile read-memberships")
        })
        .await;
        let before = signed_in(&world, "ada").await.cookie_line();
        let app = Served::new(&world, router(&world.gate, of_gpu_team())).await;
        let asked = world.calls(Endpoint::Userinfo);
        app.get("/lab", &before).await.expect(200);
        app.get("/lab", &before).await.expect(200);
        assert_eq!(world.calls(Endpoint::Userinfo), asked + 1, "{store:?}");
        let after = signed_in(&world, "ada").await.cookie_line();
        let asked = world.calls(Endpoint::Userinfo);
        app.get("/lab", &after).await.expect(200);
        assert_eq!(world.calls(Endpoint::Userinfo), asked, "{store:?}: the sign-in kept the group");
        // Whoever is in no such group is refused after the question, not before.
        let dan = signed_in(&world, "dan").await.cookie_line();
        app.get("/lab", &dan).await.expect(403);
    }
}

#[tokio::test]
async fn without_an_answer_of_the_provider_a_session_from_before_is_not_admitted() {
    let world = world().await;
    let before = signed_in(&world, "ada").await.cookie_line();
    let app = Served::new(&world, router(&world.gate, of_gpu_team())).await;
    world.hub.stop().await;
    let answer = app.get("/lab", &before).await.expect(503);
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
    app.get("/open", &before).await.expect(200);
}

#[tokio::test]
async fn a_session_of_a_process_before_holds_after_a_restart() {
    let world = world().await;
    let without = signed_in(&world, "ada").await.cookie_line();
    let app = Served::new(&world, router(&world.gate, of_gpu_team())).await;
    let with = signed_in(&world, "ada").await.cookie_line();
    app.get("/lab", &with).await.expect(200);
    let after = world.replica(open).await;
    let app = Served::new(&after, router(&after.gate, of_gpu_team())).await;
    let app = Served { host: world.address.clone(), ..app };
    let asked = world.calls(Endpoint::Userinfo);
    app.get("/lab", &with).await.expect(200);
    assert_eq!(world.calls(Endpoint::Userinfo), asked, "its rules named the same");
    app.get("/lab", &without).await.expect(200);
    assert_eq!(world.calls(Endpoint::Userinfo), asked + 1);
}

#[tokio::test]
async fn a_session_without_the_scope_of_a_new_rule_is_asked_to_sign_in_again() {
    let world = world().await;
    world.behave(|hub| hub.orgs_need_scope = true);
    // Signed in while no rule needed memberships.
    let mut browser = world.browser();
    browser.be_at_hub("ada", &[]);
    browser.open("/").await;
    let before = browser.cookie_line();
    let app = Served::new(&world, router(&world.gate, Rule::org("acme"))).await;
    let refused = app.get("/lab", &before).await.expect(403).json();
    assert_eq!(refused["open_to"][0]["missing"][0]["reason"], "sign_in_again", "{refused}");
    let page = app.send(Ask::navigation("/lab").with("cookie", &before)).await.expect(403);
    assert!(page.text().contains("/oauth2/start"), "{}", page.text());
    let start = app.send(Ask::navigation("/oauth2/start").with("cookie", &before)).await.expect(302);
    assert!(parameter(start.location(), "scope").unwrap().contains("read-memberships"));
    let answer = finish(&app, &world, &start, "ada").await.expect(302);
    let session = answer.cookie("huggate=").unwrap().split(';').next().unwrap();
    app.get("/lab", session).await.expect(200);
}

#[tokio::test]
async fn tokens_are_decided_by_a_requirement_that_came_after_their_answer() {
    let world = world().await;
    let token = |user: &str| format!("Bearer {}", world.hub.token_of(user).unwrap());
    let before = Served::new(&world, Router::new().route("/open", get(who)).layer(world.gate.layer())).await;
    before.send(Ask::get("/open").with("authorization", &token("ada"))).await.expect(200);
    let app = Served::new(&world, router(&world.gate, of_gpu_team())).await;
    // The cached answer was filtered without the rule.
    app.send(Ask::get("/lab").with("authorization", &token("ada"))).await.expect(200);
    let refused = app.send(Ask::get("/lab").with("authorization", &token("dan"))).await.expect(403);
    assert_eq!(refused.json()["error"], "access_denied");
    let asked = world.calls(Endpoint::Whoami);
    app.send(Ask::get("/lab").with("authorization", &token("ada"))).await.expect(200);
    assert_eq!(world.calls(Endpoint::Whoami), asked, "its answer is cached");
}

#[tokio::test]
async fn a_reload_keeps_requirements_made_before_it_and_after() {
    let world = world().await;
    let lab = Router::new().route("/lab", get(who)).layer(world.gate.require(of_gpu_team()));
    let settings = open(Gate::builder())
        .public_url(&world.public_url)
        .issuer(world.hub.issuer())
        .client(CLIENT, CLIENT_SECRET)
        .secret(SECRET)
        .session(|session| session.cookie_name = "huggate".to_owned());
    let prepared = world.gate.prepare_reload(settings.settings().unwrap()).unwrap();
    // Made with the gate from before, while the next one is ready.
    let late = Router::new().route("/late", get(who)).layer(world.gate.require(Rule::org("acme")));
    let reloaded = prepared.activate();
    let app = Served::new(&world, lab.merge(late).layer(reloaded.layer())).await;
    let start = app.send(Ask::navigation("/lab")).await.expect(302);
    assert!(parameter(start.location(), "scope").unwrap().contains("read-memberships"));
    let answer = finish(&app, &world, &start, "ada").await.expect(302);
    let session = answer.cookie("huggate=").unwrap().split(';').next().unwrap();
    let asked = world.calls(Endpoint::Userinfo);
    app.get("/lab", session).await.expect(200);
    app.get("/late", session).await.expect(200);
    assert_eq!(world.calls(Endpoint::Userinfo), asked, "the new gate kept what both rules name");
    let dan = signed_in(&world, "dan").await.cookie_line();
    app.get("/lab", &dan).await.expect(403);
    app.get("/late", &dan).await.expect(403);
}

#[tokio::test]
async fn a_stream_below_a_requirement_ends_when_its_rule_no_longer_admits_the_person() {
    let world = world().await;
    let ended = Arc::new(Notify::new());
    let told = Arc::clone(&ended);
    let events = move |grant: Grant| {
        let told = Arc::clone(&told);
        async move {
            tokio::spawn(async move {
                grant.ended().await;
                told.notify_one();
            });
            let first =
                futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"data: hello\n\n"))]);
            Response::new(axum::body::Body::from_stream(first.chain(futures_util::stream::pending())))
        }
    };
    let lab = Router::new().route("/lab", get(events.clone())).layer(world.gate.require(Rule::org("acme")));
    let app = Served::new(
        &world,
        Router::new()
            .route("/open", get(events))
            .route("/who", get(who))
            .merge(lab)
            .layer(world.gate.layer()),
    )
    .await;
    let cookie = signed_in(&world, "ada").await.cookie_line();
    let open = |path| begin(&app.address, Ask::get(path).with("cookie", &cookie).or_host(&world.address));
    let (below, beside) = (open("/lab").await, open("/open").await);
    assert_eq!((below.status().as_u16(), beside.status().as_u16()), (200, 200));
    let (mut below, mut beside) = (below.into_body(), beside.into_body());
    assert!(below.frame().await.unwrap().is_ok() && beside.frame().await.unwrap().is_ok());
    world.hub.edit_user("ada", |user| user.orgs.retain(|org| org.slug != "acme"));
    // The next revalidation learns of it.
    world.advance(3600);
    crate::world::skip(std::time::Duration::from_secs(3600)).await;
    assert!(below.frame().await.is_none_or(|frame| frame.is_err()));
    ended.notified().await;
    // The gate's own rules admit the person as before.
    app.get("/who", &cookie).await.expect(200);
    app.get("/lab", &cookie).await.expect(403);
    drop(beside);
}

#[tokio::test]
async fn a_requirement_without_its_gate_above_is_a_500_that_names_the_mistake() {
    let log = Log::start();
    let world = world().await;
    let cookie = signed_in(&world, "ada").await.cookie_line();
    let alone = || Router::new().route("/lab", get(who)).layer(world.gate.require(Rule::org("acme")));
    let app = Served::new(&world, alone()).await;
    let answer = app.get("/lab", &cookie).await.expect(500);
    assert!(answer.text().contains("the layer is missing in front of this requirement"), "{}", answer.text());
    assert!(log.text().contains("`Gate::require` stands where no gate has decided"));
    // Around the gate's layer and not below it.
    let outside = Router::new().route("/lab", get(who)).layer(world.gate.layer());
    let app = Served::new(&world, outside.layer(world.gate.require(Rule::org("acme")))).await;
    app.get("/lab", &cookie).await.expect(500);
    // Below another gate.
    let other = world.replica(open).await;
    let app = Served::new(&world, alone().layer(other.gate.layer())).await;
    let answer = app.get("/lab", &cookie).await.expect(500);
    assert!(answer.text().contains("another gate's"), "{}", answer.text());
    assert!(log.text().contains("`Gate::require` stands below the layer of another gate"));
}

#[tokio::test]
async fn a_rule_that_nobody_can_satisfy_is_named_when_the_layer_is_made() {
    let log = Log::start();
    let world = world().await;
    let cookie = signed_in(&world, "ada").await.cookie_line();
    let router = router(&world.gate, Rule::user("ada").and(Rule::user("ben")));
    assert!(log.text().contains("a rule that nobody can satisfy: nobody is both ada and ben"));
    let app = Served::new(&world, router).await;
    let answer = app.get("/lab", &cookie).await.expect(500);
    assert!(!answer.text().contains("ben"), "{}", answer.text());
    app.get("/open", &cookie).await.expect(200);
}

#[tokio::test]
async fn a_requirement_stands_before_any_service_and_tells_it_who_it_is() {
    let world = world().await;
    let cookie = signed_in(&world, "ada").await.cookie_line();
    let telling = tower::service_fn(|request: http::Request<Empty<Bytes>>| {
        let told = format!("{:?}", Grant::from_extensions(request.extensions()).unwrap());
        std::future::ready(Ok::<_, Infallible>(http::Response::new(Full::from(told))))
    });
    let gate = &world.gate;
    let service = gate.layer().layer(gate.require(Rule::user("ada")).layer(telling));
    let ask = |cookie: &str| {
        let request = http::Request::builder().uri("/public/x").header("host", "a.example");
        request.header("cookie", cookie).body(Empty::<Bytes>::new()).unwrap()
    };
    let response = service.clone().oneshot(ask(&cookie)).await.unwrap();
    let told = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&told).contains("required"), "{told:?}");
    let refused = service.oneshot(ask("")).await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.extensions().get::<Refusal>(), Some(&Refusal::SignIn));
}
