//! Attacks on the sign-in, and on what it keeps in the browser.

use huggate::hub::{Edit, Endpoint, Membership};
use huggate::session::{SameSitePolicy, StoreSettings};
use huggate::{GateBuilder, Route, Rule, TrustedProxies};

use crate::world::{Answer, Ask, FRONTS, SECRET, World, raw};

/// The limit of nginx for the head of an answer.
const HEAD: usize = 4_096;

fn acme(gate: GateBuilder) -> GateBuilder {
    gate.allow(Rule::org("acme"))
}

fn in_memory(gate: GateBuilder) -> GateBuilder {
    acme(gate).session(|session| session.store = StoreSettings::Memory)
}

fn behind_a_proxy(gate: GateBuilder) -> GateBuilder {
    acme(gate).trusted_proxies(TrustedProxies::parse(["127.0.0.0/8"]).unwrap())
}

/// Text that cannot be compressed.
fn noise(length: usize, mut seed: u64) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        char::from(letters[usize::try_from(seed % 62).unwrap()])
    };
    (0..length).map(letter).collect()
}

#[track_caller]
fn fits(answer: &Answer) {
    assert!(answer.head_size() < HEAD, "a head of {} bytes: {answer:?}", answer.head_size());
}

#[tokio::test]
async fn a_browser_with_the_chunks_of_an_older_version_signs_in_within_the_limits() {
    for front in FRONTS {
        let world = World::at(front, "https://app.example.com", |gate| {
            acme(gate).session(|session| session.same_site = SameSitePolicy::None)
        })
        .await;
        world.behave(|hub| {
            hub.edit_token = Some(Edit::new(|answer| {
                answer.insert("refresh_token".to_owned(), noise(1_400, 1).into());
            }));
        });
        let slugs: Vec<String> = (0..60).map(|n| format!("team-{}", noise(9, n + 1))).collect();
        world.hub.edit_user("ada", |ada| {
            ada.orgs.extend(slugs.iter().map(|slug| Membership::new(slug, "contributor")));
        });
        let slugs: Vec<&str> = slugs.iter().map(String::as_str).chain(["acme"]).collect();
        let mut ada = world.browser();
        ada.be_at_hub("ada", &slugs);
        ada.set_cookie("__Host-huggate", "5.old");
        for chunk in 1..5 {
            ada.set_cookie(&format!("__Host-huggate-{chunk}"), "old");
        }
        let start = ada.step(&format!("/{}", noise(3_000, 7))).await.expect(302);
        fits(&start);
        let callback = ada.step(start.location()).await.location().to_owned();
        let answer = ada.step(&callback).await;
        fits(&answer);
        assert!(ada.session().unwrap().len() > 2_900, "not a worst case");
        assert_eq!(ada.cookies().len(), 2, "{:?}", ada.cookies());
        ada.fetch("/").await.expect(200);
    }
}

#[tokio::test]
async fn no_head_grows_with_an_address() {
    let world = World::start(FRONTS[2], behind_a_proxy).await;
    let long = noise(8_000, 3);
    let mut ada = world.signed_in("ada").await;
    for path in [
        "/oauth2/start?rd=%2F",
        "/oauth2/sign_in?rd=%2F",
        "/oauth2/nothing?rd=%2F",
        "/oauth2/callback?rd=%2F",
        "/oauth2/callback?state=",
    ] {
        let mut copy = ada.at(&world);
        fits(&copy.step(&format!("{path}{long}")).await);
        fits(&world.send(Ask::navigation(&format!("{path}{long}"))).await);
    }
    for (kind, header) in [("auth", "x-original-url"), ("auth/forward", "x-forwarded-uri")] {
        for ask in [Ask::navigation(&format!("/oauth2/{kind}")), Ask::fetch(&format!("/oauth2/{kind}"))] {
            let url = match header {
                "x-original-url" => format!("{}/{long}", world.public_url),
                _ => format!("/{long}"),
            };
            let host = world.public_url.split_once("://").unwrap().1.to_owned();
            let ask =
                ask.with(header, &url).with("x-forwarded-method", "GET").with("x-forwarded-host", &host);
            fits(&world.send(ask.with("x-forwarded-proto", "http")).await);
        }
    }
    let referer = format!("{}/{long}", world.public_url);
    fits(&world.send(Ask::fetch("/").with("referer", &referer)).await.expect(401));
    // The page after a sign-out is requested once more, as for a short address.
    let out = ada.step(&format!("/oauth2/sign_out?rd=%2F{long}")).await.expect_page(200, &long);
    assert_eq!(out.header("refresh"), Some("0; url=/oauth2/sign_out?rd=%2F"));
}

#[tokio::test]
async fn signing_out_in_another_tab_does_not_look_like_blocked_cookies() {
    for store in [acme, in_memory] {
        let world = World::start(FRONTS[0], store).await;
        let mut ada = world.browser();
        let one = ada.callback_url("ada").await;
        let two = ada.callback_url("ada").await;
        ada.open(&one).await.expect(200);
        ada.open("/oauth2/sign_out").await.expect(200);
        assert_eq!(ada.cookies().len(), 0);
        let page = ada.step(&two).await.expect_page(400, "This sign-in cannot be finished here");
        assert!(!page.text().contains("cookies are blocked"), "{}", page.text());
        assert!(!ada.has_session());
    }
}

#[tokio::test]
async fn a_callback_counts_once_and_survives_a_rotation() {
    for front in FRONTS {
        for store in [acme, in_memory] {
            let world = World::start(front, store).await;
            let other = "6f".repeat(32);
            let mut ada = world.browser();
            let callback = ada.callback_url("ada").await;
            let before = ada.at(&world);
            ada.step(&callback).await.expect(302);
            // The same cookies, as from a copied browser: here, and where nobody saw it.
            before.at(&world).step(&callback).await.expect_page(400, "already finished");
            let rotated = world.replica_with(store, &[&other, SECRET]).await;
            let mut copy = before.at(&rotated);
            let answer = copy.step(&callback).await;
            assert!(!answer.status.is_redirection() && !copy.has_session(), "{answer:?}");
            let without = world.replica_with(store, &[&other]).await;
            before.at(&without).step(&callback).await.expect(400);
            let mut ben = world.browser();
            let callback = ben.callback_url("ben").await;
            let mut ben = ben.at(&rotated);
            ben.step(&callback).await.expect(302);
            assert!(ben.has_session());
        }
    }
}

#[tokio::test]
async fn a_cookie_without_the_prefix_binds_nothing() {
    let world = World::at(FRONTS[2], "https://app.example.com", acme).await;
    let mut mallory = world.browser();
    let trap = mallory.callback_url("ben").await;
    let name = mallory.pending()[0].to_owned();
    let secret = mallory.cookie(&name).unwrap().to_owned();
    let bare = name.strip_prefix("__Host-").unwrap();
    // As a sibling host, or a page over http, can set it.
    for planted in [bare, &name.to_ascii_uppercase(), &name.to_ascii_lowercase()] {
        let mut ada = world.browser();
        ada.set_cookie(planted, &secret);
        let start = ada.step("/").await.expect(302);
        assert!(!start.cookies().iter().any(|line| line.contains(&secret)), "{start:?}");
        ada.step(&trap).await.expect(400);
    }
    assert_eq!(world.calls(Endpoint::Token), 0);
}

#[tokio::test]
async fn a_malformed_binding_is_replaced() {
    let world = World::start(FRONTS[2], acme).await;
    for (name, value) in [
        ("huggate-pending-abcd", ""),
        ("huggate-pending-abcd", "short"),
        ("huggate-pending-abcd", "AAAAAAAAAAAAAAAAAAAAA;"),
        ("huggate-pending-abcd", "AAAAAAAAAAAAAAAAAAAA,x"),
        ("huggate-pending-", "AAAAAAAAAAAAAAAAAAAAAA"),
        ("huggate-pending-abcde", "AAAAAAAAAAAAAAAAAAAAAA"),
        ("huggate-pending-ab.d", "AAAAAAAAAAAAAAAAAAAAAA"),
        ("huggate-pending-ab\u{e9}", "AAAAAAAAAAAAAAAAAAAAAA"),
    ] {
        let start = world.send(Ask::navigation("/").with("cookie", &format!("{name}={value}"))).await;
        let line = start.cookie("huggate-pending-").unwrap();
        assert!(!line.contains("AAAAAAAAAAAAAAAAAAAA") && !line.starts_with(&format!("{name}=")), "{line}");
    }
    // Several lines, as HTTP/2 has them.
    let mut ada = world.browser();
    let callback = ada.callback_url("ada").await;
    let ask = Ask::navigation(&callback).retarget(
        callback.split_once("/oauth2").map(|(_, rest)| format!("/oauth2{rest}")).as_deref().unwrap(),
    );
    let answer = world.send(ask.with("cookie", "a=b").with("cookie", &ada.cookie_line())).await;
    answer.expect(302);
}

#[tokio::test]
async fn no_cookie_of_a_sign_in_reaches_the_app_or_comes_from_it() {
    for front in FRONTS {
        for (url, start) in [(None, "huggate"), (Some("https://app.example.com"), "__Host-huggate")] {
            let public = |gate: GateBuilder| acme(gate).route(Route::public("/public/**"));
            let world = match url {
                Some(url) => World::at(front, url, public).await,
                None => World::start(front, public).await,
            };
            let mut ada = world.browser();
            ada.callback_url("ada").await;
            for name in ["-attempts", "-1", "-pending-zz", "-8443", "-8443-pending-abcd", "-8443-1"] {
                ada.set_cookie(&format!("{start}{name}"), "secret");
            }
            ada.set_cookie("theme", "dark");
            let echo = ada.fetch("/public/x").await.expect(200).echo();
            assert_eq!(echo.header("cookie"), Some("theme=dark"));
        }
    }
}

#[tokio::test]
async fn the_redirect_to_https_stays_at_home() {
    for front in FRONTS {
        let world = World::at(front, "https://app.example.com", behind_a_proxy).await;
        for (target, host, forwarded) in [
            ("/x", "evil.example", None),
            ("/x", "app.example.com", Some("evil.example")),
            ("/x", "app.example.com.evil.example", None),
            ("/x", "app.example.com:8080", None),
            ("/x", "app.example.com", Some("app.example.com@evil.example")),
            ("/x", "app.example.com", Some("app.example.com, evil.example")),
            ("//evil.example/x", "app.example.com", None),
            ("/\\evil.example/x", "app.example.com", None),
            ("/%09/evil.example/x", "app.example.com", None),
            ("http://evil.example/x", "evil.example", None),
            ("http://evil.example/x", "app.example.com", None),
            ("/@evil.example/x", "app.example.com", None),
        ] {
            let forwarded = forwarded.map(|host| format!("X-Forwarded-Host: {host}\r\n")).unwrap_or_default();
            let answer = raw(
                &world.address,
                format!(
                    "GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n{forwarded}\
                     X-Forwarded-Proto: http\r\nConnection: close\r\n\r\n"
                )
                .as_bytes(),
            )
            .await;
            let location = answer.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .starts_with("location: ")
                    .then(|| line["location: ".len()..].to_owned())
            });
            if let Some(location) = location {
                let location = url::Url::parse(&location).unwrap();
                assert_eq!(
                    location.origin().ascii_serialization(),
                    "https://app.example.com",
                    "{target} {host}"
                );
                assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
            } else {
                assert!(answer.starts_with("HTTP/1.1 400 "), "{target} {host}: {answer}");
            }
            assert!(!answer.to_ascii_lowercase().contains("set-cookie"), "{answer}");
        }
    }
}
