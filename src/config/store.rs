//! `session.store`, `session.revocations` and `[session.redis]`.

use std::path::{Path, PathBuf};

use super::reader::{Field, Table};
#[cfg(feature = "redis-store")]
use super::redis;
#[cfg(any(feature = "file-store", feature = "redis-store"))]
use crate::session::store::StoreLocation;
use crate::session::{RevocationSettings, SessionSettings, StoreSettings};

/// What a value names.
enum Named {
    Cookie,
    Memory,
    File(PathBuf),
    #[cfg_attr(not(feature = "redis-store"), expect(dead_code, reason = "only a Redis store reads it"))]
    Redis(String),
}

impl Named {
    fn parse(text: &str, folder: &Path) -> Result<Self, &'static str> {
        match text.split_once(':') {
            None if text == "cookie" => Ok(Self::Cookie),
            None if text == "memory" => Ok(Self::Memory),
            Some(("file", "")) => Err("names no file; write it like \"file:sessions.redb\""),
            Some(("file", path)) => Ok(Self::File(folder.join(path))),
            Some(("redis" | "rediss", rest)) if rest.starts_with("//") => Ok(Self::Redis(text.to_owned())),
            _ => Err(
                "is not a store; write \"cookie\", \"memory\", \"file:sessions.redb\" or \"redis://127.0.0.1:6379\"",
            ),
        }
    }
}

const REVOCATIONS: &str = "is no place for revocations; write it like \"file:revocations\" or \"redis://…\"";

/// Parses a value, which may contain a password: a wrong one is not repeated then. `why` is said
/// of what names nothing, in place of what a store can be.
fn parse(field: &Field<'_>, folder: &Path, why: Option<&'static str>) -> Option<Named> {
    let text = field.secret_text()?;
    match Named::parse(text, folder).map_err(|other| why.unwrap_or(other)) {
        Ok(named) => Some(named),
        Err(why) if text.contains('@') => {
            field.problem(why);
            None
        }
        Err(why) => {
            field.invalid(why);
            None
        }
    }
}

/// Reads where sessions are kept into `settings`.
pub(super) fn read(table: &Table<'_>, folder: &Path, settings: &mut SessionSettings) {
    #[cfg(feature = "redis-store")]
    let mut uses_redis = false;
    if let Some(field) = table.field("store")
        && let Some(named) = parse(&field, folder, None)
    {
        match named {
            Named::Cookie => settings.store = StoreSettings::Cookie,
            Named::Memory => settings.store = StoreSettings::Memory,
            #[cfg(feature = "file-store")]
            Named::File(path) => settings.store_location = Some(StoreLocation::File(path)),
            #[cfg(feature = "redis-store")]
            Named::Redis(url) => {
                uses_redis = true;
                if let Some(redis) = redis::read(table, Some(&field), url, folder) {
                    // Its own limits come first, and say more.
                    settings.store_timeout = redis.timeout * 2 + redis.timeout / 10;
                    settings.store_location = Some(StoreLocation::Redis(Box::new(redis)));
                }
            }
            #[cfg_attr(
                all(feature = "file-store", feature = "redis-store"),
                expect(unreachable_patterns, reason = "reached without one of the features")
            )]
            _ => field.problem("needs a feature of huggate that this program was built without"),
        }
    }
    if let Some(field) = table.field("revocations")
        && let Some(named) = parse(&field, folder, Some(REVOCATIONS))
    {
        match named {
            Named::File(path) => settings.revocations = RevocationSettings::File(path),
            #[cfg(feature = "redis-store")]
            Named::Redis(url) => {
                uses_redis = true;
                if let Some(redis) = redis::read(table, Some(&field), url, folder) {
                    settings.revocations = RevocationSettings::Redis(Box::new(redis));
                }
            }
            _ => field.problem(REVOCATIONS),
        }
        if settings.store != StoreSettings::Cookie || settings.store_location.is_some() {
            field.warn_plainly("has no effect: only session.store = \"cookie\" needs it");
        }
    }
    #[cfg(feature = "redis-store")]
    if !uses_redis && let Some(field) = table.field("redis") {
        redis::check_unused(table, folder);
        field.warn_plainly(
            "has no effect: neither session.store nor session.revocations is a redis:// address",
        );
    }
}
