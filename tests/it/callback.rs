//! The callback endpoint.

use huggate::Rule;
use huggate::hub::{EditQuery, Endpoint, Iss};

use crate::world::{Ask, FRONTS, Front, World, parameter};

/// The response to a callback with parameters changed by `edit`.
async fn edited(
    front: Front,
    edit: impl Fn(&mut Vec<(String, String)>) + Send + Sync + 'static,
) -> (World, crate::world::Answer) {
    let world = World::of_acme(front).await;
    world.behave(|hub| hub.edit_callback = Some(EditQuery::new(edit)));
    let mut ada = world.browser();
    let answer = ada.sign_in("ada").await;
    assert!(!ada.has_session());
    (world, answer)
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test]
async fn a_callback_of_another_browser_never_reaches_the_token_endpoint() {
    // Attack: a state from another browser; the code must not be redeemed before the state is
    // verified.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut mallory = world.browser();
        let trap = mallory.callback_url("ben").await;
        let mut ada = world.browser();
        ada.open(&trap).await.expect_page(400, "This sign-in cannot be finished here");
        assert!(!ada.has_session());
        // Nor while a sign-in of her own is pending.
        ada.callback_url("ada").await;
        assert_eq!(ada.pending().len(), 1);
        ada.open(&trap).await.expect_page(400, "This sign-in cannot be finished here");
        // Nor with the attacker's cookie under the name of hers.
        let (planted, own) = (mallory.pending()[0].to_owned(), ada.pending()[0].to_owned());
        let value = mallory.cookie(&planted).unwrap().to_owned();
        ada.set_cookie(&own, &value);
        ada.open(&trap).await.expect(400);
        assert_eq!(world.calls(Endpoint::Token), 0);
        // The attacker's own sign-in is not consumed by this.
        mallory.open(&trap).await.expect(200);
        assert_eq!(world.calls(Endpoint::Token), 1);
    }
}

#[tokio::test]
async fn an_invalid_state_is_rejected_first() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        let callback = ada.callback_url("ada").await;
        let state = parameter(&callback, "state").unwrap();
        let (attempt, _) = state.split_once('.').unwrap();
        for wrong in [
            String::new(),
            ".".to_owned(),
            attempt.to_owned(),
            format!("{attempt}."),
            format!("{state}x"),
            state.to_ascii_uppercase(),
            format!("{}.x", "a".repeat(10_000)),
            format!("{attempt}%3B.x"),
            "%00.%00".to_owned(),
            "%ff%fe.x".to_owned(),
        ] {
            let answer = ada.step(&format!("/oauth2/callback?code=x&state={wrong}")).await;
            answer.expect_page(400, "This sign-in cannot be finished here");
        }
        ada.step("/oauth2/callback").await.expect(400);
        ada.step("/oauth2/callback?").await.expect(400);
        let program = world.send(Ask::get("/oauth2/callback?code=x&state=y")).await.expect(400);
        assert_eq!(program.json()["error"], "invalid_request");
        assert_eq!(world.calls(Endpoint::Token), 0);
        // The valid state was not consumed.
        ada.open(&callback).await.expect(200);
    }
}

#[tokio::test]
async fn a_sign_in_expires_after_ten_minutes() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        let callback = ada.callback_url("ada").await;
        world.advance(601);
        ada.open(&callback).await.expect_page(400, "10 minutes");
        assert_eq!(world.calls(Endpoint::Token), 0);
        let callback = ada.callback_url("ada").await;
        world.advance(599);
        ada.open(&callback).await.expect(200);
    }
}

#[tokio::test]
async fn a_callback_is_accepted_once_and_repeated_ones_lead_to_the_app() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        let callback = ada.callback_url("ada").await;
        let mut copy = ada.at(&world);
        ada.open(&callback).await.expect(200);
        // The back button leads to the app, without another request to the provider.
        ada.open(&callback).await.expect(200);
        assert_eq!(world.calls(Endpoint::Token), 1);
        // The same cookie and state, without the session.
        copy.open(&callback).await.expect_page(400, "This sign-in cannot be finished here");
        assert!(!copy.has_session());
        // With a session, a foreign callback redirects to the app without effect.
        let mut mallory = world.browser();
        let trap = mallory.callback_url("ben").await;
        assert_eq!(ada.open(&trap).await.expect(200).echo().username(), Some("ada"));
        assert_eq!(world.calls(Endpoint::Token), 1);
    }
}

#[tokio::test]
async fn a_repeated_callback_returns_to_its_own_page() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let start = ada.step("/deep/link").await;
        let callback = ada.step(start.location()).await.location().to_owned();
        let mut copy = ada.at(&world);
        ada.open(&callback).await.expect(200);
        copy.set_cookie("huggate", &ada.session().unwrap());
        assert_eq!(copy.open(&callback).await.expect(200).echo().target(), "/deep/link");
    }
}

#[tokio::test]
async fn tabs_can_sign_in_concurrently() {
    // Concurrent sign-ins in several tabs.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let mut callbacks = Vec::new();
        for tab in 0..3 {
            let start = ada.step(&format!("/tab/{tab}")).await.expect(302);
            callbacks.push(ada.step(start.location()).await.location().to_owned());
        }
        for tab in [1, 2, 0] {
            let page = ada.open(&callbacks[tab]).await.expect(200);
            assert_eq!(page.echo().target(), format!("/tab/{tab}"));
        }
        assert_eq!(ada.pending(), [""; 0]);
    }
}

#[tokio::test]
async fn sign_ins_under_way_share_one_short_cookie() {
    // Attack: pending sign-ins pile up until the Cookie header is too large (431).
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let mut last = String::new();
        for page in 0..12 {
            world.advance(1);
            last = ada.step(&format!("/{page}")).await.expect(302).location().to_owned();
            assert_eq!(ada.pending().len(), 1);
        }
        assert!(ada.cookie_line().len() < 60, "{}", ada.cookie_line());
        assert_eq!(ada.open(&last).await.expect(200).echo().target(), "/11");
        assert_eq!(ada.pending(), [""; 0]);
    }
}

#[tokio::test]
async fn duplicate_parameters_are_rejected() {
    for name in ["state", "code", "iss", "error", "error_description"] {
        let (world, answer) = edited(FRONTS[0], move |query| {
            let value =
                query.iter().find(|(known, _)| known == name).map_or("x", |(_, value)| value).to_owned();
            query.push(pair(name, &value));
            query.push(pair(name, &value));
        })
        .await;
        answer.expect_page(400, "is repeated");
        assert_eq!(world.calls(Endpoint::Token), 0, "{name}");
    }
}

#[tokio::test]
async fn a_callback_from_another_issuer_is_rejected() {
    // Attack: mix-up (RFC 9207).
    for front in FRONTS {
        for (iss, announced, fine) in [
            (Some(Iss::Right), false, true),
            (Some(Iss::Right), true, true),
            (None, false, true),
            (None, true, false),
            (Some(Iss::Other("https://evil.example".to_owned())), false, false),
            (Some(Iss::Other("https://evil.example".to_owned())), true, false),
            (Some(Iss::Other(String::new())), false, false),
        ] {
            let mut world = World::without_provider(front, |gate| gate.allow(Rule::org("acme"))).await;
            world.bring_provider_back().await;
            crate::world::skip(std::time::Duration::from_secs(3)).await;
            let what = format!("{iss:?}, announced: {announced}");
            world.behave(|hub| {
                hub.iss = iss;
                hub.announce_iss = announced;
            });
            let mut ada = world.browser();
            let answer = ada.sign_in("ada").await;
            assert_eq!(ada.has_session(), fine, "{what}: {answer:?}");
            if !fine {
                answer.expect_page(400, "comes from another provider");
                assert_eq!(world.calls(Endpoint::Token), 0, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_denied_consent_is_not_an_error() {
    for front in FRONTS {
        let (world, answer) = edited(front, |query| {
            query.retain(|(name, _)| name == "state");
            query.push(pair("error", "access_denied"));
            query.push(pair("error_description", "The+user+denied"));
        })
        .await;
        answer.expect_page(403, "You are not signed in");
        assert_eq!(world.calls(Endpoint::Token), 0);
    }
}

#[tokio::test]
async fn a_provider_error_is_shown_and_escaped() {
    for front in FRONTS {
        let (world, answer) = edited(front, |query| {
            query.retain(|(name, _)| name == "state");
            query.push(pair("error", "server_error"));
            query.push(pair("error_description", "%3Cscript%3Ealert(1)%3C/script%3E"));
        })
        .await;
        let answer = answer.expect_page(502, "server_error");
        assert!(answer.text().contains("&lt;script&gt;"), "{}", answer.text());
        assert_eq!(world.calls(Endpoint::Token), 0);
    }
}

#[tokio::test]
async fn an_error_takes_precedence_over_a_code_and_an_empty_callback_is_an_error() {
    for front in FRONTS {
        let (world, answer) = edited(front, |query| query.push(pair("error", "server_error"))).await;
        answer.expect(502);
        assert_eq!(world.calls(Endpoint::Token), 0);
        for code in [None, Some("")] {
            let (world, answer) = edited(front, move |query| {
                query.retain(|(name, _)| name != "code");
                query.extend(code.map(|code| pair("code", code)));
            })
            .await;
            answer.expect_page(400, "incomplete");
            assert_eq!(world.calls(Endpoint::Token), 0);
        }
    }
}

#[tokio::test]
async fn a_stolen_code_is_rejected() {
    // PKCE: a stolen code cannot be redeemed in another browser's sign-in.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ben = world.browser();
        let stolen = parameter(&ben.callback_url("ben").await, "code").unwrap();
        let mut mallory = world.browser();
        let own = mallory.callback_url("dan").await;
        let swapped = own.replace(&parameter(&own, "code").unwrap(), &stolen);
        mallory.open(&swapped).await.expect_page(400, "did not accept");
        assert!(!mallory.has_session());
    }
}

#[tokio::test]
async fn a_lost_session_cookie_ends_on_a_page_instead_of_a_loop() {
    // Redirect loops.
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        ada.refused = Some("huggate".to_owned());
        // The browser blocks all our cookies: the state cannot be verified.
        ada.sign_in("ada").await.expect_page(400, "This sign-in cannot be finished here");
        // Only the session cookie is lost, for example because it is too large.
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let mut rounds = 0;
        let mut next = "/".to_owned();
        let last = loop {
            let answer = ada.step(&next).await;
            ada.forget_cookie("huggate");
            if !answer.status.is_redirection() {
                break answer;
            }
            next = ada.url.join(answer.location()).unwrap().to_string();
            rounds += 1;
            assert!(rounds < 20, "redirect loop");
        };
        last.expect_page(400, "The sign-in does not stick");
        assert_eq!(world.calls(Endpoint::Token), 2);
        assert_eq!(world.app.calls(), 0);
        // As soon as cookies work, the sign-in succeeds.
        assert_eq!(ada.open("/").await.expect(200).echo().username(), Some("ada"));
    }
}

#[tokio::test]
async fn an_app_opened_at_another_address_does_not_loop() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let port = world.address.split_once(':').unwrap().1;
        let other = format!("http://localhost:{port}/");
        let mut ada = world.browser();
        ada.be_at_hub("ada", &["acme"]);
        let page = ada.open(&other).await.expect_page(400, "This sign-in cannot be finished here");
        assert!(page.text().contains(&world.public_url), "{}", page.text());
    }
}

#[tokio::test]
async fn a_sign_in_can_finish_at_another_replica() {
    for front in FRONTS {
        let one = World::of_acme(front).await;
        let two = one.replica(|gate| gate.allow(Rule::org("acme"))).await;
        let mut ada = one.browser();
        let callback = ada.callback_url("ada").await;
        let mut ada = ada.at(&two);
        assert_eq!(ada.open(&callback).await.expect(200).echo().username(), Some("ada"));
        // The session is valid at both replicas.
        assert_eq!(ada.at(&one).open("/").await.expect(200).echo().username(), Some("ada"));
    }
}

#[tokio::test]
async fn concurrent_callbacks_redeem_the_code_once() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.browser();
        let callback = ada.callback_url("ada").await;
        let mut others: Vec<_> = (0..8).map(|_| ada.at(&world)).collect();
        let answers = futures_util::future::join_all(others.iter_mut().map(|tab| tab.step(&callback))).await;
        let signed_in = answers.iter().filter(|answer| answer.cookie("huggate=").is_some()).count();
        assert_eq!((signed_in, world.calls(Endpoint::Token)), (1, 1));
    }
}

#[tokio::test]
async fn a_failed_sign_in_keeps_the_existing_session() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let mut ada = world.signed_in("ada").await;
        world.behave(|hub| hub.userinfo_sub = Some("62f264b9f3c90f4b65140009".to_owned()));
        ada.open("/oauth2/start").await.expect(502);
        assert_eq!(ada.fetch("/").await.expect(200).echo().username(), Some("ada"));
    }
}
