//! The token endpoint: RFC 6749, section 4.1.3, with PKCE (RFC 7636, section 4.5), and section
//! 6 for refreshing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::form_urlencoded;

use super::discovery::Metadata;
use super::http_client::{FetchError, HttpClient};
use super::json::{Ignored, Member};
use super::settings::ProviderSettings;
use crate::clock::UnixTime;
use crate::identity::Tokens;
use crate::keys::SecretString;

/// Maximum size of an ID token, in bytes. It is not stored.
const MAX_ID_TOKEN: usize = 16 * 1024;
/// Maximum size of a token that a session stores: two of them and a person with many
/// organisations still fit into the session cookies.
pub(crate) const MAX_TOKEN: usize = 4 * 1024;

/// The parameters of a callback, and the secrets of its sign-in.
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
    #[serde(default)]
    id_token: Member<SecretString>,
    #[serde(default)]
    refresh_token: Member<SecretString>,
    /// Seconds.
    #[serde(default)]
    expires_in: Member<u64>,
}

/// RFC 6749, section 5.2.
#[derive(Deserialize)]
struct ErrorResponse {
    error: String,
    #[serde(default)]
    error_description: Member<String>,
}

/// Why the token request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The provider's `error` and `error_description`, truncated.
    #[error("the provider rejected the request: {error} {description}")]
    Refused { error: String, description: String },
    #[error("the provider sent no ID token; the app needs the openid scope")]
    NoIdToken,
    #[error("the provider sent a token that is not a bearer token")]
    TokenType,
    #[error("the provider sent a token that is empty or too long")]
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
    let mut response = request(http, metadata, settings, form).await?;
    let id_token = match std::mem::take(&mut response.id_token) {
        Member::Value(token) => token,
        Member::Absent => return Err(TokenError::NoIdToken),
        Member::Malformed => return Err(TokenError::Unusable),
    };
    check(&id_token, MAX_ID_TOKEN)?;
    Ok((response.tokens(now)?, id_token))
}

/// Exchanges a refresh token for new tokens. The old refresh token is kept if the response has
/// none (section 6).
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

/// Sends a token request with client authentication.
async fn request(
    http: &HttpClient,
    metadata: &Metadata,
    settings: &ProviderSettings,
    mut form: Vec<(&str, &str)>,
) -> Result<TokenResponse, TokenError> {
    let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    match &settings.client_secret {
        // Section 2.3.1: every server must support client_secret_basic. client_secret_post is
        // used only if the provider announces it and not basic.
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
        // Without an error document, report the status.
        return Err(match answer.json::<ErrorResponse>() {
            Ok(refused) => TokenError::Refused {
                error: truncated(&refused.error, 64),
                description: match refused.error_description {
                    Member::Value(description) => truncated(&description, 300),
                    Member::Absent | Member::Malformed => String::new(),
                },
            },
            Err(_) => answer.refused().into(),
        });
    }
    Ok(answer.ok()?.json()?)
}

impl TokenResponse {
    fn tokens(self, now: UnixTime) -> Result<Tokens, TokenError> {
        // Section 5.1: `token_type` is case-insensitive.
        if !self.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::TokenType);
        }
        check(&self.access_token, MAX_TOKEN)?;
        // Optional: an unusable one is dropped.
        let mut ignored = Ignored::default();
        let refresh = self.refresh_token.or_ignore("refresh_token", &mut ignored);
        let refresh = refresh.filter(|token| check(token, MAX_TOKEN).is_ok());
        let lifetime = self.expires_in.or_ignore("expires_in", &mut ignored);
        let expires = lifetime.map(|lifetime| now.saturating_add(lifetime));
        ignored.report("token response");
        Ok(Tokens { access: self.access_token, refresh, expires })
    }
}

/// Checks that a token is printable and not too long.
fn check(token: &SecretString, longest: usize) -> Result<(), TokenError> {
    let text = token.expose();
    let sound = !text.is_empty() && text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic());
    if sound { Ok(()) } else { Err(TokenError::Unusable) }
}

/// RFC 6749, section 2.3.1: id and secret are form-encoded before they are concatenated.
fn basic(client_id: &str, secret: &SecretString) -> HeaderValue {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = STANDARD.encode(format!("{}:{}", encode(client_id), encode(secret.expose())));
    let mut value =
        HeaderValue::try_from(format!("Basic {credentials}")).expect("base64 is a valid field value");
    value.set_sensitive(true);
    value
}

/// Removes control characters from untrusted text and truncates it.
pub(crate) fn truncated(text: &str, limit: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_form_encoded() {
        let value = basic("id:with colon", &SecretString::new("s%cret+"));
        let text = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        let decoded = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
        assert_eq!(decoded, "id%3Awith+colon:s%25cret%2B");
        assert!(value.is_sensitive());
    }
}
