//! Accepted tokens, and the identity that the app receives.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use huggate::authn::BearerSettings;
use huggate::hub::{Client, Edit, Membership};
use huggate::identity::HeaderSettings;
use huggate::{Role, Rule};
use serde_json::{Value, json};

use super::{claims, of_acme, with, with_routes, with_tokens};
use crate::world::{Ask, CLIENT, FRONTS, NOW, SECRET, World};

/// An `hf_oauth_` token with this payload and without a valid signature.
fn made_up(payload: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("hf_oauth_{}.{}.{}", part(&json!({"alg": "EdDSA"})), part(payload), "c2lnbmF0dXJl")
}

#[tokio::test]
async fn a_valid_token_admits_its_owner_and_the_app_receives_the_identity() {
    for front in FRONTS {
        let world = of_acme(front).await;
        world.hub.consent("ada", CLIENT, &["acme"]);
        let ada = world.hub.users().into_iter().find(|person| person.username == "ada").unwrap();
        let oauth = world.hub.oauth_token("ada", CLIENT).unwrap();
        for (token, method) in [(world.token("ada"), "access_token"), (oauth, "oauth")] {
            let answer = world.send(with(&token, "/v1/models?x=1")).await.expect(200);
            assert!(answer.cookies().is_empty(), "a token begins no session");
            let echo = answer.echo();
            assert_eq!(echo.target(), "/v1/models?x=1");
            assert_eq!(echo.header("x-forwarded-user"), Some(ada.id.as_str()));
            assert_eq!(echo.username(), Some("ada"));
            assert_eq!(echo.header("x-forwarded-email"), Some("ada@example.org"));
            assert!(echo.header("x-forwarded-groups").unwrap().starts_with("acme,acme:admin"));
            let claims = claims(&echo);
            assert_eq!((&claims["sub"], &claims["auth_method"]), (&json!(ada.id), &json!(method)));
            assert_eq!(claims["name"], "Ada Example");
            let sid = claims["sid"].as_str().unwrap();
            assert!(sid.len() == 22 && !token.contains(sid), "{sid}");
            // Attack: the user's Hugging Face token passed to the app.
            for (name, value) in echo.headers() {
                assert!(!value.contains(&token) && !value.contains("hf_"), "{name}: {value}");
            }
            let told = world.send(with(&token, "/oauth2/userinfo")).await.expect(200).json();
            assert_eq!((&told["preferred_username"], &told["auth_method"]), (&json!("ada"), &json!(method)));
        }
    }
}

#[tokio::test]
async fn a_token_is_not_forwarded_in_another_header() {
    // `access_token` applies to the token of a sign-in, which was issued to this app.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let headers = HeaderSettings::default().access_token(true);
            with_tokens(gate.allow(Rule::org("acme"))).headers(headers)
        })
        .await;
        let echo = world.send(with(&world.token("ada"), "/")).await.expect(200).echo();
        assert_eq!(echo.header("x-forwarded-access-token"), None);
        assert!(echo.headers().all(|(_, value)| !value.contains("hf_")), "{echo:?}");
    }
}

#[tokio::test]
async fn user_access_tokens_of_every_role_are_accepted() {
    for front in FRONTS {
        let world = of_acme(front).await;
        for role in ["read", "write", "god", "fineGrained", "a-role-of-next-year"] {
            world.hub.edit_user("ada", |ada| {
                ada.token = format!("hf_{}", role.replace('-', ""));
                ada.token_role = role.to_owned();
            });
            world.send(with(&world.token("ada"), "/")).await.expect(200);
        }
    }
}

#[tokio::test]
async fn policies_apply_to_tokens_and_sessions_alike() {
    for front in FRONTS {
        let world = World::start(front, |gate| {
            with_tokens(gate.allow(Rule::org("acme")).deny(Rule::user("hugo")))
                .route(super::route("/admin/**").allow(vec![Rule::org("acme").with_role(Role::Admin)]))
                .route(super::route("/pro").allow(vec![Rule::pro(true)]))
                .route(
                    super::route("/verified")
                        .allow(vec![Rule::email_domain("example.org"), Rule::email_domain("acme.example")]),
                )
                .route(
                    super::route("/group").allow(vec![
                        Rule::org("acme").with_resource_group("gpu-team").with_role(Role::Write),
                    ]),
                )
                .route(super::route("/anyone").allow(vec![Rule::pro(true), Rule::pro(false)]))
                .route(super::route("/public").without_sign_in())
        })
        .await;
        for (path, expected) in [
            ("/", vec!["ada", "ben", "eve", "finn", "joerg"]),
            ("/admin/x", vec!["ada"]),
            ("/pro", vec!["ada"]),
            // Finn's address is not verified.
            ("/verified", vec!["ada", "ben", "cleo", "dan", "eve", "gita", "ivy", "joerg"]),
            ("/group", vec!["gita"]),
            ("/anyone", vec!["ada", "ben", "cleo", "dan", "eve", "finn", "gita", "ivy", "joerg"]),
            ("/public", vec!["ada", "ben", "cleo", "dan", "eve", "finn", "gita", "ivy", "joerg"]),
        ] {
            for person in world.hub.users() {
                let before = world.app.calls();
                let answer = world.send(with(&person.token, path)).await;
                let may = expected.contains(&person.username.as_str());
                assert_eq!(answer.status, if may { 200 } else { 403 }, "{} at {path}", person.username);
                assert_eq!(world.app.calls(), before + u64::from(may));
                if !may {
                    assert_eq!(answer.json()["error"], "access_denied");
                }
            }
        }
        assert_eq!(world.introspections(), 10, "one for each token");
    }
}

#[tokio::test]
async fn a_token_without_or_with_restricted_organisation_access_proves_no_membership() {
    for front in FRONTS {
        let world = of_acme(front).await;
        let edit = |name: &'static str, value: Option<Value>| {
            Edit::new(move |answer| {
                let acme = answer["orgs"][0].as_object_mut().unwrap();
                acme.remove(name);
                if let Some(value) = &value {
                    acme.insert(name.to_owned(), value.clone());
                }
            })
        };
        for (name, value) in [
            ("roleInOrg", None),
            ("roleInOrg", Some(json!("no_access"))),
            ("roleInOrg", Some(json!(""))),
            ("securityRestrictions", Some(json!(["token-policy"]))),
            ("securityRestrictions", Some(json!(["unheard-of"]))),
            ("pendingSSO", Some(json!(true))),
            ("missingMFA", Some(json!(true))),
            ("name", None),
        ] {
            world.behave(|hub| hub.edit_whoami = Some(edit(name, value.clone())));
            world.advance(100);
            world.send(with(&world.token("ada"), "/")).await.expect(403);
        }
        world.behave(|hub| {
            hub.edit_whoami = Some(Edit::new(|answer| {
                answer.remove("orgs");
            }));
        });
        world.advance(100);
        world.send(with(&world.token("ada"), "/")).await.expect(403);
        world.behave(|hub| hub.edit_whoami = None);
        world.advance(100);
        world.send(with(&world.token("ada"), "/")).await.expect(200);
    }
}

#[tokio::test]
async fn tokens_that_cannot_be_valid_are_not_introspected() {
    for front in FRONTS {
        let world = with_routes(front).await;
        let long = format!("hf_{}", "a".repeat(300));
        let endless = format!("hf_oauth_{}", "a".repeat(20_000));
        for token in [
            "x",
            "sk-proj-abcdefghijklmnop",
            "hf_",
            "hf_with-a-dash",
            "HF_abcdefgh",
            "api_org_abcdefgh",
            "hf_oauth__refresh_abcdefgh",
            "hf_oauth_abcdefgh",
            "hf_oauth_a.b.c",
            "hf_jwt_e30.e30.e30",
            "hf_s3_e30.e30.e30",
            "hf_new_abcdefgh",
            "hf_app_abcdefgh",
            &long,
            &endless,
        ] {
            for path in ["/", "/public/x", "/only/x", "/oauth2/userinfo"] {
                let answer = world.send(with(token, path)).await.expect(401);
                assert_eq!(answer.json()["error"], "invalid_token", "{token} at {path}");
            }
        }
        assert_eq!((world.introspections(), world.app.calls()), (0, 0));
    }
}

#[tokio::test]
async fn a_valid_token_of_another_app_is_refused() {
    // Attack: the hub accepts an hf_oauth_ token that was issued to any app.
    for front in FRONTS {
        let world = World::start(front, |gate| {
            let settings = BearerSettings::default().clients(vec!["listed".to_owned()]).app_tokens(false);
            gate.allow(Rule::org("acme")).bearer(settings)
        })
        .await;
        for client in ["listed", "foreign"] {
            world.hub.register(Client::confidential(client, "secret", client, &["http://localhost/cb"]));
            world.hub.consent("ada", client, &["acme"]);
        }
        world.hub.consent("ada", CLIENT, &["acme"]);
        let token = |client: &str| world.hub.oauth_token("ada", client).unwrap();
        let foreign = world.send(with(&token("foreign"), "/")).await.expect(401).json();
        assert!(
            foreign["error_description"].as_str().unwrap().contains("issued to another app"),
            "{foreign}"
        );
        assert_eq!(world.introspections(), 0, "it is not introspected");
        world.send(with(&token("listed"), "/")).await.expect(200);
        world.send(with(&token(CLIENT), "/")).await.expect(200);
        assert_eq!(world.introspections(), 2);
        // In the format of older tokens, and with contradictory claims.
        for (claims, status) in [
            (json!({"oauthApp": CLIENT}), 200),
            (json!({"oauthApp": "foreign"}), 401),
            (json!({"client_id": CLIENT, "oauthApp": "foreign"}), 401),
            (json!({"client_id": "foreign", "oauthApp": CLIENT}), 401),
            (json!({"client_id": [CLIENT]}), 401),
            (json!({"client_id": ""}), 401),
            (json!({"azp": CLIENT, "aud": CLIENT}), 401),
            (json!({"client_id": CLIENT, "exp": NOW}), 401),
        ] {
            world.behave(|hub| {
                let claims = claims.clone();
                hub.edit_access_token = Some(Edit::new(move |token| {
                    token.remove("client_id");
                    token.extend(claims.as_object().unwrap().clone());
                }));
            });
            let answer = world.send(with(&token(CLIENT), "/")).await;
            assert_eq!(answer.status, status, "{claims}");
        }
    }
}

#[tokio::test]
async fn a_forged_client_claim_is_refused() {
    for front in FRONTS {
        let world = of_acme(front).await;
        let forged =
            made_up(&json!({"client_id": CLIENT, "sub": "62f264b9f3c90f4b65140001", "exp": NOW + 60}));
        world.send(with(&forged, "/")).await.expect(401);
        assert_eq!(
            (world.introspections(), world.app.calls()),
            (1, 0),
            "the hub was asked, and knows nothing of it"
        );
    }
}

#[tokio::test]
async fn the_hub_must_confirm_the_claimed_token_type() {
    for front in FRONTS {
        let world = of_acme(front).await;
        world.hub.consent("ada", CLIENT, &["acme"]);
        let auth = |kind: &'static str| {
            Some(Edit::new(move |answer| {
                answer.insert("auth".to_owned(), json!({"type": kind}));
            }))
        };
        let kind = |kind: &'static str| {
            Some(Edit::new(move |answer| {
                answer.insert("type".to_owned(), json!(kind));
            }))
        };
        let remove = |name: &'static str| {
            Some(Edit::new(move |answer| {
                answer.remove(name);
            }))
        };
        let (plain, oauth) = (world.token("ada"), world.hub.oauth_token("ada", CLIENT).unwrap());
        for (token, edit) in [
            // It could have been issued to any app.
            (&plain, auth("oauth")),
            (&plain, auth("app_token")),
            (&plain, auth("app_token_as_user")),
            (&plain, auth("unheard_of")),
            (&plain, auth("")),
            (&plain, remove("auth")),
            (&plain, kind("org")),
            (&plain, kind("app")),
            (&plain, kind("unheard-of")),
            (&oauth, auth("access_token")),
            (&oauth, auth("app_token_as_user")),
        ] {
            world.behave(|hub| hub.edit_whoami = edit.clone());
            world.advance(100);
            assert_eq!(world.send(with(token, "/")).await.expect(401).json()["error"], "invalid_token");
        }
        assert_eq!(world.app.calls(), 0);
        world.behave(|hub| hub.edit_whoami = None);
        world.advance(100);
        world.send(with(&plain, "/")).await.expect(200);
        world.send(with(&oauth, "/")).await.expect(200);
    }
}

#[tokio::test]
async fn app_tokens_need_a_rule_with_the_apps_id() {
    for front in FRONTS {
        let app = huggate::hub::Settings::default().apps[0].clone();
        let world = World::start(front, |gate| {
            let settings = BearerSettings::default().app_tokens(true);
            gate.allow(Rule::user(app.id.clone()))
                .bearer(settings)
                // An app can have the name of an account, so app names match no rule.
                .route(super::route("/by-name").allow(vec![Rule::user(app.name.clone())]))
                .route(super::route("/by-its-name").allow(vec![Rule::user(format!("app:{}", app.name))]))
                .route(super::route("/acme").allow(vec![Rule::org("acme")]))
                .route(super::route("/pro").allow(vec![Rule::pro(true), Rule::pro(false)]))
                .route(super::route("/denied").without_sign_in().deny(vec![Rule::user(app.id.clone())]))
                .route(super::route("/public").without_sign_in())
        })
        .await;
        // Other properties in the hub's answer are not the app's.
        world.behave(|hub| {
            hub.edit_whoami = Some(Edit::new(|answer| {
                if answer["type"] == "app" {
                    answer.insert(
                        "orgs".to_owned(),
                        json!([{"id": "1", "name": "acme", "roleInOrg": "admin"}]),
                    );
                    answer.insert("isPro".to_owned(), json!(true));
                }
            }));
        });
        for (path, status) in [
            ("/", 200),
            ("/public", 200),
            ("/by-name", 403),
            ("/by-its-name", 403),
            ("/acme", 403),
            ("/pro", 403),
            ("/denied", 403),
        ] {
            assert_eq!(world.send(with(&app.token, path)).await.status, status, "{path}");
        }
        let echo = world.send(with(&app.token, "/")).await.expect(200).echo();
        assert_eq!(echo.header("x-forwarded-user"), Some(app.id.as_str()));
        assert_eq!((echo.username(), echo.header("x-forwarded-groups")), (Some("app:nightly-build"), None));
        assert_eq!(claims(&echo)["auth_method"], "app_token");
        // An app that acts for a person has that person's access.
        world.behave(|hub| {
            hub.edit_whoami = Some(Edit::new(|answer| {
                answer.insert("auth".to_owned(), json!({"type": "app_token_as_user"}));
            }));
        });
        let echo = world.send(with(&world.token("ben"), "/acme")).await.expect(200).echo();
        assert_eq!(
            (echo.username(), claims(&echo)["auth_method"].as_str()),
            (Some("ben"), Some("app_token"))
        );
        world.send(with(&world.token("ben"), "/")).await.expect(403);

        let world = World::start(front, |gate| with_tokens(gate.allow(Rule::user(app.id.clone())))).await;
        let told = world.send(with(&app.token, "/")).await.expect(401).json();
        assert!(told["error_description"].as_str().unwrap().contains("apps"), "{told}");
        assert_eq!(world.introspections(), 0);
    }
}

#[tokio::test]
async fn the_sid_of_a_token_is_equal_in_all_replicas_and_grants_nothing() {
    for front in FRONTS {
        let world = of_acme(front).await;
        let change = |gate: huggate::GateBuilder| with_tokens(gate.allow(Rule::org("acme")));
        let replica = world.replica(change).await;
        let elsewhere = world.replica_with(change, &[&"5f".repeat(32), SECRET]).await;
        let sid = async |world: &World, user: &str| {
            let echo = world.send(with(&world.token(user), "/")).await.expect(200).echo();
            claims(&echo)["sid"].as_str().unwrap().to_owned()
        };
        let ada = sid(&world, "ada").await;
        assert_eq!(sid(&replica, "ada").await, ada);
        assert_ne!(sid(&elsewhere, "ada").await, ada);
        assert_ne!(sid(&world, "ben").await, ada);
        world.send(with(&ada, "/")).await.expect(401);
    }
}

#[tokio::test]
async fn a_name_of_the_hub_cannot_inject_a_header_or_a_group() {
    for front in FRONTS {
        let world = World::start(front, |gate| with_tokens(gate.allow_anyone())).await;
        world.hub.edit_user("ben", |ben| {
            ben.name = "Jörg\r\nX-Forwarded-User: root".to_owned();
            ben.orgs = vec![Membership::new("evil", "x,acme:admin")];
        });
        let echo = world.send(with(&world.token("ben"), "/")).await.expect(200).echo();
        assert_eq!(echo.header("x-forwarded-groups"), Some("evil,evil:x%2Cacme%3Aadmin"));
        // An id or username that cannot be written into a header is an error of the hub,
        // not of the client.
        world.hub.edit_user("dan", |dan| dan.username = "dan\r\nX: y".to_owned());
        let dan = world.hub.users().into_iter().find(|person| person.username.starts_with("dan")).unwrap();
        world.send(with(&dan.token, "/")).await.expect(503);
        assert_eq!(world.app.calls(), 1);
    }
}

#[tokio::test]
async fn without_the_setting_tokens_are_ignored() {
    for front in FRONTS {
        let world = World::of_acme(front).await;
        let told = world.send(with(&world.token("ada"), "/")).await.expect(401).json();
        assert_eq!(told["error"], "login_required");
        world.send(with(&world.token("ada"), "/oauth2/userinfo")).await.expect(401);
        world.send(Ask::navigation("/").with("authorization", "Bearer hf_x")).await.expect(302);
        assert_eq!((world.introspections(), world.app.calls()), (0, 0));
    }
}
