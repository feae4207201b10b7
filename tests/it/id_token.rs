//! Invalid ID tokens and userinfo responses never sign anybody in.

use std::time::Duration;

use huggate::Rule;
use huggate::hub::{Behaviour, Edit, EditToken, Endpoint, Object, Signature};
use serde_json::json;

use crate::world::{FRONTS, NOW, World, skip};

/// An edit of the provider's behaviour.
type Change = fn(&mut Behaviour);

/// Asserts that a sign-in fails with this behaviour and the page contains `words`.
async fn refused(what: &str, words: &str, change: impl FnOnce(&mut Behaviour)) {
    let world = World::of_acme(FRONTS[0]).await;
    world.behave(change);
    let mut ada = world.browser();
    let answer = ada.sign_in("ada").await;
    assert!(!ada.has_session(), "{what} signs somebody in");
    assert_eq!(answer.status, 502, "{what}: {answer:?}");
    assert!(answer.text().contains(words), "{what}: {words:?} is not in {}", answer.text());
    assert_eq!(world.app.calls(), 0);
    // Without the change, the same sign-in succeeds.
    world.hub.behave(|hub| *hub = Behaviour::default());
    skip(Duration::from_secs(11)).await;
    ada.open("/").await.expect(200);
}

async fn claims(what: &str, words: &str, edit: impl Fn(&mut Object) + Send + Sync + 'static) {
    let edit = EditToken::new(move |_, claims| edit(claims));
    refused(what, words, |hub| hub.edit_id_token = Some(edit)).await;
}

#[tokio::test]
async fn invalid_signatures_are_rejected() {
    for (signature, words) in [
        (Signature::None, "the ID token is"),
        (Signature::ClientSecret, "HS256"),
        (Signature::PublicKey, "HS256"),
        (Signature::ForeignKey, "signature is invalid"),
        (Signature::Corrupted, "signature is invalid"),
    ] {
        let what = format!("{signature:?}");
        refused(&what, words, |hub| hub.id_token_signature = signature).await;
    }
}

#[tokio::test]
async fn symmetric_and_unsigned_tokens_are_rejected_without_a_kid_too() {
    for signature in [Signature::None, Signature::ClientSecret, Signature::PublicKey, Signature::ForeignKey] {
        refused(&format!("{signature:?}, no kid"), "the ID token", |hub| {
            hub.id_token_signature = signature;
            hub.no_kid = true;
        })
        .await;
    }
}

#[tokio::test]
async fn unsupported_header_parameters_are_rejected() {
    for (name, value, words) in [
        ("crit", json!(["exp"]), "critical"),
        ("crit", json!([]), "critical"),
        ("alg", json!("RS512"), "signature is invalid"),
        ("alg", json!("ES256"), "signature is invalid"),
        ("alg", json!("nOnE"), "not accepted"),
        ("alg", json!(["RS256"]), "not a signed JWT"),
        ("kid", json!("of-another"), "is not in the provider"),
        ("kid", json!(""), "is not in the provider"),
        ("kid", json!(7), "not a signed JWT"),
    ] {
        let what = format!("{name}: {value}");
        let edit = EditToken::new(move |header, _| {
            header.insert(name.to_owned(), value.clone());
        });
        refused(&what, words, |hub| hub.edit_id_token = Some(edit)).await;
    }
}

#[tokio::test]
async fn tokens_for_another_issuer_app_or_sign_in_are_rejected() {
    for (name, value, words) in [
        ("iss", json!("https://evil.example"), "another issuer"),
        ("iss", json!(["https://huggingface.co"]), "claim"),
        ("iss", json!(null), "claim"),
        ("aud", json!("another-app"), "another app"),
        ("aud", json!([]), "another app"),
        ("aud", json!(["the-app", "another-app"]), "issued to another app"),
        ("aud", json!(null), "claim"),
        ("azp", json!("another-app"), "issued to another app"),
        ("nonce", json!("of-another"), "another sign-in"),
        ("nonce", json!(null), "another sign-in"),
        ("sub", json!(""), "claim"),
        ("sub", json!(null), "claim"),
        ("sub", json!(7), "claim"),
        ("sub", json!("62f264b9f3c90f4b65140009"), "another account"),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"), "another access token"),
        ("at_hash", json!(""), "another access token"),
    ] {
        claims(&format!("{name}: {value}"), words, move |claims| {
            claims.insert(name.to_owned(), value.clone());
        })
        .await;
    }
}

#[tokio::test]
async fn tokens_without_a_required_claim_are_rejected() {
    for (name, words) in [
        ("iss", "claim"),
        ("sub", "claim"),
        ("aud", "claim"),
        ("exp", "claim"),
        ("iat", "claim"),
        ("nonce", "another sign-in"),
    ] {
        claims(&format!("no {name}"), words, move |claims| drop(claims.remove(name))).await;
    }
}

#[tokio::test]
async fn tokens_outside_of_their_validity_are_rejected() {
    for (name, value) in [
        ("exp", json!(NOW - 61)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!(NOW + 10 * 24 * 3600)),
        ("exp", json!("tomorrow")),
        ("iat", json!(NOW + 3600)),
        ("iat", json!(NOW - 10 * 24 * 3600)),
        ("iat", json!(1e300)),
        ("nbf", json!(NOW + 3600)),
    ] {
        claims(&format!("{name}: {value}"), "the ID token", move |claims| {
            claims.insert(name.to_owned(), value.clone());
        })
        .await;
    }
}

#[tokio::test]
async fn a_missing_or_malformed_id_token_is_rejected() {
    refused("no ID token", "no ID token", |hub| hub.no_id_token = true).await;
    for garbage in ["", "x", "a.b.c", "....", "e30.e30.e30", "\u{0}.a.b"] {
        let edit = Edit::new(move |answer: &mut Object| {
            answer.insert("id_token".to_owned(), garbage.into());
        });
        refused(garbage, "The problem:", |hub| hub.edit_token = Some(edit)).await;
    }
}

#[tokio::test]
async fn an_invalid_token_response_is_rejected() {
    for (name, value) in [
        ("token_type", json!("mac")),
        ("token_type", json!(null)),
        ("access_token", json!("")),
        ("access_token", json!("a\r\nX-Evil: 1")),
        ("access_token", json!("x".repeat(20_000))),
        ("access_token", json!(null)),
        ("id_token", json!(["x"])),
    ] {
        let what: String = format!("{name}: {value}").chars().take(60).collect();
        let edit = Edit::new(move |answer: &mut Object| {
            answer.insert(name.to_owned(), value.clone());
        });
        refused(&what, "The problem:", |hub| hub.edit_token = Some(edit)).await;
    }
}

#[tokio::test]
async fn valid_variations_are_accepted() {
    let honest: [(&str, Change); 8] = [
        ("no kid", |hub| hub.no_kid = true),
        ("token_type in capitals", |hub| hub.token_type = Some("BEARER".to_owned())),
        ("no refresh token", |hub| hub.no_refresh_token = true),
        ("an array with one audience", |hub| {
            hub.edit_id_token =
                Some(EditToken::new(|_, claims| drop(claims.insert("aud".into(), json!(["the-app"])))));
        }),
        ("several audiences with azp", |hub| {
            hub.edit_id_token = Some(EditToken::new(|_, claims| {
                claims.insert("aud".into(), json!(["other", "the-app"]));
                claims.insert("azp".into(), json!("the-app"));
            }));
        }),
        ("clock slightly ahead", |hub| {
            hub.edit_id_token =
                Some(EditToken::new(|_, claims| drop(claims.insert("iat".into(), json!(NOW + 30)))));
        }),
        ("clock slightly behind", |hub| {
            hub.edit_id_token =
                Some(EditToken::new(|_, claims| drop(claims.insert("exp".into(), json!(NOW - 30)))));
        }),
        ("unknown claims", |hub| {
            hub.edit_id_token = Some(EditToken::new(|header, claims| {
                header.insert("x5t".into(), json!("x"));
                claims.insert("future".into(), json!({"deep": [1]}));
            }));
        }),
    ];
    for (what, change) in honest {
        let world = World::of_acme(FRONTS[0]).await;
        world.behave(change);
        let answer = world.browser().sign_in("ada").await;
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn userinfo_of_another_account_is_rejected() {
    // Attack: userinfo with another `sub`.
    refused("another sub", "another account", |hub| {
        hub.userinfo_sub = Some("62f264b9f3c90f4b65140009".to_owned());
    })
    .await;
    refused("no sub", "userinfo", |hub| {
        hub.edit_userinfo = Some(Edit::new(|answer| drop(answer.remove("sub"))));
    })
    .await;
    refused("a name with a line break", "control characters", |hub| {
        hub.edit_userinfo = Some(Edit::new(|answer| {
            answer.insert("preferred_username".into(), json!("ada\r\nX-Forwarded-User: root"));
        }));
    })
    .await;
}

#[tokio::test]
async fn key_rotation_is_followed() {
    for front in FRONTS {
        for keep_old in [true, false] {
            let world = World::of_acme(front).await;
            world.signed_in("ada").await;
            world.signed_in("ben").await;
            assert_eq!(world.calls(Endpoint::Jwks), 1, "the keys are cached");
            world.hub.rotate_keys(keep_old);
            skip(Duration::from_secs(11)).await;
            world.signed_in("ada").await;
            assert_eq!(world.calls(Endpoint::Jwks), 2);
        }
    }
}

#[tokio::test]
async fn an_unknown_key_causes_one_jwks_request_in_ten_seconds() {
    // Attack: many tokens with unknown `kid`s.
    for front in FRONTS {
        let world = World::start(front, |gate| gate.allow(Rule::org("acme"))).await;
        world.signed_in("ada").await;
        let edit = EditToken::new(|header, _| drop(header.insert("kid".into(), json!("unheard-of"))));
        world.behave(|hub| hub.edit_id_token = Some(edit));
        skip(Duration::from_secs(11)).await;
        for _ in 0..8 {
            world.browser().sign_in("ada").await.expect(502);
        }
        assert_eq!(world.calls(Endpoint::Jwks), 2);
        skip(Duration::from_secs(11)).await;
        world.browser().sign_in("ada").await.expect(502);
        assert_eq!(world.calls(Endpoint::Jwks), 3);
        // Afterwards the known keys are still valid.
        world.behave(|hub| hub.edit_id_token = None);
        world.signed_in("ada").await;
        assert_eq!(world.calls(Endpoint::Jwks), 3);
    }
}

#[tokio::test]
async fn known_keys_remain_valid_while_the_jwks_is_unavailable() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        world.signed_in("ada").await;
        world.behave(|hub| hub.fail(Endpoint::Jwks, huggate::hub::Fault::Status(500)));
        skip(Duration::from_secs(3700)).await;
        world.signed_in("ada").await;
    }
}
