//! Who can sign in, and where they are members.

use super::random::hex;
use aws_lc_rs::digest::{SHA256, digest};

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// 24 hexadecimal digits that stay when the username changes.
    pub id: String,
    /// The name in addresses.
    pub username: String,
    /// The name on display.
    pub name: String,
    /// What this person is good for, in a line.
    pub about: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether it has been verified.
    pub email_verified: bool,
    /// A website of their own.
    pub website: Option<String>,
    /// Subscribed to PRO.
    pub pro: bool,
    /// A payment method exists.
    pub can_pay: bool,
    /// The user access token: `hf_` and 34 letters or digits.
    pub token: String,
    /// That token's role: `read`, `write`, `fineGrained`.
    pub token_role: String,
    /// Where they are members.
    pub orgs: Vec<Membership>,
}

/// A person's place in an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The organisation's 24 hexadecimal digits.
    pub id: String,
    /// Its name in addresses.
    pub slug: String,
    /// Its name on display.
    pub name: String,
    /// `admin`, `write`, `contributor`, `read`, `no_access`, or a custom role's name.
    pub role: String,
    /// `team`, `enterprise`, `plus`, `academia`, or none.
    pub plan: Option<String>,
    /// What stood in place of `plan` until 2026.
    pub is_enterprise: Option<bool>,
    /// The organisation has a payment method.
    pub can_pay: bool,
    /// What keeps this member out for now: `mfa`, `sso`, `ip`, `token-policy`, `token-revoked`.
    pub security_restrictions: Vec<String>,
    /// Deprecated sign of `sso`.
    pub pending_sso: bool,
    /// Deprecated sign of `mfa`.
    pub missing_mfa: bool,
    /// Groups inside the organisation.
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

/// A group of resources inside an organisation, and the role there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceGroup {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The group's name.
    pub name: String,
    /// The role in it.
    pub role: String,
}

/// An application with a token of its own (`hf_app_` and 32 letters or digits).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its token.
    pub token: String,
}

/// The people as a table: username, token, what they are good for.
///
/// ```
/// # use huggate::hub;
/// let users = hub::Settings::default().users;
/// assert!(hub::users_table(&users).contains("Admin of acme"));
/// ```
#[must_use]
pub fn users_table(users: &[User]) -> String {
    let width = users.iter().map(|person| person.username.len()).max().unwrap_or(0);
    let rows = users
        .iter()
        .map(|person| format!("{:width$}  {}  {}\n", person.username, person.token, person.about));
    rows.collect()
}

/// 24 hexadecimal digits, the same at every start.
pub(super) fn id(kind: &str, name: &str) -> String {
    let mut id = hex(digest(&SHA256, format!("{kind}:{name}").as_bytes()).as_ref());
    id.truncate(24);
    id
}

/// A token made of a name: readable, plainly not real, and not in any
/// repository for a secret scanner to find.
pub(super) fn token(prefix: &str, name: &str, length: usize) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    prefix.chars().chain(letters.chain("StandIn".chars().cycle()).take(length)).collect()
}
