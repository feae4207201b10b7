//! Sessions in a store that several gates share, and that fails.

mod conformance;
mod faulty_store;
#[cfg(feature = "file-store")]
mod file;
mod leases;

use std::time::Duration;

use http_body_util::BodyExt;
use huggate::hub::{Endpoint, Fault};
use huggate::session::SessionFilter;
use huggate::store::SessionStore;
use huggate::{GateBuilder, Rule};

use crate::world::{Ask, Browser, FRONTS, Front, Log, SECRET, World, begin};
use faulty_store::{FaultyStore, Mode};

const OTHER_SECRET: &str = "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a";
/// The default of `session.revalidate`, in seconds.
const REVALIDATE: u64 = 15 * 60;

fn over(store: &FaultyStore) -> impl FnOnce(GateBuilder) -> GateBuilder + use<> {
    let store = store.clone();
    |gate| {
        gate.allow(Rule::org("acme"))
            .session_store(store)
            .session(|session| session.store_timeout = Duration::from_millis(300))
    }
}

/// Two replicas over one store.
async fn replicas(front: Front) -> (FaultyStore, World, World) {
    let store = FaultyStore::default();
    let world = World::start(front, over(&store)).await;
    let replica = world.replica(over(&store)).await;
    (store, world, replica)
}

/// Waits until `condition` holds.
async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(), "not in time: {what}");
}

async fn is_ready(world: &World) -> bool {
    world.send(Ask::get("/oauth2/readyz")).await.status == 200
}

/// An open stream of the person at `world`.
async fn stream(world: &World, who: &Browser<'_>) -> hyper::body::Incoming {
    let host = world.public_url.split_once("://").unwrap().1;
    let ask = Ask::get("/events").with("cookie", &who.cookie_line()).or_host(host);
    let mut events = begin(&world.address, ask).await.into_body();
    events.frame().await.unwrap().unwrap();
    events
}

async fn ends_within(limit: Duration, mut body: hyper::body::Incoming) {
    let ended = tokio::time::timeout(limit, async { while let Some(Ok(_)) = body.frame().await {} });
    ended.await.expect("the stream goes on");
}

#[tokio::test]
async fn signed_in_at_one_replica_is_signed_in_at_all_and_after_a_restart() {
    for front in FRONTS {
        let (store, world, replica) = replicas(front).await;
        let mut ada = world.signed_in("ada").await;
        assert!(ada.session().unwrap().len() < 200, "{}", ada.session().unwrap());
        ada.fetch("/").await.expect(200);
        assert_eq!(ada.at(&replica).fetch("/").await.expect(200).echo().username(), Some("ada"));
        drop(world.replica(over(&store)).await);
        let restarted = world.replica(over(&store)).await;
        ada.at(&restarted).fetch("/").await.expect(200);
        // Neither the record nor its summary says anything in clear.
        let stored = store.peek(store.keys()[0]).await.unwrap();
        for bytes in [&stored.record.sealed, &stored.record.summary] {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains("ada") && !text.contains("acme") && !text.contains("hf_"), "{text}");
        }
        assert_eq!(world.calls(Endpoint::Token), 1);
    }
}

#[tokio::test]
async fn signing_out_at_one_replica_ends_requests_and_streams_at_the_others() {
    for front in FRONTS {
        let (_store, world, replica) = replicas(front).await;
        let mut ada = world.signed_in("ada").await;
        let mut elsewhere = ada.at(&replica);
        elsewhere.fetch("/").await.expect(200);
        let events = stream(&replica, &ada).await;
        ada.open("/oauth2/sign_out").await.expect(200);
        ends_within(Duration::from_secs(1), events).await;
        elsewhere.fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn what_a_revalidation_finds_at_one_replica_counts_at_the_others() {
    for front in FRONTS {
        let (store, world, replica) = replicas(front).await;
        let mut ada = world.signed_in("ada").await;
        let mut elsewhere = ada.at(&replica);
        elsewhere.fetch("/").await.expect(200);
        let events = stream(&replica, &ada).await;
        world.hub.edit_user("ada", |ada| ada.orgs.clear());
        world.advance(REVALIDATE);
        // This one asks the provider; the other takes over its answer.
        ada.fetch("/").await;
        let key = store.keys()[0];
        until("the answer is stored", || async { store.peek(key).await.unwrap().revision.number() > 1 })
            .await;
        let calls = world.calls(Endpoint::Userinfo);
        ends_within(Duration::from_secs(2), events).await;
        elsewhere.fetch("/").await.expect(403);
        ada.fetch("/").await.expect(403);
        assert_eq!(world.calls(Endpoint::Userinfo), calls);
    }
}

#[tokio::test]
async fn a_cached_session_asks_the_store_only_when_its_answer_is_too_old() {
    let (store, world, _) = replicas(Front::Layer).await;
    let mut ada = world.signed_in("ada").await;
    // The process that signed somebody in knows the session.
    ada.fetch("/").await.expect(200);
    assert_eq!(store.loads(), 0);
    store.lose_notices();
    world.advance(11);
    ada.fetch("/").await.expect(200);
    let loads = store.loads();
    for _ in 0..10 {
        ada.fetch("/").await.expect(200);
    }
    assert_eq!(store.loads(), loads);
    // Half way, it is asked in the background.
    world.advance(6);
    ada.fetch("/").await.expect(200);
    until("it is asked in the background", || async { store.loads() == loads + 1 }).await;
    // A session that ended without a notice is refused once the answer is too old.
    let events = stream(&world, &ada).await;
    assert!(store.memory.end(store.keys()[0]).await.unwrap());
    world.advance(11);
    ada.fetch("/").await.expect(401);
    ends_within(Duration::from_secs(2), events).await;
}

#[tokio::test]
async fn while_the_store_is_away_known_sessions_go_on_and_nobody_is_signed_out_or_in() {
    let log = Log::start();
    for mode in [Mode::Down, Mode::Hanging] {
        let (store, world, replica) = replicas(Front::Layer).await;
        let mut ada = world.signed_in("ada").await;
        ada.fetch("/").await.expect(200);
        let mut elsewhere = ada.at(&replica);
        let mut signing_in = world.browser();
        let callback = signing_in.callback_url("ben").await;
        until("the store is known to be up", || async { is_ready(&world).await }).await;
        store.set(mode);
        // Not known at the other replica: as a program, and as a page.
        let answer = elsewhere.fetch("/").await.expect(503);
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
        assert!(answer.header("retry-after").is_some() && answer.cookies().is_empty());
        let page = elsewhere.open("/").await.expect_page(503, "Your session goes on");
        assert!(page.header("retry-after").is_some() && page.cookies().is_empty());
        // Known here, also when the answer is too old; until the grace is over.
        world.advance(11);
        ada.fetch("/").await.expect(200);
        assert!(!is_ready(&world).await);
        let ready = world.send(Ask::get("/oauth2/readyz")).await.expect(503).json();
        assert_eq!((&ready["ready"], &ready["store"]), (&false.into(), &"unreachable".into()));
        // Nobody begins or finishes a sign-in, and no sign-out is claimed.
        assert!(world.browser().open("/").await.expect(503).header("retry-after").is_some());
        assert!(signing_in.step(&callback).await.expect(503).cookies().is_empty());
        let mut leaving = ada.at(&world);
        assert!(leaving.open("/oauth2/sign_out").await.expect(503).cookies().is_empty());
        assert!(leaving.has_session());
        store.set(Mode::Up);
        until("both are ready", || async { is_ready(&world).await && is_ready(&replica).await }).await;
        // The sign-out that could not be stored is made up for, and the sign-in is finished.
        let key = store.keys()[0];
        until("the end is stored", || async { store.peek(key).await.is_none() }).await;
        elsewhere.fetch("/").await.expect(401);
        signing_in.open(&callback).await.expect(200);
        signing_in.at(&replica).fetch("/").await.expect(200);
    }
    assert_eq!(log.text().matches("the session store does not answer:").count(), 4, "{}", log.text());
}

#[tokio::test]
async fn what_the_provider_says_of_a_renamed_person_counts_while_the_store_is_away() {
    let store = FaultyStore::default();
    let world = World::start(Front::Layer, |gate| {
        over(&store)(gate).session(|session| session.store_grace = Duration::from_secs(3600))
    })
    .await;
    let mut ada = world.signed_in("ada").await;
    ada.fetch("/").await.expect(200);
    world.hub.edit_user("ada", |ada| {
        ada.username = "countess".to_owned();
        ada.orgs.clear();
    });
    world.advance(REVALIDATE);
    // The store goes away while the provider is asked.
    world.behave(|hub| hub.fail_times(Endpoint::Userinfo, Fault::Slow(Duration::from_secs(2)), 1));
    let calls = world.calls(Endpoint::Userinfo);
    ada.fetch("/").await.expect(200);
    until("the provider is asked", || async { world.calls(Endpoint::Userinfo) > calls }).await;
    store.set(Mode::Down);
    let line = ada.cookie_line();
    until("the answer counts", || async {
        world.send(Ask::fetch("/").with("cookie", &line)).await.status == 403
    })
    .await;
    store.set(Mode::Up);
    let admin = world.gate.session_admin();
    let countess = SessionFilter::Person("countess".to_owned());
    until("the name is noted", || async { admin.count(&countess).await.is_ok_and(|count| count == 1) }).await;
}

#[tokio::test]
async fn the_grace_has_an_end_for_requests_and_streams() {
    let (store, world, _) = replicas(Front::Layer).await;
    let mut ada = world.signed_in("ada").await;
    let events = stream(&world, &ada).await;
    store.set(Mode::Down);
    world.advance(5 * 60);
    ada.fetch("/").await.expect(200);
    world.advance(11);
    ada.fetch("/").await.expect(503);
    ends_within(Duration::from_secs(10), events).await;
    store.set(Mode::Up);
    until("it goes on", || async {
        world.send(Ask::fetch("/").with("cookie", &ada.cookie_line())).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_hanging_store_costs_one_time_limit() {
    let (store, world, replica) = replicas(Front::Layer).await;
    let mut ada = world.signed_in("ada").await;
    let mut elsewhere = ada.at(&replica);
    store.set(Mode::Hanging);
    elsewhere.fetch("/").await.expect(503);
    let calls = store.calls();
    for _ in 0..50 {
        elsewhere.fetch("/").await.expect(503);
    }
    // What asks whether it is back asks for a session that does not exist.
    assert_eq!(store.calls(), calls);
    ada.fetch("/").await.expect(200);
}

#[tokio::test]
async fn after_a_rotation_sessions_go_on_and_are_sealed_under_the_new_secret() {
    let store = FaultyStore::default();
    let world = World::start(Front::Layer, over(&store)).await;
    let ada = world.signed_in("ada").await;
    let key = store.keys()[0];
    let before = store.peek(key).await.unwrap();
    let rotated = world.replica_with(over(&store), &[OTHER_SECRET, SECRET]).await;
    let mut moved = ada.at(&rotated);
    // The browser gets its ticket under the new secret, and the next write seals the record.
    moved.fetch("/").await.expect(200);
    assert_ne!(moved.session(), ada.session());
    world.advance(REVALIDATE);
    moved.fetch("/").await.expect(200);
    until("the record is written", || async { store.peek(key).await.unwrap().revision > before.revision })
        .await;
    let after = store.peek(key).await.unwrap();
    assert_ne!(after.record.owner, before.record.owner);
    let new = world.replica_with(over(&store), &[OTHER_SECRET]).await;
    moved.at(&new).fetch("/").await.expect(200);
    ada.at(&new).fetch("/").await.expect(401);
}

#[tokio::test]
async fn a_record_in_anothers_place_signs_nobody_in() {
    let (store, world, replica) = replicas(Front::Layer).await;
    let (ada, ben) = (world.signed_in("ada").await, world.signed_in("ben").await);
    let keys = store.keys();
    store.swap(keys[0], keys[1]);
    ada.at(&replica).fetch("/").await.expect(401);
    ben.at(&replica).fetch("/").await.expect(401);
    // A made-up ticket does not reach the store.
    let calls = store.calls();
    let mut forged = ada.at(&replica);
    let mut session = ada.session().unwrap();
    let other = if &session[40..41] == "A" { "B" } else { "A" };
    session.replace_range(40..41, other);
    forged.set_cookie("huggate", &session);
    forged.fetch("/").await.expect(401);
    assert_eq!(store.calls(), calls);
}

#[tokio::test]
async fn use_at_one_replica_is_use_at_all() {
    let store = FaultyStore::default();
    let idle = |gate: GateBuilder| gate.session(|session| session.idle_timeout = Duration::from_secs(100));
    let (first, second) = (over(&store), over(&store));
    let world = World::start(Front::Layer, |gate| idle(first(gate))).await;
    let replica = world.replica(|gate| idle(second(gate))).await;
    let mut ada = world.signed_in("ada").await;
    ada.fetch("/").await.expect(200);
    let key = store.keys()[0];
    world.advance(90);
    ada.at(&replica).fetch("/").await.expect(200);
    let used = crate::world::NOW + 90;
    until("the use is stored", || async { store.peek(key).await.unwrap().record.last_used == used }).await;
    world.advance(90);
    ada.fetch("/").await.expect(200);
    world.advance(101);
    ada.fetch("/").await.expect(401);
}

#[tokio::test]
async fn a_reload_keeps_the_store() {
    let store = FaultyStore::default();
    let world = World::start(Front::Layer, over(&store)).await;
    let mut ada = world.signed_in("ada").await;
    let events = stream(&world, &ada).await;
    let reloaded = world.reloaded(over(&store)).await;
    let mut after = ada.at(&reloaded);
    after.fetch("/").await.expect(200);
    // Notices of others reach the settings in force.
    let replica = world.replica(over(&store)).await;
    ada.at(&replica).open("/oauth2/sign_out").await.expect(200);
    ends_within(Duration::from_secs(1), events).await;
    after.fetch("/").await.expect(401);
    ada.fetch("/").await.expect(401);
}

#[tokio::test]
async fn a_logout_at_the_provider_fails_while_the_store_does_not_answer_and_can_be_sent_again() {
    for front in FRONTS {
        let (store, world, replica) = replicas(front).await;
        let mut ada = world.signed_in("ada").await;
        let events = stream(&replica, &ada).await;
        let token = world.hub.logout_token("ada", "the-app", |_, _| {}).unwrap();
        let logout = || {
            Ask::new("POST", "/oauth2/backchannel_logout")
                .with("content-type", "application/x-www-form-urlencoded")
                .body(format!("logout_token={token}"))
        };
        store.set(Mode::Down);
        let answer = world.send(logout()).await.expect(400).json();
        assert_eq!(answer["error"], "temporarily_unavailable", "{answer}");
        store.set(Mode::Up);
        until("the store is back", || is_ready(&world)).await;
        world.send(logout()).await.expect(200);
        ada.fetch("/").await.expect(401);
        ends_within(Duration::from_secs(5), events).await;
    }
}
