//! The users file: its format and its errors. The built-in `users.toml` is the documented
//! example.

use serde::Deserialize;
use toml::Spanned;

use super::users::{App, Membership, ResourceGroup, User, id, token};

/// The built-in users file.
const BUILT_IN: &str = include_str!("users.toml");

/// A problem in a users file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {key}: {reason}")]
#[non_exhaustive]
pub struct UsersError {
    /// The line, from 1.
    pub line: usize,
    /// The key.
    pub key: String,
    /// What is wrong with the value, and what is expected.
    pub reason: String,
}

/// Parses a users file.
pub(super) fn parse(text: &str) -> Result<(Vec<User>, Vec<App>), UsersError> {
    let file: RawFile = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        UsersError { line: line(text, at), key: key(text, at), reason: error.message().to_owned() }
    })?;
    let mut users: Vec<User> = Vec::with_capacity(file.user.len());
    for raw in file.user {
        let user = raw.user(text)?;
        users.push(user);
    }
    if users.is_empty() {
        return Err(UsersError { line: 1, key: "user".to_owned(), reason: "no user is listed".to_owned() });
    }
    Ok((users, file.app.into_iter().map(RawApp::app).collect())).and_then(|found| distinct(text, found))
}

/// The built-in users and applications.
pub(super) fn built_in() -> (Vec<User>, Vec<App>) {
    parse(BUILT_IN).expect("the built-in file is read in a test")
}

/// The raw file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    /// The users.
    #[serde(default)]
    user: Vec<RawUser>,
    /// The applications.
    #[serde(default)]
    app: Vec<RawApp>,
}

/// A `[[user]]`; the fields are those of [`User`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUser {
    username: Spanned<String>,
    id: Option<Spanned<String>>,
    name: Option<String>,
    #[serde(default)]
    about: String,
    email: Option<String>,
    email_verified: Option<bool>,
    website: Option<String>,
    #[serde(default)]
    pro: bool,
    #[serde(default)]
    can_pay: bool,
    token: Option<Spanned<String>>,
    token_role: Option<Spanned<String>>,
    #[serde(default)]
    orgs: Vec<RawMembership>,
    more_orgs: Option<Spanned<usize>>,
}

/// One of `orgs`; the fields are those of [`Membership`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMembership {
    slug: Spanned<String>,
    id: Option<Spanned<String>>,
    name: Option<String>,
    role: Option<String>,
    plan: Option<String>,
    is_enterprise: Option<bool>,
    #[serde(default)]
    can_pay: bool,
    #[serde(default)]
    security_restrictions: Vec<String>,
    #[serde(default)]
    pending_sso: bool,
    #[serde(default)]
    missing_mfa: bool,
    #[serde(default)]
    resource_groups: Vec<RawGroup>,
}

/// One of `resource_groups`; the fields are those of [`ResourceGroup`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: String,
    id: Option<Spanned<String>>,
    role: Option<String>,
}

/// An `[[app]]`; the fields are those of [`App`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApp {
    name: String,
}

impl RawUser {
    /// The user, with defaults for missing keys.
    fn user(self, text: &str) -> Result<User, UsersError> {
        let username = slug(text, "username", &self.username)?;
        let mut orgs = Vec::with_capacity(self.orgs.len());
        for raw in self.orgs {
            orgs.push(raw.membership(text)?);
        }
        if let Some(more) = self.more_orgs {
            let (at, more) = (more.span().start, more.into_inner());
            if more > 2000 {
                return Err(error_at(text, at, "more_orgs", "expected at most 2000"));
            }
            orgs.extend((1..=more).map(|number| Membership {
                name: format!("Guild {number}"),
                ..Membership::new(&format!("guild-{number:03}"), "read")
            }));
        }
        let token = match self.token {
            None => token("hf_", &username, 34),
            Some(given) => {
                checked(text, "token", &given, "expected hf_ and 34 letters or digits", |token| {
                    token.strip_prefix("hf_").is_some_and(|rest| {
                        rest.len() == 34 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    })
                })?
            }
        };
        let token_role = match self.token_role {
            None => "read".to_owned(),
            Some(given) => {
                checked(text, "token_role", &given, "expected read, write or fineGrained", |role| {
                    ["read", "write", "fineGrained"].contains(&role)
                })?
            }
        };
        Ok(User {
            id: given_id(text, "user", &username, self.id)?,
            name: self.name.unwrap_or_else(|| username.clone()),
            about: self.about,
            email: Some(self.email.unwrap_or_else(|| format!("{username}@example.org"))),
            email_verified: self.email_verified.unwrap_or(true),
            website: self.website,
            pro: self.pro,
            can_pay: self.can_pay,
            token,
            token_role,
            orgs,
            username,
        })
    }
}

impl RawMembership {
    /// The membership, with defaults for missing keys.
    fn membership(self, text: &str) -> Result<Membership, UsersError> {
        let slug = slug(text, "slug", &self.slug)?;
        let mut resource_groups = Vec::with_capacity(self.resource_groups.len());
        for group in self.resource_groups {
            resource_groups.push(ResourceGroup {
                id: given_id(text, "resource-group", &format!("{slug}/{}", group.name), group.id)?,
                name: group.name,
                role: group.role.unwrap_or_else(|| "read".to_owned()),
            });
        }
        Ok(Membership {
            id: given_id(text, "org", &slug, self.id)?,
            name: self.name.unwrap_or_else(|| slug.clone()),
            role: self.role.unwrap_or_else(|| "read".to_owned()),
            plan: self.plan,
            is_enterprise: self.is_enterprise,
            can_pay: self.can_pay,
            security_restrictions: self.security_restrictions,
            pending_sso: self.pending_sso,
            missing_mfa: self.missing_mfa,
            resource_groups,
            slug,
        })
    }
}

impl RawApp {
    /// The application with its token.
    fn app(self) -> App {
        App { id: id("app", &self.name), token: token("hf_app_", &self.name, 32), name: self.name }
    }
}

/// Rejects duplicate usernames, tokens and ids.
fn distinct(text: &str, found: (Vec<User>, Vec<App>)) -> Result<(Vec<User>, Vec<App>), UsersError> {
    for (index, user) in found.0.iter().enumerate() {
        for other in found.0.iter().skip(index + 1) {
            let at = text.rfind(&other.username).unwrap_or(0);
            if user.username.eq_ignore_ascii_case(&other.username) {
                return Err(error_at(text, at, "username", "this username is listed twice"));
            }
            if user.token == other.token || user.id == other.id {
                return Err(error_at(text, at, "token", "this token or id belongs to another user"));
            }
        }
    }
    Ok(found)
}

/// Validates a username or slug.
fn slug(text: &str, key: &str, given: &Spanned<String>) -> Result<String, UsersError> {
    checked(text, key, given, "expected 1 to 96 letters, digits, `-`, `_` or `.`", |name| {
        (1..=96).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    })
}

/// The id given in the file, or one derived from the name.
fn given_id(
    text: &str,
    kind: &str,
    name: &str,
    given: Option<Spanned<String>>,
) -> Result<String, UsersError> {
    given.map_or_else(
        || Ok(id(kind, name)),
        |given| {
            checked(text, "id", &given, "expected 24 hexadecimal digits", |id| {
                id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        },
    )
}

/// The value, if it `fits`.
fn checked(
    text: &str,
    key: &str,
    given: &Spanned<String>,
    expected: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<String, UsersError> {
    if fits(given.get_ref()) {
        return Ok(given.get_ref().clone());
    }
    Err(error_at(text, given.span().start, key, expected))
}

/// An error at a position in the text.
fn error_at(text: &str, at: usize, key: &str, reason: &str) -> UsersError {
    UsersError { line: line(text, at), key: key.to_owned(), reason: reason.to_owned() }
}

/// The line, from 1, of a position in the text.
fn line(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

/// The key at a position in the text, or the key whose value is there.
fn key(text: &str, at: usize) -> String {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    let after = text.get(at..).unwrap_or_default();
    let end = after.find(|letter| !word(letter)).unwrap_or(after.len());
    let (here, rest) = after.split_at_checked(end).unwrap_or_default();
    if !here.is_empty() && rest.trim_start().starts_with('=') {
        return here.to_owned();
    }
    let before = text.get(..at).unwrap_or_default();
    let before = before.rsplit_once('=').map_or("", |(before, _)| before).trim_end();
    before.rsplit(|letter| !word(letter)).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_line_and_key() {
        let table = [
            ("[[user]]\nusername = \"ada\"\nnick = 1\n", 3, "nick"),
            ("[[user]]\nusername = 7\n", 2, "username"),
            ("[[user]]\nusername = \"a b\"\n", 2, "username"),
            ("[[user]]\nusername = \"ada\"\n\ntoken = \"hf_short\"\n", 4, "token"),
            ("[[user]]\nusername = \"ada\"\norgs = [\n  { slug = \"\" },\n]\n", 4, "slug"),
            ("[[user]]\nusername = \"ada\"\nid = \"zz\"\n", 3, "id"),
            ("[[user]]\nusername = \"ada\"\n[[user]]\nusername = \"Ada\"\n", 4, "username"),
            ("", 1, "user"),
        ];
        for (text, line, key) in table {
            let error = parse(text).unwrap_err();
            assert_eq!((error.line, error.key.as_str()), (line, key), "{text}: {error}");
        }
    }

    #[test]
    fn the_built_in_users_match_their_descriptions() {
        let (users, apps) = built_in();
        let names: Vec<&str> = users.iter().map(|user| user.username.as_str()).collect();
        assert_eq!(names, ["ada", "ben", "cleo", "dan", "eve", "finn", "gita", "hugo", "ivy", "joerg"]);
        let find = |name: &str| users.iter().find(|user| user.username == name).unwrap();
        assert_eq!(find("ada").token, format!("hf_ada{}Sta", "StandIn".repeat(4)));
        assert_eq!(find("eve").orgs.len(), 300);
        assert_eq!(find("dan").orgs, []);
        assert_eq!(find("joerg").name, "Jörg Müller-李");
        assert_eq!(find("ada").orgs[0].id, find("ben").orgs[0].id);
        assert!(users.iter().all(|user| user.id.len() == 24 && user.token.len() == 37));
        assert_eq!(apps[0].token.len(), 7 + 32);
    }
}
