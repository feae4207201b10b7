//! Return addresses of sign-in and sign-out.

use huggate::Rule;
use huggate::oauth2::ReturnHosts;
use url::Url;

use crate::world::{Ask, FRONTS, World};

/// Open redirects in other sign-in systems (seven advisories of oauth2-proxy, four of
/// mod_auth_openidc, gradio CVE-2026-28415).
const ASTRAY: &[&str] = &[
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "/\\/evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/%09/evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/a/..//evil.example",
    "/%2e%2e//evil.example",
    "https://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:\\\\evil.example",
    "http://evil.example",
    "HTTPS://EVIL.EXAMPLE",
    "https://docs.example.com.evil.example",
    "https://docs.example.com@evil.example",
    "https://docs.example.com%40evil.example",
    "https://evil.example%2f@docs.example.com",
    "https://evil.example\\@docs.example.com",
    "https://evil.example#@docs.example.com",
    "https://evil.example?@docs.example.com",
    "https://docs.example.com:80@evil.example",
    "https://evildocs.example.com",
    "https://docs.example.com。evil.example",
    "http://docs.example.com/",
    "https://docs.example.com:8443/",
    "javascript:alert(1)",
    "javascript://docs.example.com/%0aalert(1)",
    "data:text/html,x",
    "blob:https://docs.example.com/x",
    "//127.0.0.1",
    "/oauth2/sign_out",
    "/x/../oauth2/sign_out",
    "/oauth2/start?rd=https://evil.example",
];

fn query(rd: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", rd).finish()
}

/// The targets of a page's links, without the favicon.
fn links(page: &str) -> Vec<String> {
    let links = page.split("<a ").skip(1).filter_map(|rest| rest.split("href=\"").nth(1)?.split('"').next());
    links.map(|link| link.replace("&amp;", "&")).collect()
}

fn hosts() -> ReturnHosts {
    ReturnHosts::parse(["docs.example.com", "*.apps.example.com"]).unwrap()
}

#[tokio::test]
async fn a_sign_in_never_returns_to_another_site() {
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme")).return_hosts(hosts())).await;
        let own = Url::parse(&world.public_url).unwrap();
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        for rd in ASTRAY {
            let start = ada.step(&format!("/oauth2/start?{}", query(rd))).await.expect(302);
            let callback = ada.step(start.location()).await.location().to_owned();
            let end = ada.step(&callback).await.expect(302);
            let target = own.join(end.location()).unwrap();
            assert_eq!(target.origin(), own.origin(), "{rd:?} leads to {target}");
            assert!(!target.path().starts_with("/oauth2"), "{rd:?} leads to {target}");
            assert!(!end.location().starts_with("//"), "{rd:?} leads to {target}");
        }
    }
}

#[tokio::test]
async fn a_sign_out_never_links_to_another_site() {
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme")).return_hosts(hosts())).await;
        let own = Url::parse(&world.public_url).unwrap();
        for rd in ASTRAY {
            for path in ["sign_out", "sign_in"] {
                let page =
                    world.send(Ask::navigation(&format!("/oauth2/{path}?{}", query(rd)))).await.expect(200);
                for link in links(page.text()) {
                    let target = own.join(&link).unwrap();
                    assert_eq!(target.origin(), own.origin(), "{path} {rd:?} offers {target}");
                }
            }
        }
        let page = world.send(Ask::navigation("/oauth2/sign_out?rd=https://docs.example.com/x")).await;
        assert!(page.text().contains("href=\"https://docs.example.com/x\""), "{}", page.text());
    }
}

#[tokio::test]
async fn headers_do_not_set_the_return_address() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        for (name, value) in [
            ("x-auth-request-redirect", "https://evil.example/"),
            ("x-forwarded-uri", "//evil.example/"),
            ("x-forwarded-host", "evil.example"),
            ("x-original-url", "https://evil.example/"),
            ("referer", "https://evil.example/"),
        ] {
            let start = ada.ask(Ask::navigation("/oauth2/start").with(name, value)).await.expect(302);
            assert!(!start.location().contains("evil"), "{name}: {}", start.location());
            let callback = ada.step(start.location()).await.location().to_owned();
            assert_eq!(ada.step(&callback).await.expect(302).location(), "/", "{name}");
        }
    }
}

#[tokio::test]
async fn a_listed_host_is_a_valid_return_address() {
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme")).return_hosts(hosts())).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        for rd in ["https://docs.example.com/x?y=1#z", "https://a.b.apps.example.com/"] {
            let start = ada.step(&format!("/oauth2/start?{}", query(rd))).await.expect(302);
            let callback = ada.step(start.location()).await.location().to_owned();
            assert_eq!(ada.step(&callback).await.expect(302).location(), rd);
        }
    }
}

#[tokio::test]
async fn an_overlong_return_address_is_dropped() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        for length in [1_900, 2_049, 10_000, 60_000] {
            let answer = world.send(Ask::navigation(&format!("/{}", "a".repeat(length)))).await.expect(302);
            let cookie = answer.cookie("huggate-pending-").unwrap();
            assert!(cookie.len() < 4_096, "{length}: {}", cookie.len());
        }
    }
}

#[tokio::test]
async fn the_return_address_is_kept_byte_for_byte() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        for target in ["/a%20b?q=%26%3D+x&y=%C3%A9", "/a//b", "/?", "/models/a%2Fb?x=1&x=2"] {
            let mut fresh = world.browser();
            fresh.be_at_hub("ada", &["acme"]);
            let page = fresh.open(target).await.expect(200);
            assert_eq!(page.echo().target(), target);
        }
    }
}
