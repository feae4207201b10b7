//! `[bearer]`: tokens of API clients, and how each route takes them.

use super::provider::client_id;
use super::reader::Table;
use crate::authn::BearerSettings;
use crate::policy::BearerUse;

/// Whether tokens are taken, and which.
pub(super) fn read(root: &Table<'_>) -> Option<BearerSettings> {
    let table = root.table("bearer");
    let switch = table.field("hub_tokens");
    // One that cannot be read stops the start; it need not cause further problems.
    let taken = switch.is_some_and(|field| field.flag().unwrap_or(true));
    let list = table.field("clients").and_then(|field| field.list()).unwrap_or_default();
    let clients: Vec<String> = list.iter().filter_map(|field| field.parse(client_id)).collect();
    let app_tokens = table.field("app_tokens").and_then(|field| field.flag()).unwrap_or(false);
    for (name, says_something) in [("clients", !list.is_empty()), ("app_tokens", app_tokens)] {
        if let Some(field) = table.field(name).filter(|_| says_something && !taken) {
            field.problem("does nothing without hub_tokens = true, which lets tokens count at all");
        }
    }
    taken.then_some(BearerSettings { clients, app_tokens })
}

/// How a route takes them; `taken`: they are, somewhere.
pub(super) fn of_route(route: &Table<'_>, taken: bool) -> Option<BearerUse> {
    let Some(field) = route.field("bearer") else { return Some(BearerUse::Also) };
    let used = field.parse(|text| match text {
        "also" => Ok(BearerUse::Also),
        "only" => Ok(BearerUse::Only),
        "off" => Ok(BearerUse::Off),
        _ => Err("is not a way to take tokens; write \"also\", \"only\" or \"off\""),
    })?;
    if used == BearerUse::Only && !taken {
        field.invalid("would let nobody in: no tokens are taken; write hub_tokens = true under [bearer]");
    }
    Some(used)
}
