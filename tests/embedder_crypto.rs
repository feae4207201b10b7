//! Nothing is chosen for the whole process: the embedder installs the cryptography of rustls
//! and jsonwebtoken, before the gate is built or after it was used. A binary of its own, since a
//! process has one choice.
#![cfg(feature = "hub")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use huggate::hub::{Client, Hub, Settings};
use huggate::keys::Secret;
use huggate::{Gate, Rule, User};
use jsonwebtoken::crypto::{CryptoProvider, KeyUtils};

const APP: &str = "http://127.0.0.1:1";

/// Shows where the process's choice is used.
static UNUSED: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| panic!("huggate signs with the provider of the process"),
    verifier_factory: |_, _| panic!("huggate verifies with the provider of the process"),
    key_utils: KeyUtils::new_unimplemented(),
};

async fn app(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert!(request.headers().contains_key("x-huggate-assertion"), "the gate signs");
    let name = request.extensions().get::<User>().map_or("nobody", User::username);
    Ok(Response::new(Full::from(name.to_owned())))
}

fn request(target: &str, cookies: &str) -> Request<Full<Bytes>> {
    let request = Request::get(target).header("host", "127.0.0.1:1").header("sec-fetch-mode", "navigate");
    request.header("cookie", cookies).body(Full::default()).unwrap()
}

fn cookies<B>(response: &Response<B>) -> String {
    let lines = response.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    lines.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
}

/// Builds a gate and signs ada in: an ID token is verified, and an assertion signed.
async fn sign_in(hub: &Hub) {
    let gate = Gate::builder()
        .public_url(APP)
        .issuer(hub.issuer())
        .client("app", "secret")
        .secret(Secret::generate())
        .allow(Rule::org("acme"))
        .build()
        .await
        .unwrap();
    let begun = gate.handle(request("/", ""), app).await.unwrap();
    let authorize = begun.headers()["location"].to_str().unwrap();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let consented = http.get(authorize).header("cookie", "hub_user=ada").send().await.unwrap();
    let callback = consented.headers()["location"].to_str().unwrap().strip_prefix(APP).unwrap();
    let done = gate.handle(request(callback, &cookies(&begun)), app).await.unwrap();
    assert_eq!(done.status(), StatusCode::FOUND);
    let page = gate.handle(request("/", &cookies(&done)), app).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_embedder_installs_its_cryptography_before_or_after() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hub = Hub::start(listener, Settings::default()).await.unwrap();
    hub.register(Client::confidential("app", "secret", "App", &[&format!("{APP}/oauth2/callback")]));
    hub.consent("ada", "app", &["acme"]);
    sign_in(&hub).await;
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    UNUSED.install_default().unwrap();
    sign_in(&hub).await;
}
