//! Replicas that share a store contact the provider about a session one at a time, and once.

use std::time::Duration;

use futures_util::future::join_all;
use huggate::hub::{Endpoint, Fault};

use super::faulty_store::{FaultyStore, Mode};
use super::{REVALIDATE, over, replicas, until};
use crate::world::{Answer, Ask, FRONTS, Front, World};

/// Seconds for which the provider's last answer stays valid while it is unavailable.
const GRACE: u64 = 3600;
/// Seconds between two requests to a provider that does not answer.
const PAUSE: u64 = 15;
/// Seconds until another replica takes over from one that died.
const LEASE: u64 = 35;
/// The lifetime of an access token.
const TOKEN: u64 = 8 * 3600;

async fn three(front: Front) -> (FaultyStore, [World; 3]) {
    let store = FaultyStore::default();
    let world = World::start(front, over(&store)).await;
    let (second, third) = (world.replica(over(&store)).await, world.replica(over(&store)).await);
    (store, [world, second, third])
}

/// Ten requests at each replica at once.
async fn crowd(worlds: &[World; 3], cookies: &str) -> Vec<Answer> {
    let requests = worlds.iter().cycle().take(30);
    join_all(requests.map(|world| world.send(Ask::fetch("/").with("cookie", cookies)))).await
}

async fn revision(store: &FaultyStore) -> u64 {
    store.peek(store.keys()[0]).await.unwrap().revision.number()
}

#[tokio::test]
async fn replicas_refresh_tokens_once_and_nobody_is_signed_out() {
    for (front, is_deaf) in [(FRONTS[0], false), (FRONTS[1], false), (FRONTS[0], true)] {
        let (store, worlds) = three(front).await;
        let world = &worlds[0];
        if is_deaf {
            store.lose_notices();
        }
        let cookies = world.signed_in("ada").await.cookie_line();
        for round in 0..4 {
            let (tokens, userinfos) = (world.calls(Endpoint::Token), world.calls(Endpoint::Userinfo));
            // Expired regularly, and expired early. The hub accepts each refresh token once.
            let outlived = round % 2 == 0;
            if outlived {
                world.advance(TOKEN);
            } else {
                world.hub.expire_access_tokens();
                world.advance(REVALIDATE + GRACE);
            }
            for answer in crowd(&worlds, &cookies).await {
                answer.expect(200);
            }
            let asked = (world.calls(Endpoint::Token) - tokens, world.calls(Endpoint::Userinfo) - userinfos);
            assert_eq!(asked, (1, if outlived { 1 } else { 2 }), "round {round}, deaf: {is_deaf}");
        }
    }
}

#[tokio::test]
async fn one_replica_revalidates_in_the_background_and_no_request_waits() {
    let (_store, worlds) = three(Front::Layer).await;
    let world = &worlds[0];
    let cookies = world.signed_in("ada").await.cookie_line();
    for answer in crowd(&worlds, &cookies).await {
        answer.expect(200);
    }
    let before = world.calls(Endpoint::Userinfo);
    world.behave(|hub| hub.fail(Endpoint::Userinfo, Fault::Hang));
    world.advance(REVALIDATE);
    for _ in 0..5 {
        for answer in crowd(&worlds, &cookies).await {
            answer.expect(200);
        }
    }
    until("the provider is asked", || async { world.calls(Endpoint::Userinfo) > before }).await;
    for answer in crowd(&worlds, &cookies).await {
        answer.expect(200);
    }
    assert_eq!(world.calls(Endpoint::Userinfo), before + 1);
}

#[tokio::test]
async fn a_replica_takes_over_from_one_that_died() {
    let (store, world, replica) = replicas(Front::Layer).await;
    let mut ada = world.signed_in("ada").await;
    let mut elsewhere = ada.at(&replica);
    world.advance(TOKEN);
    world.behave(|hub| hub.fail_times(Endpoint::Token, Fault::Hang, 1));
    let dead = tokio::time::timeout(Duration::from_secs(30), ada.fetch("/"));
    let taking_over = async {
        until("the provider is asked", || async { world.calls(Endpoint::Token) == 2 }).await;
        let waiting = async {
            let loads = store.loads();
            until("the other one has looked twice", || async { store.loads() >= loads + 3 }).await;
            assert_eq!(world.calls(Endpoint::Token), 2);
            world.advance(LEASE);
        };
        let (answer, ()) = tokio::join!(elsewhere.fetch("/"), waiting);
        answer.expect(200);
        assert_eq!(world.calls(Endpoint::Token), 3);
    };
    tokio::select! {
        biased;
        () = taking_over => {}
        _ = dead => panic!("the provider answered"),
    }
}

#[tokio::test]
async fn a_replica_that_was_overtaken_uses_the_tokens_of_the_other() {
    let (store, world, replica) = replicas(Front::Layer).await;
    let mut ada = world.signed_in("ada").await;
    let mut elsewhere = ada.at(&replica);
    world.advance(TOKEN);
    // The hub takes the refresh token after the pause: the other replica has used it by then.
    world.behave(|hub| hub.fail_times(Endpoint::Token, Fault::Slow(Duration::from_secs(4)), 1));
    let overtaking = async {
        until("the provider is asked", || async { world.calls(Endpoint::Token) == 2 }).await;
        let loads = store.loads();
        let waiting = async {
            until("the other one waits", || async { store.loads() >= loads + 2 }).await;
            world.advance(LEASE);
        };
        tokio::join!(elsewhere.fetch("/"), waiting).0.expect(200);
    };
    let (slow, ()) = tokio::join!(ada.fetch("/"), overtaking);
    slow.expect(200);
    assert_eq!(world.calls(Endpoint::Token), 3);
    world.advance(TOKEN);
    ada.fetch("/").await.expect(200);
    elsewhere.fetch("/").await.expect(200);
    assert_eq!(world.calls(Endpoint::Token), 4);
}

#[tokio::test]
async fn a_provider_that_fails_is_asked_by_one_replica_after_each_pause() {
    let (store, worlds) = three(Front::Layer).await;
    let world = &worlds[0];
    let cookies = world.signed_in("ada").await.cookie_line();
    for answer in crowd(&worlds, &cookies).await {
        answer.expect(200);
    }
    let before = world.calls(Endpoint::Userinfo);
    world.behave(|hub| hub.fail(Endpoint::Userinfo, Fault::Status(500)));
    world.advance(REVALIDATE);
    for asked in 1..4 {
        let written = revision(&store).await;
        for answer in crowd(&worlds, &cookies).await {
            answer.expect(200);
        }
        // The lease, and the failure.
        until("the failure is stored", || async { revision(&store).await == written + 2 }).await;
        for answer in crowd(&worlds, &cookies).await {
            answer.expect(200);
        }
        assert_eq!(world.calls(Endpoint::Userinfo), before + asked);
        world.advance(PAUSE);
    }
    // Requests wait for the answer when the last one has expired.
    world.advance(GRACE);
    for _ in 0..3 {
        for answer in crowd(&worlds, &cookies).await {
            assert!(answer.expect(503).header("retry-after").is_some());
        }
        assert_eq!(world.calls(Endpoint::Userinfo), before + 4);
    }
    world.behave(|hub| hub.clear_faults(Endpoint::Userinfo));
    world.advance(PAUSE);
    for answer in crowd(&worlds, &cookies).await {
        answer.expect(200);
    }
    assert_eq!(world.calls(Endpoint::Userinfo), before + 5);
}

#[tokio::test]
async fn while_the_store_takes_no_writes_a_used_refresh_token_signs_nobody_out() {
    let (store, world, replica) = replicas(Front::Layer).await;
    let mut ada = world.signed_in("ada").await;
    let mut elsewhere = ada.at(&replica);
    world.advance(TOKEN);
    store.set(Mode::ReadOnly);
    let before = revision(&store).await;
    ada.fetch("/").await.expect(200);
    let answer = elsewhere.fetch("/").await.expect(503);
    assert!(answer.cookies().is_empty());
    store.set(Mode::Up);
    world.advance(PAUSE);
    ada.fetch("/").await.expect(200);
    until("the new tokens are stored", || async { revision(&store).await > before }).await;
    elsewhere.fetch("/").await.expect(200);
    assert_eq!(world.calls(Endpoint::Token), 3);
}
