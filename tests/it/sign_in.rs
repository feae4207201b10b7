//! The complete sign-in: from a page of the app to the provider and back.

use huggate::hub::{Client, Endpoint};
use huggate::identity::HeaderSettings;
use huggate::{Route, Rule};

use crate::world::{Ask, CLIENT, CLIENT_SECRET, FRONTS, JWT, Log, World, parameter};

#[tokio::test]
async fn a_navigation_ends_signed_in_on_the_same_page() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let page = ada.open("/reports/42?tab=2&x=%2Fy").await.expect(200);
        assert_eq!(page.echo().target(), "/reports/42?tab=2&x=%2Fy");
        assert_eq!(page.echo().username(), Some("ada"));
        assert_eq!(world.app.calls(), 1, "the app received a request before the sign-in");
        // The pending cookie is gone, and the session cookie is set.
        assert_eq!(ada.pending(), [""; 0]);
        assert!(ada.has_session());
        assert_eq!(ada.open("/next").await.expect(200).echo().username(), Some("ada"));
        assert_eq!(world.calls(Endpoint::Token), 1);
    }
}

#[tokio::test]
async fn the_authorization_request_has_state_nonce_and_pkce_and_nothing_of_the_app() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut browser = world.browser();
        let answer = browser.step("/secret?token=of-the-app").await.expect(302);
        // Attack: the protected body sent with the redirect.
        assert!(answer.body.is_empty());
        assert_eq!(world.app.calls(), 0);
        let location = answer.location();
        assert!(location.starts_with(&format!("{}/oauth/authorize?", world.hub.issuer())), "{location}");
        assert!(!location.contains("of-the-app"), "{location}");
        for (name, value) in [
            ("client_id", CLIENT),
            ("response_type", "code"),
            ("scope", "openid profile read-memberships"),
            ("code_challenge_method", "S256"),
            ("redirect_uri", &format!("{}/oauth2/callback", world.public_url)),
        ] {
            assert_eq!(parameter(location, name).as_deref(), Some(value), "{location}");
        }
        // Attack: omitted PKCE or nonce.
        assert_eq!(parameter(location, "code_challenge").unwrap().len(), 43);
        assert!(parameter(location, "nonce").unwrap().len() >= 22);
        assert!(parameter(location, "state").unwrap().len() >= 32);
        assert_eq!(answer.cookies().len(), 1);
        let cookie = answer.cookie("huggate-pending-").unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Lax; Path=/; Max-Age=600"), "{cookie}");
        // No value is used twice.
        let again = browser.step("/secret").await.expect(302);
        for name in ["state", "nonce", "code_challenge"] {
            assert_ne!(parameter(location, name), parameter(again.location(), name), "{name}");
        }
    }
}

#[tokio::test]
async fn the_default_scope_is_what_the_rules_need() {
    for (rule, scope) in [
        (Rule::user("ada"), "openid profile"),
        (Rule::email("ada@example.org"), "openid profile email"),
        (Rule::org("acme").and(Rule::email_domain("example.org")), "openid profile email read-memberships"),
    ] {
        let world = World::start(FRONTS[0], |gate| gate.allow(rule)).await;
        let answer = world.send(Ask::navigation("/")).await.expect(302);
        assert_eq!(parameter(answer.location(), "scope").as_deref(), Some(scope));
    }
}

#[tokio::test]
async fn start_begins_a_sign_in_and_returns_to_rd() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let page = ada.open("/oauth2/start?rd=%2Fdeep%3Fa%3Db%23part").await.expect(200);
        assert_eq!(page.echo().target(), "/deep?a=b");
        // The fragment is kept, too.
        assert_eq!(ada.url.fragment(), Some("part"));
        assert_eq!(ada.open("/oauth2/start").await.expect(200).echo().target(), "/");
    }
}

#[tokio::test]
async fn start_can_request_an_organisation_and_nothing_else() {
    let world = World::start(FRONTS[0], |gate| {
        gate.allow(Rule::org("acme")).ask_for_orgs(["65a000000000000000000001".to_owned()])
    })
    .await;
    for (query, orgs) in [
        ("", "65a000000000000000000001"),
        ("?org=65a000000000000000000002", "65a000000000000000000001,65a000000000000000000002"),
        ("?org=65a000000000000000000001", "65a000000000000000000001"),
        ("?org=x%26redirect_uri%3Dhttps%3A%2F%2Fevil.example", "65a000000000000000000001"),
    ] {
        let answer = world.send(Ask::navigation(&format!("/oauth2/start{query}"))).await.expect(302);
        assert_eq!(parameter(answer.location(), "orgIds").as_deref(), Some(orgs), "{query}");
        assert_eq!(answer.location().matches("redirect_uri").count(), 1);
    }
}

#[tokio::test]
async fn the_sign_in_page_links_to_start() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let page = world.send(Ask::navigation("/oauth2/sign_in?rd=/reports")).await;
        let page = page.expect_page(200, "Sign in with Hugging Face");
        assert!(page.text().contains("href=\"/oauth2/start?rd=%2Freports\""), "{}", page.text());
        assert!(page.cookies().is_empty(), "the sign-in page must not start a sign-in");
        let evil = world.send(Ask::navigation("/oauth2/sign_in?rd=https://evil.example/%22%3E%3Cb%3E")).await;
        assert!(!evil.text().contains("evil"), "{}", evil.text());
    }
}

#[tokio::test]
async fn userinfo_needs_a_session_and_contains_no_token() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let nobody = world.send(Ask::get("/oauth2/userinfo")).await.expect(401);
        assert_eq!(nobody.json()["error"], "login_required");
        let mut ada = world.signed_in("ada").await;
        let me = ada.fetch("/oauth2/userinfo").await.expect(200);
        let told = me.json();
        assert_eq!(told["preferred_username"], "ada");
        assert_eq!(told["name"], "Ada Example");
        assert_eq!(told["groups"], serde_json::json!(["acme", "acme:admin"]));
        assert_eq!(told["auth_method"], "session");
        let names: Vec<&String> = told.as_object().unwrap().keys().collect();
        assert!(!names.iter().any(|name| name.contains("token")), "{names:?}");
    }
}

#[tokio::test]
async fn our_endpoints_accept_get_and_unknown_paths_are_404() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        for name in ["start", "callback", "sign_in", "userinfo", "jwks.json", "healthz", "readyz"] {
            let answer = world.send(Ask::new("POST", &format!("/oauth2/{name}"))).await.expect(405);
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{name}");
            assert!(answer.cookies().is_empty());
        }
        assert_eq!(
            world.send(Ask::new("PUT", "/oauth2/sign_out")).await.expect(405).header("allow"),
            Some("GET, HEAD, POST")
        );
        for path in
            ["/oauth2", "/oauth2/", "/oauth2/nothing", "/oauth2/start/", "/oauth2/../x", "/oauth2/auth2"]
        {
            world.send(Ask::get(path)).await.expect(404);
        }
        world.send(Ask::navigation("/oauth2/x")).await.expect_page(404, "Page not found");
        assert_eq!(world.app.calls(), 0);
    }
}

#[tokio::test]
async fn health_and_readiness_are_public_until_the_drain() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        world.send(Ask::get("/oauth2/healthz")).await.expect(200);
        let ready = world.send(Ask::get("/oauth2/readyz")).await.expect(200);
        assert_eq!(ready.json(), serde_json::json!({"ready": true, "provider": "reachable"}));
        world.gate.drain();
        assert_eq!(world.send(Ask::get("/oauth2/readyz")).await.expect(503).json()["ready"], false);
        world.send(Ask::get("/oauth2/healthz")).await.expect(200);
    }
}

#[tokio::test]
async fn another_prefix_moves_every_endpoint() {
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme")).prefix("/auth")).await;
        let mut ada = world.browser();
        assert_eq!(ada.sign_in("ada").await.expect(200).echo().username(), Some("ada"));
        world.send(Ask::get("/auth/healthz")).await.expect(200);
        // The default prefix belongs to the app now.
        world.send(Ask::get("/oauth2/healthz")).await.expect(401);
    }
}

#[tokio::test]
async fn a_public_client_signs_in_with_pkce_alone() {
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme")).public_client("page")).await;
        let callback = format!("{}/oauth2/callback", world.public_url);
        world.hub.register(Client::public("page", "A page", &[&callback]));
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        world.hub.consent("ada", "page", &["acme"]);
        assert_eq!(ada.open("/").await.expect(200).echo().username(), Some("ada"));
        let asked = world.hub.last_request(Endpoint::Token).unwrap();
        assert!(!asked.headers().contains_key("authorization"));
    }
}

#[tokio::test]
async fn client_authentication_follows_the_metadata() {
    for (methods, basic) in [
        (None, true),
        (Some(vec!["client_secret_post"]), false),
        (Some(vec!["client_secret_post", "client_secret_basic"]), true),
    ] {
        let mut world = World::without_provider(FRONTS[0], |gate| gate.allow(Rule::org("acme"))).await;
        world.bring_provider_back().await;
        let announced = methods.map(|list| list.into_iter().map(str::to_owned).collect());
        world.behave(|hub| hub.token_auth_methods = announced);
        crate::world::skip(std::time::Duration::from_secs(3)).await;
        world.signed_in("ada").await;
        let asked = world.hub.last_request(Endpoint::Token).unwrap();
        assert_eq!(asked.headers().contains_key("authorization"), basic);
    }
}

#[tokio::test]
async fn each_host_has_its_own_callback() {
    let host = "docs.example.com";
    for front in FRONTS {
        let world = World::at(front, "https://app.example.com", |gate| {
            let mut docs = Route::path("/**");
            docs.host = Some(host.to_owned());
            gate.allow(Rule::org("acme")).route(docs)
        })
        .await;
        let answer = world.send(Ask::navigation("/x").with("host", host)).await.expect(302);
        let callback = parameter(answer.location(), "redirect_uri").unwrap();
        assert_eq!(callback, "https://docs.example.com/oauth2/callback");
        // An unknown host is not used for the callback.
        let answer = world.send(Ask::navigation("/x").with("host", "evil.example")).await.expect(302);
        let callback = parameter(answer.location(), "redirect_uri").unwrap();
        assert_eq!(callback, "https://app.example.com/oauth2/callback");
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let page = ada.open("https://docs.example.com/deep").await.expect(200);
        assert_eq!(page.echo().target(), "/deep");
        assert_eq!(ada.url.host_str(), Some(host));
    }
}

#[tokio::test]
async fn secrets_and_tokens_are_never_logged() {
    // Attack: tokens in logs and `Debug` output. `World::send` checks every page.
    let log = Log::start();
    let world = World::start(FRONTS[0], |gate| {
        let headers = HeaderSettings::default().access_token(true);
        gate.allow(Rule::org("acme")).headers(headers)
    })
    .await;
    let mut ada = world.browser();
    let callback = ada.callback_url("ada").await;
    ada.open(&callback).await.expect(200);
    let session = ada.session().unwrap();
    ada.open("/oauth2/sign_out").await.expect(200);
    ada.open(&callback).await.expect(400);
    let mut dan = world.browser();
    dan.sign_in("dan").await.expect(403);
    let text = format!("{} {:?}", log.text(), world.gate);
    assert!(text.contains("signed in"), "no log lines were captured");
    let (code, state) = (parameter(&callback, "code").unwrap(), parameter(&callback, "state").unwrap());
    for secret in
        [session.as_str(), &code, &state, "hf_oauth_", JWT[0], JWT[1], CLIENT_SECRET, crate::world::SECRET]
    {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
}
