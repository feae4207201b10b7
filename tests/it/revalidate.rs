//! Session revalidation: the provider is contacted again, and its new answer is used.

use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt;
use huggate::hub::{Endpoint, Fault, User};
use huggate::session::StoreSettings;
use huggate::{Role, Route, Rule};
use tokio::io::AsyncReadExt;

use crate::world::{Ask, Browser, FRONTS, Front, Log, World, begin, skip, upgraded};

/// Seconds until the provider is contacted again.
const REVALIDATE: u64 = 15 * 60;
/// Seconds for which its last answer stays valid beyond that while it is unavailable.
const GRACE: u64 = 3600;
/// Seconds between two attempts if there is no answer.
const PAUSE: u64 = 15;
/// The lifetime of an access token.
const TOKEN: u64 = 8 * 3600;

/// A world with sessions in this store.
async fn with_store(front: Front, store: StoreSettings) -> World {
    World::start(front, |gate| gate.allow(Rule::org("acme")).session(move |session| session.store = store))
        .await
}

/// Waits until the answer to a fetch of `/` has this status, which differs from the
/// status before.
async fn becomes(browser: &mut Browser<'_>, status: u16) {
    for _ in 0..200 {
        if browser.fetch("/").await.status == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not become {status}");
}

/// Waits until the hub has received this many requests.
async fn wait_for_calls(world: &World, endpoint: Endpoint, times: u64) {
    for _ in 0..300 {
        if world.calls(endpoint) >= times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{endpoint:?} received {} requests, not {times}", world.calls(endpoint));
}

fn out_of_acme(person: &mut User) {
    person.orgs.retain(|org| org.slug != "acme");
}

#[tokio::test]
async fn concurrent_requests_cause_one_revalidation_and_none_waits() {
    for front in FRONTS {
        for store in [StoreSettings::Cookie, StoreSettings::Memory] {
            let world = with_store(front, store).await;
            let mut ada = world.signed_in("ada").await;
            let line = ada.cookie_line();
            assert_eq!(world.calls(Endpoint::Userinfo), 1);
            world.advance(REVALIDATE - 1);
            ada.fetch("/").await.expect(200);
            world.advance(1);
            world.behave(|hub| hub.fail(Endpoint::Userinfo, Fault::Hang));
            let crowd = (0..50).map(|_| world.send(Ask::fetch("/").with("cookie", &line)));
            for answer in join_all(crowd).await {
                answer.expect(200);
            }
            wait_for_calls(&world, Endpoint::Userinfo, 2).await;
            world.send(Ask::fetch("/").with("cookie", &line)).await.expect(200);
            assert_eq!(world.calls(Endpoint::Userinfo), 2);
        }
    }
}

#[tokio::test]
async fn losing_a_required_membership_ends_access() {
    type Change = fn(&mut User);
    let changes: [(&str, Change); 3] = [
        ("left the organisation", out_of_acme),
        ("lost the role", |ada| {
            ada.orgs.iter_mut().for_each(|org| org.role = "read".to_owned());
        }),
        ("single sign-on lapsed", |ada| {
            ada.orgs.iter_mut().for_each(|org| org.security_restrictions = vec!["sso".to_owned()]);
        }),
    ];
    for front in FRONTS {
        for store in [StoreSettings::Cookie, StoreSettings::Memory] {
            for (what, change) in changes {
                let world = World::start(front, |gate| {
                    gate.allow(Rule::org("acme").with_role(Role::Admin))
                        .session(move |session| session.store = store)
                })
                .await;
                let mut ada = world.signed_in("ada").await;
                world.hub.edit_user("ada", change);
                ada.fetch("/").await.expect(200);
                world.advance(REVALIDATE);
                becomes(&mut ada, 403).await;
                // Immediately and permanently, without another request to the provider.
                let calls = world.calls(Endpoint::Userinfo);
                ada.fetch("/").await.expect(403);
                assert_eq!((calls, world.calls(Endpoint::Userinfo)), (2, 2), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_new_role_takes_effect_without_another_sign_in() {
    let world = World::start(FRONTS[0], |gate| gate.allow(Rule::org("acme").with_role(Role::Admin))).await;
    let role = |role: &'static str| {
        world.hub.edit_user("ada", |ada| ada.orgs.iter_mut().for_each(|org| org.role = role.to_owned()));
    };
    role("read");
    let mut ada = world.browser();
    ada.sign_in("ada").await.expect(403);
    role("admin");
    world.advance(REVALIDATE);
    becomes(&mut ada, 200).await;
}

#[tokio::test]
async fn the_new_answer_is_stored_in_the_cookie() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        let old = ada.session();
        world.hub.edit_user("ada", out_of_acme);
        world.advance(REVALIDATE);
        becomes(&mut ada, 403).await;
        // A refusal does not set a new cookie; a public page may.
        world.hub.edit_user("ada", |ada| ada.username = "ada-lovelace".to_owned());
        let replica = world.replica(|gate| gate.allow_anyone()).await;
        let mut there = ada.at(&replica);
        there.fetch("/").await.expect(200);
        wait_for_calls(&world, Endpoint::Userinfo, 3).await;
        let mut echo = there.fetch("/").await.expect(200).echo();
        for _ in 0..100 {
            if echo.username() == Some("ada-lovelace") {
                break;
            }
            echo = there.fetch("/").await.expect(200).echo();
        }
        assert_eq!(echo.username(), Some("ada-lovelace"));
        assert_ne!(there.session(), old);
        // Another process knows the new state from the cookie.
        let third = world.replica(|gate| gate.allow_anyone()).await;
        assert_eq!(there.at(&third).fetch("/").await.expect(200).echo().username(), Some("ada-lovelace"));
        assert_eq!(world.calls(Endpoint::Userinfo), 3);
        let refusing = world.replica(|gate| gate.allow(Rule::org("acme"))).await;
        there.at(&refusing).fetch("/").await.expect(403);
        // The rules of the other two named no organisation, so the cookie holds none that the
        // person did not grant: whether acme is one of them has to be asked.
        assert_eq!(world.calls(Endpoint::Userinfo), 4);
    }
}

#[tokio::test]
async fn an_expired_token_is_refreshed_once_and_the_rotated_one_is_stored() {
    // Attack: a refresh race signs users out (oauth2-proxy #1992).
    for front in FRONTS {
        for store in [StoreSettings::Cookie, StoreSettings::Memory] {
            let world = with_store(front, store).await;
            let mut ada = world.signed_in("ada").await;
            for round in 0..4 {
                let (tokens, userinfos) = (world.calls(Endpoint::Token), world.calls(Endpoint::Userinfo));
                // Expired regularly, and expired early.
                let outlived = round % 2 == 0;
                if outlived {
                    world.advance(TOKEN);
                } else {
                    world.hub.expire_access_tokens();
                    world.advance(REVALIDATE + GRACE);
                }
                let line = ada.cookie_line();
                let crowd = (0..50).map(|_| world.send(Ask::fetch("/").with("cookie", &line)));
                for answer in join_all(crowd).await {
                    answer.expect(200);
                }
                assert_eq!(world.calls(Endpoint::Token), tokens + 1, "round {round}");
                let expected = if outlived { 1 } else { 2 };
                assert_eq!(world.calls(Endpoint::Userinfo), userinfos + expected, "round {round}");
                // The browser receives the new cookie before the next round.
                ada.fetch("/").await.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn new_tokens_are_stored_even_if_the_next_request_fails() {
    let world = World::of_acme(FRONTS[0]).await;
    let mut ada = world.signed_in("ada").await;
    world.advance(TOKEN);
    world.behave(|hub| hub.fail(Endpoint::Userinfo, Fault::Status(500)));
    ada.fetch("/").await.expect(503);
    world.behave(|hub| hub.clear_faults(Endpoint::Userinfo));
    world.advance(PAUSE);
    ada.fetch("/").await.expect(200);
    assert_eq!(world.calls(Endpoint::Token), 2, "it was refreshed once");
}

#[tokio::test]
async fn a_person_with_revoked_tokens_is_signed_out() {
    type Change = fn(&World);
    let changes: [(&str, Change); 3] = [
        ("no refresh token", |world| world.hub.expire_access_tokens()),
        ("disconnected the app", |world| world.hub.disconnect("ada", crate::world::CLIENT)),
        ("another person's token", |world| {
            world.behave(|hub| hub.userinfo_sub = Some("62f264b9f3c90f4b6514ffff".to_owned()));
        }),
    ];
    for front in FRONTS {
        for (index, (what, change)) in changes.into_iter().enumerate() {
            let log = Log::start();
            let world = World::of_acme(front).await;
            world.behave(|hub| hub.no_refresh_token = index == 0);
            let mut ada = world.signed_in("ada").await;
            let line = ada.cookie_line();
            change(&world);
            world.advance(REVALIDATE);
            becomes(&mut ada, 401).await;
            world.send(Ask::fetch("/").with("cookie", &line)).await.expect(401);
            assert!(log.text().contains("session_ended"), "{what}");
            // Signing in again works as before.
            world.behave(|hub| hub.userinfo_sub = None);
            ada.sign_in("ada").await.expect(200);
        }
    }
}

#[tokio::test]
async fn while_the_provider_is_unavailable_the_last_answer_is_used_until_it_expires() {
    for front in FRONTS {
        for fault in [
            Fault::Status(500),
            Fault::Status(503),
            Fault::Status(429),
            Fault::Status(404),
            Fault::Reset,
            Fault::Truncated,
            Fault::NotJson,
        ] {
            let world = World::of_acme(front).await;
            let mut ada = world.signed_in("ada").await;
            world.behave(|hub| hub.fail(Endpoint::Userinfo, fault.clone()));
            world.advance(REVALIDATE);
            ada.fetch("/").await.expect(200);
            wait_for_calls(&world, Endpoint::Userinfo, 2).await;
            // The provider is not flooded with requests.
            for _ in 0..10 {
                ada.fetch("/").await.expect(200);
            }
            assert_eq!(world.calls(Endpoint::Userinfo), 2, "{fault:?}");
            world.advance(GRACE - 1);
            ada.fetch("/").await.expect(200);
            wait_for_calls(&world, Endpoint::Userinfo, 3).await;
            let session = ada.session();
            world.advance(PAUSE);
            let answer = ada.fetch("/").await.expect(503);
            assert_eq!(answer.json()["error"], "temporarily_unavailable");
            assert!(answer.header("retry-after").is_some());
            assert!(answer.cookies().is_empty());
            let page = ada.open_as(Ask::navigation("/deep?x=1")).await.expect(503);
            assert!(page.text().contains("too old"), "{}", page.text());
            assert_eq!(ada.session(), session, "{fault:?}: the cookie is kept");
            ada.fetch("/oauth2/userinfo").await.expect(503);
            assert!(world.calls(Endpoint::Userinfo) <= 4, "{fault:?}");
            // Access works again when the provider is back, and a time that it named is over.
            world.behave(|hub| hub.clear_faults(Endpoint::Userinfo));
            world.advance(300);
            ada.fetch("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_failed_refresh_signs_nobody_out() {
    for (fault, later) in [
        (Fault::Status(500), 200),
        (
            // A mistake of the operator, not of the person.
            Fault::Answer {
                status: 401,
                content_type: "application/json".to_owned(),
                body: r#"{"error":"invalid_client"}"#.to_owned(),
            },
            200,
        ),
        (
            Fault::Answer {
                status: 400,
                content_type: "application/json".to_owned(),
                body: r#"{"error":"invalid_grant"}"#.to_owned(),
            },
            401,
        ),
    ] {
        let world = World::of_acme(FRONTS[0]).await;
        let mut ada = world.signed_in("ada").await;
        world.advance(TOKEN);
        world.behave(|hub| hub.fail(Endpoint::Token, fault.clone()));
        let status = if later == 200 { 503 } else { 401 };
        ada.fetch("/").await.expect(status);
        world.behave(|hub| hub.clear_faults(Endpoint::Token));
        world.advance(PAUSE);
        ada.fetch("/").await.expect(later);
    }
}

#[tokio::test]
async fn without_a_grace_period_an_unavailable_provider_ends_access() {
    let world = World::start(FRONTS[0], |gate| {
        gate.allow(Rule::org("acme")).session(|session| session.revalidate_grace = Duration::ZERO)
    })
    .await;
    let mut ada = world.signed_in("ada").await;
    world.behave(|hub| hub.fail(Endpoint::Userinfo, Fault::Status(500)));
    world.advance(REVALIDATE - 1);
    ada.fetch("/").await.expect(200);
    world.advance(1);
    ada.fetch("/").await.expect(503);
}

#[tokio::test]
async fn a_client_that_disconnects_during_a_refresh_loses_no_token() {
    let world = World::of_acme(FRONTS[0]).await;
    let mut ada = world.signed_in("ada").await;
    world.advance(TOKEN);
    world.behave(|hub| hub.fail_times(Endpoint::Token, Fault::Slow(Duration::from_millis(300)), 1));
    let ask = Ask::fetch("/").with("cookie", &ada.cookie_line()).or_host(&world.address);
    // The client disconnects while the provider processes the request.
    let gone = tokio::time::timeout(Duration::from_millis(100), begin(&world.address, ask)).await;
    assert!(gone.is_err(), "it was answered: {gone:?}");
    ada.fetch("/").await.expect(200);
    assert_eq!(world.calls(Endpoint::Token), 2, "it was refreshed once");
}

#[tokio::test]
async fn an_open_stream_ends_when_its_person_loses_access() {
    // Attack: a WebSocket outlives the session (Pomerium #1279).
    for front in FRONTS {
        for by_request in [true, false] {
            let world = World::start(front, |gate| {
                let admins = Route::path("/events").allow(vec![Rule::org("acme").with_role(Role::Admin)]);
                gate.allow(Rule::org("acme")).route(admins)
            })
            .await;
            let mut ada = world.signed_in("ada").await;
            let ask = Ask::get("/events").with("cookie", &ada.cookie_line()).or_host(&world.address);
            let mut events = begin(&world.address, ask).await.into_body();
            events.frame().await.unwrap().unwrap();
            let ask = Ask::websocket("/ws").with("cookie", &ada.cookie_line()).or_host(&world.address);
            let mut socket = upgraded(&world.address, ask).await;
            let demote: fn(&mut User) =
                |ada| ada.orgs.iter_mut().for_each(|org| org.role = "read".to_owned());
            world.hub.edit_user("ada", demote);
            world.advance(REVALIDATE);
            if by_request {
                ada.fetch("/").await.expect(200);
            } else {
                // There are no requests: the stream itself is re-authorized.
                skip(Duration::from_secs(REVALIDATE)).await;
            }
            let ended = tokio::time::timeout(Duration::from_secs(5), async {
                while let Some(Ok(_)) = events.frame().await {}
            });
            ended.await.expect("the stream goes on");
            // If the role does not matter, the WebSocket stays open until the session
            // ends.
            world.hub.edit_user("ada", out_of_acme);
            world.advance(REVALIDATE);
            becomes(&mut ada, 403).await;
            // The layer leaves tunnels of the wrapped service to that service.
            if front == Front::Proxy {
                let mut rest = Vec::new();
                let closed = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut rest));
                let _ = closed.await.expect("the tunnel stays open");
            }
        }
    }
}
