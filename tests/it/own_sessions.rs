//! Sessions that their person or an operator looks at and ends.

use std::time::Duration;

use http_body_util::BodyExt;
use huggate::GateBuilder;
use huggate::Rule;
use huggate::session::{
    ListedSession, RevocationSettings, SessionAdminError, SessionFilter, SessionSettings, StoreSettings,
};

use crate::world::{Ask, Browser, FRONTS, Front, World, begin};

/// The default of `session.revalidate`, in seconds.
const REVALIDATE: u64 = 15 * 60;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

fn in_memory(session: &mut SessionSettings) {
    session.store = StoreSettings::Memory;
}

async fn world(front: Front, change: impl Fn(&mut SessionSettings) + Send + Sync + 'static) -> World {
    World::start(front, |gate| gate.allow(Rule::org("acme")).session(change)).await
}

/// An event stream of the person, which has begun.
async fn stream(world: &World, who: &Browser<'_>) -> hyper::body::Incoming {
    let host = world.public_url.split_once("://").unwrap().1;
    let ask = Ask::get("/events").with("cookie", &who.cookie_line()).or_host(host);
    let mut events = begin(&world.address, ask).await.into_body();
    events.frame().await.unwrap().unwrap();
    events
}

async fn ends(mut body: hyper::body::Incoming) {
    let ended =
        tokio::time::timeout(Duration::from_secs(2), async { while let Some(Ok(_)) = body.frame().await {} });
    ended.await.expect("the stream goes on");
}

/// Waits until a request of `who` is answered with 401.
async fn is_out(who: &mut Browser<'_>) {
    let limit = std::time::Instant::now() + Duration::from_secs(2);
    loop {
        let status = who.fetch("/").await.status;
        if status == 401 {
            return;
        }
        assert!(status == 200 && std::time::Instant::now() < limit, "still in: {status}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A POST of a form on a page of ours.
fn press(address: &str) -> Ask {
    Ask::navigation(address).method("POST").set("sec-fetch-site", "same-origin")
}

async fn listed(world: &World, filter: SessionFilter) -> Vec<ListedSession> {
    let mut found = Vec::new();
    world.gate.session_admin().list(&filter, |session| found.push(session)).await.unwrap();
    found
}

fn person(name: &str) -> SessionFilter {
    SessionFilter::Person(name.to_owned())
}

#[tokio::test]
async fn a_person_sees_their_own_sessions_and_ends_one() {
    for front in FRONTS {
        let world = world(front, in_memory).await;
        let mut here = world.signed_in("ada").await;
        let mut there = world.browser();
        there.be_at_hub("ada", &["acme"]);
        there.open_as(Ask::navigation("/").set("user-agent", FIREFOX)).await.expect(200);
        let mut ben = world.signed_in("ben").await;
        world.advance(3 * 3600);
        here.fetch("/").await.expect(200);

        let page = here.open("/oauth2/sessions").await.expect_page(200, "Your sessions at");
        assert_eq!(page.text().matches("<section>").count(), 3, "{}", page.text());
        assert!(page.text().contains("Signed in 3 hours ago from 127.0.0.1."), "{}", page.text());
        assert!(page.text().contains("(this browser)") && !page.text().contains("ben"));

        let own = here.fetch("/oauth2/sessions").await.expect(200).json();
        assert_eq!(own["complete"], true);
        let own = own["sessions"].as_array().unwrap().clone();
        assert_eq!((own.len(), &own[0]["current"], &own[1]["current"]), (2, &true.into(), &false.into()));
        assert_eq!(own[1]["created"], "2026-09-21T14:13:20Z");
        let other = own[1]["id"].as_str().unwrap();

        // Another site, and a fetch without a button, end nothing; nor does anybody else.
        let events = stream(&world, &there).await;
        let end = format!("/oauth2/sessions?end={other}");
        here.ask(press(&end).set("sec-fetch-site", "cross-site")).await.expect(200);
        here.open(&end).await.expect(200);
        ben.ask(press(&end)).await.expect_page(404, "has ended already");
        there.fetch("/").await.expect(200);

        assert_eq!(here.ask(press(&end)).await.expect(302).location(), "/oauth2/sessions");
        ends(events).await;
        there.fetch("/").await.expect(401);
        here.fetch("/").await.expect(200);
        here.ask(press(&end)).await.expect_page(404, "has ended already");
        // The own one is a sign-out.
        let this = own[0]["id"].as_str().unwrap();
        here.ask(press(&format!("/oauth2/sessions?end={this}"))).await.expect_page(200, "You are signed out");
        assert!(!here.has_session());
        assert_eq!(listed(&world, SessionFilter::All).await.len(), 1);
    }
}

#[tokio::test]
async fn nobody_is_asked_to_sign_in_and_comes_back_to_the_page() {
    for front in FRONTS {
        let world = world(front, in_memory).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        ada.open("/oauth2/sessions").await.expect_page(200, "Your sessions at");
        let mut nobody = world.browser();
        nobody.fetch("/oauth2/sessions").await.expect(401);
        nobody.ask(press("/oauth2/sessions?end=AAAAAAAAAAAAAAAAAAAAAA")).await.expect(401);
        let put = world.send(Ask::get("/oauth2/sessions").method("PUT")).await.expect(405);
        assert_eq!(put.header("allow"), Some("GET, HEAD, POST"));
    }
}

#[tokio::test]
async fn signing_out_everywhere_asks_and_ends_all_sessions_of_the_person_alone() {
    for front in FRONTS {
        let world = world(front, in_memory).await;
        let mut ada = world.signed_in("ada").await;
        let (mut second, mut third) = (world.signed_in("ada").await, world.signed_in("ada").await);
        let mut ben = world.signed_in("ben").await;
        let events = stream(&world, &second).await;
        let everywhere = "/oauth2/sign_out?everywhere=true";
        ada.open(everywhere).await.expect_page(200, "You have 3 sessions.");
        ada.ask(press(everywhere).set("sec-fetch-site", "cross-site"))
            .await
            .expect_page(200, "Nothing has happened");
        for who in [&mut ada, &mut second, &mut third] {
            who.fetch("/").await.expect(200);
        }
        ada.ask(press(everywhere)).await.expect_page(200, "3 sessions have ended.");
        assert!(!ada.has_session());
        ends(events).await;
        second.fetch("/").await.expect(401);
        third.fetch("/").await.expect(401);
        ben.fetch("/").await.expect(200);
        ada.sign_in("ada").await.expect(200);
    }
}

#[tokio::test]
async fn with_the_cookie_store_it_ends_what_began_before() {
    for front in FRONTS {
        let world = world(front, |_| {}).await;
        let mut ada = world.signed_in("ada").await;
        let (mut second, mut ben) = (world.signed_in("ada").await, world.signed_in("ben").await);
        // Nobody can list what only browsers have.
        let page = ada.open("/oauth2/sessions").await.expect_page(200, "(this browser)");
        assert!(page.text().contains("Sessions in other browsers are not listed"));
        let events = stream(&world, &second).await;
        let everywhere = "/oauth2/sign_out?everywhere=true";
        ada.open(everywhere).await.expect_page(200, "All your sessions will end");
        ada.ask(press(everywhere)).await.expect_page(200, "All your sessions have ended.");
        ends(events).await;
        second.fetch("/").await.expect(401);
        ben.fetch("/").await.expect(200);
        // In the same second.
        ada.sign_in("ada").await.expect(200);
        ada.fetch("/").await.expect(200);
        second.fetch("/").await.expect(401);
        world.gate.session_admin().revoke(&SessionFilter::All).await.unwrap();
        for who in [&mut ada, &mut ben] {
            who.fetch("/").await.expect(401);
        }
        // A reload forgets none of it.
        let reloaded = world.reloaded(|gate| gate.allow(Rule::org("acme"))).await;
        second.at(&reloaded).fetch("/").await.expect(401);
        let admin = world.gate.session_admin();
        assert!(matches!(admin.count(&SessionFilter::All).await, Err(SessionAdminError::NotKept)));
        let refused = admin.revoke_elsewhere(&SessionFilter::All).await.unwrap_err();
        assert!(refused.to_string().contains("session.revocations"), "{refused}");
    }
}

#[tokio::test]
async fn revocations_in_a_file_reach_the_processes_that_read_it() {
    for front in FRONTS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("revocations");
        let change = |file: &std::path::Path| {
            let file = file.to_owned();
            move |gate: GateBuilder| {
                gate.allow(Rule::org("acme")).session(move |session| {
                    session.revocations = RevocationSettings::File(file.clone());
                })
            }
        };
        let world = World::start(front, change(&file)).await;
        let replica = world.replica(change(&file)).await;
        let mut ada = world.signed_in("ada").await;
        let mut ben = world.signed_in("ben").await;
        let mut elsewhere = ada.at(&replica);
        elsewhere.fetch("/").await.expect(200);
        let events = stream(&replica, &ada).await;
        world.gate.session_admin().revoke_elsewhere(&person("Ada")).await.unwrap();
        ada.fetch("/").await.expect(401);
        ends(events).await;
        is_out(&mut elsewhere).await;
        ben.at(&replica).fetch("/").await.expect(200);
        // A process that starts later knows of it, and who signs in again is in everywhere.
        let later = world.replica(change(&file)).await;
        elsewhere.at(&later).fetch("/").await.expect(401);
        ada.sign_in("ada").await.expect(200);
        ada.at(&later).fetch("/").await.expect(200);
        // While the file is damaged, what is known counts.
        std::fs::write(&file, "something else\n").unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        ada.at(&later).fetch("/").await.expect(200);
        elsewhere.fetch("/").await.expect(401);
        let unusable = world.replica_settings(change(&file));
        assert!(huggate::Gate::new(unusable, world.clock.clone()).is_err());
        ben.fetch("/").await.expect(200);
    }
}

#[tokio::test]
async fn an_operator_lists_counts_and_ends_by_name_id_and_all() {
    for front in FRONTS {
        let world = world(front, in_memory).await;
        let mut ada = world.browser();
        let callback = ada.callback_url("ada").await;
        let callback =
            Ask::navigation(&callback).set("sec-fetch-site", "cross-site").set("user-agent", FIREFOX);
        ada.open_as(callback).await.expect(200);
        let mut second = world.signed_in("ada").await;
        let mut ben = world.signed_in("ben").await;
        let admin = world.gate.session_admin();
        let of_ada = listed(&world, person("ADA")).await;
        assert_eq!(of_ada.len(), 2);
        assert!(of_ada.iter().all(|session| session.username == "ada" && session.kind.as_str() == "browser"));
        assert!(of_ada.iter().any(|session| session.user_agent == FIREFOX));
        let (sub, id) = (of_ada[0].sub.clone(), of_ada[0].id);
        assert_eq!(listed(&world, person(&sub)).await.len(), 2);
        assert_eq!(listed(&world, SessionFilter::Id(id)).await, [of_ada[0].clone()]);
        assert_eq!(admin.count(&SessionFilter::All).await.unwrap(), 3);
        assert_eq!(admin.count(&person("nobody")).await.unwrap(), 0);
        assert_eq!(admin.revoke(&SessionFilter::Id(id)).await.unwrap().sessions, 1);
        assert_eq!(admin.revoke(&SessionFilter::Id(id)).await.unwrap().sessions, 0);
        let left = [ada.fetch("/").await.status, second.fetch("/").await.status];
        assert!(left.contains(&http::StatusCode::OK) && left.contains(&http::StatusCode::UNAUTHORIZED));
        assert_eq!(admin.revoke(&person("ada")).await.unwrap().sessions, 1);
        ada.fetch("/").await.expect(401);
        second.fetch("/").await.expect(401);
        ben.fetch("/").await.expect(200);
        assert_eq!(admin.revoke(&SessionFilter::All).await.unwrap().sessions, 1);
        ben.fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn a_person_who_has_another_name_since_the_sign_in_is_found_by_it() {
    let world = world(Front::Layer, in_memory).await;
    let mut here = world.signed_in("ada").await;
    let mut there = world.signed_in("ada").await;
    world.hub.edit_user("ada", |user| user.username = "countess".to_owned());
    world.advance(REVALIDATE);
    here.fetch("/").await.expect(200);
    until_named(&world, "countess").await;

    // The other session has not heard of the new name yet. It is the same person's.
    let names: Vec<_> = listed(&world, SessionFilter::All).await;
    assert!(names.iter().any(|session| session.username == "ada"), "{names:?}");
    assert_eq!(listed(&world, person("Countess")).await.len(), 2);
    let ended = world.gate.session_admin().revoke(&person("countess")).await.unwrap();
    assert_eq!(ended.sessions, 2);
    is_out(&mut here).await;
    is_out(&mut there).await;
}

/// Waits until a session has the name: a revalidation goes on behind the request.
async fn until_named(world: &World, name: &str) {
    let limit = std::time::Instant::now() + Duration::from_secs(5);
    while !listed(world, SessionFilter::All).await.iter().any(|session| session.username == name) {
        assert!(std::time::Instant::now() < limit, "nobody is called {name}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
