//! Made-up tokens: one client cannot keep others from being checked.

use std::time::Duration;

use futures_util::future::join_all;
use huggate::authn::BearerSettings;
use huggate::hub::{Endpoint, Fault};
use huggate::{Rule, TrustedProxies};
use tokio::task::JoinHandle;

use crate::world::{Answer, Ask, FRONTS, Front, Log, World, skip};

/// How many requests about unknown tokens one address may have in flight.
const PLACES: u64 = 8;
/// How many for all addresses.
const ALL_PLACES: u64 = 32;

/// Members of acme, also with a token; every peer on this machine is a trusted proxy, so that
/// tests choose the client's address.
async fn world(front: Front) -> World {
    World::start(front, |gate| {
        let local = TrustedProxies::parse(["127.0.0.0/8"]).unwrap();
        gate.allow(Rule::org("acme")).bearer(BearerSettings::default()).trusted_proxies(local)
    })
    .await
}

fn with(token: &str, from: &str) -> Ask {
    at("/", token, from)
}

fn at(target: &str, token: &str, from: &str) -> Ask {
    Ask::get(target)
        .with("user-agent", "curl/8.14.1")
        .with("authorization", &format!("Bearer {token}"))
        .with("x-forwarded-for", from)
}

/// Sends made-up tokens at once, each from the address that `from` names.
fn flood(world: &World, count: u64, from: impl Fn(u64) -> String) -> Vec<JoinHandle<u16>> {
    let host = world.public_url.split_once("://").unwrap().1.to_owned();
    let ask = |n| with(&format!("hf_madeup{n}"), &from(n)).or_host(&host);
    (0..count)
        .map(|n| {
            let (address, ask) = (world.address.clone(), ask(n));
            tokio::spawn(async move { crate::world::send(&address, ask).await.status.as_u16() })
        })
        .collect()
}

async fn statuses(flood: Vec<JoinHandle<u16>>) -> Vec<u16> {
    join_all(flood).await.into_iter().map(Result::unwrap).collect()
}

/// Waits until the hub has received this many requests.
async fn wait_for_calls(world: &World, times: u64) {
    let wait = async {
        while world.calls(Endpoint::Whoami) < times {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
    waited.unwrap_or_else(|_| panic!("{} of {times} requests", world.calls(Endpoint::Whoami)));
}

fn hang(world: &World) {
    world.behave(|hub| hub.fail(Endpoint::Whoami, Fault::Hang));
}

/// What hangs goes on hanging; further requests are answered.
fn mend(world: &World) {
    world.behave(|hub| hub.clear_faults(Endpoint::Whoami));
}

#[track_caller]
fn busy(answer: Answer) -> u64 {
    let answer = answer.expect(503);
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
    let seconds = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&seconds), "{seconds}");
    seconds
}

#[tokio::test]
async fn made_up_tokens_of_one_client_leave_places_for_other_clients() {
    type From = fn(u64) -> String;
    let subscribers: [(From, &str); 2] = [
        (|_| "198.51.100.1".to_owned(), "198.51.100.2"),
        // The addresses of one subscriber.
        (|n| format!("2001:db8::{n:x}"), "2001:db8:0:1::1"),
    ];
    for front in FRONTS {
        for (from, other) in subscribers {
            let world = world(front).await;
            let (ada, ben) = (world.hub.token_of("ada").unwrap(), world.hub.token_of("ben").unwrap());
            hang(&world);
            let flood = flood(&world, 100, from);
            wait_for_calls(&world, PLACES).await;
            mend(&world);
            world.send(with(&ada, other)).await.expect(200);
            assert_eq!(world.calls(Endpoint::Whoami), PLACES + 1);
            // Neither does forward auth wait, nor userinfo.
            let asked =
                at("/oauth2/auth", &ben, other).with("x-original-uri", "/").with("x-original-method", "GET");
            world.send(asked).await.expect(202);
            let dan = world.hub.token_of("dan").unwrap();
            world.send(at("/oauth2/userinfo", &dan, other)).await.expect(200);
            // A new token from behind the flood waits for its turn, and is told when to try again.
            let gita = world.hub.token_of("gita").unwrap();
            let waiting = world.send(with(&gita, &from(7)));
            let (answer, ()) = tokio::join!(waiting, async {
                // The flood is refused meanwhile.
                skip(Duration::from_secs(3)).await;
            });
            busy(answer);
            skip(Duration::from_secs(11)).await;
            assert!(statuses(flood).await.into_iter().all(|status| status == 503));
            let answer = world.send(with(&gita, &from(7))).await;
            assert!([200, 403].contains(&answer.status.as_u16()), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_known_token_is_checked_while_unknown_ones_fill_every_place() {
    for front in FRONTS {
        let world = world(front).await;
        let ada = world.hub.token_of("ada").unwrap();
        world.send(with(&ada, "198.51.100.1")).await.expect(200);
        // The answer expires: the token has to be checked again.
        world.advance(60);
        hang(&world);
        let flood = flood(&world, 100, |n| format!("198.51.100.{}", n % 20));
        wait_for_calls(&world, 1 + ALL_PLACES).await;
        mend(&world);
        // Also from an address that is part of the flood.
        world.send(with(&ada, "198.51.100.3")).await.expect(200);
        assert_eq!(world.calls(Endpoint::Whoami), ALL_PLACES + 2, "32 at once for unknown ones");
        skip(Duration::from_secs(14)).await;
        assert!(statuses(flood).await.into_iter().all(|status| [401, 503].contains(&status)));
    }
}

#[tokio::test]
async fn a_known_token_stays_known_while_it_cannot_be_checked() {
    let world = world(FRONTS[2]).await;
    let ada = world.hub.token_of("ada").unwrap();
    world.send(with(&ada, "198.51.100.1")).await.expect(200);
    world.advance(60);
    world.behave(|hub| hub.fail(Endpoint::Whoami, Fault::Status(500)));
    busy(world.send(with(&ada, "198.51.100.1")).await);
    world.advance(1);
    hang(&world);
    let before = world.calls(Endpoint::Whoami);
    let flood = flood(&world, 100, |n| format!("198.51.100.{}", n % 20));
    wait_for_calls(&world, before + ALL_PLACES).await;
    mend(&world);
    world.send(with(&ada, "198.51.100.1")).await.expect(200);
    skip(Duration::from_secs(14)).await;
    statuses(flood).await;
}

#[tokio::test]
async fn wrong_tokens_use_up_the_budget_of_their_client_alone() {
    for front in FRONTS {
        let world = world(front).await;
        let log = Log::start();
        let (ada, ben) = (world.hub.token_of("ada").unwrap(), world.hub.token_of("ben").unwrap());
        let (here, there) = ("198.51.100.1", "198.51.100.2");
        world.send(with(&ada, here)).await.expect(200);
        let mut answered = 0;
        let retry_after = loop {
            let answer = world.send(with(&format!("hf_madeup{answered}"), here)).await;
            if answer.status == 503 {
                break busy(answer);
            }
            answer.expect(401);
            answered += 1;
            assert!(answered < 200, "the budget has no end");
        };
        assert!(answered >= 30, "{answered}");
        assert!(log.text().contains("more unknown tokens than are checked"), "{}", log.text());
        // A token that was valid before is checked again, and one that is cached stays wrong.
        world.advance(60);
        world.send(with(&ada, here)).await.expect(200);
        // Other clients are not affected.
        world.send(with("hf_madeupthere", there)).await.expect(401);
        // A new valid token gets in when the time is over.
        assert!(retry_after <= 2, "{retry_after}");
        skip(Duration::from_secs(retry_after)).await;
        world.send(with(&ben, here)).await.expect(200);
    }
}

#[tokio::test]
async fn valid_tokens_of_many_clients_behind_one_address_use_up_no_budget() {
    let world = world(FRONTS[2]).await;
    for n in 0..50 {
        let token = format!("hf_valid{n}");
        world.hub.edit_user("ada", |ada| ada.token.clone_from(&token));
        world.send(with(&token, "198.51.100.1")).await.expect(200);
    }
    // And at once, as far as they have room in the queue.
    let tokens: Vec<String> = world.hub.users().into_iter().map(|user| user.token).collect();
    let answers =
        join_all(tokens.iter().map(async |token| world.send(with(token, "198.51.100.1")).await)).await;
    assert!(answers.iter().all(|answer| [200, 403].contains(&answer.status.as_u16())), "{answers:?}");
}

#[tokio::test]
async fn a_wrong_token_that_is_sent_again_costs_nothing() {
    let world = world(FRONTS[2]).await;
    for _ in 0..100 {
        world.send(with("hf_madeup", "198.51.100.1")).await.expect(401);
    }
    assert_eq!(world.calls(Endpoint::Whoami), 1);
    world.send(with(&world.hub.token_of("ada").unwrap(), "198.51.100.1")).await.expect(200);
}

#[tokio::test]
async fn a_429_about_an_unknown_token_does_not_shut_known_ones_out() {
    for front in FRONTS {
        let world = world(front).await;
        let (ada, ben) = (world.hub.token_of("ada").unwrap(), world.hub.token_of("ben").unwrap());
        world.send(with(&ada, "198.51.100.1")).await.expect(200);
        world.advance(60);
        world.behave(|hub| hub.fail_times(Endpoint::Whoami, Fault::RetryAfter(120), 1));
        assert_eq!(busy(world.send(with("hf_madeup", "198.51.100.2")).await), 120);
        assert_eq!(busy(world.send(with(&ben, "198.51.100.3")).await), 120);
        assert_eq!(world.calls(Endpoint::Whoami), 2, "unknown tokens wait");
        world.send(with(&ada, "198.51.100.1")).await.expect(200);
        assert_eq!(world.calls(Endpoint::Whoami), 3);
        // If a known one is refused, all wait.
        world.advance(60);
        world.behave(|hub| hub.fail_times(Endpoint::Whoami, Fault::RetryAfter(200), 1));
        assert_eq!(busy(world.send(with(&ada, "198.51.100.1")).await), 200);
        world.advance(10);
        assert_eq!(busy(world.send(with(&ada, "198.51.100.1")).await), 190);
        assert_eq!(busy(world.send(with(&ben, "198.51.100.3")).await), 190);
        assert_eq!(world.calls(Endpoint::Whoami), 4);
        world.advance(190);
        world.send(with(&ada, "198.51.100.1")).await.expect(200);
        world.send(with(&ben, "198.51.100.3")).await.expect(200);
    }
}

#[tokio::test]
async fn the_last_tenth_of_the_rate_limit_is_kept_for_known_tokens() {
    let world = world(FRONTS[2]).await;
    let ada = world.hub.token_of("ada").unwrap();
    // The window ends in 100 seconds.
    world.behave(|hub| hub.rate_limit = 20);
    world.send(with(&ada, "198.51.100.1")).await.expect(200);
    let mut answered = 0;
    let retry_after = loop {
        let answer = world.send(with(&format!("hf_madeup{answered}"), "198.51.100.2")).await;
        if answer.status == 503 {
            break busy(answer);
        }
        answered += 1;
    };
    // Of twenty: one for Ada, and one that is left.
    assert_eq!((answered, retry_after), (18, 100));
    world.advance(60);
    world.send(with(&ada, "198.51.100.1")).await.expect(200);
    busy(world.send(with("hf_another", "198.51.100.3")).await);
    assert_eq!(world.calls(Endpoint::Whoami), 20);
    world.advance(40);
    world.send(with("hf_another", "198.51.100.3")).await.expect(401);
}

#[tokio::test]
async fn without_an_address_clients_share_the_places_of_all() {
    // The layer knows no peer unless the embedder says so.
    let world = world(Front::Layer).await;
    hang(&world);
    let flood = flood(&world, 100, |_| "unknown".to_owned());
    wait_for_calls(&world, 1).await;
    skip(Duration::from_secs(14)).await;
    assert!(statuses(flood).await.into_iter().all(|status| status == 503));
    mend(&world);
    world.advance(1);
    world.send(with(&world.hub.token_of("ada").unwrap(), "unknown")).await.expect(200);
}
