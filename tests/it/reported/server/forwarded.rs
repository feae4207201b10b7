//! `Forwarded` (RFC 7239) of a trusted proxy.

use huggate::{Route, Rule, TrustedProxies};

use crate::world::{Ask, Echo, FRONTS, World};

/// The request that the app gets from a peer that is a trusted proxy, or is not.
async fn echoes(trusted: &[&str], headers: &[(&str, &str)]) -> Vec<Echo> {
    let mut echoes = Vec::new();
    for front in FRONTS {
        let trusted = TrustedProxies::parse(trusted.iter().copied()).unwrap();
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(Route::public("/public/**")).trusted_proxies(trusted)
        })
        .await;
        let ask = headers.iter().fold(Ask::get("/public/x"), |ask, (name, value)| ask.with(name, value));
        echoes.push(world.send(ask).await.expect(200).echo());
    }
    echoes
}

const PROXIES: &[&str] = &["127.0.0.0/8", "10.0.0.0/8"];

#[tokio::test]
async fn the_address_in_forwarded_reaches_the_app_in_x_forwarded_for() {
    for (forwarded, chain) in [
        ("for=203.0.113.7;proto=https", "203.0.113.7, 127.0.0.1"),
        ("FOR=\"203.0.113.7:4711\"", "203.0.113.7, 127.0.0.1"),
        ("for=\"[2001:db8::1]:4711\"", "2001:db8::1, 127.0.0.1"),
        ("for=\"[2001:db8::1]\"", "2001:db8::1, 127.0.0.1"),
        ("for=198.51.100.1, for=203.0.113.7, for=10.0.0.2", "198.51.100.1, 203.0.113.7, 10.0.0.2, 127.0.0.1"),
        // To the left of an unknown hop nothing can be counted.
        ("for=198.51.100.1, for=_hidden, for=10.0.0.2", "10.0.0.2, 127.0.0.1"),
        ("for=198.51.100.1, for=unknown", "127.0.0.1"),
        ("proto=https", "127.0.0.1"),
    ] {
        for echo in echoes(PROXIES, &[("forwarded", forwarded)]).await {
            assert_eq!(echo.header("x-forwarded-for"), Some(chain), "{forwarded}");
            assert_eq!(echo.header("forwarded"), None, "{forwarded}");
        }
    }
}

#[tokio::test]
async fn repeated_lines_of_forwarded_are_one_list() {
    let lines =
        [("forwarded", "for=198.51.100.1"), ("forwarded", "for=203.0.113.7;proto=https, for=10.0.0.2")];
    for echo in echoes(PROXIES, &lines).await {
        assert_eq!(echo.header("x-forwarded-for"), Some("198.51.100.1, 203.0.113.7, 10.0.0.2, 127.0.0.1"));
        assert_eq!(echo.header("x-forwarded-proto"), Some("https"), "as the outermost trusted proxy saw it");
    }
}

#[tokio::test]
async fn x_forwarded_for_decides_where_forwarded_says_otherwise() {
    let both =
        [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=198.51.100.1;proto=https;host=evil.example")];
    for echo in echoes(PROXIES, &both).await {
        assert_eq!(echo.header("x-forwarded-for"), Some("203.0.113.7, 127.0.0.1"));
        assert_ne!(echo.header("x-forwarded-proto"), Some("https"));
        assert_ne!(echo.header("x-forwarded-host"), Some("evil.example"));
    }
}

#[tokio::test]
async fn forwarded_of_an_untrusted_peer_says_nothing() {
    for echo in echoes(&[], &[("forwarded", "for=203.0.113.7;proto=https;host=evil.example")]).await {
        assert_eq!(echo.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_ne!(echo.header("x-forwarded-proto"), Some("https"));
    }
}

#[tokio::test]
async fn quotes_in_forwarded_hold_commas_and_semicolons() {
    for forwarded in [
        "for=203.0.113.7;proto=https;by=\"y;proto=http\"",
        "for=203.0.113.7;proto=\"https\";by=\"y,for=198.51.100.1;proto=http\"",
        "for=203.0.113.7;by=\"\\\",for=198.51.100.1\";proto=https",
    ] {
        for echo in echoes(PROXIES, &[("forwarded", forwarded)]).await {
            assert_eq!(echo.header("x-forwarded-for"), Some("203.0.113.7, 127.0.0.1"), "{forwarded}");
            assert_eq!(echo.header("x-forwarded-proto"), Some("https"), "{forwarded}");
        }
    }
}

#[tokio::test]
async fn a_quote_that_a_client_leaves_open_claims_nothing() {
    // A proxy appended its element to what the client had sent.
    for forwarded in [
        "for=\"198.51.100.1, for=203.0.113.7;proto=http",
        "for=198.51.100.1;proto=https, for=\", for=203.0.113.7;proto=http;by=\"x\"",
        "for=198.51.100.1;proto=https;by=\", for=\"[2001:db8::1]\"",
    ] {
        for echo in echoes(PROXIES, &[("forwarded", forwarded)]).await {
            assert_eq!(echo.header("x-forwarded-for"), Some("127.0.0.1"), "{forwarded}");
            assert_ne!(echo.header("x-forwarded-proto"), Some("https"), "{forwarded}");
        }
    }
}

#[tokio::test]
async fn a_line_that_is_not_ascii_does_not_uncover_the_lines_before_it() {
    let lines = [("forwarded", "for=198.51.100.1"), ("forwarded", "by=\u{e9}\", for=203.0.113.7")];
    for echo in echoes(PROXIES, &lines).await {
        assert_eq!(echo.header("x-forwarded-for"), Some("127.0.0.1"));
    }
}
