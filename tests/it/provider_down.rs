//! An unreachable or faulty provider: sign-ins end on a page that says so, and existing
//! sessions are not affected.

use std::time::Duration;

use huggate::gate::BuildError;
use huggate::hub::{Endpoint, Fault};
use huggate::{Gate, Rule};

use crate::world::{Ask, FRONTS, Front, SECRET, World, skip};

/// An edit of the provider's behaviour.
type Change = fn(&mut huggate::hub::Behaviour);

async fn away(front: Front) -> World {
    World::without_provider(front, |gate| gate.allow(Rule::org("acme"))).await
}

#[tokio::test]
async fn the_gate_starts_without_the_provider_and_signs_in_once_it_is_back() {
    for front in FRONTS {
        let mut world = away(front).await;
        let page = world.send(Ask::navigation("/x?y")).await.expect_page(503, "Hugging Face does not answer");
        assert!(page.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
        assert!(page.text().contains("href=\"/x?y\""), "{}", page.text());
        let words = page.text().contains(" could not be reached: the connection was refused.</p>");
        assert!(words && !page.text().contains("os error"), "{}", page.text());
        assert!(page.cookies().is_empty());
        world.send(Ask::navigation("/oauth2/start")).await.expect(503);
        let program = world.send(Ask::get("/oauth2/start")).await.expect(503);
        assert_eq!(program.json()["error"], "temporarily_unavailable");
        assert!(program.header("retry-after").is_some());
        // Endpoints that do not need the provider work: 401 for programs, liveness and
        // readiness.
        world.send(Ask::fetch("/x")).await.expect(401);
        world.send(Ask::navigation("/oauth2/sign_in")).await.expect(200);
        world.send(Ask::get("/oauth2/healthz")).await.expect(200);
        assert_eq!(
            world.send(Ask::get("/oauth2/readyz")).await.expect(200).json()["provider"],
            "unreachable"
        );
        world.jwks().await;
        world.bring_provider_back().await;
        skip(Duration::from_secs(3)).await;
        world.signed_in("ada").await;
        assert_eq!(world.send(Ask::get("/oauth2/readyz")).await.expect(200).json()["provider"], "reachable");
    }
}

#[tokio::test]
async fn existing_sessions_survive_an_unreachable_provider() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        world.hub.stop().await;
        for _ in 0..7 {
            world.advance(600);
            ada.fetch("/").await.expect(200);
            ada.fetch("/oauth2/userinfo").await.expect(200);
        }
        ada.open("/oauth2/sign_out").await.expect(200);
        ada.fetch("/").await.expect(401);
    }
}

#[tokio::test]
async fn concurrent_sign_ins_share_one_metadata_request() {
    for front in FRONTS {
        let mut world = away(front).await;
        world.bring_provider_back().await;
        world.behave(|hub| hub.fail(Endpoint::Discovery, Fault::Status(500)));
        skip(Duration::from_secs(3)).await;
        for _ in 0..10 {
            world.send(Ask::navigation("/")).await.expect(503);
        }
        assert_eq!(world.calls(Endpoint::Discovery), 1);
        let together = (0..10).map(|_| world.send(Ask::navigation("/")));
        skip(Duration::from_secs(3)).await;
        futures_util::future::join_all(together).await;
        assert_eq!(world.calls(Endpoint::Discovery), 2);
    }
}

#[tokio::test]
async fn untrustworthy_metadata_fails_the_start() {
    // Attack: the issuer in the metadata differs from the configured one.
    let build = async |change: Change| {
        let world = World::of_acme(FRONTS[0]).await;
        world.behave(change);
        let gate =
            Gate::builder().public_url("https://a.example").issuer(world.hub.issuer()).client("id", "s");
        gate.secret(SECRET).allow_anyone().build().await
    };
    let changes: [(Change, &str); 5] = [
        (|hub| hub.discovery_issuer = Some("https://evil.example".into()), "names the issuer"),
        (
            |hub| {
                hub.edit_discovery = Some(huggate::hub::Edit::new(|document| {
                    document.insert("token_endpoint".into(), "http://evil.example/token".into());
                }));
            },
            "not https",
        ),
        (
            |hub| {
                hub.edit_discovery =
                    Some(huggate::hub::Edit::new(|document| drop(document.remove("jwks_uri"))));
            },
            "not the expected JSON",
        ),
        (|hub| hub.fail(Endpoint::Discovery, Fault::NotJson), "not the expected JSON"),
        (|hub| hub.fail(Endpoint::Discovery, Fault::Redirect("https://evil.example/".into())), "302"),
    ];
    for (change, words) in changes {
        match build(change).await {
            Err(BuildError::Provider(reason)) => assert!(reason.to_string().contains(words), "{reason}"),
            other => panic!("{words}: {other:?}"),
        }
    }
    assert!(build(|_| {}).await.is_ok());
}

#[tokio::test]
async fn faulty_responses_end_on_a_page_that_names_the_fault() {
    let exchanges = [Endpoint::Token, Endpoint::Userinfo, Endpoint::Jwks];
    let html = "<!doctype html><script>alert(1)</script>";
    let answer = |status, body: &str| Fault::Answer {
        status,
        content_type: "application/json".to_owned(),
        body: body.to_owned(),
    };
    for (fault, status, words) in [
        (Fault::Status(500), 503, "500"),
        (Fault::Status(503), 503, "503"),
        (Fault::Status(429), 503, "429"),
        (Fault::Status(404), 502, "404"),
        (Fault::Status(204), 502, "204"),
        (Fault::Reset, 503, "could not be reached"),
        (Fault::Truncated, 503, "could not be reached"),
        (Fault::NotJson, 502, "not the expected JSON"),
        (Fault::Huge(64 << 20), 502, "more than"),
        (Fault::Redirect("http://127.0.0.1:1/elsewhere".to_owned()), 502, "302"),
        (answer(200, ""), 502, "not the expected JSON"),
        (answer(200, "null"), 502, "not the expected JSON"),
        (answer(200, "[]"), 502, "not the expected JSON"),
        (answer(200, html), 502, "not the expected JSON"),
        (answer(200, &"[".repeat(100_000)), 502, "not the expected JSON"),
        (answer(200, "\u{feff}{}"), 502, "not the expected JSON"),
    ] {
        for endpoint in exchanges {
            let world = World::of_acme(FRONTS[0]).await;
            let what = format!("{endpoint:?}: {fault:?}").chars().take(120).collect::<String>();
            world.behave(|hub| hub.fail(endpoint, fault.clone()));
            let mut ada = world.browser();
            let page = ada.sign_in("ada").await;
            assert!(!ada.has_session(), "{what} signs somebody in");
            let expected = match (&fault, endpoint) {
                // A 4xx response of the token endpoint without an error document.
                (Fault::Status(404), Endpoint::Token) => "the provider rejected",
                _ => words,
            };
            assert_eq!(page.status, status, "{what}: {}", page.text());
            assert!(page.text().contains(expected), "{what}: {expected:?} is not in {}", page.text());
            assert!(!page.text().contains("alert(1)"), "{what}");
            assert_eq!(world.app.calls(), 0, "{what}");
            // Without the fault, the next sign-in succeeds.
            world.behave(|hub| hub.clear_faults(endpoint));
            skip(Duration::from_secs(11)).await;
            ada.open("/").await.expect(200);
        }
    }
}

#[tokio::test]
async fn an_oauth_error_is_shown_and_escaped() {
    for (status, error, shown) in
        [(400, "invalid_grant", 400), (401, "invalid_client", 502), (400, "unauthorized_client", 502)]
    {
        let world = World::of_acme(FRONTS[0]).await;
        let body = format!(r#"{{"error":"{error}","error_description":"<b>{}</b>"}}"#, "x".repeat(5_000));
        let fault = Fault::Answer { status, content_type: "application/json".to_owned(), body };
        world.behave(|hub| hub.fail(Endpoint::Token, fault));
        let page = world.browser().sign_in("ada").await.expect_page(shown, error);
        assert!(!page.text().contains("<b>x") && page.text().contains("&lt;b&gt;x"));
        assert!(page.text().len() < 12_000, "{}", page.text().len());
    }
}

#[tokio::test]
async fn a_slow_provider_is_awaited_and_a_silent_one_times_out() {
    let world = World::of_acme(FRONTS[0]).await;
    world.behave(|hub| hub.fail(Endpoint::Token, Fault::Slow(Duration::from_millis(300))));
    world.signed_in("ada").await;
    for endpoint in [Endpoint::Token, Endpoint::Userinfo] {
        let world = World::of_acme(FRONTS[0]).await;
        world.behave(|hub| hub.fail(endpoint, Fault::Hang));
        let mut ada = world.browser();
        let callback = ada.callback_url("ada").await;
        let (page, ()) = tokio::join!(ada.step(&callback), async {
            while world.calls(endpoint) == 0 {
                tokio::task::yield_now().await;
            }
            skip(Duration::from_secs(11)).await;
        });
        page.expect_page(503, "did not answer within 10 seconds");
        assert!(!ada.has_session());
    }
}

#[tokio::test]
async fn redirects_of_the_provider_are_not_followed() {
    // Code, secret and token must not be sent to the redirect's target.
    let world = World::of_acme(FRONTS[0]).await;
    let other = World::of_acme(FRONTS[0]).await;
    // In the order of the requests, because the JWKS is cached.
    for endpoint in [Endpoint::Token, Endpoint::Jwks, Endpoint::Userinfo] {
        let elsewhere = format!("{}/oauth/token", other.hub.issuer());
        world.behave(|hub| hub.fail(endpoint, Fault::Redirect(elsewhere)));
        world.browser().sign_in("ada").await.expect(502);
        world.behave(|hub| hub.clear_faults(endpoint));
        skip(Duration::from_secs(11)).await;
    }
    assert_eq!(other.calls(Endpoint::Token), 0);
}
