//! The token endpoint and the signing keys.

use std::time::Duration;

use huggate::hub::{Client, Endpoint};
use serde_json::{Value, json};

use super::{CALLBACK, CHALLENGE, VERIFIER, World, error, part};

#[tokio::test]
async fn the_token_response_has_the_real_format() {
    let world = World::start().await;
    let tokens = world.sign_in("ada", "openid profile email", &["acme"]).await;
    assert_eq!(tokens["token_type"], "bearer");
    assert_eq!(tokens["expires_in"], 28_800);
    assert_eq!(tokens["scope"], "openid profile email");
    let refresh = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(refresh.strip_prefix("hf_oauth__refresh_").unwrap().len(), 34);
    let access = tokens["access_token"].as_str().unwrap().strip_prefix("hf_oauth_").unwrap();
    assert_eq!(part(access, 0)["alg"], "EdDSA");
    let claims = part(access, 1);
    assert_eq!(claims["scope"], json!(["openid", "profile", "email"]));
    assert_eq!(
        (claims["aud"].as_str(), claims["client_id"].as_str()),
        (Some(world.hub.issuer()), Some("app"))
    );
    let claims = world.verified(&tokens).await.unwrap();
    assert_eq!((&claims["aud"], &claims["nonce"]), (&json!("app"), &json!("n1")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    assert_eq!(claims["email_verified"], true);
    for absent in ["orgs", "isPro", "canPay"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
    assert!(part(tokens["id_token"].as_str().unwrap(), 0)["kid"].is_string());
    // Without the openid scope there is no ID token.
    assert!(world.sign_in("ada", "profile", &[]).await.get("id_token").is_none());
}

#[tokio::test]
async fn a_code_is_valid_once_for_its_client_redirect_uri_and_verifier() {
    let world = World::start().await;
    world.hub.consent("ada", "app", &[]);
    world.hub.register(Client::confidential("other", "s3cret", "Other", &[CALLBACK]));
    let grant = ("grant_type", "authorization_code");
    let code = world.code("ada", "app", "").await;
    assert_eq!(world.redeem(&code).await.status(), 200);
    assert_eq!(error(world.redeem(&code).await).await, (400, "invalid_grant".into()));

    let code = world.code("ada", "app", "").await;
    let wrong = [grant, ("code", &code), ("redirect_uri", CALLBACK), ("code_verifier", CHALLENGE)];
    assert_eq!(error(world.token(&wrong).await).await.1, "invalid_grant");

    let code = world.code("ada", "app", "").await;
    let none = [grant, ("code", &code), ("redirect_uri", CALLBACK)];
    assert_eq!(error(world.token(&none).await).await.1, "invalid_grant");

    let code = world.code("ada", "app", "").await;
    let elsewhere =
        [grant, ("code", &code), ("redirect_uri", "http://localhost:1/cb"), ("code_verifier", VERIFIER)];
    assert_eq!(error(world.token(&elsewhere).await).await.1, "invalid_grant");

    let code = world.code("ada", "app", "").await;
    let form = [grant, ("code", &code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    let request = world.http.post(world.url("/oauth/token")).basic_auth("other", Some("s3cret")).form(&form);
    assert_eq!(error(request.send().await.unwrap()).await.1, "invalid_grant");

    let code = world.code("ada", "app", "").await;
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(error(world.redeem(&code).await).await.1, "invalid_grant");
}

#[tokio::test]
async fn clients_authenticate_with_basic_post_or_json() {
    let world = World::start().await;
    world.hub.register(Client::confidential("a/b", "x y+z%", "Odd", &[CALLBACK]));
    for client in ["app", "a/b", "spa"] {
        world.hub.consent("ada", client, &[]);
    }
    let form = |code: &str| {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    let with = |code: &str, more: &[(&str, &str)]| {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        form(code).into_iter().chain(more).collect::<Vec<_>>()
    };
    let post = |form: Vec<(String, String)>| world.http.post(world.url("/oauth/token")).form(&form).send();

    let code = world.code("ada", "app", "").await;
    let both = with(&code, &[("client_id", "app"), ("client_secret", "s3cret")]);
    assert_eq!(post(both).await.unwrap().status(), 200);

    let code = world.code("ada", "app", "").await;
    let mut body = json!({"client_id": "app", "client_secret": "s3cret"});
    for (name, value) in form(&code) {
        body[name] = value.into();
    }
    let json = world.http.post(world.url("/oauth/token")).json(&body).send().await.unwrap();
    assert_eq!(json.status(), 200);

    // RFC 6749, section 2.3.1: id and secret are form-encoded before base64.
    let code = world.code("ada", "a%2Fb", "").await;
    let encoded = world.http.post(world.url("/oauth/token")).basic_auth("a%2Fb", Some("x+y%2Bz%25"));
    assert_eq!(encoded.form(&form(&code)).send().await.unwrap().status(), 200);

    // A public client may omit its id.
    for more in [&[("client_id", "spa")][..], &[]] {
        let code = world.code("ada", "spa", "").await;
        assert_eq!(post(with(&code, more)).await.unwrap().status(), 200);
    }

    // A confidential client must authenticate.
    for more in [&[("client_id", "app")][..], &[], &[("client_id", "app"), ("client_secret", "wrong")]] {
        let code = world.code("ada", "app", "").await;
        assert_eq!(
            error(post(with(&code, more)).await.unwrap()).await,
            (401, "invalid_client".into()),
            "{more:?}"
        );
    }
    let wrong = world.http.post(world.url("/oauth/token")).basic_auth("app", Some("wrong"));
    assert_eq!(error(wrong.form(&form("x")).send().await.unwrap()).await, (401, "invalid_client".into()));
    let seen = world.hub.last_request(Endpoint::Token).unwrap();
    assert_eq!(seen.headers()["authorization"], "Basic YXBwOndyb25n");
    assert_eq!(error(post(with("x", &[("grant_type", "y")])).await.unwrap()).await.1, "invalid_request");
}

#[tokio::test]
async fn refresh_tokens_rotate_and_cannot_be_reused() {
    let world = World::start().await;
    let tokens = world.sign_in("ada", "openid", &[]).await;
    let first = tokens["refresh_token"].as_str().unwrap();
    let form =
        |token: &str| [("grant_type", "refresh_token".to_owned()), ("refresh_token", token.to_owned())];
    let refresh = |token: &str| {
        let request = world.http.post(world.url("/oauth/token")).basic_auth("app", Some("s3cret"));
        request.form(&form(token)).send()
    };
    // An attempt of another client does not consume it.
    let foreign = world.http.post(world.url("/oauth/token")).form(&form(first)).send().await.unwrap();
    assert_eq!(error(foreign).await.1, "invalid_client");
    let next: Value = refresh(first).await.unwrap().json().await.unwrap();
    let second = next["refresh_token"].as_str().unwrap();
    assert_ne!(first, second);
    assert_eq!(world.userinfo(&next).await["sub"], world.userinfo(&tokens).await["sub"]);
    assert_eq!(error(refresh(first).await.unwrap()).await, (400, "invalid_grant".into()));
    assert_eq!(refresh(second).await.unwrap().status(), 200);
}

#[tokio::test]
async fn keys_rotate_with_and_without_keeping_the_old_one() {
    let world = World::start().await;
    let old = world.sign_in("ada", "openid", &[]).await;
    world.hub.rotate_keys(true);
    assert!(world.verified(&old).await.is_some());
    let new = world.sign_in("ada", "openid", &[]).await;
    let kid = |tokens: &Value| part(tokens["id_token"].as_str().unwrap(), 0)["kid"].clone();
    assert_ne!(kid(&old), kid(&new));
    assert!(world.verified(&new).await.is_some());
    world.hub.rotate_keys(false);
    assert!(world.verified(&new).await.is_none());
    assert_eq!(world.json("/oauth/jwks").await["keys"].as_array().unwrap().len(), 1);
}
