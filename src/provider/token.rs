//! The token request: RFC 6749, section 4.1.3, with PKCE (RFC 7636, section 4.5),
//! and section 6 for a refresh.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::form_urlencoded;

use super::discovery::Metadata;
use super::http_client::{FetchError, HttpClient};
use super::settings::ProviderSettings;
use crate::clock::UnixTime;
use crate::identity::Tokens;
use crate::keys::SecretString;

/// The longest ID token that is taken, in bytes. It is looked at once.
const MAX_ID_TOKEN: usize = 16 * 1024;
/// The longest of the tokens that a session keeps: with both of them at most, and
/// a person with many organisations, it still fits into its cookies.
pub(crate) const MAX_TOKEN: usize = 4 * 1024;

/// What a callback brought, and what it must match.
pub(crate) struct CodeGrant<'a> {
    pub(crate) code: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) code_verifier: &'a str,
    pub(crate) nonce: &'a str,
}

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct TokenResponse {
    access_token: SecretString,
    token_type: String,
    id_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    /// Seconds. Any number is taken, and what is none says nothing.
    expires_in: Option<serde_json::Value>,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
struct ErrorResponse {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Why the code was not exchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The provider's own error code and words, cut to a length.
    #[error("the provider refused: {error} {description}")]
    Refused { error: String, description: String },
    #[error("the provider gave no ID token; the openid scope must be among the app's scopes")]
    NoIdToken,
    #[error("the provider gave a token of a type other than bearer")]
    TokenType,
    #[error("the provider gave a token that is empty or too long")]
    Unusable,
}

/// Exchanges the code for tokens and an ID token.
pub(super) async fn exchange(
    http: &HttpClient,
    metadata: &Metadata,
    settings: &ProviderSettings,
    grant: &CodeGrant<'_>,
    now: UnixTime,
) -> Result<(Tokens, SecretString), TokenError> {
    let form = vec![
        ("grant_type", "authorization_code"),
        ("code", grant.code),
        ("redirect_uri", grant.redirect_uri),
        ("code_verifier", grant.code_verifier),
    ];
    let response = request(http, metadata, settings, form).await?;
    let id_token = response.id_token.clone().ok_or(TokenError::NoIdToken)?;
    check(&id_token, MAX_ID_TOKEN)?;
    Ok((response.tokens(now)?, id_token))
}

/// Exchanges a refresh token for new tokens. Where the provider gives no new
/// refresh token, the old one stays (section 6).
pub(super) async fn refresh(
    http: &HttpClient,
    metadata: &Metadata,
    settings: &ProviderSettings,
    refresh_token: &SecretString,
    now: UnixTime,
) -> Result<Tokens, TokenError> {
    let form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
    let mut tokens = request(http, metadata, settings, form).await?.tokens(now)?;
    tokens.refresh.get_or_insert_with(|| refresh_token.clone());
    Ok(tokens)
}

/// Asks the token endpoint, as the client we are.
async fn request(
    http: &HttpClient,
    metadata: &Metadata,
    settings: &ProviderSettings,
    mut form: Vec<(&str, &str)>,
) -> Result<TokenResponse, TokenError> {
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    match &settings.client_secret {
        // Section 2.3.1: basic is what every server must know. Post only where the
        // provider announces that and not basic.
        Some(secret) if metadata.basic || !metadata.post => {
            headers.insert(AUTHORIZATION, basic(&settings.client_id, secret));
        }
        Some(secret) => {
            form.push(("client_id", &settings.client_id));
            form.push(("client_secret", secret.expose()));
        }
        None => form.push(("client_id", &settings.client_id)),
    }
    let answer = http.post(&metadata.token_endpoint, headers, &form).await?;
    if answer.status.is_client_error() && answer.status != http::StatusCode::TOO_MANY_REQUESTS {
        // Without the error document the status has to do.
        return Err(match answer.json::<ErrorResponse>() {
            Ok(refused) => TokenError::Refused {
                error: truncated(&refused.error, 64),
                description: truncated(&refused.error_description, 300),
            },
            Err(_) => FetchError::Status { endpoint: answer.endpoint, status: answer.status }.into(),
        });
    }
    Ok(answer.ok()?.json()?)
}

impl TokenResponse {
    fn tokens(self, now: UnixTime) -> Result<Tokens, TokenError> {
        // Section 5.1: the type is case-insensitive, and the provider's is lower case.
        if !self.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::TokenType);
        }
        check(&self.access_token, MAX_TOKEN)?;
        // It is optional; one that cannot be used is none.
        let refresh = self.refresh_token.filter(|token| check(token, MAX_TOKEN).is_ok());
        let lifetime = self.expires_in.as_ref().and_then(serde_json::Value::as_u64);
        let expires = lifetime.map(|lifetime| now.saturating_add(lifetime));
        Ok(Tokens { access: self.access_token, refresh, expires })
    }
}

/// A token of printable characters, and of a length that can be kept.
fn check(token: &SecretString, longest: usize) -> Result<(), TokenError> {
    let text = token.expose();
    let sound = !text.is_empty() && text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic());
    if sound { Ok(()) } else { Err(TokenError::Unusable) }
}

/// RFC 6749, section 2.3.1: id and secret are form-encoded before they are joined.
fn basic(client_id: &str, secret: &SecretString) -> HeaderValue {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = STANDARD.encode(format!("{}:{}", encode(client_id), encode(secret.expose())));
    let mut value =
        HeaderValue::try_from(format!("Basic {credentials}")).expect("base64 is a valid field value");
    value.set_sensitive(true);
    value
}

/// A stranger's words, cut to `limit` characters.
pub(crate) fn truncated(text: &str, limit: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_form_encoded_first() {
        let value = basic("id:with colon", &SecretString::new("s%cret+"));
        let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        let decoded = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
        assert_eq!(decoded, "id%3Awith+colon:s%25cret%2B");
        assert!(value.is_sensitive());
    }
}
