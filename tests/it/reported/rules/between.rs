//! Requests under way during a reload, and sessions whose last answer leaves something open.

use std::time::Duration;

use futures_util::future::join;
use huggate::hub::{Edit, Endpoint, Fault, Membership};
use huggate::session::StoreSettings;
use huggate::{PathPattern, Route, Rule};

use super::{Change, REVALIDATE, Rules, STORES, acme, anyone, gpu_team, not_gpu_team, world_of};
use crate::world::{Answer, Ask, FRONTS, Front, World};

/// Longer than the provider's last answer stays valid.
const LONG: u64 = REVALIDATE + 3_600;

/// The answer to a request that waits for the provider while the rules change.
async fn across(world: &World, cookie: &str, store: StoreSettings, rules: Rules) -> Answer {
    world.behave(|hub| hub.fail_times(Endpoint::Userinfo, Fault::Slow(Duration::from_millis(300)), 1));
    let calls = world.calls(Endpoint::Userinfo);
    let reload = async {
        while world.calls(Endpoint::Userinfo) == calls {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Change::Reload.to(world, store, rules).await
    };
    join(world.send(Ask::fetch("/x").with("cookie", cookie)), reload).await.0
}

#[tokio::test]
async fn a_request_that_waits_while_the_rules_change_is_decided_by_the_new_ones() {
    let named: Rules = |gate| anyone(gate).deny(Rule::user("ada"));
    let moved: Rules = |gate| {
        anyone(gate).route(Route::path(PathPattern::parse("/x/**").unwrap()).deny(vec![Rule::user("ada")]))
    };
    for front in FRONTS {
        for store in STORES {
            for (rules, status) in [(named, 403), (not_gpu_team as Rules, 403), (acme, 200), (moved, 503)] {
                let world = world_of(front, store, anyone).await;
                let ada = world.signed_in("ada").await;
                world.advance(LONG);
                across(&world, &ada.cookie_line(), store, rules).await.expect(status);
            }
        }
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_does_not_hide_what_the_session_dropped() {
    let also: Rules = |gate| gpu_team(gate).deny(Rule::org("example-labs").with_resource_group("other"));
    for (change, store) in Change::all() {
        for rules in [gpu_team as Rules, also] {
            let world = world_of(FRONTS[0], store, acme).await;
            world.behave(|hub| {
                hub.edit_userinfo = Some(Edit::new(|object| {
                    object["orgs"].as_array_mut().unwrap().push(serde_json::json!({ "sub": 7 }));
                }));
            });
            let mut ada = world.browser();
            ada.sign_in_showing("ada", &["acme", "example-labs"]).await.expect(200);
            // The provider has mended its answer since.
            world.behave(|hub| hub.edit_userinfo = None);
            let after = change.to(&world, store, rules).await;
            ada.at(&after).fetch("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_rule_by_a_username_is_not_judged_by_a_session_that_shows_only_the_id() {
    let ids: Rules = |gate| gate.allow_anyone().scope("openid");
    let denied: Rules = |gate| gate.allow_anyone().scope("openid profile").deny(Rule::user("ada"));
    let allowed: Rules = |gate| gate.scope("openid profile").allow(Rule::user("ben"));
    for (change, store) in Change::all() {
        for (rules, list) in [(denied, "closed_to"), (allowed, "open_to")] {
            let world = world_of(Front::Proxy, store, ids).await;
            let (ada, ben) = (world.signed_in("ada").await, world.signed_in("ben").await);
            let after = change.to(&world, store, rules).await;
            for (browser, user, status) in [(ada, "ada", 403), (ben, "ben", 200)] {
                let mut browser = browser.at(&after);
                let answer = browser.fetch("/").await.expect(403).json();
                assert_eq!(answer[list][0]["missing"][0]["reason"], "sign_in_again", "{answer}");
                browser.be_at_hub(user, &[]);
                browser.open("/oauth2/start?rd=%2F").await.expect(status);
                browser.fetch("/").await.expect(status);
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_is_cut_to_fit_is_renewed_once() {
    let world = world_of(FRONTS[0], StoreSettings::Cookie, acme).await;
    world.behave(|hub| {
        hub.edit_token = Some(Edit::new(|answer| {
            let token: String = (0..1_400_u32).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
            answer.insert("refresh_token".to_owned(), token.into());
        }));
    });
    world.hub.edit_user("ada", |ada| {
        let slug = |n: u32| format!("team-{:08x}", n.wrapping_mul(2_654_435_761));
        ada.orgs.extend((1..=60).map(|n| Membership::new(&slug(n), "contributor")));
    });
    let mut ada = world.signed_in("ada").await;
    ada.fetch("/").await.expect(200);
    world.advance(REVALIDATE);
    let calls = world.calls(Endpoint::Userinfo);
    let mut renewed = 0;
    for _ in 0..400 {
        let answer = ada.fetch("/").await.expect(200);
        renewed += usize::from(!answer.cookies().is_empty());
        assert!(renewed <= 1, "another cookie with each answer");
        if renewed == 1 && world.calls(Endpoint::Userinfo) > calls && answer.cookies().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the session was not renewed");
}

#[tokio::test]
async fn a_subscription_that_cannot_be_read_is_neither_yes_nor_no() {
    let denied: Rules = |gate| gate.allow_anyone().deny(Rule::pro(true));
    let allowed: Rules = |gate| gate.allow(Rule::pro(false));
    for (rules, list) in [(denied, "closed_to"), (allowed, "open_to")] {
        let world = world_of(Front::Proxy, StoreSettings::Cookie, anyone).await;
        world.behave(|hub| {
            hub.edit_userinfo = Some(Edit::new(|object| {
                object.insert("isPro".to_owned(), "true".into());
            }));
        });
        let ben = world.signed_in("ben").await;
        world.behave(|hub| hub.edit_userinfo = None);
        let after = Change::Reload.to(&world, StoreSettings::Cookie, rules).await;
        let mut ben = ben.at(&after);
        let answer = ben.fetch("/").await.expect(403).json();
        assert_eq!(answer[list][0]["missing"][0]["reason"], "pro_not_told", "{answer}");
        world.advance(LONG);
        ben.fetch("/").await.expect(200);
    }
}
