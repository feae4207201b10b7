//! A test subject: a described person, for whom the gate explains its decisions.

use crate::identity::{AuthMethod, Email, Org, Person, ResourceGroup, Role, Shown, Standing, User};
use crate::policy::is_id;

/// A described person who is not signed in, for [`Gate::explain`](crate::Gate::explain).
///
/// The person has only what is given: no other organisation, no e-mail address, no PRO
/// account. Ids and roles are different: every account and every member has one. If a
/// rule depends on an id or role that was not given, the result is unknown.
///
/// ```
/// use huggate::explain::TestSubject;
///
/// let ada = TestSubject::named("ada")?.in_org("acme:admin")?.in_group("acme/gpu-team:write")?;
/// assert_eq!(ada.to_string(), "ada, in acme (admin), in gpu-team of acme (write)");
/// # Ok::<(), huggate::explain::TestSubjectError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestSubject {
    pub(crate) person: Person,
}

/// Why a text does not describe a person. The message continues the text: "… is not a
/// username".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TestSubjectError(String);

impl TestSubjectError {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

const NOT_AN_ORG: &str = "is not an organisation, as in \"acme\", \"acme:admin\" or, with its id, \"acme=65a000000000000000000001:admin\"";
const NOT_A_GROUP: &str = "is not a resource group, as in \"acme/gpu-team\" or \"acme/gpu-team:write\"";

impl TestSubject {
    /// The account with this username, or with this id (24 hex digits).
    ///
    /// # Errors
    /// The text is neither.
    pub fn named(name_or_id: &str) -> Result<Self, TestSubjectError> {
        let why = if name_or_id.contains('@') {
            "is not a username or an id; an address goes under `email`"
        } else {
            "is not a username or an id, as in huggingface.co/ada"
        };
        let (sub, username) = name_and_id(name_or_id).ok_or_else(|| TestSubjectError::new(why))?;
        Ok(Self {
            person: Person {
                sub,
                username,
                name: None,
                email: None,
                picture: None,
                pro: false,
                orgs: Vec::new(),
                orgs_known: true,
                orgs_cut: false,
                shown: Shown::ALL,
                dropped: None,
            },
        })
    }

    /// The id of the account, besides its username.
    ///
    /// # Errors
    /// The text is not 24 hex digits.
    pub fn with_id(mut self, id: &str) -> Result<Self, TestSubjectError> {
        if !is_id(id) {
            return Err(TestSubjectError::new("is not an account's id, which is 24 hex digits"));
        }
        self.person.sub = id.into();
        Ok(self)
    }

    /// Adds the membership in an organisation, granted to the app and without
    /// restrictions: `acme`, `acme:admin` with the role, `acme=ID:admin` with the id.
    ///
    /// # Errors
    /// The text is none of these, or the organisation was named before.
    pub fn in_org(mut self, text: &str) -> Result<Self, TestSubjectError> {
        let (name, role) = split_role(text)?;
        let org =
            org(name, role.unwrap_or_else(Role::unsaid)).ok_or_else(|| TestSubjectError::new(NOT_AN_ORG))?;
        match self.person.orgs.iter_mut().find(|known| is_same(known, &org)) {
            // Added by `in_group` before.
            Some(known) if known.standing == Standing::Member(Role::NoAccess) => {
                *known = Org { resource_groups: std::mem::take(&mut known.resource_groups), ..org };
            }
            Some(_) => return Err(TestSubjectError::new("names an organisation a second time")),
            None => self.person.orgs.push(org),
        }
        Ok(self)
    }

    /// Adds the membership in a resource group: `acme/gpu-team`, or `acme/gpu-team:write`
    /// with the role in it. Unless [`TestSubject::in_org`] sets it, the role in the
    /// organisation is `no_access`.
    ///
    /// # Errors
    /// The text is none of these.
    pub fn in_group(mut self, text: &str) -> Result<Self, TestSubjectError> {
        let not_a_group = || TestSubjectError::new(NOT_A_GROUP);
        let (name, role) = split_role(text)?;
        let (of, group) = name.split_once('/').ok_or_else(not_a_group)?;
        let of = org(of, Role::NoAccess).ok_or_else(not_a_group)?;
        if group.trim().is_empty() {
            return Err(not_a_group());
        }
        let (id, name) = if is_id(group) { (group, "") } else { ("", group) };
        let group =
            ResourceGroup { id: id.into(), name: name.into(), role: role.unwrap_or_else(Role::unsaid) };
        match self.person.orgs.iter_mut().find(|known| is_same(known, &of)) {
            Some(known) => known.resource_groups.push(group),
            None => self.person.orgs.push(Org { resource_groups: vec![group], ..of }),
        }
        Ok(self)
    }

    /// Sets a verified e-mail address that is shared with the app.
    ///
    /// # Errors
    /// The text is not an e-mail address.
    pub fn with_email(mut self, address: &str) -> Result<Self, TestSubjectError> {
        let why = || TestSubjectError::new("is not an e-mail address; write it like \"ada@example.com\"");
        let (local, domain) = address.split_once('@').ok_or_else(why)?;
        let sound = !local.is_empty() && !domain.is_empty() && !domain.contains('@');
        if !sound || address.contains(char::is_whitespace) {
            return Err(why());
        }
        self.person.email = Some(Email { address: address.into(), verified: true });
        Ok(self)
    }

    /// An account with (or without) PRO.
    #[must_use]
    pub fn with_pro(mut self, pro: bool) -> Self {
        self.person.pro = pro;
        self
    }

    /// The [`User`] that the gate would provide for this person.
    #[must_use]
    pub fn user(&self) -> User {
        User::new(self.person.clone(), AuthMethod::Session)
    }
}

impl std::fmt::Display for TestSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&in_short(&self.person))
    }
}

/// A short description of the properties that rules can depend on.
pub(crate) fn in_short(person: &Person) -> String {
    let mut parts = vec![person.shown().to_owned()];
    for org in &person.orgs {
        let name = org.shown();
        parts.push(match &org.standing {
            Standing::Member(role) if role.is_unsaid() => format!("in {name}"),
            Standing::Member(role) => format!("in {name} ({role})"),
            Standing::NotGranted => format!("in {name} (not granted)"),
            Standing::Restricted => format!("in {name} (restricted)"),
        });
        for group in &org.resource_groups {
            let role = if group.role.is_unsaid() { String::new() } else { format!(" ({})", group.role) };
            parts.push(format!("in {} of {name}{role}", group.shown()));
        }
    }
    if let Some(email) = &person.email {
        let verified = if email.verified { "" } else { " (not verified)" };
        parts.push(format!("{}{verified}", email.address));
    }
    if person.pro {
        parts.push("PRO".to_owned());
    }
    parts.join(", ")
}

/// Splits off the role after the colon.
fn split_role(text: &str) -> Result<(&str, Option<Role>), TestSubjectError> {
    const KNOWN: [&str; 5] = ["no_access", "read", "contributor", "write", "admin"];
    let Some((name, role)) = text.rsplit_once(':') else { return Ok((text, None)) };
    if role.trim().is_empty() {
        return Err(TestSubjectError::new("ends without the role that should follow the colon"));
    }
    // A custom role can have any name, but one that differs only by case from a standard
    // role is most likely a mistake.
    match KNOWN.iter().find(|known| **known != role && known.eq_ignore_ascii_case(role)) {
        Some(known) => {
            Err(TestSubjectError::new(format!("has no role after the colon; did you mean {known:?}?")))
        }
        None => Ok((name, Some(Role::parse(role)))),
    }
}

/// `acme`, an id, or both as `acme=ID`.
fn org(text: &str, role: Role) -> Option<Org> {
    let (id, slug) = match text.split_once('=') {
        Some((slug, id)) if is_id(id) && is_name(slug) && !is_id(slug) => (id.into(), slug.into()),
        Some(_) => return None,
        None => name_and_id(text)?,
    };
    Some(Org { id, slug, standing: Standing::Member(role), resource_groups: Vec::new(), groups_shown: true })
}

/// An id and a name, one of which is empty.
fn name_and_id(text: &str) -> Option<(Box<str>, Box<str>)> {
    match text {
        id if is_id(id) => Some((id.into(), "".into())),
        name if is_name(name) => Some(("".into(), name.into())),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.bytes().all(fine)
}

fn is_same(one: &Org, other: &Org) -> bool {
    let both = |one: &str, other: &str| !one.is_empty() && one == other;
    both(&one.slug, &other.slug) || both(&one.id, &other.id)
}
