//! `[bearer]`: tokens of API clients, and `bearer` of routes.

use super::provider::client_id;
use super::reader::Table;
use crate::authn::BearerSettings;
use crate::policy::BearerUse;

/// Whether tokens are accepted, and which.
pub(super) fn read(root: &Table<'_>) -> Option<BearerSettings> {
    let table = root.table("bearer");
    let switch = table.field("hub_tokens");
    // An unreadable value is a problem already; assuming true avoids misleading further ones.
    let taken = switch.is_some_and(|field| field.flag().unwrap_or(true));
    let list = table.field("clients").and_then(|field| field.list()).unwrap_or_default();
    let clients: Vec<String> = list.iter().filter_map(|field| field.parse(client_id)).collect();
    let app_tokens = table.field("app_tokens").and_then(|field| field.flag()).unwrap_or(false);
    for (name, says_something) in [("clients", !list.is_empty()), ("app_tokens", app_tokens)] {
        if let Some(field) = table.field(name).filter(|_| says_something && !taken) {
            field.problem("has no effect without hub_tokens = true");
        }
    }
    taken.then_some(BearerSettings { clients, app_tokens })
}

/// How a route accepts tokens; `taken`: whether tokens are enabled at all.
pub(super) fn of_route(route: &Table<'_>, taken: bool) -> Option<BearerUse> {
    let Some(field) = route.field("bearer") else { return Some(BearerUse::Also) };
    let used = field.parse(|text| match text {
        "also" => Ok(BearerUse::Also),
        "only" => Ok(BearerUse::Only),
        "off" => Ok(BearerUse::Off),
        _ => Err("is not a valid value; write \"also\", \"only\" or \"off\""),
    })?;
    if used == BearerUse::Only && !taken {
        field.invalid(
            "would let nobody in, because tokens are disabled; write hub_tokens = true under [bearer]",
        );
    }
    Some(used)
}
