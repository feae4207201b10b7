//! Secrets, given inline or as a file. They never appear in messages.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::reader::{Field, Table};
use super::space::Space;
use crate::client::PublicUrl;
use crate::keys::{Secret, SecretString};

/// The session secret in the annotated `config.toml`. It is public, so it is accepted for
/// loopback public URLs only.
pub const EXAMPLE_SECRET: &str = "dGhpcyBpcyBwdWJsaXNoZWQ6IGh1Z2dhdGUgc2VjcmV0";

/// Maximum size of a secret file.
const MAX_FILE: u64 = 64 * 1024;
/// The minimum length of the admin listener's token.
#[cfg(feature = "proxy")]
const MIN_TOKEN: usize = 16;
const HOW: &str = "generate one with `huggate secret`";
const HOW_IN_A_SPACE: &str =
    "generate one with `huggate secret`, and save it as the Space's secret HUGGATE_SESSION__SECRET";

/// A secret and its field.
struct Given<'a> {
    field: Field<'a>,
    text: SecretString,
}

/// Reads `provider.client_secret`; `None` for a public client.
pub(super) fn client(provider: &Table<'_>, folder: &Path) -> Option<SecretString> {
    if let Some(field) = provider.field("client_secret").filter(|field| field.as_list().is_some()) {
        field.problem("must be a string in quotation marks: an app has one secret");
        return None;
    }
    let mut given = given(provider, "client_secret", folder)?;
    let first = given.swap_remove(0);
    if !given.is_empty() {
        first.field.problem("must be a file of one line: an app has one secret");
    }
    Some(first.text)
}

/// Reads `admin.token`.
#[cfg(feature = "proxy")]
pub(super) fn admin_token(admin: &Table<'_>, folder: &Path) -> Option<SecretString> {
    let mut given = given(admin, "token", folder)?;
    let first = given.swap_remove(0);
    if !given.is_empty() {
        first.field.problem("must be one token");
    }
    if first.text.expose().len() < MIN_TOKEN {
        first.field.problem(format!("must have at least {MIN_TOKEN} characters; {HOW}"));
    }
    Some(first.text)
}

/// Reads the secret of `name` or of the file `name_file`; there is one at most.
#[cfg(feature = "redis-store")]
pub(super) fn one(table: &Table<'_>, name: &str, folder: &Path) -> Option<SecretString> {
    let mut given = given(table, name, folder)?;
    let first = given.swap_remove(0);
    if !given.is_empty() {
        first.field.problem("must be one password");
    }
    Some(first.text)
}

/// Reads a secret file as a whole.
#[cfg(feature = "redis-store")]
pub(super) fn file(table: &Table<'_>, name: &str, folder: &Path) -> Option<SecretString> {
    let field = table.field(name)?;
    let path = field.path(folder)?;
    match read_file(&path, &field) {
        Ok(text) => Some(text),
        Err(why) => {
            field.problem(format!("{path:?} {why}"));
            None
        }
    }
}

/// Reads `session.secret`: the first one seals, all of them open.
pub(super) fn session(
    session: &Table<'_>,
    folder: &Path,
    space: Option<&Space>,
    public_url: Option<&PublicUrl>,
) -> Vec<Secret> {
    if session.field("secret").is_none() && session.field("secret_file").is_none() {
        if let Some(secret) = space.and_then(Space::session_secret) {
            return vec![secret];
        }
        session.missing("secret", space.map_or(HOW, |_| HOW_IN_A_SPACE));
    }
    let example = Secret::parse(EXAMPLE_SECRET);
    let mut secrets = Vec::new();
    for given in given(session, "secret", folder).unwrap_or_default() {
        match Secret::parse(given.text.expose()) {
            Ok(secret) => {
                let published = example.as_ref().is_ok_and(|example| *example == secret);
                if published && !public_url.is_none_or(PublicUrl::is_loopback) {
                    given.field.problem(format!(
                        "is the published example, with which anybody can forge sessions; {HOW}"
                    ));
                }
                secrets.push(secret);
            }
            Err(why) => given.field.problem(format!("{why}; {HOW}")),
        }
    }
    secrets
}

/// Reads the secrets of `name` or of the file `name_file`; never an empty list.
fn given<'a>(table: &Table<'a>, name: &str, folder: &Path) -> Option<Vec<Given<'a>>> {
    let file_name = format!("{name}_file");
    let found: Vec<Given<'a>> = match (table.field(name), table.field(&file_name)) {
        (Some(_), Some(file)) => {
            file.problem(format!("is set in addition to `{name}`; remove one of the two"));
            return None;
        }
        (Some(field), None) => {
            let list = field.as_list();
            if list.as_ref().is_some_and(Vec::is_empty) {
                field.problem("is an empty list");
            }
            list.unwrap_or_else(|| vec![field])
                .into_iter()
                .filter_map(|field| Some(Given { text: SecretString::new(field.secret_text()?), field }))
                .collect()
        }
        (None, Some(field)) => {
            let path = field.path(folder)?;
            let text = match read_file(&path, &field) {
                Ok(text) => text,
                Err(why) => {
                    field.problem(format!("{path:?} {why}"));
                    return None;
                }
            };
            let lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(|line| Given { text: SecretString::new(line), field: field.clone() }).collect()
        }
        (None, None) => return None,
    };
    (!found.is_empty()).then_some(found)
}

/// Reads a secret file.
fn read_file(path: &Path, field: &Field<'_>) -> Result<SecretString, String> {
    let why = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        kind => format!("cannot be read: {kind}"),
    };
    let file = File::open(path).map_err(why)?;
    warn_if_world_readable(&file, field);
    let mut text = String::new();
    let length = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(why);
    let text = SecretString::new(text);
    if length? as u64 > MAX_FILE {
        return Err("is too long to be a secret".to_owned());
    }
    if text.expose().trim().is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text)
}

#[cfg(unix)]
fn warn_if_world_readable(file: &File, field: &Field<'_>) {
    use std::os::unix::fs::PermissionsExt;
    let open = file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o004 != 0);
    if open {
        field.warn("can be read by all users of this machine; chmod 600 would restrict it");
    }
}

#[cfg(not(unix))]
fn warn_if_world_readable(_: &File, _: &Field<'_>) {}
