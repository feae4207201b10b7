//! Start, stop, and the set of endpoints.

use huggate::hub::{Endpoint, Hub, Settings, StartError};
use tokio::net::TcpListener;

use super::{World, error};

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = Hub::start(listener, Settings::default()).await.unwrap_err();
    assert!(matches!(error, StartError::NotLoopback(_)), "{error}");
}

#[tokio::test]
async fn stopping_closes_connections_and_frees_the_port() {
    use tokio::io::AsyncReadExt;
    let world = World::start().await;
    let address = world.hub.issuer().strip_prefix("http://").unwrap().to_owned();
    let mut idle = tokio::net::TcpStream::connect(&address).await.unwrap();
    world.get("/").await;
    world.hub.stop().await;
    assert!(matches!(idle.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    let again = Hub::start(TcpListener::bind(&address).await.unwrap(), Settings::default()).await.unwrap();
    assert_eq!(world.get("/").await.status(), 200);
    again.stop().await;
}

#[tokio::test]
async fn both_metadata_documents_match_the_real_one_except_for_the_issuer() {
    let world = World::start().await;
    let text = world.get("/.well-known/openid-configuration").await.text().await.unwrap();
    let issuer = world.hub.issuer();
    assert!(text.starts_with(&format!(
        "{{\"issuer\":\"{issuer}\",\"registration_endpoint\":\"{issuer}/oauth/register\""
    )));
    assert!(text.contains(
        "\"token_endpoint_auth_methods_supported\":[\"client_secret_basic\",\"client_secret_post\"]"
    ));
    assert!(!text.contains("scopes_supported"));
    assert_eq!(text, world.get("/.well-known/oauth-authorization-server").await.text().await.unwrap());
    assert_eq!(world.hub.calls(Endpoint::Discovery), 2);
}

#[tokio::test]
async fn endpoints_that_the_real_provider_lacks_are_missing() {
    let world = World::start().await;
    for path in ["/oauth/revoke", "/oauth/introspect", "/oauth/end_session", "/oauth/logout"] {
        assert_eq!(world.post(path, &[]).await.status(), 404, "{path}");
    }
    let exchange = [("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")];
    assert_eq!(error(world.token(&exchange).await).await.1, "invalid_client");
    assert_eq!(error(world.token(&[("grant_type", "password")]).await).await.1, "unsupported_grant_type");
}

#[tokio::test]
async fn an_oversized_body_is_rejected() {
    let world = World::start().await;
    let long = "x".repeat(300 * 1024);
    assert_eq!(world.token(&[("grant_type", &long)]).await.status(), 413);
}
