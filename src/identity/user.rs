//! The person who is signed in.

use std::fmt::Write;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::org::{Org, ResourceGroup};

/// How many bytes the list of groups may take in a header. The same list goes
/// upstream three times (header, assertion, session cookie), and common app
/// servers refuse requests with more than 16 KiB of headers in all.
pub(crate) const GROUPS_BUDGET: usize = 3 * 1024;
/// What stands before an app's name in place of a username.
const APP: &str = "app:";

/// What the provider said of somebody, cut to what rules and headers need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// `sub`: the stable id. Key your data by it: usernames can change hands.
    pub sub: Box<str>,
    /// `preferred_username`, or the id where the `profile` scope is missing.
    pub username: Box<str>,
    /// `name`
    pub name: Option<Box<str>>,
    /// `email`, with the `email` scope.
    pub email: Option<Email>,
    /// `picture`
    pub picture: Option<Box<str>>,
    /// `isPro`
    pub pro: bool,
    /// Organisations; empty where the provider does not tell.
    pub orgs: Vec<Org>,
    /// Whether the provider told of organisations at all.
    pub orgs_known: bool,
    /// Whether organisations that count were left out of [`Person::orgs`],
    /// because the list would have been longer than apps can take.
    pub orgs_cut: bool,
}

/// An e-mail address and whether the provider verified it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The address.
    pub address: Box<str>,
    /// `email_verified`
    pub verified: bool,
}

/// How somebody showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuthMethod {
    /// By the session cookie.
    Session,
    /// By a user access token (`hf_…`) in `Authorization`.
    AccessToken,
    /// By a token that an OAuth app got for the person (`hf_oauth_…`).
    #[serde(rename = "oauth")]
    OAuth,
    /// By an app's token (`hf_app_…`): see `app_tokens`.
    AppToken,
}

impl AuthMethod {
    /// The value of the assertion's `auth_method` claim.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::AccessToken => "access_token",
            Self::OAuth => "oauth",
            Self::AppToken => "app_token",
        }
    }
}

/// The signed-in person of a request; cheap to clone.
///
/// [`GateLayer`](crate::GateLayer) puts it into the request's extensions. With
/// the feature `axum` it is an extractor too, and so is `Option<User>` where
/// being signed in is optional.
#[derive(Debug, Clone)]
pub struct User {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    person: Person,
    groups: Vec<String>,
    method: AuthMethod,
}

impl User {
    pub(crate) fn new(person: Person, method: AuthMethod) -> Self {
        let groups = person.groups();
        Self { inner: Arc::new(Inner { person, groups, method }) }
    }

    /// The stable id (`sub`). Key your data by it: usernames can change hands.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.person.sub
    }

    /// The Hugging Face username.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.inner.person.username
    }

    /// The display name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.person.name.as_deref()
    }

    /// The e-mail address, only if the provider verified it.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.inner.person.verified_email()
    }

    /// Address of the profile picture.
    #[must_use]
    pub fn picture(&self) -> Option<&str> {
        self.inner.person.picture.as_deref()
    }

    /// Whether the account is a PRO one.
    #[must_use]
    pub fn is_pro(&self) -> bool {
        self.inner.person.pro
    }

    /// The organisations, those that do not count included: see [`Org::role`].
    #[must_use]
    pub fn orgs(&self) -> &[Org] {
        &self.inner.person.orgs
    }

    /// `acme` for each organisation that counts, and `acme:admin` for the role in it.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.inner.groups
    }

    /// How the person showed who they are.
    #[must_use]
    pub fn auth_method(&self) -> AuthMethod {
        self.inner.method
    }

    pub(crate) fn person(&self) -> &Person {
        &self.inner.person
    }
}

impl Person {
    /// An app that asks in its own name. Apps may be called like people, and like
    /// each other: no account's name has a colon in it.
    pub(crate) fn of_app(id: Box<str>, name: &str) -> Self {
        Self {
            sub: id,
            username: format!("{APP}{name}").into(),
            name: None,
            email: None,
            picture: None,
            pro: false,
            orgs: Vec::new(),
            orgs_known: false,
            orgs_cut: false,
        }
    }

    /// Whether this is an app, and so no account at all.
    pub(crate) fn is_app(&self) -> bool {
        self.username.starts_with(APP)
    }

    pub(crate) fn verified_email(&self) -> Option<&str> {
        self.email.as_ref().filter(|email| email.verified).map(|email| &*email.address)
    }

    /// What people call the account: its name, or its id where only that is known.
    pub(crate) fn shown(&self) -> &str {
        if self.username.is_empty() { &self.sub } else { &self.username }
    }

    /// The entries of the `groups` claim.
    fn groups(&self) -> Vec<String> {
        self.orgs.iter().filter_map(org_groups).flatten().collect()
    }

    /// Drops what neither the rules nor the headers need. Organisations that
    /// `named` wants are kept whatever their standing, since a refusal explains
    /// itself by it; of the others those that count, until the list of groups
    /// is full.
    pub(crate) fn retain(
        &mut self,
        named: impl Fn(&Org) -> bool,
        group_named: impl Fn(&Org, &ResourceGroup) -> bool,
        groups_wanted: bool,
    ) {
        let mut budget = GROUPS_BUDGET;
        for org in self.orgs.iter().filter(|org| named(org)) {
            budget = budget.saturating_sub(groups_length(org));
        }
        let mut cut = false;
        self.orgs.retain_mut(|org| {
            // Resource groups matter to rules alone.
            let mut groups = std::mem::take(&mut org.resource_groups);
            groups.retain(|group| group_named(org, group));
            org.resource_groups = groups;
            if named(org) {
                return true;
            }
            if !groups_wanted || org.role().is_none() {
                return false;
            }
            let length = groups_length(org);
            if length > budget {
                cut = true;
                return false;
            }
            budget -= length;
            true
        });
        self.orgs_cut = cut;
    }
}

fn org_groups(org: &Org) -> Option<[String; 2]> {
    let role = org.role()?;
    let slug = element(&org.slug);
    let with_role = format!("{slug}:{}", element(role.as_str()));
    Some([slug, with_role])
}

fn groups_length(org: &Org) -> usize {
    org_groups(org).map_or(0, |[slug, with_role]| slug.len() + with_role.len() + 2)
}

/// A name as it may stand in a list of groups: what is not a letter, a digit,
/// `-`, `_` or `.` is percent-encoded, so that a role called `x,acme:admin`
/// stays one element, and a slug never holds the `:` before a role.
pub(crate) fn element(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(feature = "axum")]
mod extract {
    use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
    use axum_core::response::{IntoResponse, Response};
    use http::StatusCode;
    use http::request::Parts;

    use super::User;

    /// No [`User`] in the request: nobody is signed in, or the gate's layer is
    /// not around this handler. A plain 401.
    #[derive(Debug)]
    pub struct NobodySignedIn;

    impl IntoResponse for NobodySignedIn {
        fn into_response(self) -> Response {
            (StatusCode::UNAUTHORIZED, "nobody is signed in").into_response()
        }
    }

    impl<S: Send + Sync> FromRequestParts<S> for User {
        type Rejection = NobodySignedIn;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
            parts.extensions.get::<Self>().cloned().ok_or(NobodySignedIn)
        }
    }

    impl<S: Send + Sync> OptionalFromRequestParts<S> for User {
        type Rejection = std::convert::Infallible;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Self::Rejection> {
            Ok(parts.extensions.get::<Self>().cloned())
        }
    }
}
#[cfg(feature = "axum")]
pub use extract::NobodySignedIn;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::identity::{Role, Standing};

    pub(crate) fn person(orgs: &[(&str, &str)]) -> Person {
        Person {
            sub: "62f264b9f3c90f4b65140001".into(),
            username: "ada".into(),
            name: Some("Ada".into()),
            email: None,
            picture: None,
            pro: false,
            orgs: orgs
                .iter()
                .map(|(slug, role)| Org {
                    id: format!("id-of-{slug}").into(),
                    slug: (*slug).into(),
                    standing: Standing::Member(Role::parse(role)),
                    resource_groups: Vec::new(),
                })
                .collect(),
            orgs_known: true,
            orgs_cut: false,
        }
    }

    #[test]
    fn groups_cannot_be_forged_by_a_role_or_a_slug() {
        let user =
            User::new(person(&[("acme", "x,acme:admin"), ("evil:admin", "read")]), AuthMethod::Session);
        assert_eq!(user.groups(), ["acme", "acme:x%2Cacme%3Aadmin", "evil%3Aadmin", "evil%3Aadmin:read"]);
    }

    #[test]
    fn three_hundred_organisations_are_cut_to_what_fits_and_named_ones_stay() {
        let names: Vec<String> = (0..300).map(|n| format!("organisation-{n}")).collect();
        let orgs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "read")).collect();
        let mut ada = person(&orgs);
        ada.retain(|org| &*org.slug == "organisation-299", |_, _| false, true);
        assert!(ada.orgs_cut);
        assert!(ada.orgs.iter().any(|org| &*org.slug == "organisation-299"));
        let header = User::new(ada, AuthMethod::Session).groups().join(",");
        assert!(header.len() <= GROUPS_BUDGET, "{}", header.len());
        assert!(header.len() > GROUPS_BUDGET - 100, "{}", header.len());
    }

    #[test]
    fn what_nobody_needs_is_dropped() {
        let mut ada = person(&[("acme", "read"), ("other", "no_access"), ("third", "read")]);
        ada.retain(|org| &*org.slug == "acme", |_, _| false, false);
        assert_eq!(ada.orgs.len(), 1);
        assert!(!ada.orgs_cut);
    }
}
