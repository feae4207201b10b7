//! What userinfo and whoami return.

use std::time::Duration;

use huggate::hub::{Behaviour, Settings};
use reqwest::header;
use serde_json::{Value, json};

use super::World;

#[tokio::test]
async fn userinfo_depends_on_scopes_and_consent() {
    let world = World::start().await;
    let bare = world.userinfo(&world.sign_in("ada", "openid", &[]).await).await;
    assert!(bare.get("name").is_none() && bare.get("email").is_none() && bare.get("canPay").is_none());
    assert_eq!(bare["isPro"], true);
    let org = bare["orgs"][0].as_object().unwrap();
    assert_eq!((&org["preferred_username"], &org["name"]), (&json!("acme"), &json!("Acme")));
    for absent in
        ["roleInOrg", "pendingSSO", "missingMFA", "resourceGroups", "securityRestrictions", "canPay"]
    {
        assert!(!org.contains_key(absent), "{absent}");
    }
    let scope = "openid profile email read-memberships read-billing";
    let full = world.userinfo(&world.sign_in("ada", scope, &["example-labs"]).await).await;
    assert_eq!((&full["preferred_username"], &full["name"]), (&json!("ada"), &json!("Ada Example")));
    assert_eq!((&full["email"], &full["email_verified"]), (&json!("ada@example.org"), &json!(true)));
    assert_eq!(full["canPay"], true);
    assert!(full["orgs"][0].get("roleInOrg").is_none());
    let labs = &full["orgs"][1];
    assert_eq!(
        (&labs["roleInOrg"], &labs["resourceGroups"][0]["name"]),
        (&json!("write"), &json!("gpu-team"))
    );
    assert_eq!((&labs["pendingSSO"], &labs["canPay"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn each_built_in_user_is_a_test_case() {
    let world = World::start().await;
    for (person, org, field, expected) in [
        ("ben", "acme", "roleInOrg", json!("read")),
        ("cleo", "acme", "securityRestrictions", json!(["sso"])),
        ("cleo", "acme", "pendingSSO", json!(true)),
        ("eve", "acme", "roleInOrg", json!("contributor")),
        ("gita", "acme", "roleInOrg", json!("no_access")),
        ("hugo", "acme", "roleInOrg", json!("ml-ops")),
        ("ivy", "old-guild", "isEnterprise", json!(true)),
    ] {
        let info = world.userinfo(&world.sign_in(person, "openid read-memberships", &[org]).await).await;
        assert_eq!(info["orgs"][0][field], expected, "{person}");
    }
    let info = world.userinfo(&world.sign_in("ivy", "openid", &["old-guild"]).await).await;
    assert!(info["orgs"][0].get("plan").is_none());
    assert_eq!(world.userinfo(&world.sign_in("dan", "openid", &[]).await).await["orgs"], json!([]));
    let eve = world.userinfo(&world.sign_in("eve", "openid", &[]).await).await;
    assert_eq!(eve["orgs"].as_array().unwrap().len(), 300);
    let finn = world.userinfo(&world.sign_in("finn", "email", &[]).await).await;
    assert_eq!(finn["email_verified"], false);
    assert_eq!(world.userinfo(&world.sign_in("joerg", "profile", &[]).await).await["name"], "Jörg Müller-李");
}

#[tokio::test]
async fn userinfo_accepts_get_and_post_with_valid_oauth_tokens_only() {
    let world = World::start().await;
    let tokens = world.sign_in("ada", "openid", &[]).await;
    let token = tokens["access_token"].as_str().unwrap();
    let url = world.url("/oauth/userinfo");
    let post =
        world.http.post(&url).header(header::AUTHORIZATION, format!("bearer {token}")).send().await.unwrap();
    assert_eq!(post.status(), 200);
    let personal = world.hub.token_of("ada").unwrap();
    assert_eq!(world.bearer("/oauth/userinfo", &personal).await.status(), 401);
    world.clock.advance(Duration::from_secs(28_800));
    let late = world.bearer("/oauth/userinfo", token).await;
    assert_eq!(late.status(), 401);
    assert_eq!(late.headers()["x-error-message"], "Invalid credentials in Authorization header");
    let body: Value = late.json().await.unwrap();
    assert_eq!(body, json!({"error": "Invalid credentials in Authorization header"}));
}

#[tokio::test]
async fn whoami_distinguishes_kinds_of_tokens() {
    let world = World::start().await;
    for (person, role) in [("ada", "write"), ("ben", "read"), ("cleo", "fineGrained")] {
        let token = world.hub.token_of(person).unwrap();
        let response = world.bearer("/api/whoami-v2", &token).await;
        assert!(response.headers()["ratelimit"].to_str().unwrap().starts_with("\"api\";r="));
        assert_eq!(response.headers()["ratelimit-policy"], "\"fixed window\";\"api\";q=1000;w=300");
        assert!(response.headers().contains_key("x-request-id"));
        let body: Value = response.json().await.unwrap();
        assert_eq!((&body["type"], &body["name"]), (&json!("user"), &json!(person)));
        assert_eq!(body["auth"]["type"], "access_token");
        assert_eq!(body["auth"]["accessToken"]["role"], role);
        assert_eq!(body["auth"]["accessToken"].get("fineGrained").is_some(), role == "fineGrained");
        assert_eq!(
            (&body["orgs"][0]["name"], &body["orgs"][0]["fullname"]),
            (&json!("acme"), &json!("Acme"))
        );
        assert!(body["orgs"][0]["roleInOrg"].is_string());
    }
    let tokens = world.sign_in("ada", "openid", &["acme"]).await;
    let token = tokens["access_token"].as_str().unwrap();
    let body: Value = world.bearer("/api/whoami-v2", token).await.json().await.unwrap();
    assert_eq!(body["fullname"], "Ada Example");
    assert_eq!(body["email"], Value::Null, "the scope email was not granted");
    assert_eq!(body["auth"], json!({"type": "oauth", "expiresAt": "2026-09-21T22:13:20.000Z"}));
    assert_eq!(body["orgs"][0]["roleInOrg"], "admin");
    assert!(body["orgs"][1].get("roleInOrg").is_none());
    let app = Settings::default().apps[0].token.clone();
    let body: Value = world.bearer("/api/whoami-v2", &app).await.json().await.unwrap();
    assert_eq!((&body["type"], &body["auth"]["type"]), (&json!("app"), &json!("app_token")));
    let none = world.get("/api/whoami-v2").await;
    assert_eq!(
        (none.status().as_u16(), none.text().await.unwrap().as_str()),
        (401, "{\"error\":\"Unauthorized\"}")
    );
    let bad = world.bearer("/api/whoami-v2", "hf_nonsense").await;
    assert_eq!(bad.status(), 401);
    assert_eq!(bad.headers()["x-error-message"], "Invalid credentials in Authorization header");
}

#[tokio::test]
async fn whoami_is_rate_limited_per_window() {
    let mut behaviour = Behaviour::default();
    behaviour.rate_limit = 1;
    let world = World::with(behaviour).await;
    let token = world.hub.token_of("ada").unwrap();
    assert_eq!(world.bearer("/api/whoami-v2", &token).await.status(), 200);
    let refused = world.bearer("/api/whoami-v2", &token).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["ratelimit"], "\"api\";r=0;t=100");
    world.clock.advance(Duration::from_secs(100));
    assert_eq!(world.bearer("/api/whoami-v2", &token).await.status(), 200);
}
