//! Checks what a token claims to be, before a request to the provider.
//!
//! The provider accepts every token that it ever issued, for any app. So a token that
//! does not claim to be for this app is refused without a request; any other still has to
//! be confirmed by the provider, since claims can be forged.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::settings::BearerSettings;
use crate::clock::UnixTime;
use crate::identity::TokenKind;
use crate::provider::MAX_TOKEN;

/// The maximum length of tokens other than those of OAuth apps; real ones have 37
/// characters.
const MAX_PLAIN: usize = 256;

/// Which tokens are accepted.
#[derive(Debug)]
pub(crate) struct TokenPolicy {
    /// Ids of accepted OAuth apps, including the gate's own.
    clients: Vec<String>,
    app_tokens: bool,
}

/// The type that a token claims to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimedType {
    /// A user access token: `hf_` and letters or digits.
    Access,
    /// A token that an accepted OAuth app received for a person: `hf_oauth_` and a JWT.
    OAuth {
        /// When it expires, if it says so.
        expires: Option<UnixTime>,
        /// Whether its scope covers all memberships of its owner.
        memberships: bool,
    },
    /// An app's own token: `hf_app_` and letters or digits.
    App,
}

/// The claims of an OAuth token's payload that are checked.
#[derive(Deserialize)]
struct Payload {
    /// The client that it was issued to; its `aud` is the provider.
    client_id: Option<String>,
    /// The same claim in older tokens.
    #[serde(rename = "oauthApp")]
    oauth_app: Option<String>,
    exp: Option<serde_json::Value>,
    /// A list, or a text separated by spaces.
    scope: Option<serde_json::Value>,
}

/// The scope that shows all organisations of a person.
const MEMBERSHIPS: &str = "read-memberships";

const NO_TOKEN: &str = "This is not a Hugging Face token. Send a user access token, which begins with hf_ (huggingface.co/settings/tokens).";
const OTHER_KIND: &str = "A Hugging Face token of this kind does not identify a person. Send a user access token (huggingface.co/settings/tokens).";
const APP: &str =
    "Tokens of apps are not accepted here. Send a user access token (huggingface.co/settings/tokens).";
const GARBLED: &str =
    "This token starts like a token of an OAuth app, but the rest is malformed. It may have been truncated.";
const FOREIGN: &str = "This token was issued to another app. Send a user access token, or a token that was issued to this app at a sign-in.";
const EXPIRED: &str = "This token has expired. Sign in again, or refresh it, for a new one.";

impl TokenPolicy {
    pub(crate) fn new(settings: &BearerSettings, own: &str) -> Self {
        let clients = settings.clients.iter().map(String::as_str).chain([own]);
        Self {
            // A token without a client must not match one without a name.
            clients: clients.filter(|client| !client.is_empty()).map(str::to_owned).collect(),
            app_tokens: settings.app_tokens,
        }
    }

    /// The type that `token` claims to have.
    ///
    /// # Errors
    /// Why it is refused without a request to the provider.
    pub(super) fn claimed_type(&self, token: &str, now: UnixTime) -> Result<ClaimedType, &'static str> {
        let rest = token.strip_prefix("hf_").ok_or(NO_TOKEN)?;
        if rest.starts_with("oauth__refresh_") || rest.starts_with("jwt_") || rest.starts_with("s3_") {
            return Err(OTHER_KIND);
        }
        if let Some(jwt) = rest.strip_prefix("oauth_") {
            return self.oauth(jwt, now);
        }
        if let Some(rest) = rest.strip_prefix("app_") {
            return match (plain(rest), self.app_tokens) {
                (true, true) => Ok(ClaimedType::App),
                (true, false) => Err(APP),
                (false, _) => Err(NO_TOKEN),
            };
        }
        if plain(rest) { Ok(ClaimedType::Access) } else { Err(NO_TOKEN) }
    }

    fn oauth(&self, jwt: &str, now: UnixTime) -> Result<ClaimedType, &'static str> {
        let payload = payload(jwt).ok_or(GARBLED)?;
        let client = match (payload.client_id, payload.oauth_app) {
            (Some(client), None) | (None, Some(client)) => client,
            (Some(client), Some(same)) if client == same => client,
            (Some(_), Some(_)) | (None, None) => return Err(FOREIGN),
        };
        if !self.clients.contains(&client) {
            return Err(FOREIGN);
        }
        let expires = payload.exp.and_then(|exp| exp.as_u64());
        if expires.is_some_and(|expires| expires <= now) {
            return Err(EXPIRED);
        }
        let memberships = payload.scope.as_ref().is_some_and(covers_memberships);
        Ok(ClaimedType::OAuth { expires, memberships })
    }

    /// Whether the provider reports the type that a token claimed. A plain token that
    /// turns out to be an OAuth app's could have been issued to any app.
    pub(super) fn agrees(&self, claimed: ClaimedType, kind: TokenKind) -> bool {
        match (claimed, kind) {
            (ClaimedType::Access, TokenKind::Access { .. })
            | (ClaimedType::OAuth { .. }, TokenKind::OAuth) => true,
            (ClaimedType::Access | ClaimedType::App, TokenKind::App) => self.app_tokens,
            (ClaimedType::Access, TokenKind::OAuth)
            | (ClaimedType::OAuth { .. }, TokenKind::Access { .. } | TokenKind::App)
            | (ClaimedType::App, TokenKind::Access { .. } | TokenKind::OAuth) => false,
        }
    }
}

fn covers_memberships(scope: &serde_json::Value) -> bool {
    match scope {
        serde_json::Value::Array(list) => list.iter().any(|name| name == MEMBERSHIPS),
        serde_json::Value::String(text) => text.split_ascii_whitespace().any(|name| name == MEMBERSHIPS),
        _ => false,
    }
}

fn plain(rest: &str) -> bool {
    !rest.is_empty() && rest.len() <= MAX_PLAIN && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The payload of a JWT (RFC 7519, section 3). Only the provider can verify its
/// signature: the key is not published.
fn payload(jwt: &str) -> Option<Payload> {
    if jwt.len() > MAX_TOKEN {
        return None;
    }
    let mut parts = jwt.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let encoded = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if parts.next().is_some() || !encoded(header) || !encoded(signature) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = 1_790_000_000;

    fn accepted(app_tokens: bool) -> TokenPolicy {
        let settings = BearerSettings { clients: vec!["listed".to_owned(), String::new()], app_tokens };
        TokenPolicy::new(&settings, "ours")
    }

    fn oauth(payload: &str) -> String {
        format!("hf_oauth_e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn only_tokens_that_may_be_valid_for_this_app_are_introspected() {
        let alnum = |length| "a1B".chars().cycle().take(length).collect::<String>();
        for (token, expected) in [
            (format!("hf_{}", alnum(34)), Ok(ClaimedType::Access)),
            (format!("hf_{}", alnum(256)), Ok(ClaimedType::Access)),
            (format!("hf_{}", alnum(257)), Err(NO_TOKEN)),
            ("hf_".to_owned(), Err(NO_TOKEN)),
            ("hf_a-b".to_owned(), Err(NO_TOKEN)),
            ("hf_é".to_owned(), Err(NO_TOKEN)),
            ("HF_abc".to_owned(), Err(NO_TOKEN)),
            ("sk-proj-abc".to_owned(), Err(NO_TOKEN)),
            ("api_org_abc".to_owned(), Err(NO_TOKEN)),
            (String::new(), Err(NO_TOKEN)),
            (format!("hf_oauth__refresh_{}", alnum(34)), Err(OTHER_KIND)),
            ("hf_jwt_e30.e30.c2ln".to_owned(), Err(OTHER_KIND)),
            ("hf_s3_e30.e30.c2ln".to_owned(), Err(OTHER_KIND)),
            (format!("hf_app_{}", alnum(32)), Err(APP)),
            ("hf_new_abc".to_owned(), Err(NO_TOKEN)),
        ] {
            assert_eq!(accepted(false).claimed_type(&token, NOW), expected, "{token}");
        }
        assert_eq!(accepted(true).claimed_type("hf_app_abc", NOW), Ok(ClaimedType::App));
        assert_eq!(accepted(true).claimed_type("hf_app_a.b", NOW), Err(NO_TOKEN));
    }

    #[test]
    fn an_oauth_token_is_introspected_only_if_it_names_an_accepted_client() {
        let yes = |expires| Ok(ClaimedType::OAuth { expires, memberships: false });
        let all = Ok(ClaimedType::OAuth { expires: None, memberships: true });
        for (payload, expected) in [
            (r#"{"client_id":"ours","exp":1790000001}"#, yes(Some(NOW + 1))),
            (r#"{"client_id":"listed"}"#, yes(None)),
            (r#"{"oauthApp":"ours"}"#, yes(None)),
            (r#"{"client_id":"ours","scope":["openid","read-memberships"]}"#, all),
            (r#"{"client_id":"ours","scope":"openid read-memberships"}"#, all),
            (r#"{"client_id":"ours","scope":"openid read-memberships-x"}"#, yes(None)),
            (r#"{"client_id":"ours","scope":{"read-memberships":true}}"#, yes(None)),
            (r#"{"client_id":"ours","oauthApp":"ours"}"#, yes(None)),
            (r#"{"client_id":"ours","exp":1e300}"#, yes(None)),
            (r#"{"client_id":"ours","exp":1790000000}"#, Err(EXPIRED)),
            (r#"{"client_id":"foreign"}"#, Err(FOREIGN)),
            (r#"{"client_id":"OURS"}"#, Err(FOREIGN)),
            (r#"{"client_id":"ours","oauthApp":"foreign"}"#, Err(FOREIGN)),
            (r#"{"client_id":"foreign","oauthApp":"ours"}"#, Err(FOREIGN)),
            (r#"{"client_id":""}"#, Err(FOREIGN)),
            (r#"{"client_id":null}"#, Err(FOREIGN)),
            (r#"{"aud":"ours","azp":"ours"}"#, Err(FOREIGN)),
            (r#"{"client_id":["ours"]}"#, Err(GARBLED)),
            (r#"{"client_id":"ours","client_id":"foreign"}"#, Err(GARBLED)),
            ("[]", Err(GARBLED)),
            ("not JSON", Err(GARBLED)),
        ] {
            assert_eq!(accepted(false).claimed_type(&oauth(payload), NOW), expected, "{payload}");
        }
        let sound = URL_SAFE_NO_PAD.encode(r#"{"client_id":"ours"}"#);
        for token in [
            format!("hf_oauth_{sound}"),
            format!("hf_oauth_e30.{sound}"),
            format!("hf_oauth_e30.{sound}."),
            format!("hf_oauth_.{sound}.c2ln"),
            format!("hf_oauth_e30.{sound}.c2ln.more"),
            format!("hf_oauth_e30.{sound}=.c2ln"),
            format!("hf_oauth_e+0.{sound}.c2ln"),
            format!("hf_oauth_e30.{sound}.{}", "c".repeat(MAX_TOKEN)),
        ] {
            assert_eq!(accepted(false).claimed_type(&token, NOW), Err(GARBLED), "{token}");
        }
    }

    #[test]
    fn the_provider_must_confirm_the_claimed_type() {
        let (access, oauth) = (TokenKind::Access { fine_grained: false }, TokenKind::OAuth);
        let claimed_oauth = ClaimedType::OAuth { expires: None, memberships: false };
        for (claimed, kind, without, with) in [
            (ClaimedType::Access, access, true, true),
            (ClaimedType::Access, oauth, false, false),
            (ClaimedType::Access, TokenKind::App, false, true),
            (claimed_oauth, oauth, true, true),
            (claimed_oauth, access, false, false),
            (claimed_oauth, TokenKind::App, false, false),
            (ClaimedType::App, TokenKind::App, false, true),
            (ClaimedType::App, access, false, false),
            (ClaimedType::App, oauth, false, false),
        ] {
            assert_eq!(accepted(false).agrees(claimed, kind), without, "{claimed:?} {kind:?}");
            assert_eq!(accepted(true).agrees(claimed, kind), with, "{claimed:?} {kind:?}");
        }
    }
}
