//! Rules bind at once: the next request of every session is decided by the rules in force.

use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt;
use huggate::authn::BearerSettings;
use huggate::hub::{Behaviour, Edit, Endpoint, Fault};
use huggate::identity::HeaderSettings;
use huggate::session::StoreSettings;
use huggate::{GateBuilder, Role, Route, Rule, TrustedProxies};
use tokio::io::AsyncReadExt;

// What lies between two rules: requests under way, entries that cannot be read.
mod between;

use crate::http2;
use crate::world::{Ask, Browser, FRONTS, Front, World, begin, upgraded};

const STORES: [StoreSettings; 2] = [StoreSettings::Cookie, StoreSettings::Memory];
/// Seconds until the provider is contacted again.
const REVALIDATE: u64 = 15 * 60;
/// Seconds between two attempts if there is no answer.
const PAUSE: u64 = 15;
/// What a sign-in asks for where a rule names an organisation.
const MEMBERSHIPS: &str = "openid profile read-memberships";

type Rules = fn(GateBuilder) -> GateBuilder;

/// How new rules come into force.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Reload,
    /// Another process, which knows nothing but the cookie.
    Restart,
}

impl Change {
    async fn to(self, world: &World, store: StoreSettings, rules: Rules) -> World {
        let change = move |gate: GateBuilder| rules(gate).session(move |session| session.store = store);
        match self {
            Self::Reload => world.reloaded(change).await,
            Self::Restart => world.replica(change).await,
        }
    }

    /// Every store and change that keeps sessions.
    fn all() -> [(Self, StoreSettings); 3] {
        let (cookie, memory) = (StoreSettings::Cookie, StoreSettings::Memory);
        [(Self::Reload, cookie), (Self::Reload, memory), (Self::Restart, cookie)]
    }
}

async fn world_of(front: Front, store: StoreSettings, rules: Rules) -> World {
    World::start(front, move |gate| rules(gate).session(move |session| session.store = store)).await
}

fn anyone(gate: GateBuilder) -> GateBuilder {
    gate.allow_anyone().scope(MEMBERSHIPS)
}

fn not_writers(gate: GateBuilder) -> GateBuilder {
    anyone(gate).deny(Rule::org("acme").with_role(Role::Write))
}

fn not_gpu_team(gate: GateBuilder) -> GateBuilder {
    anyone(gate).deny(Rule::org("example-labs").with_resource_group("gpu-team"))
}

fn gpu_team(gate: GateBuilder) -> GateBuilder {
    gate.allow(Rule::org("example-labs").with_resource_group("gpu-team"))
}

fn acme(gate: GateBuilder) -> GateBuilder {
    gate.allow(Rule::org("acme"))
}

fn away(world: &World) {
    world.behave(|hub: &mut Behaviour| hub.fail(Endpoint::Userinfo, Fault::Status(503)));
}

fn back(world: &World) {
    world.behave(|hub: &mut Behaviour| hub.clear_faults(Endpoint::Userinfo));
}

#[tokio::test]
async fn a_deny_by_what_the_session_dropped_refuses_its_next_request() {
    for front in FRONTS {
        for (change, store) in Change::all() {
            for (user, rules, reason) in
                [("cleo", not_writers as Rules, Some("restricted")), ("ada", not_gpu_team as Rules, None)]
            {
                let world = world_of(front, store, anyone).await;
                let mut person = world.browser();
                person.sign_in_showing(user, &["acme", "example-labs"]).await.expect(200);
                person.fetch("/").await.expect(200);
                let after = change.to(&world, store, rules).await;
                let mut person = person.at(&after);
                let answer = person.fetch("/").await.expect(403);
                let missing = &answer.json()["closed_to"][0]["missing"][0]["reason"];
                assert_eq!(missing.as_str(), reason, "{front:?} {change:?} {store:?} {user}");
                assert_eq!(world.calls(Endpoint::Userinfo), 2);
                person.fetch("/").await.expect(403);
                person.open("/").await.expect_page(403, "It is closed to");
            }
        }
    }
}

#[tokio::test]
async fn an_allow_by_a_group_that_was_not_named_before_lets_its_members_in() {
    for front in FRONTS {
        for (change, store) in Change::all() {
            let world = world_of(front, store, acme).await;
            let mut ada = world.browser();
            ada.sign_in_showing("ada", &["acme", "example-labs"]).await.expect(200);
            let mut ben = world.signed_in("ben").await;
            ada.fetch("/").await.expect(200);
            let calls = world.calls(Endpoint::Userinfo);
            let after = change.to(&world, store, gpu_team).await;
            ada.at(&after).fetch("/").await.expect(200);
            ben.at(&after).fetch("/").await.expect(403);
            // Ben lost nothing at his sign-in, so the rules can judge him without a question.
            assert_eq!(world.calls(Endpoint::Userinfo), calls + 1, "{change:?} {store:?}");
            ben.fetch("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn the_answer_is_kept_so_that_it_is_asked_for_once() {
    for front in FRONTS {
        for store in STORES {
            let world = world_of(front, store, anyone).await;
            let ada = world.signed_in("ada").await;
            let after = Change::Reload.to(&world, store, not_gpu_team).await;
            let line = ada.cookie_line();
            let crowd = (0..30).map(|_| after.send(Ask::fetch("/").with("cookie", &line)));
            for answer in join_all(crowd).await {
                answer.expect(403);
            }
            assert_eq!(world.calls(Endpoint::Userinfo), 2);
            // The rules before need no more than what is kept now.
            let before = Change::Reload.to(&after, store, acme).await;
            let mut ada = ada.at(&before);
            ada.fetch("/").await.expect(200);
            if store == StoreSettings::Cookie {
                let restarted = Change::Restart.to(&world, store, not_gpu_team).await;
                ada.at(&restarted).fetch("/").await.expect(403);
            }
        }
    }
}

#[tokio::test]
async fn while_the_provider_is_away_nobody_passes_a_deny_that_cannot_be_judged() {
    for front in FRONTS {
        for (change, store) in Change::all() {
            let world = world_of(front, store, anyone).await;
            let ada = world.signed_in("ada").await;
            let dan = world.signed_in("dan").await;
            away(&world);
            let after = change.to(&world, store, not_gpu_team).await;
            let (mut ada, mut dan) = (ada.at(&after), dan.at(&after));
            let answer = ada.fetch("/").await.expect(503);
            assert_eq!(answer.json()["error"], "temporarily_unavailable");
            assert!(answer.text().contains("rules of this app have changed"), "{}", answer.text());
            assert!(answer.header("retry-after").is_some());
            assert!(answer.cookies().is_empty());
            ada.open("/").await.expect_page(503, "rules of this app have changed");
            // Dan's session holds all that there is about him.
            dan.fetch("/").await.expect(200);
            // It is not asked again before the pause is over.
            assert_eq!(world.calls(Endpoint::Userinfo), 3);
            back(&world);
            ada.fetch("/").await.expect(503);
            world.advance(PAUSE);
            ada.fetch("/").await.expect(403);
            dan.fetch("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn rules_that_the_session_can_be_judged_by_ask_nothing() {
    let by_name: Rules = |gate| gate.allow(Rule::user("ada"));
    let other_role: Rules = |gate| gate.allow(Rule::org("acme").with_role(Role::Admin));
    let also: Rules = |gate| gate.allow(Rule::org("acme")).allow(Rule::org("nimbus"));
    let denied_anyway: Rules = |gate| not_gpu_team(gate).deny(Rule::user("ada"));
    for (change, store) in Change::all() {
        for (rules, status) in [(by_name, 200), (other_role, 200), (also, 200), (denied_anyway, 403)] {
            let world = world_of(FRONTS[0], store, acme).await;
            let ada = world.signed_in("ada").await;
            away(&world);
            let after = change.to(&world, store, rules).await;
            ada.at(&after).fetch("/").await.expect(status);
            assert_eq!(world.calls(Endpoint::Userinfo), 1);
        }
    }
}

#[tokio::test]
async fn a_deny_of_a_route_binds_at_once_and_leaves_other_routes_alone() {
    let rules: Rules = |gate| {
        let closed =
            Route::path("/closed/**").deny(vec![Rule::org("example-labs").with_resource_group("gpu-team")]);
        let open =
            Route::public("/open/**").deny(vec![Rule::org("example-labs").with_resource_group("gpu-team")]);
        acme(gate).route(closed).route(open)
    };
    for (change, store) in Change::all() {
        let world = world_of(Front::Proxy, store, acme).await;
        let ada = world.signed_in("ada").await;
        away(&world);
        let after = change.to(&world, store, rules).await;
        let mut ada = ada.at(&after);
        ada.fetch("/").await.expect(200);
        ada.fetch("/closed/x").await.expect(503);
        ada.fetch("/open/x").await.expect(503);
        after.send(Ask::fetch("/open/x")).await.expect(200);
        back(&world);
        world.advance(PAUSE);
        ada.fetch("/closed/x").await.expect(403);
        ada.fetch("/open/x").await.expect(403);
        ada.fetch("/").await.expect(200);
    }
}

#[tokio::test]
async fn forward_auth_and_http2_are_decided_by_the_rules_in_force() {
    let trusting: Rules =
        |gate| anyone(gate).trusted_proxies(TrustedProxies::parse(["127.0.0.0/8"]).unwrap());
    let denying: Rules =
        |gate| not_gpu_team(gate).trusted_proxies(TrustedProxies::parse(["127.0.0.0/8"]).unwrap());
    for (change, store) in Change::all() {
        let world = world_of(Front::Proxy, store, trusting).await;
        let ada = world.signed_in("ada").await;
        let line = ada.cookie_line();
        let host = world.address.clone();
        away(&world);
        let after = change.to(&world, store, denying).await;
        let forward = || {
            Ask::fetch("/oauth2/auth/forward")
                .with("cookie", &line)
                .with("x-forwarded-method", "GET")
                .with("x-forwarded-proto", "http")
                .with("x-forwarded-host", &host)
                .with("x-forwarded-uri", "/x")
        };
        let nginx = || Ask::fetch("/oauth2/auth").with("cookie", &line).with("x-original-uri", "/x");
        let envoy = || Ask::fetch("/oauth2/auth/envoy/x").with("cookie", &line);
        let mut client = http2::connect(&after.address).await;
        let mut over_http2 = async || {
            let mut request = http2::get("/x");
            *request.uri_mut() = format!("http://{host}/x").parse().unwrap();
            request.headers_mut().insert("cookie", line.parse().unwrap());
            http2::ask(&mut client, request).await.status().as_u16()
        };
        after.send(forward()).await.expect(503);
        after.send(envoy()).await.expect(503);
        after.send(nginx()).await.expect(401);
        assert_eq!(over_http2().await, 503);
        back(&world);
        world.advance(PAUSE);
        assert_eq!(over_http2().await, 403);
        after.send(forward()).await.expect(403);
        after.send(envoy()).await.expect(403);
        after.send(nginx()).await.expect(403);
    }
}

/// The rest of a stream: it has to end within a few seconds.
async fn ends(mut body: hyper::body::Incoming) {
    let ended =
        tokio::time::timeout(Duration::from_secs(5), async { while let Some(Ok(_)) = body.frame().await {} });
    ended.await.expect("the stream goes on");
}

#[tokio::test]
async fn open_streams_and_websockets_are_decided_by_the_rules_in_force() {
    for store in STORES {
        for is_away in [false, true] {
            let world = world_of(Front::Proxy, store, anyone).await;
            let (ada, dan) = (world.signed_in("ada").await, world.signed_in("dan").await);
            let stream = async |who: &Browser<'_>| {
                let ask = Ask::get("/events").with("cookie", &who.cookie_line()).or_host(&world.address);
                let mut events = begin(&world.address, ask).await.into_body();
                events.frame().await.unwrap().unwrap();
                events
            };
            let (events, mut kept) = (stream(&ada).await, stream(&dan).await);
            let ask = Ask::websocket("/ws").with("cookie", &ada.cookie_line()).or_host(&world.address);
            let mut socket = upgraded(&world.address, ask).await;
            if is_away {
                away(&world);
            }
            let _after = Change::Reload.to(&world, store, not_gpu_team).await;
            ends(events).await;
            // A close frame with 1008 (RFC 6455, section 7.4.1).
            let closed = tokio::time::timeout(Duration::from_secs(5), async {
                let mut bytes = Vec::new();
                while !bytes.windows(2).any(|code| code == 1008_u16.to_be_bytes()) {
                    assert!(socket.read_buf(&mut bytes).await.unwrap() > 0, "no close frame: {bytes:?}");
                }
            });
            closed.await.expect("the tunnel stays open");
            // Dan's goes on.
            let next = tokio::time::timeout(Duration::from_millis(50), kept.frame()).await;
            assert!(!matches!(next, Ok(None | Some(Err(_)))), "Dan's stream ended");
        }
    }
}

#[tokio::test]
async fn cached_answers_about_tokens_are_judged_by_the_rules_in_force() {
    let before: Rules = |gate| anyone(gate).bearer(BearerSettings::default());
    let after: Rules = |gate| not_gpu_team(gate).bearer(BearerSettings::default());
    for front in FRONTS {
        let world = world_of(front, StoreSettings::Cookie, before).await;
        let authorization = format!("Bearer {}", world.hub.token_of("ada").unwrap());
        let ask = || Ask::fetch("/").with("authorization", &authorization);
        world.send(ask()).await.expect(200);
        world.behave(|hub| hub.fail(Endpoint::Whoami, Fault::Status(503)));
        let ask_events = Ask::get("/events").with("authorization", &authorization).or_host(&world.address);
        let mut events = begin(&world.address, ask_events).await.into_body();
        events.frame().await.unwrap().unwrap();
        let after = Change::Reload.to(&world, StoreSettings::Cookie, after).await;
        after.send(ask()).await.expect(503);
        ends(events).await;
        world.behave(|hub| hub.clear_faults(Endpoint::Whoami));
        world.advance(2);
        after.send(ask()).await.expect(403);
    }
}

#[tokio::test]
async fn a_revalidation_that_began_before_a_reload_leaves_no_headers_of_the_old_settings() {
    let old: Rules = |gate| acme(gate).headers(headers("x-forwarded-user"));
    let new: Rules = |gate| acme(gate).headers(headers("x-person"));
    for front in FRONTS {
        for store in STORES {
            let world = world_of(front, store, old).await;
            let mut ada = world.signed_in("ada").await;
            world.hub.edit_user("ada", |ada| ada.name = "Ada Anew".to_owned());
            world.advance(REVALIDATE);
            world.behave(|hub| {
                hub.fail_times(Endpoint::Userinfo, Fault::Slow(Duration::from_millis(200)), 1);
            });
            ada.fetch("/").await.expect(200);
            while world.calls(Endpoint::Userinfo) < 2 {
                tokio::task::yield_now().await;
            }
            let after = Change::Reload.to(&world, store, new).await;
            let mut ada = ada.at(&after);
            let mut renewed = false;
            for _ in 0..500 {
                let answer = ada.fetch("/").await.expect(200);
                let echo = answer.echo();
                assert_eq!(echo.header("x-forwarded-user"), None, "{front:?} {store:?} {renewed}");
                assert!(echo.header("x-person").is_some(), "{front:?} {store:?} {renewed}");
                if renewed {
                    break;
                }
                renewed = ada.fetch("/oauth2/userinfo").await.json()["name"] == "Ada Anew";
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(renewed, "the revalidation did not end");
            assert_eq!(world.calls(Endpoint::Userinfo), 2);
        }
    }
}

/// One identity header of this name.
fn headers(name: &'static str) -> HeaderSettings {
    let mut headers = HeaderSettings::default();
    headers.claims.retain(|(header, _)| header == "x-forwarded-user");
    for (header, _) in &mut headers.claims {
        *header = http::HeaderName::from_static(name);
    }
    headers
}

#[tokio::test]
async fn a_token_that_shows_some_organisations_does_not_pass_a_deny_by_another() {
    let rules: Rules = |gate| gate.allow_anyone().deny(Rule::org("nimbus")).bearer(BearerSettings::default());
    for front in FRONTS {
        let world = world_of(front, StoreSettings::Cookie, rules).await;
        let ask = |token: &str| Ask::fetch("/").with("authorization", &format!("Bearer {token}"));
        let token = world.hub.token_of("ada").unwrap();
        // A token with the role write shows all organisations.
        world.send(ask(&token)).await.expect(200);
        world.hub.edit_user("ben", |ben| ben.token_role = "fineGrained".to_owned());
        let answer = world.send(ask(&world.hub.token_of("ben").unwrap())).await.expect(403).json();
        assert_eq!(answer["closed_to"][0]["missing"][0]["reason"], "not_shown", "{answer}");
        assert_eq!(answer["closed_to"][0]["missing"][0]["organisation"], "nimbus");
        // An OAuth token shows what its scope covers.
        let oauth = world.hub.oauth_token("ben", crate::world::CLIENT).unwrap();
        world.send(ask(&oauth)).await.expect(200);
        let without_scope = |claims: &mut serde_json::Map<String, serde_json::Value>| {
            claims.insert("scope".to_owned(), serde_json::json!(["openid", "profile"]));
        };
        world.behave(|hub| hub.edit_access_token = Some(Edit::new(without_scope)));
        let oauth = world.hub.oauth_token("ben", crate::world::CLIENT).unwrap();
        let answer = world.send(ask(&oauth)).await.expect(403).json();
        assert_eq!(answer["closed_to"][0]["missing"][0]["reason"], "not_shown", "{answer}");
    }
}

#[tokio::test]
async fn a_session_whose_scope_shows_some_organisations_does_not_pass_a_deny_by_another() {
    let rules: Rules = |gate| gate.allow_anyone().deny(Rule::org("nimbus")).scope("openid profile");
    for front in FRONTS {
        let world = world_of(front, StoreSettings::Cookie, rules).await;
        world.behave(|hub| hub.orgs_need_scope = true);
        let mut ada = world.browser();
        ada.sign_in("ada").await.expect_page(403, "not known whether");
        let answer = ada.fetch("/").await.expect(403).json();
        assert_eq!(answer["closed_to"][0]["missing"][0]["reason"], "not_shown", "{answer}");
    }
}

#[tokio::test]
async fn a_deny_by_a_group_that_is_not_shown_refuses() {
    let rules: Rules =
        |gate| gate.allow_anyone().deny(Rule::org("example-labs").with_resource_group("secret"));
    let world = world_of(Front::Proxy, StoreSettings::Cookie, rules).await;
    // The role is shown by the scope; the groups only by the grant.
    world.behave(|hub| hub.role_by_scope = true);
    let mut ada = world.browser();
    ada.sign_in_showing("ada", &[]).await.expect(403);
    let answer = ada.fetch("/").await.expect(403).json();
    assert_eq!(answer["closed_to"][0]["missing"][0]["reason"], "groups_not_shown", "{answer}");
    let mut granted = world.browser();
    granted.sign_in_showing("ada", &["example-labs"]).await.expect(200);
}

#[tokio::test]
async fn what_a_sign_in_did_not_ask_for_takes_another_sign_in_and_no_loop() {
    let rules: [(Rules, &str); 3] = [
        (|gate| gate.allow(Rule::email_domain("example.org")), "open_to"),
        (|gate| gate.allow_anyone().deny(Rule::email("ada@example.com")), "closed_to"),
        (|gate| gate.allow_anyone().deny(Rule::org("nimbus")), "closed_to"),
    ];
    let plain: Rules = |gate| gate.allow_anyone();
    for (change, store) in Change::all() {
        for (rules, list) in rules {
            let world = world_of(Front::Proxy, store, plain).await;
            let mut ada = world.signed_in("ada").await;
            ada.fetch("/").await.expect(200);
            let after = change.to(&world, store, rules).await;
            let mut ada = ada.at(&after);
            let answer = ada.fetch("/").await.expect(403).json();
            assert_eq!(answer[list][0]["missing"][0]["reason"], "sign_in_again", "{answer}");
            let page = ada.open("/deep?x=1").await.expect_page(403, "Sign in again");
            assert!(page.text().contains("/oauth2/start?rd=%2Fdeep%3Fx%3D1"), "{}", page.text());
            ada.be_at_hub("ada", &["acme"]);
            ada.open("/oauth2/start?rd=%2F").await.expect(200);
            ada.fetch("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn an_email_that_the_sign_in_asked_for_is_judged_without_another() {
    let plain: Rules = |gate| gate.allow_anyone().scope("openid profile email");
    let by_domain: Rules =
        |gate| gate.allow_anyone().deny(Rule::email_domain("acme.example")).scope("openid profile email");
    for (change, store) in Change::all() {
        let world = world_of(Front::Proxy, store, plain).await;
        let (ada, finn) = (world.signed_in("ada").await, world.signed_in("finn").await);
        away(&world);
        let after = change.to(&world, store, by_domain).await;
        ada.at(&after).fetch("/").await.expect(200);
        // Not verified: it is not known whether it is his.
        let answer = finn.at(&after).fetch("/").await.expect(403).json();
        assert_eq!(answer["closed_to"][0]["missing"][0]["reason"], "email_not_verified", "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_the_session_ends_it_before_the_decision() {
    for (change, store) in Change::all() {
        let world = world_of(Front::Proxy, store, anyone).await;
        let mut ada = world.signed_in("ada").await;
        ada.fetch("/").await.expect(200);
        world.hub.disconnect("ada", crate::world::CLIENT);
        let after = change.to(&world, store, not_gpu_team).await;
        ada.at(&after).fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn a_list_without_end_does_not_prove_that_an_organisation_is_not_in_it() {
    let rules: Rules = |gate| gate.allow_anyone().deny(Rule::org("nimbus"));
    let world = world_of(Front::Proxy, StoreSettings::Cookie, rules).await;
    world.behave(|hub| {
        hub.edit_userinfo = Some(Edit::new(|object| {
            let org = |n: usize| {
                serde_json::json!({
                    "sub": format!("{n:024x}"), "name": "o", "preferred_username": format!("o-{n}"),
                    "roleInOrg": "read", "resourceGroups": [],
                })
            };
            object.insert("orgs".to_owned(), (0..2_001).map(org).collect());
        }));
    });
    let mut ada = world.browser();
    ada.sign_in("ada").await.expect(403);
}
