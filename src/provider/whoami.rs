//! Whoami, `GET /api/whoami-v2`: the owner of a token. It is used for API clients' tokens;
//! sign-ins use userinfo.
//!
//! The names differ from userinfo's: `name` is the username, `fullname` the display name, `id`
//! the `sub`.

use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use url::Url;

use super::claims::{self, NamesOfMembers, display_name, email, identifier};
use super::http_client::{FetchError, HttpClient, bearer};
use super::json::{Document, Ignored, Member};
use super::rate_limit::RateLimit;
use crate::identity::{Person, Shown, TokenKind};
use crate::keys::SecretString;

const ORGS: NamesOfMembers = NamesOfMembers { id: "id", slug: "name" };

/// A token's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenOwner {
    pub(crate) person: Person,
    pub(crate) kind: TokenKind,
}

/// The result of a whoami request.
#[derive(Debug, Clone)]
pub(crate) struct Whoami {
    pub(crate) owner: Result<TokenOwner, WhoamiError>,
    /// What the provider says about further requests, for any token: its limit is per address.
    pub(crate) rate_limit: RateLimit,
}

/// Why there is no owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WhoamiError {
    /// The request failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(
        "whoami has no valid {0}: it is missing, not a string, empty, too long, or contains control characters"
    )]
    Unusable(&'static str),
    /// The token is invalid or revoked.
    #[error("the provider rejected the token")]
    Unknown,
    /// The token belongs to an organisation.
    #[error("the token belongs to an organisation")]
    Organisation,
    /// The type of owner or token is unknown, or the two do not fit together.
    #[error("the provider reports an unknown kind of token")]
    Kind,
}

impl WhoamiError {
    /// Whether the provider has definitely rejected the token.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Fetch(_) | Self::Unusable(_) => false,
            Self::Unknown | Self::Organisation | Self::Kind => true,
        }
    }

    /// The kind of failure, for logs.
    pub(crate) fn cause(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.cause(),
            Self::Unusable(_) => "malformed",
            Self::Unknown | Self::Organisation | Self::Kind => "rejected",
        }
    }
}

/// Asks the provider who owns `token`.
pub(super) async fn fetch(http: &HttpClient, url: &Url, token: &SecretString) -> Whoami {
    let Some(bearer) = bearer(token) else {
        return Whoami { owner: Err(WhoamiError::Unusable("token")), rate_limit: RateLimit::Open };
    };
    let headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (AUTHORIZATION, bearer),
    ]);
    let answer = match http.get(url, headers).await {
        Ok(answer) => answer,
        Err(error) => return Whoami { owner: Err(error.into()), rate_limit: RateLimit::Open },
    };
    let rate_limit = RateLimit::of(answer.status, &answer.headers);
    // Only 401 says that the token is invalid. A 403 may come from something in between, such
    // as a firewall.
    let owner = if answer.status == StatusCode::UNAUTHORIZED {
        Err(WhoamiError::Unknown)
    } else {
        answer
            .ok()
            .and_then(|answer| answer.json())
            .map_err(Into::into)
            .and_then(|document| convert(&document, url))
    };
    Whoami { owner, rate_limit }
}

/// Converts the response to a [`TokenOwner`]. Relative URLs are resolved against `base`.
fn convert(document: &Document, base: &Url) -> Result<TokenOwner, WhoamiError> {
    let mut ignored = Ignored::default();
    let owner_kind = text(document, "type")?;
    let kind = token_kind(document, &owner_kind, &mut ignored)?;
    let sub = identifier(text(document, "id")?).ok_or(WhoamiError::Unusable("id"))?;
    let name = identifier(text(document, "name")?).ok_or(WhoamiError::Unusable("name"))?;
    if owner_kind == "app" {
        let person = Person::of_app(sub, &name);
        return Ok(TokenOwner { person, kind });
    }
    let verified = document.optional("emailVerified", &mut ignored);
    let display: Option<String> = document.optional("fullname", &mut ignored);
    let avatar: Option<String> = document.optional("avatarUrl", &mut ignored);
    let pro: Option<bool> = document.optional("isPro", &mut ignored);
    let mut orgs = claims::orgs(document, &ORGS, &mut ignored);
    // A fine-grained token shows the organisations that it has permissions for, an OAuth
    // token those that its scope and its owner's consent cover.
    let memberships = kind == TokenKind::Access { fine_grained: false };
    if memberships {
        orgs.iter_mut().flatten().for_each(|org| org.groups_shown = true);
    }
    let person = Person {
        sub,
        username: name,
        name: display.as_deref().and_then(display_name),
        email: document.optional("email", &mut ignored).and_then(|address| email(address, verified)),
        // It may be relative to the provider's URL.
        picture: avatar
            .and_then(|avatar| base.join(&avatar).ok())
            .and_then(|url| claims::picture(url.into())),
        pro: pro.unwrap_or_default(),
        orgs_known: orgs.is_some(),
        orgs: orgs.unwrap_or_default(),
        orgs_cut: false,
        shown: Shown { memberships, pro: pro.is_some(), ..Shown::ALL },
        dropped: None,
    };
    ignored.report("whoami");
    Ok(TokenOwner { person, kind })
}

fn text(document: &Document, name: &'static str) -> Result<String, WhoamiError> {
    document.required(name).ok_or(WhoamiError::Unusable(name))
}

/// The kind of the token. A missing `auth` is an unknown kind; one that cannot be read is no
/// answer about the token.
fn token_kind(
    document: &Document,
    owner_kind: &str,
    ignored: &mut Ignored,
) -> Result<TokenKind, WhoamiError> {
    let auth: Document = match document.member("auth") {
        Member::Value(auth) => auth,
        Member::Absent => return Err(WhoamiError::Kind),
        Member::Malformed => return Err(WhoamiError::Unusable("auth")),
    };
    let kind: String = auth.required("type").ok_or(WhoamiError::Unusable("auth.type"))?;
    Ok(match (owner_kind, kind.as_str()) {
        ("org", _) => return Err(WhoamiError::Organisation),
        ("user", "access_token") => TokenKind::Access { fine_grained: is_fine_grained(&auth, ignored) },
        ("user", "oauth") => TokenKind::OAuth,
        ("user", "app_token_as_user") | ("app", "app_token" | "app_token_as_user") => TokenKind::App,
        _ => return Err(WhoamiError::Kind),
    })
}

/// Whether an access token is fine-grained, and so may be shown only some organisations. One
/// whose role cannot be read is taken for one.
fn is_fine_grained(auth: &Document, ignored: &mut Ignored) -> bool {
    let role: Member<String> = match auth.member::<Document>("accessToken") {
        Member::Value(token) => token.member("role"),
        Member::Absent => Member::Absent,
        Member::Malformed => Member::Malformed,
    };
    match role {
        Member::Absent => false,
        Member::Value(role) => role == "fineGrained",
        Member::Malformed => {
            ignored.note("auth.accessToken.role");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Role, Standing};

    fn owner(json: &str) -> Result<TokenOwner, WhoamiError> {
        let base = Url::parse("https://huggingface.co/api/whoami-v2").unwrap();
        convert(&serde_json::from_str(json).unwrap(), &base)
    }

    /// A response about Ada with this `auth` and these further members.
    fn ada(auth: &str, more: &str) -> String {
        format!(r#"{{"type":"user","id":"u","name":"ada","auth":{auth}{more}}}"#)
    }

    const ACCESS: &str = r#"{"type":"access_token","accessToken":{"role":"read"}}"#;

    #[test]
    fn whoami_names_are_mapped() {
        let more = r#","fullname":"Ada Example","email":"ada@example.org","emailVerified":true,"isPro":true,
            "avatarUrl":"/avatars/1.svg","future":{"x":1},"orgs":[
              {"type":"org","id":"1","name":"granted","fullname":"G","roleInOrg":"admin",
               "resourceGroups":[{"id":"g","name":"gpu","role":"read"},{"id":"h"}]},
              {"type":"org","id":"2","name":"bare","fullname":"B"},
              {"type":"org","id":"3","name":"restricted","roleInOrg":"read","securityRestrictions":["new"]},
              {"type":"org","id":"4","name":"pending","roleInOrg":"read","pendingSSO":true},
              {"type":"org","id":"5","fullname":"No name"}]"#;
        let person = owner(&ada(ACCESS, more)).unwrap().person;
        assert_eq!((&*person.sub, &*person.username), ("u", "ada"));
        assert_eq!(person.name.as_deref(), Some("Ada Example"));
        assert_eq!(person.verified_email(), Some("ada@example.org"));
        assert_eq!(person.picture.as_deref(), Some("https://huggingface.co/avatars/1.svg"));
        assert!(person.pro && person.orgs_known);
        let standings: Vec<_> = person.orgs.iter().map(|org| (&*org.slug, &org.standing)).collect();
        assert_eq!(
            standings,
            [
                ("granted", &Standing::Member(Role::Admin)),
                ("bare", &Standing::NotGranted),
                ("restricted", &Standing::Restricted),
                ("pending", &Standing::Restricted),
                ("", &Standing::NotGranted),
            ]
        );
        assert_eq!(person.orgs[0].resource_groups.len(), 2);
    }

    #[test]
    fn absent_members_grant_nothing() {
        let bare = owner(&ada(ACCESS, "")).unwrap().person;
        assert!(!bare.orgs_known && !bare.pro && bare.email.is_none() && bare.picture.is_none());
        let unverified = owner(&ada(ACCESS, r#","email":"ada@example.org""#)).unwrap().person;
        assert_eq!(unverified.verified_email(), None);
        let null =
            owner(&ada(ACCESS, r#","email":null,"emailVerified":true,"fullname":null"#)).unwrap().person;
        assert!(null.email.is_none() && null.name.is_none());
        for picture in ["http://huggingface.co/a.svg", "javascript:alert(1)", "//evil\u{0}", "http://["] {
            let person =
                owner(&ada(ACCESS, &format!(r#","avatarUrl":{picture:?}"#).replace("\\0", "\\u0000")));
            assert_eq!(person.unwrap().person.picture.filter(|url| !url.starts_with("https://")), None);
        }
    }

    #[test]
    fn kinds_of_tokens_are_distinguished_and_unknown_ones_rejected() {
        let access = |fine_grained| Ok(TokenKind::Access { fine_grained });
        for (kind, auth, expected) in [
            ("user", r#"{"type":"access_token","accessToken":{"role":"write"}}"#, access(false)),
            ("user", r#"{"type":"access_token","accessToken":{"role":"god"}}"#, access(false)),
            ("user", r#"{"type":"access_token","accessToken":{"role":"new"}}"#, access(false)),
            ("user", r#"{"type":"access_token"}"#, access(false)),
            ("user", r#"{"type":"access_token","accessToken":{"role":"fineGrained"}}"#, access(true)),
            ("user", r#"{"type":"oauth","expiresAt":"2026-09-21T22:13:20.000Z"}"#, Ok(TokenKind::OAuth)),
            ("user", r#"{"type":"app_token_as_user"}"#, Ok(TokenKind::App)),
            ("app", r#"{"type":"app_token"}"#, Ok(TokenKind::App)),
            ("app", r#"{"type":"access_token"}"#, Err(WhoamiError::Kind)),
            ("app", r#"{"type":"oauth"}"#, Err(WhoamiError::Kind)),
            ("user", r#"{"type":"app_token"}"#, Err(WhoamiError::Kind)),
            ("user", r#"{"type":"ACCESS_TOKEN"}"#, Err(WhoamiError::Kind)),
            ("user", r#"{"type":"new"}"#, Err(WhoamiError::Kind)),
            ("user", "null", Err(WhoamiError::Kind)),
            ("org", r#"{"type":"access_token"}"#, Err(WhoamiError::Organisation)),
            ("new", r#"{"type":"access_token"}"#, Err(WhoamiError::Kind)),
        ] {
            let json = format!(r#"{{"type":"{kind}","id":"u","name":"ada","auth":{auth}}}"#);
            assert_eq!(owner(&json).map(|owner| owner.kind), expected, "{json}");
        }
    }

    #[test]
    fn an_application_token_carries_no_user_claims() {
        let json = r#"{"type":"app","id":"a","name":"ada","auth":{"type":"app_token"},
            "orgs":[{"id":"1","name":"acme","roleInOrg":"admin"}],"isPro":true,"email":"ada@example.org","emailVerified":true}"#;
        let person = owner(json).unwrap().person;
        assert_eq!((&*person.sub, &*person.username), ("a", "app:ada"));
        assert!(person.is_app() && !person.orgs_known && person.orgs.is_empty());
        assert!(!person.pro && person.email.is_none());
    }

    #[test]
    fn an_invalid_name_or_id_is_not_a_final_rejection() {
        for (id, name) in [
            (r#""""#, r#""ada""#),
            (r#""u\r\nX-Forwarded-User: root""#, r#""ada""#),
            (r#""u""#, r#""a\u0000""#),
            (r#""u""#, "null"),
            ("null", r#""ada""#),
        ] {
            let error =
                owner(&format!(r#"{{"type":"user","id":{id},"name":{name},"auth":{ACCESS}}}"#)).unwrap_err();
            assert!(!error.is_final(), "{id} {name}: {error}");
        }
    }
}
