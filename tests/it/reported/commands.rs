//! The stand-in as developers and incident scripts use it.

use huggate::authn::BearerSettings;
use huggate::hub::Hub;
use huggate::{Rule, hub};
use serde_json::json;

use crate::world::{Ask, CLIENT, FRONTS, World};

async fn revoke(hub: &Hub, body: &str) -> u16 {
    let url = format!("{}/api/credentials/revoke", hub.issuer());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    // Without a content type as well: only the body counts.
    http.post(url).body(body.to_owned()).send().await.unwrap().status().as_u16()
}

async fn status(hub: &Hub, path: &str, token: &str) -> u16 {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(format!("{}{path}", hub.issuer())).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_stand_in_revokes_leaked_tokens_of_every_kind_without_authentication() {
    let world = World::of_acme(FRONTS[0]).await;
    let hub = &world.hub;
    hub.consent("ada", CLIENT, &["acme"]);
    let oauth = hub.oauth_token("ada", CLIENT).unwrap();
    let (ada, ben) = (hub.token_of("ada").unwrap(), hub.token_of("ben").unwrap());
    let app = hub::Settings::default().apps[0].token.clone();
    for token in [&ada, &ben, &oauth, &app] {
        assert_eq!(status(hub, "/api/whoami-v2", token).await, 200, "{token}");
    }
    assert_eq!(status(hub, "/oauth/userinfo", &oauth).await, 200);

    let leaked = json!({"credentials": [ada, oauth, app, "hf_unknown", ""]}).to_string();
    assert_eq!(revoke(hub, &leaked).await, 202);
    for token in [&ada, &oauth, &app] {
        assert_eq!(status(hub, "/api/whoami-v2", token).await, 401, "{token}");
    }
    assert_eq!(status(hub, "/oauth/userinfo", &oauth).await, 401);
    // Nobody else's, and a second time makes no difference.
    assert_eq!(status(hub, "/api/whoami-v2", &ben).await, 200);
    assert_eq!(revoke(hub, &leaked).await, 202);
    // The account gets a new token, which counts.
    hub.edit_user("ada", |ada| "hf_new".clone_into(&mut ada.token));
    assert_eq!(status(hub, "/api/whoami-v2", "hf_new").await, 200);
}

#[tokio::test]
async fn a_malformed_request_to_revoke_tokens_is_refused() {
    let world = World::of_acme(FRONTS[0]).await;
    let token = world.hub.token_of("ada").unwrap();
    for body in [
        String::new(),
        "{".to_owned(),
        "{}".to_owned(),
        json!([token]).to_string(),
        json!({"credentials": token}).to_string(),
        json!({"credentials": [token, 1]}).to_string(),
        json!({"credentials": null}).to_string(),
        format!("credentials={token}"),
    ] {
        assert_eq!(revoke(&world.hub, &body).await, 400, "{body}");
    }
    assert_eq!(revoke(&world.hub, &json!({"credentials": []}).to_string()).await, 202);
    assert_eq!(status(&world.hub, "/api/whoami-v2", &token).await, 200);
}

#[tokio::test]
async fn the_gate_refuses_a_revoked_token_when_it_checks_it_again() {
    for front in FRONTS {
        let world =
            World::start(front, |gate| gate.allow(Rule::org("acme")).bearer(BearerSettings::default())).await;
        let token = world.hub.token_of("ada").unwrap();
        let ask = || Ask::get("/").with("authorization", &format!("Bearer {token}"));
        world.send(ask()).await.expect(200);
        assert_eq!(revoke(&world.hub, &json!({"credentials": [token]}).to_string()).await, 202);
        // Past the time for which a checked token is remembered.
        world.clock.advance(std::time::Duration::from_secs(24 * 3600));
        world.send(ask()).await.expect(401);
    }
}
