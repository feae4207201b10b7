//! The provider's keys: a new one is found at once, and made-up ones cause few requests.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use huggate::hub::{EditToken, Endpoint, Fault, Signature};
use serde_json::json;

use crate::world::{Answer, FRONTS, World, skip};

/// How many requests for the keys are possible at once.
const BUDGET: u64 = 5;

/// How many requests are possible since `start`: one more every twelve seconds.
fn budget_since(start: Instant) -> u64 {
    BUDGET + start.elapsed().as_secs() / 12
}

/// Signs Ada in with an ID token that names this key.
async fn sign_in_with(world: &World, kid: &str) -> Answer {
    let kid = kid.to_owned();
    world.behave(|hub| {
        hub.edit_id_token =
            Some(EditToken::new(move |header, _| drop(header.insert("kid".into(), json!(kid)))));
    });
    let answer = world.browser().sign_in("ada").await;
    world.behave(|hub| hub.edit_id_token = None);
    answer
}

#[tokio::test]
async fn a_key_that_is_rotated_right_after_the_first_fetch_is_found_at_once() {
    for front in FRONTS {
        for keep_old in [true, false] {
            for no_kid in [false, true] {
                let world = World::of_acme(front).await;
                world.behave(|hub| hub.no_kid = no_kid);
                world.browser().sign_in("ada").await.expect(200);
                // Without a kid, a second rotation is found only after a moment.
                let rotations = if no_kid { 1 } else { 3 };
                for rotation in 1..=rotations {
                    world.hub.rotate_keys(keep_old);
                    let answer = world.browser().sign_in("ben").await;
                    assert_eq!(answer.status, 200, "{keep_old} {no_kid} {rotation}: {answer:?}");
                    assert_eq!(world.calls(Endpoint::Jwks), 1 + rotation);
                }
                if no_kid {
                    world.hub.rotate_keys(keep_old);
                    skip(Duration::from_secs(13)).await;
                    world.browser().sign_in("ben").await.expect(200);
                }
            }
        }
    }
}

#[tokio::test]
async fn concurrent_sign_ins_after_a_rotation_cause_one_request() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        world.browser().sign_in("ada").await.expect(200);
        world.hub.rotate_keys(false);
        let crowd = (0..10).map(async |_| world.browser().sign_in("ada").await.expect(200));
        join_all(crowd).await;
        assert_eq!(world.calls(Endpoint::Jwks), 2);
    }
}

#[tokio::test]
async fn made_up_keys_cause_few_requests_and_delay_a_new_key_by_seconds() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        world.browser().sign_in("ada").await.expect(200);
        let start = Instant::now();
        // The same key is asked for once, and others as long as the budget lasts.
        for kid in ["0", "0", "0", "1", "2", "3", "4", "5", "6", "7"] {
            let page = sign_in_with(&world, kid).await.expect(502);
            assert!(page.text().contains("not in the provider"), "{}", page.text());
        }
        let calls = world.calls(Endpoint::Jwks);
        assert!((BUDGET..=budget_since(start)).contains(&calls), "{calls}");
        // A known key needs no request, and a new one is found in seconds.
        world.browser().sign_in("ada").await.expect(200);
        assert_eq!(world.calls(Endpoint::Jwks), calls);
        world.hub.rotate_keys(false);
        skip(Duration::from_secs(12)).await;
        world.browser().sign_in("ada").await.expect(200);
        assert_eq!(world.calls(Endpoint::Jwks), calls + 1);
    }
}

#[tokio::test]
async fn a_failed_request_for_the_keys_is_repeated_at_once_and_few_times() {
    let world = World::of_acme(FRONTS[2]).await;
    let start = Instant::now();
    world.behave(|hub| hub.fail_times(Endpoint::Jwks, Fault::Status(500), 1));
    world.browser().sign_in("ada").await.expect(503);
    world.browser().sign_in("ada").await.expect(200);
    world.hub.rotate_keys(false);
    world.behave(|hub| hub.fail(Endpoint::Jwks, Fault::Status(500)));
    for _ in 0..10 {
        let answer = world.browser().sign_in("ada").await;
        assert!([502, 503].contains(&answer.status.as_u16()), "{answer:?}");
    }
    let calls = world.calls(Endpoint::Jwks);
    assert!((BUDGET..=budget_since(start)).contains(&calls), "{calls}");
    world.behave(|hub| hub.clear_faults(Endpoint::Jwks));
    skip(Duration::from_secs(12)).await;
    world.browser().sign_in("ada").await.expect(200);
}

#[tokio::test]
async fn a_forged_token_without_a_key_id_is_refused_after_another_look_at_the_keys() {
    let world = World::of_acme(FRONTS[2]).await;
    world.browser().sign_in("ada").await.expect(200);
    world.behave(|hub| {
        hub.no_kid = true;
        hub.id_token_signature = Signature::ForeignKey;
    });
    let start = Instant::now();
    for _ in 0..3 {
        let page = world.browser().sign_in("ada").await.expect(502);
        assert!(page.text().contains("signature is invalid"), "{}", page.text());
    }
    // The answer is remembered for ten seconds.
    let most = 2 + start.elapsed().as_secs() / 10;
    assert!((2..=most).contains(&world.calls(Endpoint::Jwks)), "{}", world.calls(Endpoint::Jwks));
}
