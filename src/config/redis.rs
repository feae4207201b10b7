//! `[session.redis]`: how Redis or Valkey is reached.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::reader::{Field, Table};
use super::secrets;
use crate::causes::Causes;
use crate::session::store::{RedisMode, RedisSettings, RedisStore};

/// The maximum size of a certificate file.
const MAX_PEM: u64 = 1 << 20;
/// A shorter time limit would fail on a loaded machine.
const MIN_TIMEOUT: Duration = Duration::from_millis(10);

/// Reads the settings of the server at `url`. Problems of the URL are reported at `field`.
pub(super) fn read(
    session: &Table<'_>,
    field: Option<&Field<'_>>,
    url: String,
    folder: &Path,
) -> Option<RedisSettings> {
    let table = session.table("redis");
    let text = |name| table.field(name).and_then(|field| field.text()).map(str::to_owned);
    let mut settings = RedisSettings::new(url);
    settings.mode = table.field("mode").and_then(|field| field.parse(mode)).unwrap_or(settings.mode);
    settings.nodes = nodes(&table);
    let master = table.field("master").and_then(|field| field.parse(name));
    settings.master = master.unwrap_or(settings.master);
    settings.username = text("username").filter(|name| !name.is_empty());
    settings.password = secrets::one(&table, "password", folder);
    settings.sentinel_username = text("sentinel_username").filter(|name| !name.is_empty());
    settings.sentinel_password = secrets::one(&table, "sentinel_password", folder);
    if settings.url.starts_with("rediss:") || field.is_some() {
        settings.ca = pem(&table, "ca_file", folder);
        settings.certificate = pem(&table, "cert_file", folder);
        settings.key = secrets::file(&table, "key_file", folder);
    }
    settings.prefix = text("prefix").unwrap_or(settings.prefix);
    let timeout = table.field("timeout").and_then(|field| field.duration(MIN_TIMEOUT));
    settings.timeout = timeout.unwrap_or(settings.timeout);
    match RedisStore::new(&settings) {
        Ok(_) => Some(settings),
        Err(error) => {
            report(&table, field, &error);
            None
        }
    }
}

/// Checks settings that no store uses.
pub(super) fn check_unused(session: &Table<'_>, folder: &Path) {
    let table = session.table("redis");
    for name in ["ca_file", "cert_file", "key_file"] {
        if let Some(field) = table.field(name) {
            let _ = field.parse(|text| if text.is_empty() { Err("is not a path") } else { Ok(()) });
        }
    }
    let _ = read(session, None, "redis://127.0.0.1".to_owned(), folder);
}

fn name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("is empty; leave it out, or name something") } else { Ok(text.to_owned()) }
}

/// Reports a problem at the key that it is about.
fn report(table: &Table<'_>, url: Option<&Field<'_>>, error: &crate::session::store::RedisSettingsError) {
    let key = match error.setting() {
        "ca" => "ca_file",
        "certificate" => "cert_file",
        "key" => "key_file",
        name => name,
    };
    let source = std::error::Error::source(error).map(|source| format!(": {}", Causes(source)));
    let text = format!("{}{}", error.problem(), source.unwrap_or_default());
    let own = table.field(key).or_else(|| table.field(&format!("{key}_file")));
    match (own.filter(|_| error.setting() != "url"), url) {
        (Some(field), _) => field.problem(text),
        (None, Some(url)) if error.setting() == "url" => url.problem(text),
        (None, Some(url)) => url.problem(format!("needs session.redis.{key}, which {text}")),
        (None, None) => table.problem(&format!("{key} {text}")),
    }
}

fn mode(text: &str) -> Result<RedisMode, &'static str> {
    match text {
        "single" => Ok(RedisMode::Single),
        "cluster" => Ok(RedisMode::Cluster),
        "sentinel" => Ok(RedisMode::Sentinel),
        _ => Err("is not a mode; write \"single\", \"cluster\" or \"sentinel\""),
    }
}

fn nodes(table: &Table<'_>) -> Vec<String> {
    let nodes = table.field("nodes").and_then(|field| field.list()).unwrap_or_default();
    nodes.iter().filter_map(|node| node.text().map(str::to_owned)).collect()
}

/// Reads a certificate file.
fn pem(table: &Table<'_>, name: &str, folder: &Path) -> Option<Vec<u8>> {
    let field = table.field(name)?;
    let path = field.path(folder)?;
    let mut text = Vec::new();
    match File::open(&path).and_then(|file| file.take(MAX_PEM).read_to_end(&mut text)) {
        Ok(_) => Some(text),
        Err(error) => {
            field.problem(format!("{path:?} cannot be read: {}", error.kind()));
            None
        }
    }
}
