//! Sign-in and return behind another proxy.

use huggate::oauth2::ReturnHosts;
use huggate::{Route, Rule};

use super::{CONTRACTS, Contract, local, world};
use crate::world::{Ask, FRONTS, Front, World, parameter};

/// The contracts that pass a redirect on.
const PASSING_ON: [Contract; 2] = [Contract::Forward, Contract::Envoy];

#[tokio::test]
async fn a_sign_in_returns_to_the_original_page_with_its_query() {
    // Attack: the deep link lost during the sign-in (oauth2-proxy #695).
    for front in FRONTS {
        let world = world(front).await;
        for contract in PASSING_ON {
            for target in ["/reports/42?tab=2&x=%2Fy", "/a%20b?q=%26", "/", "/models/a%2Fb?x=1&x=2"] {
                let mut ada = world.browser();
                ada.be_at_hub("ada", &["acme"]);
                let ask = contract.about(Ask::navigation(target), &world.address);
                let start = ada.ask(ask.clone()).await.expect(302);
                let back = ada.step(start.location()).await.expect(303);
                let end = ada.step(back.location()).await.expect(302);
                assert_eq!(end.location(), target);
                ada.ask(ask).await.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_can_set_the_return_address() {
    for trusted in [true, false] {
        for front in [Front::Layer, Front::Proxy] {
            let world = World::start(front, |gate| {
                let hosts = ReturnHosts::parse(["docs.example.com"]).unwrap();
                let gate = gate.allow(Rule::org("acme")).return_hosts(hosts);
                if trusted { gate.trusted_proxies(local()) } else { gate }
            })
            .await;
            let own = format!("{}/a?b=c", world.public_url);
            let behind_tls = own.replace("http:", "https:");
            let double = format!("{}//evil.example", world.public_url);
            for (redirect, end) in [
                ("/a?b=c", "/a?b=c"),
                (&own, "/a?b=c"),
                (&behind_tls, "/a?b=c"),
                ("https://docs.example.com/x?y", "https://docs.example.com/x?y"),
                ("https://evil.example/", "/"),
                ("//evil.example/", "/"),
                ("/\\evil.example/", "/"),
                (&double, "/"),
                ("javascript:alert(1)", "/"),
                ("http://docs.example.com/", "/"),
                ("https://docs.example.com@evil.example/", "/"),
                ("/oauth2/sign_in?rd=/x", "/"),
                ("", "/"),
            ] {
                let end = if trusted { end } else { "/" };
                let mut asks = vec![Ask::navigation("/oauth2/start")];
                if trusted {
                    asks.extend(
                        PASSING_ON
                            .map(|contract| contract.about(Ask::navigation("/elsewhere"), &world.address)),
                    );
                }
                for ask in asks {
                    let mut ada = world.browser();
                    ada.be_at_hub("ada", &["acme"]);
                    let start = ada.ask(ask.with("x-auth-request-redirect", redirect)).await.expect(302);
                    let back = ada.step(start.location()).await.location().to_owned();
                    assert_eq!(ada.step(&back).await.expect(302).location(), end, "{redirect}");
                }
                let page = Ask::navigation("/oauth2/sign_in").with("x-auth-request-redirect", redirect);
                let page = world.send(page).await.expect(200);
                let rd = url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", end).finish();
                assert!(page.text().contains(&format!("start?{rd}\"")), "{redirect}: {}", page.text());
            }
            // The link's own parameter takes precedence; a repeated header is ignored.
            let ask = Ask::navigation("/oauth2/sign_in?rd=/link").with("x-auth-request-redirect", "/proxy");
            assert!(world.send(ask).await.text().contains("start?rd=%2Flink\""));
            let ask = Ask::navigation("/oauth2/sign_in").with("x-auth-request-redirect", "/a");
            let page = world.send(ask.with("x-auth-request-redirect", "/b")).await;
            assert!(page.text().contains("start?rd=%2F\""), "{}", page.text());
        }
    }
}

#[tokio::test]
async fn people_sign_in_at_the_host_of_a_route() {
    for front in FRONTS {
        let world = World::at(front, "https://app.example.com", |gate| {
            gate.allow(Rule::org("acme")).route(Route::host("docs.example.com")).trusted_proxies(local())
        })
        .await;
        for contract in PASSING_ON {
            for (host, origin) in [
                ("docs.example.com", "https://docs.example.com"),
                ("DOCS.example.com", "https://docs.example.com"),
                ("app.example.com", "https://app.example.com"),
            ] {
                let answer = world.send(contract.about(Ask::navigation("/x?y"), host)).await.expect(302);
                let callback = parameter(answer.location(), "redirect_uri").unwrap();
                assert_eq!(callback, format!("{origin}/oauth2/callback"));
                assert!(answer.cookie("__Host-huggate-pending-").is_some());
            }
        }
        // nginx redirects people itself and specifies the complete return address.
        let ask = Ask::navigation("/oauth2/start").with("host", "docs.example.com");
        let answer = world.send(ask.with("x-auth-request-redirect", "https://docs.example.com/x?y")).await;
        let callback = parameter(answer.expect(302).location(), "redirect_uri").unwrap();
        assert_eq!(callback, "https://docs.example.com/oauth2/callback");
    }
}

#[tokio::test]
async fn a_host_where_nobody_can_sign_in_is_reported() {
    // A redirect would loop: the cookies of the gate's hosts are not sent there.
    for front in FRONTS {
        let world = World::at(front, "https://app.example.com", |gate| {
            gate.allow(Rule::org("acme"))
                .route(Route::host("docs.example.com"))
                .return_hosts(ReturnHosts::parse(["*.example.com", "app.example.com:8443"]).unwrap())
                .trusted_proxies(local())
        })
        .await;
        for host in ["other.example.com", "app.example.com.evil.example", "10.0.0.1"] {
            for contract in CONTRACTS {
                let answer = world.send(contract.about(Ask::navigation("/x"), host)).await;
                if contract == Contract::Nginx {
                    answer.expect(401);
                } else {
                    answer.expect_page(400, "Nobody can sign in at");
                }
                world.send(contract.about(Ask::fetch("/x"), host)).await.expect(401);
            }
        }
        // Another port of the same host name shares its cookies, and is a valid return
        // address if it is listed.
        for (host, end) in
            [("app.example.com:8443", "https://app.example.com:8443/x?y"), ("app.example.com:8444", "/")]
        {
            let mut ada = world.browser();
            ada.be_at_hub("ada", &["acme"]);
            let start = ada.ask(Contract::Forward.about(Ask::navigation("/x?y"), host)).await.expect(302);
            let callback = parameter(start.location(), "redirect_uri").unwrap();
            assert_eq!(callback, "https://app.example.com/oauth2/callback");
            let back = ada.step(start.location()).await.location().to_owned();
            assert_eq!(ada.step(&back).await.expect(302).location(), end);
        }
    }
}

#[tokio::test]
async fn a_sign_in_without_a_session_afterwards_ends_on_a_page() {
    // Attack: redirect loops (Vouch, seven issues).
    let world = world(Front::Proxy).await;
    for contract in PASSING_ON {
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let ask = contract.about(Ask::navigation("/x"), &world.address);
        for _ in 0..2 {
            let start = ada.ask(ask.clone()).await.expect(302);
            let back = ada.step(start.location()).await.location().to_owned();
            ada.step(&back).await.expect(302);
            ada.forget_cookie("huggate");
        }
        ada.ask(ask).await.expect_page(400, "does not stick");
    }
}
