//! The stand-in for huggingface.co, over real sockets.

mod behaviour;
mod device;
mod pages;
mod running;
mod tokens;
mod users;

use huggate::clock::Clock;
use huggate::hub::{Behaviour, Client, Hub, Settings};
use reqwest::{Response, StatusCode, header};
use serde_json::Value;
use tokio::net::TcpListener;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The S256 challenge of [`VERIFIER`].
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// The redirect URI of these tests' clients.
const CALLBACK: &str = "http://localhost/cb";
/// The grant type of the device flow.
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A hub with a confidential client `app` (secret `s3cret`) and a public one `spa`.
struct World {
    hub: Hub,
    http: reqwest::Client,
    clock: Clock,
}

impl World {
    async fn start() -> Self {
        Self::with(Behaviour::default()).await
    }

    async fn with(behaviour: Behaviour) -> Self {
        let clock = Clock::manual(1_790_000_000);
        let clients = vec![
            Client::confidential("app", "s3cret", "An <App>", &[CALLBACK]),
            Client::public("spa", "A page", &[CALLBACK]),
        ];
        let settings = Settings::default().clients(clients).behaviour(behaviour).clock(clock.clone());
        let hub = Hub::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), settings).await.unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { hub, http, clock }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.hub.issuer())
    }

    async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    /// Sends an authorization request from a browser in which `user` is signed in.
    async fn authorize(&self, user: &str, client: &str, more: &str) -> Response {
        let query = format!(
            "client_id={client}&redirect_uri={CALLBACK}&response_type=code&code_challenge={CHALLENGE}\
             &code_challenge_method=S256&{more}"
        );
        let request = self.http.get(self.url(&format!("/oauth/authorize?{query}")));
        request.header(header::COOKIE, format!("hub_user={user}")).send().await.unwrap()
    }

    /// A code for a user who has consented before.
    async fn code(&self, user: &str, client: &str, more: &str) -> String {
        parameter(&location(&self.authorize(user, client, more).await), "code").unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.http.post(self.url(path)).form(form).send().await.unwrap()
    }

    /// Sends a token request as the client `app`.
    async fn token(&self, form: &[(&str, &str)]) -> Response {
        let request = self.http.post(self.url("/oauth/token")).basic_auth("app", Some("s3cret"));
        request.form(form).send().await.unwrap()
    }

    /// Redeems a code of `app`.
    async fn redeem(&self, code: &str) -> Response {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        self.token(&[&form[..], &[("code_verifier", VERIFIER)]].concat()).await
    }

    /// The tokens of a complete sign-in at `app`.
    async fn sign_in(&self, user: &str, scope: &str, orgs: &[&str]) -> Value {
        self.hub.consent(user, "app", orgs);
        let code = self.code(user, "app", &format!("nonce=n1&scope={}", scope.replace(' ', "+"))).await;
        self.redeem(&code).await.json().await.unwrap()
    }

    async fn bearer(&self, path: &str, token: &str) -> Response {
        self.http.get(self.url(path)).bearer_auth(token).send().await.unwrap()
    }

    async fn userinfo(&self, tokens: &Value) -> Value {
        let token = tokens["access_token"].as_str().unwrap();
        self.bearer("/oauth/userinfo", token).await.json().await.unwrap()
    }

    /// The claims of the ID token, if a key of the JWKS verifies it.
    async fn verified(&self, tokens: &Value) -> Option<Value> {
        use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
        let token = tokens["id_token"].as_str()?;
        let (input, signature) = token.rsplit_once('.')?;
        let keys = self.json("/oauth/jwks").await;
        let fits = |key: &Value| {
            let key =
                RsaPublicKeyComponents { n: decode(key["n"].as_str()?)?, e: decode(key["e"].as_str()?)? };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, input.as_bytes(), &decode(signature)?).ok()
        };
        keys["keys"].as_array()?.iter().find_map(fits)?;
        Some(part(token, 1))
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

/// Header (0) or claims (1) of a JWT.
fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn location(response: &Response) -> String {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    response.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// The CSRF ticket of a page's form.
fn ticket(page: &str) -> String {
    page.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

async fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert!(body["error_description"].is_string());
    (status, body["error"].as_str().unwrap().to_owned())
}
