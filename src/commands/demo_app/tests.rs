//! The app over real sockets, with a gate that only serves its keys.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use futures_util::{SinkExt as _, StreamExt as _};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite;

use super::*;

/// A running app and the gate's signing key.
struct World {
    /// The app's address, `host:port`.
    app: String,
    /// The gate's public URL.
    public_url: String,
    /// The gate's signing key.
    key: EncodingKey,
    /// Stops the app.
    stop: oneshot::Sender<()>,
    /// The serving task.
    running: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl World {
    async fn start() -> Self {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let key = signing_key();
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some("one".to_owned());
        let jwks = serde_json::to_string(&JwkSet { keys: vec![jwk] }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public_url = format!("http://{}", listener.local_addr().unwrap());
        let gate = Router::new().route("/oauth2/jwks.json", get(|| async { jwks }));
        tokio::spawn(axum::serve(listener, gate).into_future());

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let gate_url = public_url.clone();
        let running =
            tokio::spawn(async move { serve(listener, &gate_url, async { stopped.await.unwrap() }).await });
        Self { app, public_url, key, stop, running }
    }

    /// An assertion about ada with `changes` to its claims, signed by `key`.
    fn assertion(&self, changes: &Value, key: &EncodingKey, kid: &str) -> String {
        let now = Clock::system().now();
        let mut claims = json!({
            "iss": self.public_url, "aud": self.public_url, "sub": "u1", "preferred_username": "ada",
            "groups": ["acme"], "iat": now, "nbf": now, "exp": now + 300,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, key).unwrap()
    }

    /// The page at `path` for a request with `headers`.
    async fn page(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let mut request = reqwest::Client::builder().no_proxy().build().unwrap().get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().text().await.unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app)
    }
}

fn signing_key() -> EncodingKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref())
}

#[tokio::test]
async fn the_page_shows_person_and_path() {
    let world = World::start().await;
    let page = world
        .page(
            "/reports/42?tab=2",
            &[
                ("X-Forwarded-Preferred-Username", "UTF-8''J%C3%B6rg"),
                ("X-Forwarded-Groups", "acme,acme:admin"),
            ],
        )
        .await;
    for words in
        ["<h1>Hello, <bdi>Jörg</bdi></h1>", "GET /reports/42?tab=2", "<bdi>acme:admin</bdi>", ">J</div>"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    // The table also shows the raw value.
    assert!(
        page.contains("<code>UTF-8&#39;&#39;J%C3%B6rg</code> <small>reads <bdi>Jörg</bdi></small>"),
        "{page}"
    );
    assert!(!page.contains("{{"), "a place without a value");
}

#[tokio::test]
async fn header_values_are_neither_markup_nor_placeholders() {
    let world = World::start().await;
    let hostile = "<script>alert(1)</script>\"'{{headers}}";
    let page = world
        .page(
            "/x?<script>",
            &[
                ("X-Forwarded-Preferred-Username", hostile),
                ("X-Forwarded-Email", hostile),
                ("X-Forwarded-Groups", hostile),
                ("X-Huggate-Assertion", hostile),
                ("X-Other", hostile),
            ],
        )
        .await;
    assert_eq!(page.matches("<script").count(), 1, "only the page's own: {page}");
    assert_eq!(page.matches("<tbody>").count(), 1);
}

#[tokio::test]
async fn only_valid_assertions_are_verified() {
    let world = World::start().await;
    let show = async |token: &str| world.page("/", &[("X-Huggate-Assertion", token)]).await;

    let page = show(&world.assertion(&json!({}), &world.key, "one")).await;
    assert!(page.contains("✓ verified"), "{page}");
    assert!(page.contains("<dt>preferred_username</dt><dd><bdi>ada</bdi></dd>"), "{page}");

    for (changes, key, kid) in [
        (json!({ "aud": "https://other.example" }), &world.key, "one"),
        (json!({ "iss": "https://other.example" }), &world.key, "one"),
        (json!({ "exp": 1_000 }), &world.key, "one"),
        (json!({ "sub": null }), &world.key, "one"),
        (json!({}), &signing_key(), "one"),
        (json!({}), &world.key, "two"),
    ] {
        let page = show(&world.assertion(&changes, key, kid)).await;
        assert!(page.contains("✗ not verified"), "{changes} {kid}");
        assert!(!page.contains("✓ verified"), "{changes} {kid}");
    }
    assert!(world.page("/public/hello", &[]).await.contains("nobody is signed in"));
}

#[tokio::test]
async fn the_stream_counts_events() {
    let world = World::start().await;
    let mut response = reqwest::get(world.url("/events")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let event = String::from_utf8(response.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event.starts_with("data: {\"number\":1,\"time\":"), "{event}");
}

#[tokio::test]
async fn the_websocket_greets_by_name_and_echoes() {
    let world = World::start().await;
    let request = tungstenite::ClientRequestBuilder::new(format!("ws://{}/echo", world.app).parse().unwrap())
        .with_header("X-Forwarded-Preferred-Username", "ada");
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().to_text().unwrap(), "Hello, ada. Say something.");
    socket.send("grüß dich".into()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().to_text().unwrap(), "grüß dich");
}

#[tokio::test]
async fn open_streams_do_not_block_shutdown() {
    let world = World::start().await;
    let mut stream = reqwest::get(world.url("/events")).await.unwrap();
    stream.chunk().await.unwrap();
    world.stop.send(()).unwrap();
    assert_eq!(stream.chunk().await.unwrap(), None);
    world.running.await.unwrap().unwrap();
}
