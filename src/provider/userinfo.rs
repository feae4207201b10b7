//! Userinfo: OpenID Connect Core 1.0, section 5.3. Organisations are returned here only, not in
//! the ID token.

use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};

use super::claims::{self, NamesOfMembers, display_name, email, identifier};
use super::discovery::Metadata;
use super::http_client::{FetchError, HttpClient, bearer};
use super::json::{Document, Ignored, Member};
use crate::identity::{Person, Shown};
use crate::keys::{SecretString, equal};

const ORGS: NamesOfMembers = NamesOfMembers { id: "sub", slug: "preferred_username" };

/// Why a userinfo response is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UserinfoError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("userinfo is about another account than the ID token")]
    Subject,
    #[error(
        "userinfo has no valid {0}: it is missing, not a string, empty, too long, or contains control characters"
    )]
    Unusable(&'static str),
}

/// Fetches userinfo. `subject` is the `sub` of the ID token.
pub(super) async fn fetch(
    http: &HttpClient,
    metadata: &Metadata,
    access_token: &SecretString,
    subject: &str,
) -> Result<Person, UserinfoError> {
    let bearer = bearer(access_token).ok_or(UserinfoError::Unusable("token"))?;
    let headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (AUTHORIZATION, bearer),
    ]);
    let document: Document = http.get(&metadata.userinfo_endpoint, headers).await?.ok()?.json()?;
    let person = convert(&document)?;
    // Section 5.3.2: the subjects must be identical.
    if !equal(person.sub.as_bytes(), subject.as_bytes()) {
        return Err(UserinfoError::Subject);
    }
    Ok(person)
}

/// Converts the response to a [`Person`]. Only `sub` is required; other members that cannot be
/// read are treated as absent.
fn convert(document: &Document) -> Result<Person, UserinfoError> {
    let mut ignored = Ignored::default();
    let sub = document.required("sub").and_then(identifier).ok_or(UserinfoError::Unusable("sub"))?;
    let username = match document.member("preferred_username") {
        Member::Value(name) => identifier(name).ok_or(UserinfoError::Unusable("preferred_username"))?,
        // Without the profile scope there is only the id.
        Member::Absent => sub.clone(),
        // Rules that name an account must not take the id for the name.
        Member::Malformed => {
            ignored.note("preferred_username");
            "".into()
        }
    };
    let verified = document.optional("email_verified", &mut ignored);
    let name: Option<String> = document.optional("name", &mut ignored);
    let pro: Option<bool> = document.optional("isPro", &mut ignored);
    let orgs = claims::orgs(document, &ORGS, &mut ignored);
    let person = Person {
        sub,
        username,
        name: name.as_deref().and_then(display_name),
        email: document.optional("email", &mut ignored).and_then(|address| email(address, verified)),
        picture: document.optional("picture", &mut ignored).and_then(claims::picture),
        pro: pro.unwrap_or_default(),
        orgs_known: orgs.is_some(),
        orgs: orgs.unwrap_or_default(),
        orgs_cut: false,
        // As far as the token's scope goes.
        shown: Shown { pro: pro.is_some(), ..Shown::ALL },
        dropped: None,
    };
    ignored.report("userinfo");
    Ok(person)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Role, Standing};
    use crate::provider::claims::MAX_NAME;

    fn person(json: &str) -> Result<Person, UserinfoError> {
        convert(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn organisations_are_parsed_and_restrictions_fail_closed() {
        let ada = person(
            r#"{"sub":"u","preferred_username":"ada","isPro":true,"future":{"x":1},"orgs":[
              {"sub":"1","preferred_username":"granted","name":"G","roleInOrg":"admin"},
              {"sub":"2","preferred_username":"bare","name":"B"},
              {"sub":"3","preferred_username":"sso","roleInOrg":"read","securityRestrictions":["sso"]},
              {"sub":"4","preferred_username":"unheard-of","roleInOrg":"read","securityRestrictions":[{"new":1}]},
              {"sub":"5","preferred_username":"pending","roleInOrg":"read","pendingSSO":true},
              {"sub":"6","preferred_username":"mfa","roleInOrg":"read","missingMFA":true},
              {"sub":"7","preferred_username":"clear","roleInOrg":"read","securityRestrictions":[],"pendingSSO":false,"missingMFA":false},
              {"sub":"8","preferred_username":"custom","roleInOrg":"ml-ops","isEnterprise":"plus"},
              {"sub":"9","preferred_username":"groups","roleInOrg":"no_access","resourceGroups":[{"sub":"g","name":"gpu","role":"read"},{"sub":"h"}]},
              {"sub":"10"}
            ]}"#,
        )
        .unwrap();
        let counts: Vec<_> =
            ada.orgs.iter().map(|org| (&*org.slug, org.role().map(Role::to_string))).collect();
        assert_eq!(
            counts,
            [
                ("granted", Some("admin".to_owned())),
                ("bare", None),
                ("sso", None),
                ("unheard-of", None),
                ("pending", None),
                ("mfa", None),
                ("clear", Some("read".to_owned())),
                ("custom", Some("ml-ops".to_owned())),
                ("groups", None),
                // Without a slug it may be the organisation of a rule.
                ("", None),
            ]
        );
        assert_eq!(ada.orgs[1].standing, Standing::NotGranted);
        // The second one has no name: it may be the group of a rule.
        let groups: Vec<_> = ada.orgs[8].resource_groups.iter().map(|group| &*group.name).collect();
        assert_eq!(groups, ["gpu", ""]);
        assert!(ada.orgs_known && !person(r#"{"sub":"u"}"#).unwrap().orgs_known);
    }

    #[test]
    fn an_email_needs_one_at_sign_and_explicit_verification() {
        for (json, verified) in [
            (r#"{"sub":"u","email":"a@b.c","email_verified":true}"#, Some(true)),
            (r#"{"sub":"u","email":"a@b.c","email_verified":false}"#, Some(false)),
            (r#"{"sub":"u","email":"a@b.c"}"#, Some(false)),
            (r#"{"sub":"u","email":"a@evil.com@b.c","email_verified":true}"#, None),
            (r#"{"sub":"u","email":"a\r\n@b.c","email_verified":true}"#, None),
            (r#"{"sub":"u","email":"@b.c","email_verified":true}"#, None),
        ] {
            assert_eq!(person(json).unwrap().email.map(|email| email.verified), verified, "{json}");
        }
    }

    #[test]
    fn invalid_identifiers_are_rejected_and_long_names_truncated() {
        for json in [
            r#"{"sub":""}"#.to_owned(),
            r#"{"sub":"u\r\nX-Forwarded-User: root"}"#.to_owned(),
            format!(r#"{{"sub":"{}"}}"#, "u".repeat(129)),
            r#"{"sub":"u","preferred_username":"a\u0000"}"#.to_owned(),
        ] {
            assert!(matches!(person(&json), Err(UserinfoError::Unusable(_))), "{json}");
        }
        let long = person(&format!(r#"{{"sub":"u","name":"{}"}}"#, "é".repeat(10_000))).unwrap();
        assert_eq!(long.name.unwrap().chars().count(), MAX_NAME);
    }
}
