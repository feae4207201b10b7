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

/// Reads the settings of the server at `url`, which `field` names.
pub(super) fn read(
    session: &Table<'_>,
    field: &Field<'_>,
    url: String,
    folder: &Path,
) -> Option<RedisSettings> {
    let table = session.table("redis");
    let text = |name| table.field(name).and_then(|field| field.text()).map(str::to_owned);
    let mut settings = RedisSettings::new(url);
    settings.mode = table.field("mode").and_then(|field| field.parse(mode)).unwrap_or(settings.mode);
    settings.nodes = nodes(&table);
    settings.master = text("master").unwrap_or(settings.master);
    settings.username = text("username").filter(|name| !name.is_empty());
    settings.password = secrets::one(&table, "password", folder);
    settings.sentinel_username = text("sentinel_username").filter(|name| !name.is_empty());
    settings.sentinel_password = secrets::one(&table, "sentinel_password", folder);
    settings.ca = pem(&table, "ca_file", folder);
    settings.certificate = pem(&table, "cert_file", folder);
    settings.key = secrets::file(&table, "key_file", folder);
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

/// Reports a problem at the key that it is about.
fn report(table: &Table<'_>, url: &Field<'_>, error: &crate::session::store::RedisSettingsError) {
    let key = match error.setting() {
        "ca" => "ca_file",
        "certificate" => "cert_file",
        "key" => "key_file",
        name => name,
    };
    let source = std::error::Error::source(error).map(|source| format!(": {}", Causes(source)));
    let text = format!("{}{}", error.problem(), source.unwrap_or_default());
    match table.field(key).or_else(|| table.field(&format!("{key}_file"))) {
        Some(field) if error.setting() != "url" => field.problem(text),
        None if error.setting() != "url" => url.problem(format!("session.redis.{key} {text}")),
        _ => url.problem(text),
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
