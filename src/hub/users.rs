//! Users, their memberships, and applications.

use super::random::hex;
use aws_lc_rs::digest::{SHA256, digest};

/// A user account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// 24 hexadecimal digits; does not change with the username.
    pub id: String,
    /// The username.
    pub username: String,
    /// The display name.
    pub name: String,
    /// One line about what this user is for.
    pub about: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether it has been verified.
    pub email_verified: bool,
    /// The website.
    pub website: Option<String>,
    /// Has a PRO subscription.
    pub pro: bool,
    /// Has a payment method.
    pub can_pay: bool,
    /// The user access token: `hf_` and 34 letters or digits.
    pub token: String,
    /// That token's role: `read`, `write`, `fineGrained`.
    pub token_role: String,
    /// The memberships.
    pub orgs: Vec<Membership>,
}

impl User {
    /// A user without organisations, e-mail address and PRO, whose id and token follow from the
    /// username.
    #[must_use]
    pub fn new(username: &str) -> Self {
        let mut token = hex(digest(&SHA256, format!("token:{username}").as_bytes()).as_ref());
        token.truncate(34);
        Self {
            id: id("user", username),
            username: username.to_owned(),
            name: username.to_owned(),
            about: String::new(),
            email: None,
            email_verified: true,
            website: None,
            pro: false,
            can_pay: false,
            token: format!("hf_{token}"),
            token_role: "read".to_owned(),
            orgs: Vec::new(),
        }
    }
}

/// A user's membership of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Membership {
    /// The organisation's id: 24 hexadecimal digits.
    pub id: String,
    /// Its slug.
    pub slug: String,
    /// Its display name.
    pub name: String,
    /// `admin`, `write`, `contributor`, `read`, `no_access`, or a custom role's name.
    pub role: String,
    /// `team`, `enterprise`, `plus`, `academia`, or none.
    pub plan: Option<String>,
    /// Replaced by `plan` in 2026.
    pub is_enterprise: Option<bool>,
    /// The organisation has a payment method.
    pub can_pay: bool,
    /// Restrictions that block this member for now: `mfa`, `sso`, `ip`, `token-policy`,
    /// `token-revoked`.
    pub security_restrictions: Vec<String>,
    /// Deprecated form of `sso`.
    pub pending_sso: bool,
    /// Deprecated form of `mfa`.
    pub missing_mfa: bool,
    /// The resource groups the user is in.
    pub resource_groups: Vec<ResourceGroup>,
}

impl Membership {
    /// An ordinary membership of the organisation `slug`.
    #[must_use]
    pub fn new(slug: &str, role: &str) -> Self {
        Self {
            id: id("org", slug),
            slug: slug.to_owned(),
            name: slug.to_owned(),
            role: role.to_owned(),
            plan: Some("team".to_owned()),
            is_enterprise: None,
            can_pay: false,
            security_restrictions: Vec::new(),
            pending_sso: false,
            missing_mfa: false,
            resource_groups: Vec::new(),
        }
    }
}

/// A resource group of an organisation, and the role in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceGroup {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The group's name.
    pub name: String,
    /// The role in it.
    pub role: String,
}

impl ResourceGroup {
    /// A resource group of the organisation `org`, whose id follows from both names.
    #[must_use]
    pub fn new(org: &str, name: &str, role: &str) -> Self {
        Self {
            id: id("resource-group", &format!("{org}/{name}")),
            name: name.to_owned(),
            role: role.to_owned(),
        }
    }
}

/// An application with a token of its own (`hf_app_` and 32 letters or digits).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct App {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its token.
    pub token: String,
}

/// The users as a table: username, token, description.
///
/// ```
/// # use huggate::hub;
/// let users = hub::Settings::default().users;
/// assert!(hub::users_table(&users).contains("Admin of acme"));
/// ```
#[must_use]
pub fn users_table(users: &[User]) -> String {
    let width = users.iter().map(|user| user.username.len()).max().unwrap_or(0);
    let rows = users.iter().map(|user| format!("{:width$}  {}  {}\n", user.username, user.token, user.about));
    rows.collect()
}

/// 24 hexadecimal digits derived from the name, so that they are the same at every start.
pub(super) fn id(kind: &str, name: &str) -> String {
    let mut id = hex(digest(&SHA256, format!("{kind}:{name}").as_bytes()).as_ref());
    id.truncate(24);
    id
}

/// A token derived from a name: readable, obviously not real, and not matched by secret
/// scanners.
pub(super) fn token(prefix: &str, name: &str, length: usize) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    prefix.chars().chain(letters.chain("StandIn".chars().cycle()).take(length)).collect()
}
