//! The signed-in person, as the app sees them.

use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::app_claims::AppClaims;
use super::auth_method::AuthMethod;
use super::org::Org;
use super::person::Person;

/// The signed-in person of a request; cheap to clone.
///
/// [`GateLayer`](crate::GateLayer) inserts it into the request's extensions. With the
/// feature `axum` it is also an extractor, and so is `Option<User>` for handlers where
/// signing in is optional.
#[derive(Debug, Clone)]
pub struct User {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    person: Arc<Person>,
    groups: Vec<String>,
    groups_cut: bool,
    method: AuthMethod,
    claims: AppClaims,
}

impl User {
    pub(crate) fn new(person: impl Into<Arc<Person>>, method: AuthMethod) -> Self {
        Self::with_claims(person, method, AppClaims::none().clone())
    }

    /// The person of a session, with the claims that the app added when it began.
    pub(crate) fn of_session(person: impl Into<Arc<Person>>, claims: &AppClaims) -> Self {
        Self::with_claims(person, AuthMethod::Session, claims.clone())
    }

    fn with_claims(person: impl Into<Arc<Person>>, method: AuthMethod, claims: AppClaims) -> Self {
        let person = person.into();
        let groups = person.groups();
        Self { inner: Arc::new(Inner { person, groups, groups_cut: false, method, claims }) }
    }

    /// The same with at most `most` bytes of groups, those of organisations that `named`
    /// selects first.
    pub(super) fn with_groups_within(self, most: usize, named: impl Fn(&Org) -> bool) -> Self {
        let length: usize = self.inner.groups.iter().map(|entry| entry.len() + 1).sum();
        if length <= most + 1 {
            return self;
        }
        let (person, method) = (self.inner.person.clone(), self.inner.method);
        let groups = person.groups_within(most, named);
        let claims = self.inner.claims.clone();
        Self { inner: Arc::new(Inner { person, groups, groups_cut: true, method, claims }) }
    }

    /// The stable id (`sub`). Key your data by it: usernames can change hands.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.person.sub
    }

    /// The Hugging Face username, or the id if only that is known.
    #[must_use]
    pub fn username(&self) -> &str {
        self.inner.person.shown()
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

    /// All organisations, including those without a usable membership: see [`Org::role`].
    #[must_use]
    pub fn orgs(&self) -> &[Org] {
        &self.inner.person.orgs
    }

    /// `acme` for each organisation with a usable membership, and `acme:admin` for the
    /// role in it.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.inner.groups
    }

    /// Whether groups were left out of [`User::groups`] because the list would be too long.
    #[must_use]
    pub fn groups_truncated(&self) -> bool {
        self.inner.groups_cut || self.inner.person.orgs_cut
    }

    /// How the request was authenticated.
    #[must_use]
    pub fn auth_method(&self) -> AuthMethod {
        self.inner.method
    }

    /// The claims that the app's own [`on_sign_in`](crate::GateBuilder::on_sign_in) hook added
    /// when the session began; none for tokens of API clients. The assertion has them, and the
    /// endpoint `userinfo` does not.
    #[must_use]
    pub fn claims(&self) -> &AppClaims {
        &self.inner.claims
    }

    pub(crate) fn person(&self) -> &Person {
        &self.inner.person
    }
}

/// As the endpoint `userinfo` shows a person: `sub`, `preferred_username`, `name`, `email`,
/// `picture`, `groups`, `groups_truncated` and `auth_method`.
impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut user = serializer.serialize_struct("User", 8)?;
        user.serialize_field("sub", self.id())?;
        user.serialize_field("preferred_username", self.username())?;
        user.serialize_field("name", &self.name())?;
        user.serialize_field("email", &self.email())?;
        user.serialize_field("picture", &self.picture())?;
        user.serialize_field("groups", self.groups())?;
        user.serialize_field("groups_truncated", &self.groups_truncated())?;
        user.serialize_field("auth_method", self.auth_method().as_str())?;
        user.end()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    const GROUPS_BUDGET: usize = 3 * 1024;

    use crate::identity::completeness::FilterId;
    use crate::identity::{Role, Shown, Standing};

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
                    groups_shown: true,
                })
                .collect(),
            orgs_known: true,
            orgs_cut: false,
            shown: Shown::ALL,
            dropped: None,
        }
    }

    #[test]
    fn groups_cannot_be_forged_by_a_role_or_a_slug() {
        let user =
            User::new(person(&[("acme", "x,acme:admin"), ("evil:admin", "read")]), AuthMethod::Session);
        assert_eq!(user.groups(), ["acme", "acme:x%2Cacme%3Aadmin", "evil%3Aadmin", "evil%3Aadmin:read"]);
    }

    #[test]
    fn a_long_list_of_organisations_is_truncated_except_for_those_named_by_rules() {
        let names: Vec<String> = (0..300).map(|n| format!("organisation-{n}")).collect();
        let orgs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "read")).collect();
        let mut ada = person(&orgs);
        ada.retain(
            FilterId([0; 8]),
            |org| &*org.slug == "organisation-299",
            |_, _| false,
            Some(GROUPS_BUDGET),
        );
        assert!(ada.orgs_cut);
        assert!(ada.orgs.iter().any(|org| &*org.slug == "organisation-299"));
        let header = User::new(ada, AuthMethod::Session).groups().join(",");
        assert!(header.len() <= GROUPS_BUDGET, "{}", header.len());
        assert!(header.len() > GROUPS_BUDGET - 100, "{}", header.len());
    }

    #[test]
    fn properties_that_are_not_needed_are_dropped() {
        let mut ada = person(&[("acme", "read"), ("other", "no_access"), ("third", "read")]);
        ada.retain(FilterId([0; 8]), |org| &*org.slug == "acme", |_, _| false, None);
        assert_eq!(ada.orgs.len(), 1);
        assert!(!ada.orgs_cut);
    }

    #[test]
    fn groups_are_cut_at_whole_entries_and_named_organisations_come_first() {
        let ada = || {
            User::new(
                person(&[("first", "read"), ("second", "read"), ("named", "admin")]),
                AuthMethod::Session,
            )
        };
        let named = |org: &Org| &*org.slug == "named";
        let whole = ada().groups().join(",");
        for (most, expected) in [
            (whole.len(), whole.as_str()),
            (whole.len() - 1, "named,named:admin,first,first:read"),
            ("named,named:admin,first,first:read".len(), "named,named:admin,first,first:read"),
            ("named,named:admin,first,first:read".len() - 1, "named,named:admin"),
            ("named,named:admin".len(), "named,named:admin"),
            // A shorter one still fits.
            ("named,named:admin".len() - 1, "first,first:read"),
            (0, ""),
        ] {
            let user = ada().with_groups_within(most, named);
            assert_eq!(user.groups().join(","), expected, "{most}");
            assert_eq!(user.groups_truncated(), expected != whole, "{most}");
        }
    }
}
