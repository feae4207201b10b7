//! Claims of the app's own about a person, which its hook adds when they sign in.
//!
//! They are JSON, because that is what they are in the assertion. The session keeps them as
//! text; [`AppClaims::parse`] and [`ClaimsDraft::finish`] are the only ways to make them, and
//! both check the bounds.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The maximum size of all claims, as a JSON object.
pub const MAX_CLAIMS_BYTES: usize = 1024;
/// The maximum number of claims.
pub const MAX_CLAIMS: usize = 16;
/// The maximum length of a claim's name.
pub const MAX_CLAIM_NAME: usize = 64;

/// Claims that the assertion has, or that have a meaning in a JWT: RFC 7519, section 4.1;
/// OpenID Connect Core 1.0, sections 2 and 5.1; RFC 7800, 8693, 9068; and ours.
const RESERVED: &[&str] = &[
    "acr",
    "act",
    "address",
    "amr",
    "at_hash",
    "aud",
    "auth_method",
    "auth_time",
    "azp",
    "birthdate",
    "c_hash",
    "client_id",
    "cnf",
    "email",
    "email_verified",
    "entitlements",
    "events",
    "exp",
    "family_name",
    "gender",
    "given_name",
    "groups",
    "groups_truncated",
    "iat",
    "iss",
    "jti",
    "locale",
    "may_act",
    "middle_name",
    "name",
    "nbf",
    "nickname",
    "nonce",
    "phone_number",
    "phone_number_verified",
    "picture",
    "preferred_username",
    "profile",
    "roles",
    "scope",
    "sid",
    "sub",
    "sub_jwk",
    "updated_at",
    "website",
    "zoneinfo",
];
/// The start of names that later versions may use.
const RESERVED_PREFIX: &str = "huggate";

/// What the app itself knows of a person: the claims that its
/// [`on_sign_in`](crate::GateBuilder::on_sign_in) hook added; cheap to clone. They stay the
/// same until the session ends.
///
/// `Debug` shows their names only.
#[derive(Clone, Default)]
pub struct AppClaims(Option<Arc<Map<String, Value>>>);

/// Claims on their way from a hook, not yet checked.
#[derive(Default)]
pub(crate) struct ClaimsDraft {
    claims: Map<String, Value>,
    error: Option<ClaimError>,
}

/// Why a hook's claims are not accepted. The message is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimError {
    #[error(
        "the claim {0:?} is one that huggate or a standard defines; give it a name of your own, as in \"app_{0}\""
    )]
    Reserved(String),
    #[error(
        "the claim {0:?} has an invalid name: 1 to {MAX_CLAIM_NAME} of the characters a-z, A-Z, 0-9 and _ - . : / are allowed"
    )]
    Name(String),
    #[error("the claim {0:?} was added twice")]
    Repeated(String),
    #[error("the claim {name:?} cannot be written as JSON: {problem}")]
    NotJson { name: String, problem: String },
    #[error("there are {0} claims, and at most {MAX_CLAIMS} are allowed")]
    TooMany(usize),
    #[error(
        "the claims have {0} bytes as JSON, and at most {MAX_CLAIMS_BYTES} are allowed: keep a key in the claim, and the rest in your database"
    )]
    TooLarge(usize),
}

impl AppClaims {
    const NONE: &Self = &Self(None);

    /// No claims.
    pub(crate) fn none() -> &'static Self {
        Self::NONE
    }

    /// The claims of a session. `None` for a text that [`AppClaims::to_json`] did not write.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut draft = ClaimsDraft::default();
        let Value::Object(claims) = serde_json::from_str(text).ok()? else { return None };
        for (name, value) in claims {
            draft.add(&name, value);
        }
        draft.finish().ok()
    }

    /// The claims as a JSON object; `None` if there are none.
    pub(crate) fn to_json(&self) -> Option<String> {
        let claims = self.0.as_deref()?;
        serde_json::to_string(claims).ok()
    }

    pub(crate) fn map(&self) -> Option<&Map<String, Value>> {
        self.0.as_deref()
    }

    /// The claim `name`, if it is there and has this type. A text can also be read with
    /// [`AppClaims::text`], which copies nothing.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.map()?.get(name)?).ok()
    }

    /// The claim `name`, if it is there and is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.map()?.get(name)?.as_str()
    }

    /// The names of the claims, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.map().into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for AppClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl ClaimsDraft {
    /// Adds a claim. The first one that is not accepted is remembered.
    pub(crate) fn add(&mut self, name: &str, value: impl Serialize) {
        let value = serde_json::to_value(value);
        let added = check_name(name).and_then(|()| match value {
            Ok(value) => match self.claims.insert(name.to_owned(), value) {
                None => Ok(()),
                Some(_) => Err(ClaimError::Repeated(name.to_owned())),
            },
            Err(error) => Err(ClaimError::NotJson { name: name.to_owned(), problem: error.to_string() }),
        });
        self.error = self.error.take().or(added.err());
    }

    /// The claims, if they are within their bounds.
    ///
    /// # Errors
    /// [`ClaimError`] for the first claim that is not accepted, or for all of them.
    pub(crate) fn finish(self) -> Result<AppClaims, ClaimError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.claims.is_empty() {
            return Ok(AppClaims::default());
        }
        if self.claims.len() > MAX_CLAIMS {
            return Err(ClaimError::TooMany(self.claims.len()));
        }
        let claims = AppClaims(Some(Arc::new(self.claims)));
        match claims.to_json().map_or(usize::MAX, |text| text.len()) {
            size if size > MAX_CLAIMS_BYTES => Err(ClaimError::TooLarge(size)),
            _ => Ok(claims),
        }
    }
}

impl fmt::Debug for ClaimsDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.claims.keys()).finish()
    }
}

fn check_name(name: &str) -> Result<(), ClaimError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
    if name.is_empty() || name.len() > MAX_CLAIM_NAME || !name.bytes().all(allowed) {
        return Err(ClaimError::Name(name.chars().take(MAX_CLAIM_NAME).collect()));
    }
    // Some consumers fold the case of names.
    let folded = name.to_ascii_lowercase();
    if RESERVED.contains(&folded.as_str()) || folded.starts_with(RESERVED_PREFIX) {
        return Err(ClaimError::Reserved(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(claims: &[(&str, &str)]) -> ClaimsDraft {
        let mut draft = ClaimsDraft::default();
        claims.iter().for_each(|(name, value)| draft.add(name, *value));
        draft
    }

    #[test]
    fn claims_of_a_standard_and_of_ours_are_reserved_in_any_case() {
        for name in RESERVED.iter().copied().chain(["SUB", "Groups", "huggate", "huggate_x", "Huggate:x"]) {
            let error = draft(&[(name, "x")]).finish().unwrap_err();
            assert_eq!(error, ClaimError::Reserved(name.to_owned()), "{name}");
        }
        for name in ["tier", "subject", "app_sub", "https://example.com/tier", "a", &"n".repeat(64)] {
            assert_eq!(draft(&[(name, "x")]).finish().unwrap().text(name), Some("x"));
        }
    }

    #[test]
    fn names_sizes_and_numbers_are_bounded() {
        for name in ["", "a b", "ä", "a\"b", "a\n", &"n".repeat(65)] {
            assert!(matches!(draft(&[(name, "x")]).finish(), Err(ClaimError::Name(_))), "{name:?}");
        }
        assert_eq!(
            draft(&[("a", "1"), ("a", "2")]).finish().unwrap_err(),
            ClaimError::Repeated("a".to_owned())
        );
        let names: Vec<String> = (0..=MAX_CLAIMS).map(|n| format!("claim{n}")).collect();
        let claims: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        assert!(draft(&claims[1..]).finish().is_ok());
        assert_eq!(draft(&claims).finish().unwrap_err(), ClaimError::TooMany(MAX_CLAIMS + 1));
        // {"a":"…"} has eight bytes besides the value.
        let longest = "x".repeat(MAX_CLAIMS_BYTES - 8);
        assert!(draft(&[("a", &longest)]).finish().is_ok());
        let longer = format!("{longest}x");
        assert_eq!(
            draft(&[("a", &longer)]).finish().unwrap_err(),
            ClaimError::TooLarge(MAX_CLAIMS_BYTES + 1)
        );
        let mut not_json = ClaimsDraft::default();
        not_json.add("a", std::collections::HashMap::from([((1, 2), 3)]));
        assert!(matches!(not_json.finish(), Err(ClaimError::NotJson { .. })));
    }

    #[test]
    fn claims_are_read_back_as_they_were_written() {
        let mut claims = ClaimsDraft::default();
        claims.add("tier", "gold");
        claims.add("seats", 3_u32);
        claims.add("teams", ["a", "b"]);
        let claims = claims.finish().unwrap();
        let read = AppClaims::parse(&claims.to_json().unwrap()).unwrap();
        assert_eq!(read.text("tier"), Some("gold"));
        assert_eq!(read.get::<u32>("seats"), Some(3));
        assert_eq!(read.get::<Vec<String>>("teams"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!((read.get::<u32>("tier"), read.text("seats"), read.text("none")), (None, None, None));
        assert_eq!(read.names().collect::<Vec<_>>(), ["seats", "teams", "tier"]);
        assert_eq!(format!("{read:?}"), r#"{"seats", "teams", "tier"}"#);
        assert!(AppClaims::default().to_json().is_none() && AppClaims::default().is_empty());
        for text in ["", "[]", "{\"sub\":\"x\"}", "{\"a\":", "null"] {
            assert!(AppClaims::parse(text).is_none(), "{text}");
        }
    }
}
