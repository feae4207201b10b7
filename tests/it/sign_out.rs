//! The sign-out endpoint.

use huggate::Rule;
use huggate::session::{SameSitePolicy, StoreSettings};

use crate::world::{Ask, FRONTS, Front, World};

#[tokio::test]
async fn a_sign_out_invalidates_copies_of_the_cookie() {
    // Attack: a copied cookie used after the sign-out.
    for front in FRONTS {
        for store in [
            |_: &mut huggate::session::SessionSettings| {},
            |session: &mut huggate::session::SessionSettings| {
                session.store = StoreSettings::Memory;
            },
        ] {
            let world = World::start(front, |gate| gate.allow(Rule::org("acme")).session(store)).await;
            let mut ada = world.signed_in("ada").await;
            let mut thief = ada.at(&world);
            thief.fetch("/").await.expect(200);
            let page = ada.open("/oauth2/sign_out").await.expect_page(200, "You are signed out");
            assert_eq!(page.header("clear-site-data"), Some("\"cache\""));
            assert_eq!(ada.cookies().len(), 0, "{}", ada.cookie_line());
            thief.fetch("/").await.expect(401);
            thief.fetch("/oauth2/userinfo").await.expect(401);
            // Other sessions continue.
            let mut ben = world.signed_in("ben").await;
            ada.open("/oauth2/sign_out").await.expect(200);
            ben.fetch("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_sign_out_invalidates_renewed_cookies_too() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        let mut old = ada.at(&world);
        world.advance(2 * 3600);
        ada.fetch("/").await.expect(200);
        assert_ne!(ada.session(), old.session());
        old.fetch("/").await.expect(200);
        ada.open("/oauth2/sign_out").await.expect(200);
        old.fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn every_cookie_chunk_is_deleted_with_its_attributes() {
    // Attack: Envoy CVE-2025-55162, GHSA-f24x.
    for front in FRONTS {
        for (url, change) in [
            ("https://app.example.com", (|_| {}) as fn(&mut huggate::session::SessionSettings)),
            ("https://app.example.com", |session| session.same_site = SameSitePolicy::None),
        ] {
            let world = World::at(front, url, |gate| gate.allow(Rule::org("acme")).session(change)).await;
            let mut ada = world.signed_in("ada").await;
            let session = ada.session().unwrap();
            let line = format!("__Host-huggate={session}; __Host-huggate-1=x; __Host-huggate-4=x");
            let answer =
                world.send(Ask::navigation("/oauth2/sign_out").with("cookie", &line)).await.expect(200);
            for name in
                ["__Host-huggate=;", "__Host-huggate-1=;", "__Host-huggate-4=;", "__Host-huggate-attempts=;"]
            {
                let removal = answer.cookie(name).unwrap_or_else(|| panic!("{name}: {answer:?}"));
                for attribute in ["HttpOnly", "Secure", "Path=/", "Max-Age=0", "SameSite="] {
                    assert!(removal.contains(attribute), "{removal} lacks {attribute}");
                }
                assert!(!removal.contains("Domain"), "{removal}");
                let partitioned = removal.contains("SameSite=None");
                assert_eq!(removal.contains("Partitioned"), partitioned, "{removal}");
            }
            // A browser that enforces `__Host-` has no cookie left.
            ada.open("/oauth2/sign_out").await.expect(200);
            assert_eq!(ada.cookies().len(), 0, "{}", ada.cookie_line());
        }
    }
}

#[tokio::test]
async fn a_cross_site_sign_out_asks_first() {
    // Attack: sign-out by another site's image.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        for ask in [
            Ask::navigation("/oauth2/sign_out").set("sec-fetch-site", "cross-site"),
            Ask::navigation("/oauth2/sign_out").set("sec-fetch-site", "same-site"),
            Ask::navigation("/oauth2/sign_out").method("POST").set("sec-fetch-site", "cross-site"),
            Ask::get("/oauth2/sign_out")
                .with("sec-fetch-site", "cross-site")
                .with("sec-fetch-mode", "no-cors"),
            Ask::get("/oauth2/sign_out").with("referer", "https://evil.example/"),
            Ask::get("/oauth2/sign_out").with("origin", "https://evil.example"),
            Ask::new("POST", "/oauth2/sign_out").with("origin", "null"),
            Ask::get("/oauth2/sign_out").with("referer", "garbage"),
        ] {
            // The page does not reveal whether anybody is signed in.
            let page = world.send(ask.clone()).await.expect_page(200, "Nothing has happened yet");
            assert!(!page.text().contains("signed in"), "{}", page.text());
            let page = ada.ask(ask).await.expect_page(200, "Another site sent you here");
            assert!(page.cookies().is_empty(), "{page:?}");
            assert!(page.header("clear-site-data").is_none());
        }
        ada.fetch("/").await.expect(200);
        // The form of that page signs out.
        let click = Ask::navigation("/oauth2/sign_out")
            .method("POST")
            .set("sec-fetch-site", "same-origin")
            .with("origin", &world.public_url);
        ada.ask(click).await.expect_page(200, "You are signed out");
        assert!(!ada.has_session());
    }
}

#[tokio::test]
async fn a_sign_out_without_a_session_is_harmless() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        for cookie in ["", "huggate=garbage", "huggate=5.x; huggate-1=y", "a=b"] {
            let answer =
                world.send(Ask::navigation("/oauth2/sign_out").with("cookie", cookie)).await.expect(200);
            assert!(answer.cookie("huggate=;").is_some());
        }
        // After a sign-out, the next page starts a new sign-in.
        let mut ada = world.signed_in("ada").await;
        ada.open("/oauth2/sign_out").await.expect(200);
        ada.fetch("/").await.expect(401);
        ada.open("/").await.expect(200);
    }
}

#[tokio::test]
async fn an_open_stream_ends_with_its_session() {
    use http_body_util::BodyExt;
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        let ask = Ask::get("/events").with("cookie", &ada.cookie_line()).or_host(&world.address);
        let mut stream = crate::world::begin(&world.address, ask).await.into_body();
        assert_eq!(stream.frame().await.unwrap().unwrap().into_data().unwrap(), "data: hello\n\n");
        ada.open("/oauth2/sign_out").await.expect(200);
        let end = tokio::time::timeout(std::time::Duration::from_secs(10), stream.frame()).await;
        // It does not look complete, unless the app's body cannot fail.
        let end = end.expect("the stream did not end");
        assert_eq!(end.is_none(), front == Front::Layer, "{front:?}: {end:?}");
    }
}
