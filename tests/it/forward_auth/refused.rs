//! Refusals as each proxy and its client see them.

use huggate::hub::Endpoint;
use huggate::{Route, Rule};

use super::{CONTRACTS, Contract, local, path, world};
use crate::world::{Answer, Ask, FRONTS, World};

/// The properties of every refusal under nginx's contract.
fn for_nginx(answer: Answer, status: u16) {
    let answer = answer.expect(status);
    assert!(status == 401 || status == 403);
    assert_eq!(answer.header("location"), None);
    assert!(answer.cookies().is_empty(), "{answer:?}");
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn an_anonymous_request_gets_the_refusal_of_the_contract() {
    for front in FRONTS {
        let world = world(front).await;
        let frame = Ask::navigation("/x").set("sec-fetch-dest", "iframe");
        let form = Ask::navigation("/x").method("POST").with("origin", &world.public_url);
        let prefetch = Ask::navigation("/x").with("sec-purpose", "prefetch;prerender");
        let old_browser = Ask::get("/x").with("accept", "text/html");
        let programs =
            [Ask::get("/x"), Ask::fetch("/x"), Ask::websocket("/x"), prefetch, Ask::new("PUT", "/x")];
        for contract in CONTRACTS {
            let about = |ask: &Ask| contract.about(ask.clone(), &world.address);
            for page in [Ask::navigation("/x"), old_browser.clone()] {
                let answer = world.send(about(&page)).await;
                if contract == Contract::Nginx {
                    for_nginx(answer, 401);
                    continue;
                }
                let answer = answer.expect(302);
                assert!(answer.location().starts_with(&format!("{}/oauth/authorize?", world.hub.issuer())));
                assert!(answer.cookie("huggate-pending-").is_some(), "{answer:?}");
                assert_eq!(answer.text(), "");
            }
            for (ask, words) in [(&frame, "new tab"), (&form, "was not sent")] {
                let answer = world.send(about(ask)).await;
                if contract == Contract::Nginx {
                    for_nginx(answer, 401);
                } else {
                    let answer = answer.expect(401);
                    assert!(answer.text().to_lowercase().contains(words), "{words}: {}", answer.text());
                    assert!(answer.header("www-authenticate").is_some());
                }
            }
            for ask in &programs {
                let answer = world.send(about(ask)).await.expect(401);
                assert_eq!(answer.json()["error"], "login_required", "{ask:?}");
                assert!(answer.json()["sign_in_url"].as_str().unwrap().starts_with(&world.public_url));
                assert!(answer.header("www-authenticate").is_some());
                assert!(answer.cookies().is_empty(), "{answer:?}");
            }
        }
        assert_eq!(world.app.calls(), 0);
    }
}

#[tokio::test]
async fn a_request_without_access_gets_403_and_the_reason() {
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        let mut cleo = world.signed_in("cleo").await;
        for contract in CONTRACTS {
            for (browser, target) in [(&mut ada, "/admin/x"), (&mut cleo, "/x?y=1")] {
                let page = browser.ask(contract.about(Ask::navigation(target), &world.address)).await;
                if contract == Contract::Nginx {
                    for_nginx(page, 403);
                } else {
                    page.expect_page(403, "has no access");
                }
                let program =
                    browser.ask(contract.about(Ask::fetch(target), &world.address)).await.expect(403);
                assert_eq!(program.json()["error"], "access_denied");
            }
        }
        // After a sign-in, the browser returns to the original page.
        let page = cleo.ask(Contract::Forward.about(Ask::navigation("/x?y=1"), &world.address)).await;
        assert!(page.text().contains("rd=%2Fx%3Fy%3D1"), "{}", page.text());
    }
}

#[tokio::test]
async fn invalid_credentials_are_anonymous_and_no_header_grants_access() {
    // Attack: authentik CVE-2026-25748, Envoy CVE-2022-29226, CVE-2026-34457.
    for front in FRONTS {
        let world = world(front).await;
        for contract in CONTRACTS {
            for (name, value) in [
                ("cookie", "huggate=x"),
                ("cookie", "huggate="),
                ("cookie", "huggate"),
                ("cookie", "=;;;=; huggate=5.x; huggate-1=y"),
                ("cookie", "huggate=\"\"; huggate=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                ("authorization", "Bearer x"),
                ("authorization", "Basic eDp5"),
                ("user-agent", "GoogleHC/1.0"),
                ("user-agent", "kube-probe/1.35"),
                ("x-forwarded-user", "ada"),
                ("x-auth-request-user", "ada"),
                ("x-http-method-override", "OPTIONS"),
            ] {
                let ask = contract.about(Ask::get("/x"), &world.address).with(name, value);
                world.send(ask).await.expect(401);
            }
        }
    }
}

#[tokio::test]
async fn an_identity_in_a_spelling_that_is_not_overwritten_is_refused() {
    // Attack: oauth2-proxy CVE-2025-64484, Traefik CVE-2026-88011. The proxy forwards the
    // header to the app, and app servers fold it with the gate's own.
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        for name in [
            "x_forwarded_user",
            "x-forwarded_user",
            "x.forwarded.user",
            "xforwardedemail",
            "x-forwarded-groups-",
            "x_auth_request_user",
            "x-auth-request-access-token",
            "x_huggate_assertion",
            "x-huggate-set-cookie-1",
            "remote_user",
            "x_auth_request_redirect",
        ] {
            for contract in CONTRACTS {
                for target in ["/x", "/public/x"] {
                    let ask = contract.about(Ask::get(target), &world.address).with(name, "mallory");
                    let said = ada.ask(ask).await.expect(contract.refused(400)).json()["error_description"]
                        .to_string();
                    assert!(said.contains(name), "{said}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_cross_origin_websocket_is_refused() {
    // Traefik and nginx do not forward `Upgrade`; the rest of the handshake identifies
    // it.
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        for contract in CONTRACTS {
            for target in ["/ws", "/public/ws"] {
                let whole = Ask::websocket(target);
                let cut = Ask::get(target)
                    .with("sec-websocket-version", "13")
                    .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
                let http2 = Ask::get(target).with("sec-websocket-version", "13");
                for ask in [whole, cut, http2] {
                    for origin in ["https://evil.example", "null"] {
                        let ask = contract.about(ask.clone().with("origin", origin), &world.address);
                        assert_eq!(ada.ask(ask).await.expect(403).json()["error"], "cross_origin");
                    }
                    let own = contract.about(ask.with("origin", &world.public_url), &world.address);
                    ada.ask(own).await.expect(contract.allowed());
                }
            }
        }
    }
}

#[tokio::test]
async fn an_ended_session_grants_no_access() {
    for front in FRONTS {
        let world = world(front).await;
        for contract in CONTRACTS {
            let mut ada = world.signed_in("ada").await;
            let kept = ada.cookie_line();
            let ask = || contract.about(Ask::get("/x"), &world.address).with("cookie", &kept);
            world.send(ask()).await.expect(contract.allowed());
            ada.open("/oauth2/sign_out").await.expect(200);
            world.send(ask()).await.expect(401);
        }
        let mut ada = world.signed_in("ada").await;
        world.advance(13 * 3600);
        for contract in CONTRACTS {
            ada.ask(contract.about(Ask::get("/x"), &world.address)).await.expect(401);
        }
    }
}

#[tokio::test]
async fn only_a_redirect_to_sign_in_needs_the_provider() {
    for front in FRONTS {
        let world = world(front).await;
        let mut ada = world.signed_in("ada").await;
        let replica = world.replica(|gate| super::rules(gate).trusted_proxies(local())).await;
        let calls: Vec<u64> =
            [Endpoint::Token, Endpoint::Userinfo].map(|endpoint| world.calls(endpoint)).into();
        world.hub.stop().await;
        let mut there = ada.at(&replica);
        for contract in CONTRACTS {
            ada.ask(contract.about(Ask::get("/x"), &world.address)).await.expect(contract.allowed());
            there.ask(contract.about(Ask::get("/x"), &replica.address)).await.expect(contract.allowed());
            world
                .send(contract.about(Ask::get("/public/x"), &world.address))
                .await
                .expect(contract.allowed());
        }
        let after: Vec<u64> =
            [Endpoint::Token, Endpoint::Userinfo].map(|endpoint| world.calls(endpoint)).into();
        assert_eq!(calls, after);
        let away = World::without_provider(front, |gate| super::rules(gate).trusted_proxies(local())).await;
        for contract in CONTRACTS {
            let answer = away.send(contract.about(Ask::navigation("/x"), &away.address)).await;
            if contract == Contract::Nginx {
                for_nginx(answer, 401);
            } else {
                answer.expect_page(503, "Hugging Face does not answer");
            }
        }
    }
}

#[tokio::test]
async fn a_name_with_the_prefix_of_an_endpoint_is_not_an_endpoint() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme"))
                .route(Route::host("x.example"))
                .route(path("/a"))
                .trusted_proxies(local())
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        for target in [
            "/oauth2/auth/",
            "/oauth2/authx",
            "/oauth2/auth/nginx",
            "/oauth2/auth/forward/",
            "/oauth2/auth/forwardx",
            "/oauth2/auth/envoyx",
            "/oauth2/AUTH",
        ] {
            ada.ask(Ask::get(target).with("x-original-uri", "/x").with("x-original-method", "GET"))
                .await
                .expect(404);
        }
    }
}
