//! Sessions: lifetimes, secrets and cookies.

use std::time::Duration;

use huggate::gate::BuildError;
use huggate::session::StoreSettings;
use huggate::{Gate, Rule};

use crate::world::{Ask, FRONTS, SECRET, World};

const HOUR: u64 = 3600;

#[tokio::test]
async fn an_unused_session_ends_after_the_idle_timeout() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        world.advance(12 * HOUR - 1);
        // A use, though this browser does not store the renewed cookie.
        ada.at(&world).fetch("/").await.expect(200);
        world.advance(12 * HOUR - 1);
        ada.at(&world).fetch("/").await.expect(200);
        world.advance(12 * HOUR);
        ada.fetch("/").await.expect(401);
        ada.sign_in("ada").await.expect(200);
        for _ in 0..5 {
            world.advance(11 * HOUR);
            ada.fetch("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_used_session_ends_at_its_maximum_age() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        for hour in 1..7 * 24 {
            world.advance(HOUR);
            ada.fetch("/").await.expect(200);
            assert!(ada.has_session(), "hour {hour}");
        }
        world.advance(HOUR);
        ada.fetch("/").await.expect(401);
    }
}

/// A path where the app answers with this header.
fn respond(name: &str, value: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    format!("/respond?{}", query.append_pair(name, value).finish())
}

#[tokio::test]
async fn a_session_is_renewed_but_not_in_cacheable_responses() {
    // Attack: cached redirects and refusals; RFC 9111, section 7.3.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        let first = ada.session();
        ada.fetch("/").await.expect(200);
        world.advance(HOUR);
        assert!(ada.fetch("/").await.expect(200).cookies().is_empty(), "an hour is too soon");
        world.advance(HOUR);
        for cached in ["public, max-age=60", "Public", "s-maxage=9", "max-age=0, PUBLIC"] {
            let answer = ada.at(&world).fetch(&respond("cache-control", cached)).await.expect(200);
            assert!(answer.cookies().is_empty(), "{cached}");
            assert_eq!(answer.header("cache-control"), Some(cached));
        }
        // A response that a shared cache may store by default is marked private.
        for (cached, private) in [
            ("max-age=60", "max-age=60, private"),
            ("no-cache", "no-cache, private"),
            ("no-store", "no-store"),
            ("private, max-age=5", "private, max-age=5"),
            ("immutable, Private", "immutable, Private"),
        ] {
            let answer = ada.at(&world).fetch(&respond("cache-control", cached)).await.expect(200);
            assert!(answer.cookie("huggate=").is_some(), "{cached}");
            let lines = answer.headers.get_all("cache-control").iter().map(|line| line.to_str().unwrap());
            assert_eq!(lines.collect::<Vec<_>>().join(", "), private);
        }
        for kept in ["cdn-cache-control", "surrogate-control", "cloudflare-cdn-cache-control"] {
            let answer = ada.at(&world).fetch(&respond(kept, "max-age=60")).await.expect(200);
            assert!(answer.cookies().is_empty(), "{kept}");
        }
        let answer = ada.fetch("/").await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("private"));
        let cookie = answer.cookie("huggate=").unwrap();
        assert!(cookie.contains(&format!("Max-Age={}", (7 * 24 - 2) * HOUR)), "{cookie}");
        assert_ne!(ada.session(), first);
        assert!(ada.fetch("/").await.expect(200).cookies().is_empty(), "once is enough");
    }
}

#[tokio::test]
async fn a_secret_is_rotated_without_signing_anybody_out() {
    for front in FRONTS {
        let old = World::of_acme(front).await;
        let ada = old.signed_in("ada").await;
        let new = "a1".repeat(32);
        // The world sets its own secret first; here it is the second one.
        let rotated = old.replica_with(|gate| gate.allow(Rule::org("acme")), &[&new, SECRET]).await;
        let mut there = ada.at(&rotated);
        let sealed = there.session();
        there.fetch("/").await.expect(200);
        assert_ne!(there.session(), sealed, "it is not sealed anew");
        let only_new = old.replica_with(|gate| gate.allow(Rule::org("acme")), &[&new]).await;
        there.at(&only_new).fetch("/").await.expect(200);
        ada.at(&only_new).fetch("/").await.expect(401);
        // A sign-in that was pending continues.
        let mut ben = old.browser();
        let callback = ben.callback_url("ben").await;
        ben.at(&rotated).open(&callback).await.expect(200);
    }
}

#[tokio::test]
async fn a_missing_or_short_secret_stops_the_start() {
    // Attack: a key derived from an empty secret (gradio CVE-2026-27167).
    let builder = || Gate::builder().public_url("https://a.example").client("id", "secret").allow_anyone();
    assert!(matches!(builder().build().await, Err(BuildError::Missing("secret"))));
    for secret in ["", " ", "short", "changeme-changeme-changeme-change", &"ab".repeat(31)] {
        let error = builder().secret(secret).build().await.unwrap_err();
        assert!(matches!(error, BuildError::Secret(_)), "{secret}: {error}");
        assert!(secret.trim().is_empty() || !error.to_string().contains(secret), "{error}");
    }
    let error = builder().secret(SECRET).secret("").build().await.unwrap_err();
    assert!(matches!(error, BuildError::Secret(_)), "further secrets are validated too: {error}");
}

#[tokio::test]
async fn an_invalid_cookie_is_anonymous_and_not_an_error() {
    // Attack: a malformed cookie grants access (authentik CVE-2026-25748) or crashes the
    // server (mod_auth_openidc CVE-2024-24814, CVE-2023-28625).
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let sealed = world.signed_in("ada").await.session().unwrap();
        let flipped: String = sealed.chars().rev().collect();
        let lines = [
            "huggate=".to_owned(),
            "huggate".to_owned(),
            ";;;=".to_owned(),
            "=".to_owned(),
            format!("huggate={}", &sealed[1..]),
            format!("huggate={}", &sealed[..sealed.len() - 1]),
            format!("huggate={sealed}A"),
            format!("huggate={sealed}="),
            format!("huggate={flipped}"),
            format!("Huggate={sealed}"),
            format!("__Host-huggate={sealed}"),
            format!("huggate-pending-{}={sealed}", &sealed[..12]),
            "huggate=99999999.x".to_owned(),
            "huggate=99999999999999999999999999.x".to_owned(),
            "huggate=-1.x".to_owned(),
            "huggate=0.x".to_owned(),
            "huggate=1.x".to_owned(),
            "huggate=2.x".to_owned(),
            format!("huggate=2.{sealed}; huggate-99999999=x"),
            format!("huggate=2.{sealed}; huggate-1=x"),
            format!("huggate=x; huggate={sealed}"),
            "\u{e9}=\u{fc}".to_owned(),
            "huggate=\u{e9}".to_owned(),
            "a=b; ".repeat(10_000),
            format!("{}huggate={sealed}", "a=b; ".repeat(10_000)),
            "huggate-pending-x=y; ".repeat(3_000),
            "huggate=x; ".repeat(5_000),
            format!("huggate={}", "A".repeat(64 * 1024)),
            format!(
                "huggate=5.{0}; huggate-1={0}; huggate-2={0}; huggate-3={0}; huggate-4={0}",
                "A".repeat(12_000)
            ),
        ];
        for line in lines {
            let start: String = line.chars().take(60).collect();
            let answer = world.send(Ask::fetch("/").with("cookie", &line)).await;
            assert!(answer.status.is_client_error(), "{start}: {}", answer.status);
            let page = world.send(Ask::navigation("/").with("cookie", &line)).await;
            assert!(page.status == 302 || page.status.is_client_error(), "{start}: {}", page.status);
            assert!(page.cookies().len() <= 40, "{start}: {} lines", page.cookies().len());
            for path in ["/oauth2/sign_out", "/oauth2/callback?state=aaaaaaaaaaaa.x&code=y", "/oauth2/start"]
            {
                let answer = world.send(Ask::navigation(path).with("cookie", &line)).await;
                assert!(!answer.status.is_server_error(), "{start}: {path}: {}", answer.status);
            }
        }
        assert_eq!(world.app.calls(), 1, "somebody got in");
        // The first of two cookies is used, as by most apps.
        let both = format!("huggate={sealed}; huggate=x");
        world.send(Ask::fetch("/").with("cookie", &both)).await.expect(200);
    }
}

#[tokio::test]
async fn a_session_cookie_with_any_changed_byte_is_invalid() {
    let world = World::of_acme(FRONTS[0]).await;
    let sealed = world.signed_in("ada").await.session().unwrap();
    for index in (0..sealed.len()).step_by(7) {
        let mut forged = sealed.clone().into_bytes();
        forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        world.send(Ask::fetch("/").with("cookie", &format!("huggate={forged}"))).await.expect(401);
    }
}

#[tokio::test]
async fn cookies_and_headers_stay_short_with_three_hundred_organisations() {
    // Attack: session cookies over 4 KB; too large headers.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).scope("openid profile email read-memberships")
        })
        .await;
        let everything: Vec<String> = {
            let eve = world.hub.users().into_iter().find(|person| person.username == "eve").unwrap();
            eve.orgs.into_iter().map(|org| org.slug).collect()
        };
        assert_eq!(everything.len(), 300);
        let everything: Vec<&str> = everything.iter().map(String::as_str).collect();
        let mut eve = world.browser();
        let echo = eve.sign_in_showing("eve", &everything).await.expect(200).echo();
        assert_eq!(echo.username(), Some("eve"));
        let total: usize = echo.headers().map(|(name, value)| name.len() + value.len() + 4).sum();
        assert!(total < 16 * 1024, "{total} bytes of headers");
        assert!(echo.header("x-forwarded-groups").unwrap().starts_with("acme,acme:contributor"));
        for (name, value) in eve.cookies() {
            assert!(name.len() + value.len() < 4_000, "{name}: {}", value.len());
        }
        assert_eq!(eve.cookie("huggate-1"), None, "the session needs two cookies");
        assert_eq!(eve.fetch("/oauth2/userinfo").await.json()["groups_truncated"], true);
    }
}

#[tokio::test]
async fn a_session_in_two_cookies_needs_both_and_leaves_none_behind() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        world.issue_long_tokens();
        let mut eve = world.signed_in("eve").await;
        assert!(eve.cookie("huggate-1").is_some(), "the session is in one cookie");
        eve.fetch("/").await.expect(200);
        // A missing chunk makes the session invalid, without an error.
        let mut torn = eve.at(&world);
        torn.forget_cookie("huggate-1");
        torn.fetch("/").await.expect(401);
        // The next person in this browser leaves no chunk of hers.
        world.behave(|hub| hub.edit_token = None);
        eve.be_at_hub("ada", &["acme"]);
        eve.open("/oauth2/start").await.expect(200);
        assert_eq!(eve.cookie("huggate-1"), None);
        assert_eq!(eve.fetch("/").await.expect(200).echo().username(), Some("ada"));
    }
}

#[tokio::test]
async fn every_sign_in_begins_a_new_session_and_ends_the_previous_one() {
    // Attack: session fixation.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mallory = world.signed_in("ben").await;
        let planted = mallory.session().unwrap();
        let mut ada = world.browser();
        ada.set_cookie("huggate", &planted);
        ada.be_at_hub("ada", &["acme"]);
        ada.open("/oauth2/start").await.expect(200);
        assert_ne!(ada.session().unwrap(), planted);
        assert_eq!(ada.fetch("/").await.expect(200).echo().username(), Some("ada"));
        mallory.at(&world).fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn a_ticket_of_the_memory_store_is_invalid_in_other_processes() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).session(|session| {
                session.store = StoreSettings::Memory;
                session.idle_timeout = Duration::from_secs(600);
            })
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        assert!(ada.session().unwrap().len() < 200);
        // A used session stays valid; its cookie needs no renewal.
        for _ in 0..10 {
            world.advance(500);
            assert!(ada.fetch("/").await.expect(200).cookies().is_empty());
        }
        world.advance(600);
        ada.fetch("/").await.expect(401);
        // Another process does not have it, and neither does one with the other kind of
        // store.
        ada.sign_in("ada").await.expect(200);
        let restarted = world
            .replica(|gate| {
                gate.allow(Rule::org("acme")).session(|session| session.store = StoreSettings::Memory)
            })
            .await;
        ada.at(&restarted).fetch("/").await.expect(401);
        let cookies = world.replica(|gate| gate.allow(Rule::org("acme"))).await;
        ada.at(&cookies).fetch("/").await.expect(401);
        cookies.signed_in("ada").await.at(&world).fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn over_https_the_cookie_has_the_host_prefix() {
    for front in FRONTS {
        let world = World::at(front, "https://app.example.com", |gate| gate.allow(Rule::org("acme"))).await;
        let mut ada = world.browser();
        let callback = ada.callback_url("ada").await;
        let answer = ada.step(&callback).await.expect(302);
        let cookie = answer.cookie("__Host-huggate=").unwrap();
        for attribute in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite=Lax", "; Max-Age=604800"] {
            assert!(cookie.contains(attribute), "{cookie} lacks {attribute}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        let sealed = ada.session().unwrap();
        world.send(Ask::fetch("/").with("cookie", &format!("huggate={sealed}"))).await.expect(401);
        world.send(Ask::fetch("/").with("cookie", &format!("__Host-huggate={sealed}"))).await.expect(200);
    }
}

#[tokio::test]
async fn a_configured_cookie_name_is_used_for_all_cookies() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).session(|session| session.cookie_name = "door".to_owned())
        })
        .await;
        let mut ada = world.browser();
        let echo = ada.sign_in("ada").await.expect(200).echo();
        let sent: Vec<&str> = ada.cookies().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(sent, ["door", "door-attempts"]);
        let told: Vec<&str> = echo.cookies().into_iter().map(|(name, _)| name).collect();
        assert_eq!(told, ["door"]);
    }
}

#[tokio::test]
async fn a_session_with_long_tokens_is_chunked_or_refused_with_a_message() {
    let token = |name: &'static str, length: usize| {
        Some(huggate::hub::Edit::new(move |answer| {
            answer.insert(name.to_owned(), "t".repeat(length).into());
        }))
    };
    let world = World::start(FRONTS[0], |gate| {
        gate.allow(Rule::org("acme")).scope("openid profile email read-memberships")
    })
    .await;
    let eve = world.hub.users().into_iter().find(|person| person.username == "eve").unwrap();
    let everything: Vec<&str> = eve.orgs.iter().map(|org| org.slug.as_str()).collect();
    world.behave(|hub| hub.edit_token = token("refresh_token", 4096));
    world.browser().sign_in_showing("eve", &everything).await.expect(200);
    // A longer refresh token is dropped, because it is optional.
    world.behave(|hub| hub.edit_token = token("refresh_token", 4097));
    world.browser().sign_in_showing("eve", &everything).await.expect(200);
    world.behave(|hub| hub.edit_token = token("access_token", 4097));
    let page = world.browser().sign_in_showing("eve", &everything).await.expect(502);
    assert!(page.text().contains("empty or too long"), "{}", page.text());
}
