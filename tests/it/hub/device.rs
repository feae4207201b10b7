//! The device flow and dynamic client registration.

use std::time::Duration;

use serde_json::{Value, json};

use super::{CALLBACK, DEVICE, World, error, ticket};

#[tokio::test]
async fn a_device_polls_until_the_user_decides() {
    let world = &World::start().await;
    let begin = || world.post("/oauth/device", &[("client_id", "spa"), ("scope", "openid")]);
    let device: Value = begin().await.json().await.unwrap();
    let mut names: Vec<&String> = device.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["device_code", "expires_in", "user_code", "verification_uri"]);
    assert_eq!(device["expires_in"], 300);
    let code = device["device_code"].as_str().unwrap().to_owned();
    let poll = |code: String| async move {
        let form = [("grant_type", DEVICE), ("client_id", "spa"), ("device_code", code.as_str())];
        world.post("/oauth/token", &form).await
    };
    assert_eq!(error(poll(code.clone()).await).await, (400, "authorization_pending".into()));
    assert_eq!(error(poll(code.clone()).await).await.1, "slow_down");
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(error(poll(code.clone()).await).await.1, "authorization_pending");
    let decide = |user_code: String, decision: &'static str| async move {
        let typed = user_code.to_lowercase().replace('-', "");
        let url = world.url(&format!("/oauth/device?user_code={typed}"));
        let page =
            world.http.get(url).header("cookie", "hub_user=ada").send().await.unwrap().text().await.unwrap();
        let form = [("ticket", ticket(&page)), ("username", "ada".into()), ("decision", decision.into())];
        assert_eq!(
            world.http.post(world.url("/oauth/authorize")).form(&form).send().await.unwrap().status(),
            200
        );
    };
    decide(device["user_code"].as_str().unwrap().to_owned(), "authorize").await;
    let tokens: Value = poll(code.clone()).await.json().await.unwrap();
    assert_eq!(world.userinfo(&tokens).await["sub"], world.hub.users()[0].id);
    assert_eq!(error(poll(code).await).await.1, "invalid_grant");

    let device: Value = begin().await.json().await.unwrap();
    decide(device["user_code"].as_str().unwrap().to_owned(), "deny").await;
    assert_eq!(
        error(poll(device["device_code"].as_str().unwrap().to_owned()).await).await.1,
        "access_denied"
    );

    let device: Value = begin().await.json().await.unwrap();
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(
        error(poll(device["device_code"].as_str().unwrap().to_owned()).await).await.1,
        "expired_token"
    );
    assert_eq!(world.get("/oauth/device?user_code=AAAA-AAAA").await.status(), 400);
    // A confidential client must authenticate for the device flow as well.
    assert_eq!(error(world.post("/oauth/device", &[("client_id", "app")]).await).await.1, "invalid_client");
}

#[tokio::test]
async fn an_application_registers_and_signs_a_user_in() {
    let world = World::start().await;
    let register = |body: Value| world.http.post(world.url("/oauth/register")).json(&body).send();
    let body =
        json!({"redirect_uris": [CALLBACK], "client_name": "New", "logo_uri": "https://x.example/l.png"});
    let response = register(body).await.unwrap();
    assert_eq!(response.status(), 201);
    let client: Value = response.json().await.unwrap();
    assert!(client["client_secret"].as_str().unwrap().starts_with("oauth_app_secret_"));
    let id = client["client_id"].as_str().unwrap();
    world.hub.consent("ada", id, &[]);
    assert_eq!(world.authorize("ada", id, "scope=openid").await.status(), 303);
    let public = register(json!({"redirect_uris": [], "token_endpoint_auth_method": "none"})).await.unwrap();
    assert!(public.json::<Value>().await.unwrap().get("client_secret").is_none());
    let bad = register(json!({"redirect_uris": ["nonsense"]})).await.unwrap();
    assert_eq!(error(bad).await, (400, "invalid_redirect_uri".into()));
}
