//! Logouts at a provider that has them: OpenID Connect RP-Initiated Logout 1.0 and Back-Channel
//! Logout 1.0.

use std::time::Duration;

use http_body_util::BodyExt;
use huggate::hub::{Edit, EditToken, Object, Signature};
use huggate::session::{RevocationSettings, SessionFilter, SessionSettings, StoreSettings};
use huggate::{Rule, hub::Behaviour};
use serde_json::{Value, json};

use crate::world::{Answer, Ask, Browser, FRONTS, Front, NOW, World, begin, parameter, skip};

const CLIENT: &str = "the-app";
const BACKCHANNEL: &str = "/oauth2/backchannel_logout";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn in_memory(session: &mut SessionSettings) {
    session.store = StoreSettings::Memory;
}

async fn world(front: Front, change: impl Fn(&mut SessionSettings) + Send + Sync + 'static) -> World {
    World::start(front, |gate| gate.allow(Rule::org("acme")).session(change)).await
}

/// Metadata with an end-session endpoint, which is at `address`.
fn ends_sessions_at(address: &'static str) -> impl FnOnce(&mut Behaviour) {
    move |hub| {
        hub.edit_discovery = Some(Edit::new(move |document| {
            document.insert("end_session_endpoint".to_owned(), address.into());
        }));
    }
}

/// ID tokens of sign-ins from now on are of this session at the provider.
fn signs_in_within(world: &World, sid: &'static str) {
    let edit = EditToken::new(move |_, claims| drop(claims.insert("sid".to_owned(), sid.into())));
    world.behave(|hub| hub.edit_id_token = Some(edit));
}

/// A world whose provider has an end-session endpoint.
async fn world_with_logout(front: Front, change: fn(&mut SessionSettings)) -> World {
    let world = world(front, change).await;
    world.behave(ends_sessions_at("http://127.0.0.1:9/logout?tenant=a"));
    // The metadata from before.
    skip(Duration::from_secs(3601)).await;
    world
}

fn press(address: &str) -> Ask {
    Ask::navigation(address).method("POST").set("sec-fetch-site", "same-origin")
}

fn from_provider(address: &str) -> Ask {
    Ask::navigation(address).set("sec-fetch-site", "cross-site")
}

fn logout(token: &str) -> Ask {
    Ask::new("POST", BACKCHANNEL)
        .with("content-type", "application/x-www-form-urlencoded")
        .body(format!("logout_token={token}"))
}

fn token_of(world: &World, edit: impl FnOnce(&mut Object, &mut Object)) -> String {
    world.hub.logout_token("ada", CLIENT, edit).unwrap()
}

async fn send_token(world: &World, edit: impl FnOnce(&mut Object, &mut Object)) -> Answer {
    let token = token_of(world, edit);
    let answer = world.send(logout(&token)).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer
}

async fn stream(world: &World, who: &Browser<'_>) -> hyper::body::Incoming {
    let host = world.public_url.split_once("://").unwrap().1;
    let ask = Ask::get("/events").with("cookie", &who.cookie_line()).or_host(host);
    let mut events = begin(&world.address, ask).await.into_body();
    events.frame().await.unwrap().unwrap();
    events
}

async fn ends(mut body: hyper::body::Incoming) {
    let ended =
        tokio::time::timeout(Duration::from_secs(5), async { while let Some(Ok(_)) = body.frame().await {} });
    ended.await.expect("the stream goes on");
}

#[tokio::test]
async fn a_sign_out_goes_on_to_a_provider_with_an_end_session_endpoint() {
    for front in FRONTS {
        for (store, keeps) in [(in_memory as fn(&mut SessionSettings), true), (|_| {}, false)] {
            let world = world_with_logout(front, store).await;
            let mut ada = world.signed_in("ada").await;
            let mut copy = ada.at(&world);
            let answer = ada.ask(Ask::navigation("/oauth2/sign_out?rd=/reports?a=1")).await.expect(302);
            assert_eq!(answer.header("clear-site-data"), Some("\"cache\""));
            let onward = answer.location().to_owned();
            assert!(onward.starts_with("http://127.0.0.1:9/logout?tenant=a&"), "{onward}");
            let sent = |name: &str| parameter(&onward, name);
            assert_eq!(sent("client_id").as_deref(), Some(CLIENT));
            assert_eq!(
                sent("post_logout_redirect_uri"),
                Some(format!("{}/oauth2/signed_out", world.public_url))
            );
            assert_eq!(sent("state").as_deref(), Some("/reports?a=1"));
            // It does not fit a cookie.
            assert_eq!(sent("id_token_hint").is_some_and(|hint| hint.split('.').count() == 3), keeps);
            assert!(!ada.has_session());
            copy.fetch("/").await.expect(401);
            // The provider returns, with the state.
            let page = ada
                .ask(from_provider("/oauth2/signed_out?state=/reports?a%3D1"))
                .await
                .expect_page(200, "You are signed out");
            assert!(!page.text().contains("huggingface.co") && page.text().contains("href=\"/reports?a=1\""));
            let page =
                ada.ask(from_provider("/oauth2/signed_out?state=https://evil.example/")).await.expect(200);
            assert!(!page.text().contains("evil"), "{}", page.text());
            // Without a session there is nothing to end there.
            ada.open("/oauth2/sign_out").await.expect_page(200, "You are signed out");
        }
    }
}

#[tokio::test]
async fn the_return_ends_nothing_and_lets_somebody_who_is_signed_in_go_on() {
    for front in FRONTS {
        let world = world_with_logout(front, in_memory).await;
        let mut ada = world.signed_in("ada").await;
        let answer = ada.ask(from_provider("/oauth2/signed_out?state=/reports")).await.expect(302);
        assert_eq!(answer.location(), "/reports");
        ada.fetch("/").await.expect(200);
        let post = world.send(Ask::new("POST", "/oauth2/signed_out")).await.expect(405);
        assert_eq!(post.header("allow"), Some("GET, HEAD"));
    }
}

#[tokio::test]
async fn a_form_gets_a_page_that_goes_on_and_a_program_the_usual_answer() {
    for front in FRONTS {
        let world = world_with_logout(front, in_memory).await;
        for address in ["/oauth2/sign_out", "/oauth2/sign_out?everywhere=true"] {
            let mut ada = world.signed_in("ada").await;
            let page = ada.ask(press(address)).await.expect_page(200, "You are signed out of");
            let onward = page.goes_on_to().unwrap();
            assert!(onward.starts_with("http://127.0.0.1:9/logout?") && onward.contains("id_token_hint="));
            ada.fetch("/").await.expect(401);
        }
        let mut ada = world.signed_in("ada").await;
        let answer = ada.ask(Ask::fetch("/oauth2/sign_out").method("POST")).await.expect(200);
        assert!(answer.goes_on_to().is_none_or(|url| url.starts_with("/oauth2/")), "{answer:?}");
        assert!(!ada.has_session());
    }
}

#[tokio::test]
async fn a_provider_that_is_down_does_not_keep_a_session() {
    for front in FRONTS {
        let world = world_with_logout(front, in_memory).await;
        let mut ada = world.signed_in("ada").await;
        let mut ben = world.signed_in("ben").await;
        world.hub.stop().await;
        ada.ask(Ask::navigation("/oauth2/sign_out")).await.expect(302);
        ada.fetch("/").await.expect(401);
        // What it said last counts, however old.
        skip(Duration::from_secs(3601)).await;
        ben.ask(Ask::navigation("/oauth2/sign_out")).await.expect(302);
        ben.fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn an_end_session_endpoint_that_is_not_https_is_refused_and_garbage_is_ignored() {
    let world = world(FRONTS[0], in_memory).await;
    for (address, is_refused) in [("http://evil.example/logout", true), ("nonsense", false)] {
        world.behave(ends_sessions_at(address));
        let settings = world.replica_settings(|gate| gate.allow(Rule::org("acme")).session(in_memory));
        let gate = huggate::Gate::new(settings, world.clock.clone()).unwrap();
        match gate.logout_support().await {
            Err(error) => assert!(is_refused && error.to_string().contains("not https"), "{error}"),
            Ok(support) => assert!(!is_refused && !support.end_session),
        }
    }
}

#[tokio::test]
async fn the_provider_ends_the_sessions_of_an_account_and_what_is_open_under_them() {
    for front in FRONTS {
        let world = world(front, in_memory).await;
        let (mut ada, mut second) = (world.signed_in("ada").await, world.signed_in("ada").await);
        let mut ben = world.signed_in("ben").await;
        let events = stream(&world, &ada).await;
        let token = token_of(&world, |_, _| {});
        assert_eq!(world.send(logout(&token)).await.expect(200).body.len(), 0);
        ends(events).await;
        ada.fetch("/").await.expect(401);
        second.fetch("/").await.expect(401);
        ben.fetch("/").await.expect(200);
        assert_eq!(world.gate.session_admin().count(&SessionFilter::All).await.unwrap(), 1);
        // It counts once, also after a reload.
        ada.sign_in("ada").await.expect(200);
        let reloaded = world.reloaded(|gate| gate.allow(Rule::org("acme")).session(in_memory)).await;
        for world in [&world, &reloaded] {
            let answer = world.send(logout(&token)).await.expect(400).json();
            assert_eq!(answer["error"], "invalid_request");
            assert!(answer["error_description"].as_str().unwrap().contains("used before"), "{answer}");
        }
        ada.fetch("/").await.expect(200);
    }
}

#[tokio::test]
async fn a_session_id_ends_the_sessions_of_that_session_at_the_provider() {
    for front in FRONTS {
        let world = world(front, in_memory).await;
        let mut unknown = world.signed_in("ada").await;
        signs_in_within(&world, "laptop");
        let mut laptop = world.signed_in("ada").await;
        signs_in_within(&world, "phone");
        let mut phone = world.signed_in("ada").await;
        // By `sid` alone.
        let alone = |sid: &'static str| {
            move |_: &mut Object, claims: &mut Object| {
                claims.remove("sub");
                claims.insert("sid".to_owned(), sid.into());
            }
        };
        send_token(&world, alone("tablet")).await.expect(200);
        for who in [&mut unknown, &mut laptop, &mut phone] {
            who.fetch("/").await.expect(200);
        }
        send_token(&world, alone("laptop")).await.expect(200);
        laptop.fetch("/").await.expect(401);
        phone.fetch("/").await.expect(200);
        unknown.fetch("/").await.expect(200);
        // With `sub` as well, a session that may be the one ends.
        signs_in_within(&world, "laptop");
        let mut laptop = world.signed_in("ada").await;
        send_token(&world, |_, claims| drop(claims.insert("sid".to_owned(), "laptop".into())))
            .await
            .expect(200);
        laptop.fetch("/").await.expect(401);
        unknown.fetch("/").await.expect(401);
        phone.fetch("/").await.expect(200);
    }
}

#[tokio::test]
async fn with_the_cookie_store_it_is_told_what_has_not_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("revocations");
    for front in FRONTS {
        let alone = world(front, |_| {}).await;
        let mut ada = alone.signed_in("ada").await;
        let answer = send_token(&alone, |_, _| {}).await.expect(400).json();
        assert!(answer["error_description"].as_str().unwrap().contains("session.revocations"), "{answer}");
        // Here it ended nevertheless.
        ada.fetch("/").await.expect(401);

        let file = file.clone();
        let shared = world(front, move |session| {
            session.revocations = RevocationSettings::File(file.clone());
        })
        .await;
        let (mut ada, mut ben) = (shared.signed_in("ada").await, shared.signed_in("ben").await);
        send_token(&shared, |_, _| {}).await.expect(200);
        ada.fetch("/").await.expect(401);
        ben.fetch("/").await.expect(200);
        ada.sign_in("ada").await.expect(200);
        // Nobody knows whose session that is.
        let sid_alone = |_: &mut Object, claims: &mut Object| {
            claims.remove("sub");
            claims.insert("sid".to_owned(), "laptop".into());
        };
        let answer = send_token(&shared, sid_alone).await.expect(400).json();
        assert!(answer["error_description"].as_str().unwrap().contains("no sub"), "{answer}");
        ada.fetch("/").await.expect(200);
    }
}

/// A rejected claim: its name, its value (none: left out), and words of the description.
type Row = (&'static str, Option<Value>, &'static str);

#[tokio::test]
async fn every_other_logout_token_is_rejected_and_ends_nothing() {
    let world = world(FRONTS[0], in_memory).await;
    let mut ada = world.signed_in("ada").await;
    let long = "x".repeat(256);
    let rows: Vec<Row> = vec![
        ("iss", Some(json!("https://evil.example")), "another issuer"),
        ("iss", None, "claim"),
        ("aud", Some(json!("another-app")), "another app"),
        ("aud", Some(json!([])), "another app"),
        ("aud", None, "claim"),
        ("iat", Some(json!(NOW - 181)), "too old"),
        ("iat", Some(json!(NOW + 61)), "from the future"),
        ("iat", Some(json!("now")), "claim"),
        ("iat", Some(json!(1e300)), "claim"),
        ("iat", None, "claim"),
        ("exp", Some(json!(NOW - 61)), "too old"),
        ("exp", Some(json!("later")), "claim"),
        ("jti", None, "claim"),
        ("jti", Some(json!("")), "claim"),
        ("jti", Some(json!(long)), "claim"),
        ("events", None, "claim"),
        ("events", Some(json!({})), "events"),
        ("events", Some(json!([EVENT])), "claim"),
        ("events", Some(json!({EVENT: true})), "events"),
        ("events", Some(json!({"http://schemas.openid.net/event/other": {}})), "events"),
        ("nonce", Some(json!("n")), "nonce"),
        ("nonce", Some(json!(null)), "nonce"),
        ("sub", None, "neither"),
        ("sub", Some(json!("")), "claim"),
        ("sub", Some(json!(7)), "claim"),
        ("sid", Some(json!(7)), "claim"),
    ];
    for (name, value, words) in rows {
        let what = format!("{name}: {value:?}");
        let edit = |_: &mut Object, claims: &mut Object| match value {
            Some(value) => drop(claims.insert(name.to_owned(), value)),
            None => drop(claims.remove(name)),
        };
        let answer = send_token(&world, edit).await.expect(400).json();
        assert_eq!(answer["error"], "invalid_request", "{what}");
        assert!(answer["error_description"].as_str().unwrap().contains(words), "{what}: {answer}");
    }
    for (name, value, words) in [
        ("typ", json!("at+jwt"), "type"),
        ("typ", json!("application/at+jwt"), "type"),
        ("crit", json!(["exp"]), "critical"),
        ("alg", json!("RS512"), "signature"),
        ("kid", json!("of-another"), "not in the provider"),
    ] {
        let edit = |header: &mut Object, _: &mut Object| drop(header.insert(name.to_owned(), value));
        let answer = send_token(&world, edit).await.expect(400).json();
        assert!(answer["error_description"].as_str().unwrap().contains(words), "{name}: {answer}");
    }
    for signature in [
        Signature::None,
        Signature::ClientSecret,
        Signature::PublicKey,
        Signature::ForeignKey,
        Signature::Corrupted,
    ] {
        world.behave(|hub| hub.id_token_signature = signature);
        send_token(&world, |_, _| {}).await.expect(400);
    }
    world.behave(|hub| hub.id_token_signature = Signature::Rs256);
    ada.fetch("/").await.expect(200);
    // Valid variations.
    for typ in [Some("JWT"), Some("application/Logout+JWT"), None] {
        let edit = |header: &mut Object, claims: &mut Object| {
            header.remove("typ");
            header.extend(typ.map(|typ| ("typ".to_owned(), typ.into())));
            claims.insert("aud".to_owned(), json!(["other", CLIENT]));
            claims.remove("exp");
        };
        send_token(&world, edit).await.expect(200);
    }
    ada.fetch("/").await.expect(401);
}

#[tokio::test]
async fn other_requests_are_rejected_and_end_nothing() {
    for front in FRONTS {
        let world = world(front, in_memory).await;
        let mut ada = world.signed_in("ada").await;
        for method in ["GET", "HEAD", "PUT"] {
            let answer = world.send(Ask::new(method, BACKCHANNEL)).await.expect(405);
            assert_eq!(answer.header("allow"), Some("POST"));
        }
        let token = token_of(&world, |_, _| {});
        for (ask, words) in [
            (logout(&token).set("content-type", "application/json"), "form-urlencoded"),
            (logout(&format!("{token}&logout_token={token}")), "exactly one"),
            (logout("").body(""), "exactly one"),
            (logout("").body(format!("token={token}")), "exactly one"),
            (logout("").body(vec![b'a'; 16 * 1024 + 1]), "larger than"),
            (logout("x"), "not a signed JWT"),
            (logout(""), "not a signed JWT"),
        ] {
            let answer = world.send(ask).await.expect(400).json();
            assert_eq!(answer["error"], "invalid_request");
            assert!(answer["error_description"].as_str().unwrap().contains(words), "{answer}");
        }
        // Tokens of the same provider for other purposes.
        let access = world.hub.oauth_token("ada", CLIENT).unwrap();
        for other in [access.clone(), access.replace("hf_oauth_", "")] {
            world.send(logout(&other)).await.expect(400);
        }
        ada.fetch("/").await.expect(200);
        // Neither a cookie nor an origin matters: the provider's server asks.
        let ask = logout(&token).with("origin", "https://evil.example").with("sec-fetch-site", "cross-site");
        world.send(ask).await.expect(200);
        ada.fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn a_logout_token_is_no_id_token_and_an_id_token_no_logout_token() {
    let world = world(FRONTS[0], in_memory).await;
    let kept = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let keep = std::sync::Arc::clone(&kept);
    world.behave(|hub| {
        hub.edit_token = Some(Edit::new(move |answer| {
            *keep.lock().unwrap() = answer["id_token"].as_str().unwrap().to_owned();
        }));
    });
    let mut ada = world.signed_in("ada").await;
    let id_token = kept.lock().unwrap().clone();
    world.send(logout(&id_token)).await.expect(400);
    ada.fetch("/").await.expect(200);
    world.behave(|hub| {
        hub.edit_token = None;
        hub.edit_id_token =
            Some(EditToken::new(|header, _| drop(header.insert("typ".into(), "logout+jwt".into()))));
    });
    world.browser().sign_in("ada").await.expect_page(502, "is a logout token");
    world.behave(|hub| {
        let edit = EditToken::new(|_, claims| drop(claims.insert("events".into(), json!({EVENT: {}}))));
        hub.edit_id_token = Some(edit);
    });
    world.browser().sign_in("ada").await.expect_page(502, "is a logout token");
}

#[tokio::test]
async fn tokens_with_made_up_keys_do_not_use_up_the_fetches_of_sign_ins() {
    // Attack: anybody can send a token that names a key of its own.
    let world = world(FRONTS[0], in_memory).await;
    world.signed_in("ada").await;
    for number in 0..12 {
        let edit = move |header: &mut Object, _: &mut Object| {
            drop(header.insert("kid".to_owned(), format!("made-up-{number}").into()));
        };
        send_token(&world, edit).await.expect(400);
    }
    let calls = world.calls(huggate::hub::Endpoint::Jwks);
    assert!(calls <= 6, "{calls} fetches");
    world.hub.rotate_keys(false);
    world.signed_in("ada").await;
}
