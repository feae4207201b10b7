//! `[session]`: session settings.

use std::path::Path;
use std::time::Duration;

use super::reader::Table;
use super::secrets;
use super::space::Space;
use super::store;
use crate::client::PublicUrl;
use crate::session::{SameSitePolicy, SessionSettings, default_cookie_name};

/// Sessions have a resolution of seconds.
const MIN_DURATION: Duration = Duration::from_secs(1);

pub(super) fn read(
    root: &Table<'_>,
    folder: &Path,
    space: Option<&Space>,
    public_url: Option<&PublicUrl>,
) -> Option<SessionSettings> {
    let table = root.table("session");
    let secrets = secrets::session(&table, folder, space, public_url);
    let cookie_name = table.field("cookie_name").and_then(|field| field.parse(cookie_name));
    let same_site = same_site(&table, public_url);
    let at_least = |shortest: Duration, name| table.field(name).and_then(|field| field.duration(shortest));
    let duration = |name| at_least(MIN_DURATION, name);
    let (idle_timeout, max_age) = (duration("idle_timeout"), duration("max_age"));
    let revalidate = duration("revalidate");
    // Zero is valid: a failed revalidation then ends the session at once.
    let grace = at_least(Duration::ZERO, "revalidate_grace");
    let (cache, store_grace) = (duration("cache"), at_least(Duration::ZERO, "store_grace"));

    let mut settings = SessionSettings::new(secrets.first()?.clone());
    settings.secrets = secrets;
    let default_name = public_url.map(default_cookie_name);
    settings.cookie_name = cookie_name.or(default_name).unwrap_or(settings.cookie_name);
    settings.same_site = same_site.unwrap_or(settings.same_site);
    store::read(&table, folder, &mut settings);
    settings.cache = cache.unwrap_or(settings.cache);
    settings.store_grace = store_grace.unwrap_or(settings.store_grace);
    settings.max_age = max_age.unwrap_or(settings.max_age);
    settings.revalidate = revalidate.unwrap_or(settings.revalidate);
    settings.revalidate_grace = grace.unwrap_or(settings.revalidate_grace);
    // A short max_age also limits the default of idle_timeout.
    settings.idle_timeout = idle_timeout.unwrap_or(settings.idle_timeout.min(settings.max_age));
    if settings.idle_timeout > settings.max_age
        && let Some(field) = table.field("idle_timeout")
    {
        let max_age = humantime::format_duration(settings.max_age);
        field.invalid(format_args!("is longer than max_age, which is {max_age}"));
    }
    Some(settings)
}

fn cookie_name(text: &str) -> Result<String, &'static str> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let starts =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if text.is_empty() || !text.bytes().all(token) {
        Err("is not a cookie name; use letters, digits, - and _")
    } else if starts("__Host-") || starts("__Secure-") {
        Err("must not have this prefix; huggate adds __Host- itself if public_url is https")
    } else if text.len() > 64 {
        Err("is too long for a cookie name; it must be at most 64 characters")
    } else {
        Ok(text.to_owned())
    }
}

fn same_site(table: &Table<'_>, public_url: Option<&PublicUrl>) -> Option<SameSitePolicy> {
    let field = table.field("same_site")?;
    let policy = field.parse(|text| match text {
        "lax" => Ok(SameSitePolicy::Lax),
        "none" => Ok(SameSitePolicy::None),
        "strict" => Err("would break every sign-in, which ends with a cross-site navigation; write \"lax\""),
        _ => Err("is not a policy; write \"lax\" or \"none\""),
    })?;
    if policy == SameSitePolicy::None && public_url.is_some_and(|url| !url.is_https()) {
        field.invalid("needs an https public_url: browsers accept such cookies over https only");
    }
    Some(policy)
}
