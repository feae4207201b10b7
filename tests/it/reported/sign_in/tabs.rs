//! Tabs, long addresses, other browsers.

use huggate::hub::Endpoint;
use huggate::{Route, Rule};

use super::{STORES, acme, explore, fits, noise};
use crate::world::{Ask, Browser, FRONTS, World, parameter};

/// Opens a page in a new tab, up to the provider's redirect: the address of the callback.
async fn up_to_callback(browser: &mut Browser<'_>, page: &str) -> String {
    let start = browser.step(page).await.expect(302);
    fits(&start, browser);
    browser.step(start.location()).await.expect(303).location().to_owned()
}

/// Opens a callback, and asserts that the tab ends at `page`.
async fn ends_at(browser: &mut Browser<'_>, callback: &str, page: &str) {
    let answer = browser.step(callback).await;
    fits(&answer, browser);
    let next = answer.goes_on_to().unwrap_or_else(|| panic!("{page}: {answer:?}"));
    assert_eq!(next, page);
    assert_eq!(browser.open(&next).await.expect(200).echo().target(), page);
}

#[tokio::test]
async fn twenty_tabs_opened_before_the_sign_in_all_end_at_their_own_pages() {
    for front in FRONTS {
        for store in STORES {
            let world = World::start(front, store).await;
            let mut ada = world.browser();
            ada.be_at_hub("ada", &["acme"]);
            let mut callbacks = Vec::new();
            for tab in 0..20 {
                callbacks.push(up_to_callback(&mut ada, &format!("/tab/{tab}?x=y")).await);
            }
            for (tab, callback) in callbacks.iter().enumerate() {
                ends_at(&mut ada, callback, &format!("/tab/{tab}?x=y")).await;
            }
            // One session: a second would end the streams of the first tab.
            assert_eq!(world.calls(Endpoint::Token), 1);
        }
    }
}

#[tokio::test]
async fn tabs_that_begin_while_others_end_do_not_disturb_each_other() {
    for front in FRONTS {
        let world = World::start(front, acme).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let mut under_way = Vec::new();
        for tab in 0..12 {
            let page = format!("/tab/{tab}");
            // A tab that is signed in already is not asked to sign in.
            let start = ada.step(&format!("/oauth2/start?rd=%2Ftab%2F{tab}")).await.expect(302);
            under_way.push((ada.step(start.location()).await.location().to_owned(), page));
            world.advance(20);
            if tab % 3 == 2 {
                let (callback, page) = under_way.remove(0);
                ends_at(&mut ada, &callback, &page).await;
            }
        }
        for (callback, page) in under_way.into_iter().rev() {
            ends_at(&mut ada, &callback, &page).await;
        }
    }
}

#[tokio::test]
async fn tabs_opened_at_the_same_moment_all_end_at_their_own_pages() {
    // A browser restores its tabs: no request has a cookie yet.
    for front in FRONTS {
        let world = World::start(front, acme).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let mut starts = Vec::new();
        for tab in 0..20 {
            let start = world.send(Ask::navigation(&format!("/tab/{tab}"))).await.expect(302);
            assert_eq!(start.cookies().len(), 1);
            starts.push(start);
        }
        for start in &starts {
            let (name, value) = start.cookies()[0].split(';').next().unwrap().split_once('=').unwrap();
            ada.set_cookie(name, value);
        }
        for (tab, start) in starts.iter().enumerate() {
            let callback = ada.step(start.location()).await.location().to_owned();
            ends_at(&mut ada, &callback, &format!("/tab/{tab}")).await;
        }
    }
}

#[tokio::test]
async fn the_callbacks_of_tabs_arrive_at_the_same_moment() {
    for front in FRONTS {
        let world = World::start(front, acme).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let mut callbacks = Vec::new();
        for tab in 0..10 {
            callbacks.push(up_to_callback(&mut ada, &format!("/tab/{tab}")).await);
        }
        // None has a session yet.
        for (tab, callback) in callbacks.iter().enumerate() {
            ends_at(&mut ada.at(&world), callback, &format!("/tab/{tab}")).await;
        }
    }
}

#[tokio::test]
async fn an_explicit_sign_in_of_a_signed_in_person_replaces_the_session() {
    let world = World::start(FRONTS[0], acme).await;
    let mut ada = world.signed_in("ada").await;
    ada.be_at_hub("ben", &["acme"]);
    ada.open("/oauth2/start").await.expect(200);
    assert_eq!(ada.fetch("/").await.expect(200).echo().username(), Some("ben"));
}

#[tokio::test]
async fn a_long_address_survives_the_sign_in() {
    for front in FRONTS {
        for store in STORES {
            let world = World::start(front, store).await;
            for length in [2_100, 4_000, 8_192] {
                for page in [explore(length, 7), format!("/x?q={}", noise(length - 5, 9))] {
                    let mut ada = world.browser();
                    ada.be_at_hub("ada", &["acme"]);
                    let callback = up_to_callback(&mut ada, &page).await;
                    assert!(parameter(&callback, "state").unwrap().len() <= 2_400);
                    ends_at(&mut ada, &callback, &page).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn twenty_tabs_with_long_addresses_all_end_at_their_own_pages() {
    let world = World::start(FRONTS[0], acme).await;
    let mut ada = world.browser();
    ada.be_at_hub("ada", &["acme"]);
    let mut tabs = Vec::new();
    for tab in 0..20 {
        let page = if tab % 2 == 0 { explore(8_000, tab) } else { format!("/{}", noise(8_000, tab + 1)) };
        tabs.push((up_to_callback(&mut ada, &page).await, page));
    }
    for (callback, page) in tabs {
        ends_at(&mut ada, &callback, &page).await;
    }
}

#[tokio::test]
async fn a_long_address_that_is_in_the_state_survives_at_another_replica() {
    let one = World::start(FRONTS[0], acme).await;
    let two = one.replica(acme).await;
    let mut ada = one.browser();
    ada.be_at_hub("ada", &["acme"]);
    let page = explore(3_000, 1);
    let callback = up_to_callback(&mut ada, &page).await;
    ends_at(&mut ada.at(&two), &callback, &page).await;
}

#[tokio::test]
async fn an_address_that_was_lost_ends_on_a_page_that_says_so() {
    for front in FRONTS {
        let one = World::start(front, acme).await;
        let two = one.replica(acme).await;
        // One is held in another process, and one is longer than anything that is kept.
        for page in [format!("/{}", noise(8_000, 3)), format!("/{}", "a".repeat(20_000))] {
            let mut ada = one.browser();
            ada.be_at_hub("ada", &["acme"]);
            let callback = up_to_callback(&mut ada, &page).await;
            let mut ada = ada.at(&two);
            let answer = ada.step(&callback).await.expect_page(200, "You are signed in");
            assert!(answer.text().contains("Open it again"), "{}", answer.text());
            assert_eq!(ada.open(&page).await.expect(200).echo().target(), page);
        }
    }
}

#[tokio::test]
async fn the_oldest_long_address_of_a_client_that_begins_too_many_is_lost_and_says_so() {
    let world = World::start(FRONTS[0], acme).await;
    let mut ada = world.browser();
    ada.be_at_hub("ada", &["acme"]);
    let mut callbacks = Vec::new();
    for tab in 0..80 {
        callbacks.push(up_to_callback(&mut ada, &format!("/{}", noise(8_000, tab + 1))).await);
    }
    let mut copy = ada.at(&world);
    copy.step(&callbacks[0]).await.expect_page(200, "You are signed in");
    ends_at(&mut ada, &callbacks[79], &format!("/{}", noise(8_000, 80))).await;
}

#[tokio::test]
async fn a_state_counts_only_beside_the_cookie_it_was_made_for() {
    for front in FRONTS {
        let world = World::start(front, acme).await;
        let mut mallory = world.browser();
        let trap = mallory.callback_url("ben").await;
        let mut ada = world.browser();
        ada.callback_url("ada").await;
        // Another browser's, and another browser's under the name of the state's own.
        ada.open(&trap).await.expect_page(400, "This sign-in cannot be finished here");
        let planted = mallory.pending()[0].to_owned();
        let own = ada.cookie(ada.pending()[0]).unwrap().to_owned();
        ada.set_cookie(&planted, &own);
        ada.open(&trap).await.expect_page(400, "This sign-in cannot be finished here");
        assert_eq!((world.calls(Endpoint::Token), ada.has_session()), (0, false));
        mallory.open(&trap).await.expect(200);
    }
}

#[tokio::test]
async fn the_address_of_another_browsers_sign_in_is_not_told() {
    for front in FRONTS {
        let world = World::start(front, acme).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let callback = up_to_callback(&mut ada, "/private?token=of-the-app").await;
        // Signed in, not signed in, and without any cookie.
        let mut ben = world.signed_in("ben").await;
        assert_eq!(ben.step(&callback).await.expect(302).location(), "/");
        let mut nobody = world.browser();
        nobody.callback_url("ben").await;
        for answer in [nobody.step(&callback).await, world.browser().step(&callback).await] {
            assert!(!answer.expect(400).text().contains("of-the-app"));
        }
    }
}

#[tokio::test]
async fn a_browser_without_cookies_is_told_that_it_blocks_them() {
    for front in FRONTS {
        let world = World::start(front, acme).await;
        let mut ada = world.browser();
        ada.refused = Some("huggate".to_owned());
        let callback = ada.callback_url("ada").await;
        let page = ada.step(&callback).await.expect_page(400, "cookies are blocked for this site");
        assert!(page.text().contains("This sign-in cannot be finished here"), "{}", page.text());
        let told = world.send(Ask::get(&callback)).await.expect(400).json();
        let description = told["error_description"].as_str().unwrap();
        assert!(description.contains("cookies are blocked"), "{told}");
        assert_eq!(world.calls(Endpoint::Token), 0);
        // With cookies the cause is another one, and blocked cookies are not named.
        let mut ada = world.browser();
        let callback = ada.callback_url("ada").await;
        let mut copy = ada.at(&world);
        ada.open(&callback).await.expect(200);
        let again = copy.step(&callback).await.expect_page(400, "already finished");
        assert!(!again.text().contains("cookies"), "{}", again.text());
        let late = copy.callback_url("ada").await;
        world.advance(601);
        let late = copy.step(&late).await.expect_page(400, "longer than 10 minutes");
        assert!(!late.text().contains("cookies"), "{}", late.text());
    }
}

#[tokio::test]
async fn a_sign_in_on_another_host_of_the_app_ends_there() {
    let host = "docs.example.com";
    for front in FRONTS {
        for same_site in [huggate::session::SameSitePolicy::Lax, huggate::session::SameSitePolicy::None] {
            let world = World::at(front, "https://app.example.com", |gate| {
                let mut docs = Route::path("/**");
                docs.host = Some(host.to_owned());
                gate.allow(Rule::org("acme"))
                    .route(docs)
                    .session(move |session| session.same_site = same_site)
            })
            .await;
            let mut ada = world.browser();
            ada.be_at_hub("ada", &["acme"]);
            let page = explore(6_000, 5);
            let mut callbacks = Vec::new();
            for _ in 0..3 {
                let start = ada.step(&format!("https://{host}{page}")).await.expect(302);
                let cookie = start.cookie("__Host-huggate-pending-").unwrap();
                assert!(cookie.contains("Secure; Path=/"), "{cookie}");
                let partitioned = same_site == huggate::session::SameSitePolicy::None;
                assert_eq!(cookie.contains("; Partitioned"), partitioned, "{cookie}");
                callbacks.push(ada.step(start.location()).await.location().to_owned());
            }
            for callback in callbacks {
                assert!(callback.starts_with(&format!("https://{host}/oauth2/callback?")), "{callback}");
                assert_eq!(ada.open(&callback).await.expect(200).echo().target(), page);
                assert_eq!(ada.url.host_str(), Some(host));
            }
        }
    }
}

#[tokio::test]
async fn a_link_that_would_be_too_long_leads_to_the_page_itself() {
    let world = World::start(FRONTS[0], acme).await;
    let mut ada = world.browser();
    ada.be_at_hub("ada", &["acme"]);
    let page = explore(8_000, 2);
    let callback = up_to_callback(&mut ada, &page).await;
    world.advance(601);
    let failed = ada.step(&callback).await.expect_page(400, "10 minutes");
    let (_, link) = failed.text().rsplit_once("class=\"button\" href=\"").unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    assert!(link.len() <= 8_000, "{} bytes", link.len());
    assert_eq!(ada.open(&link).await.expect(200).echo().target(), page);
}
