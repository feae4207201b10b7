//! Revalidation while the provider refuses: only 401 says that a session has ended.

use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt;
use huggate::Rule;
use huggate::hub::{Endpoint, Fault};
use huggate::session::StoreSettings;

use crate::world::{Ask, FRONTS, Front, Log, World, begin, skip};

const REVALIDATE: u64 = 15 * 60;
const GRACE: u64 = 3600;
/// Seconds between two attempts, unless the provider names a time.
const PAUSE: u64 = 15;
/// The lifetime of an access token.
const TOKEN: u64 = 8 * 3600;
const STORES: [StoreSettings; 2] = [StoreSettings::Cookie, StoreSettings::Memory];

async fn with_store(front: Front, store: StoreSettings) -> World {
    World::start(front, |gate| gate.allow(Rule::org("acme")).session(move |session| session.store = store))
        .await
}

/// Waits until this many attempts have failed.
async fn wait_for_failures(log: &Log, times: usize) {
    let wait = async {
        while log.text().matches("could not be confirmed").count() < times {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the attempt fails");
}

fn json_error(status: u16, error: &str) -> Fault {
    let body = format!(r#"{{"error":"{error}"}}"#);
    Fault::Answer { status, content_type: "application/json".to_owned(), body }
}

#[tokio::test]
async fn a_403_of_userinfo_ends_no_session() {
    for front in FRONTS {
        for store in STORES {
            let world = with_store(front, store).await;
            let log = Log::start();
            let mut ada = world.signed_in("ada").await;
            world.behave(|hub| hub.fail(Endpoint::Userinfo, Fault::Status(403)));
            world.advance(REVALIDATE);
            ada.fetch("/").await.expect(200);
            wait_for_failures(&log, 1).await;
            ada.fetch("/").await.expect(200);
            // The log tells it apart from a provider that is down.
            let text = log.text();
            let line = text.lines().find(|line| line.contains("could not be confirmed")).unwrap();
            assert!(line.contains("forbidden") && line.contains("403"), "{line}");
            assert!(!text.contains("session_ended"), "{text}");
            assert_eq!(world.calls(Endpoint::Token), 1, "no refresh token is spent on it");
            // It is held as long as any failure, and no longer.
            world.advance(GRACE - 1);
            ada.fetch("/").await.expect(200);
            wait_for_failures(&log, 2).await;
            let session = ada.session();
            world.advance(PAUSE);
            let answer = ada.fetch("/").await.expect(503);
            assert!(answer.header("retry-after").is_some() && answer.cookies().is_empty(), "{answer:?}");
            assert_eq!(ada.session(), session, "the cookie is kept");
            world.behave(|hub| hub.clear_faults(Endpoint::Userinfo));
            world.advance(PAUSE);
            ada.fetch("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_stream_outlives_a_403_of_userinfo() {
    let world = World::of_acme(Front::Proxy).await;
    let log = Log::start();
    let ada = world.signed_in("ada").await;
    let ask = Ask::get("/events").with("cookie", &ada.cookie_line()).or_host(&world.address);
    let mut events = begin(&world.address, ask).await.into_body();
    events.frame().await.unwrap().unwrap();
    world.behave(|hub| hub.fail(Endpoint::Userinfo, Fault::Status(403)));
    world.advance(REVALIDATE);
    skip(Duration::from_secs(REVALIDATE)).await;
    wait_for_failures(&log, 1).await;
    let next = tokio::time::timeout(Duration::from_millis(50), events.frame()).await;
    assert!(next.is_err(), "the stream ended: {next:?}");
    // A 401 ends it.
    world.behave(|hub| {
        hub.fail(Endpoint::Userinfo, Fault::Status(401));
        hub.fail(Endpoint::Token, json_error(400, "invalid_grant"));
    });
    world.advance(PAUSE);
    skip(Duration::from_secs(REVALIDATE)).await;
    let ended = async { while let Some(Ok(_)) = events.frame().await {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the stream ends");
}

#[tokio::test]
async fn a_time_that_the_provider_names_is_respected() {
    for store in STORES {
        let world = with_store(FRONTS[2], store).await;
        let log = Log::start();
        let mut ada = world.signed_in("ada").await;
        world.behave(|hub| hub.fail(Endpoint::Userinfo, Fault::RetryAfter(120)));
        world.advance(REVALIDATE);
        ada.fetch("/").await.expect(200);
        wait_for_failures(&log, 1).await;
        assert!(log.text().contains("rate_limited"), "{}", log.text());
        world.advance(119);
        for answer in
            join_all((0..10).map(|_| world.send(Ask::fetch("/").with("cookie", &ada.cookie_line())))).await
        {
            answer.expect(200);
        }
        assert_eq!(world.calls(Endpoint::Userinfo), 2, "not before the time is over");
        world.advance(GRACE);
        // The answer has expired: the client is told the same time.
        let answer = ada.fetch("/").await.expect(503);
        assert_eq!(answer.header("retry-after"), Some("120"));
        world.behave(|hub| hub.clear_faults(Endpoint::Userinfo));
        world.advance(119);
        assert_eq!(ada.fetch("/").await.expect(503).header("retry-after"), Some("1"));
        world.advance(1);
        ada.fetch("/").await.expect(200);
    }
}

#[tokio::test]
async fn of_the_refusals_of_a_refresh_only_invalid_grant_ends_a_session() {
    let html = |status| Fault::Answer {
        status,
        content_type: "text/html".to_owned(),
        body: "<title>blocked</title>".to_owned(),
    };
    for (fault, ends) in [
        (html(403), false),
        (html(400), false),
        (html(401), false),
        (json_error(403, "access_denied"), false),
        (json_error(400, "invalid_request"), false),
        (json_error(400, "invalid_scope"), false),
        (json_error(401, "invalid_client"), false),
        (Fault::Status(429), false),
        (Fault::NotJson, false),
        (json_error(400, "invalid_grant"), true),
    ] {
        let world = World::of_acme(FRONTS[2]).await;
        let mut ada = world.signed_in("ada").await;
        world.advance(TOKEN);
        world.behave(|hub| hub.fail(Endpoint::Token, fault.clone()));
        let answer = ada.fetch("/").await;
        assert_eq!(answer.status, if ends { 401 } else { 503 }, "{fault:?}: {answer:?}");
        world.behave(|hub| hub.clear_faults(Endpoint::Token));
        world.advance(300);
        let answer = ada.fetch("/").await;
        assert_eq!(answer.status, if ends { 401 } else { 200 }, "{fault:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_401_of_userinfo_ends_a_session_that_cannot_be_refreshed() {
    for store in STORES {
        let world = with_store(FRONTS[2], store).await;
        world.behave(|hub| hub.no_refresh_token = true);
        let log = Log::start();
        let mut ada = world.signed_in("ada").await;
        world.behave(|hub| hub.fail(Endpoint::Userinfo, Fault::Status(401)));
        world.advance(REVALIDATE + GRACE);
        ada.fetch("/").await.expect(401);
        assert!(log.text().contains("session_ended"));
    }
}
