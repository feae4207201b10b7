//! Deviations and fault injection.

use std::time::Duration;

use huggate::hub::{Behaviour, Edit, EditQuery, EditToken, Endpoint, Fault, Iss, Signature};
use reqwest::header;
use serde_json::{Value, json};

use super::{World, location, parameter, part};

#[tokio::test]
async fn id_tokens_can_be_forged() {
    let world = World::start().await;
    let good = world.sign_in("ada", "openid", &[]).await;
    assert!(world.verified(&good).await.is_some());
    for signature in [
        Signature::None,
        Signature::ClientSecret,
        Signature::PublicKey,
        Signature::ForeignKey,
        Signature::Corrupted,
    ] {
        world.hub.behave(|behaviour| behaviour.id_token_signature = signature.clone());
        let tokens = world.sign_in("ada", "openid", &[]).await;
        assert!(world.verified(&tokens).await.is_none(), "{signature:?}");
        let expected = match signature {
            Signature::None => "none",
            Signature::ClientSecret | Signature::PublicKey => "HS256",
            _ => "RS256",
        };
        assert_eq!(part(tokens["id_token"].as_str().unwrap(), 0)["alg"], expected);
    }
    world.hub.behave(|behaviour| {
        *behaviour = Behaviour::default();
        behaviour.no_kid = true;
        behaviour.edit_id_token = Some(EditToken::new(|header, claims| {
            header.insert("crit".to_owned(), json!(["x"]));
            claims.insert("iss".to_owned(), "https://evil.example".into());
            claims.insert("exp".to_owned(), 1e300.into());
            claims.remove("sub");
        }));
    });
    let tokens = world.sign_in("ada", "openid", &[]).await;
    let header = part(tokens["id_token"].as_str().unwrap(), 0);
    assert!(header.get("kid").is_none());
    assert_eq!(header["crit"], json!(["x"]));
    let claims = world.verified(&tokens).await.expect("its signature is valid");
    assert_eq!((&claims["iss"], &claims["exp"]), (&json!("https://evil.example"), &json!(1e300)));
    assert!(claims.get("sub").is_none());
}

#[tokio::test]
async fn responses_can_be_edited() {
    let world = World::start().await;
    world.hub.behave(|behaviour| {
        behaviour.no_id_token = true;
        behaviour.no_refresh_token = true;
        behaviour.token_type = Some("BeArEr".to_owned());
        behaviour.edit_token = Some(Edit::new(|token| {
            token.remove("expires_in");
        }));
        behaviour.userinfo_sub = Some("f".repeat(24));
        behaviour.no_orgs = true;
        behaviour.iss = Some(Iss::Right);
        behaviour.announce_iss = true;
        behaviour.discovery_issuer = Some("https://evil.example".to_owned());
        behaviour.token_auth_methods = Some(vec!["none".to_owned()]);
    });
    let tokens = world.sign_in("ada", "openid", &[]).await;
    let mut names: Vec<&String> = tokens.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["access_token", "scope", "token_type"]);
    assert_eq!(tokens["token_type"], "BeArEr");
    let info = world.userinfo(&tokens).await;
    assert_eq!(info["sub"], "f".repeat(24));
    assert!(info.get("orgs").is_none());
    let document = world.json("/.well-known/openid-configuration").await;
    assert_eq!(document["issuer"], "https://evil.example");
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["token_endpoint_auth_methods_supported"], json!(["none"]));
    let back = location(&world.authorize("ada", "app", "state=s").await);
    assert_eq!(parameter(&back, "iss").unwrap(), world.hub.issuer());
    world.hub.behave(|behaviour| {
        behaviour.iss = Some(Iss::Other("https://evil.example".to_owned()));
        behaviour.userinfo_body = Some("[1]".to_owned());
        behaviour.edit_callback =
            Some(EditQuery::new(|query| query.push(("state".to_owned(), "again".to_owned()))));
    });
    let back = location(&world.authorize("ada", "app", "state=s").await);
    assert!(back.ends_with("&state=s&iss=https%3A%2F%2Fevil.example&state=again"), "{back}");
    assert_eq!(world.userinfo(&tokens).await, json!([1]));
}

#[tokio::test]
async fn unknown_provider_behaviour_is_configurable() {
    let world = World::start().await;
    let tokens = world.sign_in("ben", "openid read-memberships", &[]).await;
    world.hub.behave(|behaviour| behaviour.role_by_scope = true);
    assert_eq!(world.userinfo(&tokens).await["orgs"][0]["roleInOrg"], "read");
    let narrow = world.sign_in("ben", "openid", &[]).await;
    assert!(world.userinfo(&narrow).await["orgs"][0].get("roleInOrg").is_none());
    world.hub.behave(|behaviour| behaviour.orgs_need_scope = true);
    assert_eq!(world.userinfo(&narrow).await["orgs"], json!([]));
    assert_eq!(world.userinfo(&tokens).await["orgs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_fault_is_injected() {
    let world = World::start().await;
    let fail = |fault| world.hub.behave(|behaviour| behaviour.fail(Endpoint::Jwks, fault));
    fail(Fault::Status(503));
    assert_eq!(world.get("/oauth/jwks").await.status(), 503);
    fail(Fault::Status(429));
    assert_eq!(world.get("/oauth/jwks").await.headers()["ratelimit"], "\"api\";r=0;t=100");
    fail(Fault::NotJson);
    assert!(world.get("/oauth/jwks").await.json::<Value>().await.is_err());
    fail(Fault::Truncated);
    let cut = world.get("/oauth/jwks").await;
    assert!(cut.content_length().unwrap() > 100);
    assert!(cut.bytes().await.is_err());
    fail(Fault::Huge(9 << 20));
    assert!(world.get("/oauth/jwks").await.bytes().await.unwrap().len() > 9 << 20);
    fail(Fault::Redirect("http://127.0.0.1:9/".to_owned()));
    assert_eq!(world.get("/oauth/jwks").await.headers()[header::LOCATION], "http://127.0.0.1:9/");
    fail(Fault::Reset);
    assert!(world.http.get(world.url("/oauth/jwks")).send().await.unwrap_err().is_request());
    let hurried = || world.http.get(world.url("/oauth/jwks")).timeout(Duration::from_millis(100)).send();
    for fault in [Fault::Hang, Fault::Slow(Duration::from_secs(60))] {
        fail(fault);
        assert!(hurried().await.unwrap_err().is_timeout());
    }
    fail(Fault::Answer { status: 200, content_type: "application/json".to_owned(), body: "{}".to_owned() });
    assert_eq!(world.json("/oauth/jwks").await, json!({}));
    fail(Fault::Slow(Duration::from_millis(1)));
    assert!(world.json("/oauth/jwks").await["keys"].is_array());
    world.hub.behave(|behaviour| behaviour.fail_times(Endpoint::Jwks, Fault::Status(500), 1));
    assert_eq!(world.get("/oauth/jwks").await.status(), 500);
    assert_eq!(world.get("/oauth/jwks").await.status(), 200);
    assert_eq!(world.hub.calls(Endpoint::Jwks), 13, "requests with a fault are counted");
    assert_eq!(world.get("/").await.status(), 200, "other endpoints have no fault");
}
