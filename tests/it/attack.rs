//! Attempts of a skilled attacker.

use http::Method;
use huggate::{Route, Rule, TrustedProxies};

use crate::world::{Ask, FRONTS, World};

fn path(text: &str) -> Route {
    Route::path(text)
}

fn local() -> TrustedProxies {
    TrustedProxies::parse(["127.0.0.0/8"]).unwrap()
}

#[tokio::test]
async fn a_path_override_passed_on_by_a_trusted_proxy_is_removed() {
    // Gunicorn trusts SCRIPT_NAME from 127.0.0.1, which is the gate: /public/admin with
    // SCRIPT_NAME: /public is /admin to the app.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(path("/public/**").without_sign_in()).trusted_proxies(local())
        })
        .await;
        for (name, value) in [
            ("script_name", "/public"),
            ("script-name", "/public"),
            ("x-script-name", "/public"),
            ("path_info", "/admin"),
            ("x-rewrite-url", "/admin"),
            ("x-original-url", "/admin"),
        ] {
            let answer = world.send(Ask::get("/public/admin").with(name, value)).await.expect(200);
            assert_eq!(answer.echo().header(name), None, "{name} gets to the app");
        }
    }
}

#[tokio::test]
async fn forward_auth_refuses_path_override_headers() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).route(path("/public/**").without_sign_in()).trusted_proxies(local())
        })
        .await;
        for (name, value) in
            [("script_name", "/public"), ("path_info", "/admin"), ("x-rewrite-url", "/admin")]
        {
            let ask = Ask::get("/oauth2/auth/forward")
                .with("x-forwarded-method", "GET")
                .with("x-forwarded-proto", "http")
                .with("x-forwarded-host", &world.address)
                .with("x-forwarded-uri", "/public/admin");
            world.send(ask.clone()).await.expect(200);
            let answer = world.send(ask.with(name, value)).await;
            assert_eq!(answer.status, 400, "{name}");
        }
    }
}

#[tokio::test]
async fn a_lower_case_method_does_not_bypass_a_rule_for_the_method() {
    // Django, Flask and Symfony treat `delete` as DELETE.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let mut write = path("/models/**").allow(vec![Rule::user("nobody-at-all")]);
            write.methods = vec![Method::POST, Method::DELETE];
            gate.allow(Rule::org("acme")).route(write).trusted_proxies(local())
        })
        .await;
        let mut ada = world.signed_in("ada").await;
        ada.ask(Ask::new("DELETE", "/models/x")).await.expect(403);
        ada.ask(Ask::new("PUT", "/models/x")).await.expect(200);
        let before = world.app.calls();
        for method in ["delete", "Delete", "post"] {
            let answer = ada.ask(Ask::new(method, "/models/x")).await;
            assert_eq!((answer.status.as_u16(), world.app.calls()), (400, before), "{method}");
            let ask = Ask::get("/oauth2/auth/forward")
                .with("x-forwarded-method", method)
                .with("x-forwarded-proto", "http")
                .with("x-forwarded-host", &world.address)
                .with("x-forwarded-uri", "/models/x");
            assert_eq!(ada.ask(ask).await.status, 400, "{method}");
        }
    }
}

#[tokio::test]
async fn a_page_of_the_app_cannot_read_the_session_from_a_forward_auth_answer() {
    // Without routes, any client may send a request to /oauth2/auth, including a script.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            gate.allow(Rule::org("acme")).scope("openid profile email read-memberships")
        })
        .await;
        let eve = world.hub.users().into_iter().find(|person| person.username == "eve").unwrap();
        let orgs: Vec<&str> = eve.orgs.iter().map(|org| org.slug.as_str()).collect();
        let mut eve = world.browser();
        world.issue_long_tokens();
        eve.sign_in_showing("eve", &orgs).await;
        assert!(eve.cookie("huggate-1").is_some(), "the session is not in chunks");
        world.advance(2 * 3600);
        let answer = eve.ask(Ask::fetch("/oauth2/auth")).await.expect(202);
        for number in 1..=5 {
            let name = format!("x-huggate-set-cookie-{number}");
            assert_eq!(answer.header(&name), None, "a script reads {name}");
        }
    }
}
