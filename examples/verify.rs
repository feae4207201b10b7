//! Verifies huggate's assertion: prints its claims, or what is wrong with it.
//!
//! ```text
//! cargo run --example verify -- https://app.example.com < assertion
//! ```
//!
//! A second argument is the audience, if it differs from the issuer.
#![expect(clippy::print_stdout, reason = "it prints the claims")]

// [verify]
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

type Claims = serde_json::Map<String, serde_json::Value>;
type Failure = Box<dyn std::error::Error>;

/// The public keys of the huggate at `issuer`. Cache them for five minutes, and
/// fetch them again when an assertion names an unknown key.
async fn keys(issuer: &str) -> Result<JwkSet, Failure> {
    let answer = reqwest::get(format!("{issuer}/oauth2/jwks.json")).await?;
    Ok(answer.error_for_status()?.json().await?)
}

/// The claims of `assertion`, if the huggate at `issuer` signed it for `audience`,
/// which is this app, and it has not expired.
fn verify(assertion: &str, keys: &JwkSet, issuer: &str, audience: &str) -> Result<Claims, Failure> {
    let kid = jsonwebtoken::decode_header(assertion)?.kid.ok_or("it names no key")?;
    let key = DecodingKey::from_jwk(keys.find(&kid).ok_or("unknown key")?)?;
    let mut expected = Validation::new(Algorithm::ES256);
    expected.set_issuer(&[issuer]);
    expected.set_audience(&[audience]);
    expected.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    Ok(jsonwebtoken::decode(assertion, &key, &expected)?.claims)
}
// [/verify]

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let issuer = arguments.next().ok_or("name the public URL of huggate")?;
    let audience = arguments.next().unwrap_or_else(|| issuer.clone());
    let assertion = std::io::read_to_string(std::io::stdin())?;
    let claims = verify(assertion.trim(), &keys(&issuer).await?, &issuer, &audience)?;
    println!("{}", serde_json::to_string(&claims)?);
    Ok(())
}
