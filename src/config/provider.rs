//! `[provider]`: the provider and our registration there.

use std::path::Path;
use std::time::Duration;

use super::reader::{Field, Table};
use super::secrets;
use super::space::Space;
use crate::gate::default_scope;
use crate::policy::{Access, Route, RouteAccess, Rule, is_id};
use crate::provider::{DEFAULT_CLOCK_SKEW, Issuer, MAX_CLOCK_SKEW, ProviderSettings};

const ISSUER: &str = "https://huggingface.co";

/// The rules, which determine the required scopes.
pub(super) struct Rules<'a> {
    pub(super) access: &'a Access,
    pub(super) deny: &'a [Rule],
    pub(super) routes: &'a [Route],
}

pub(super) fn read(
    root: &Table<'_>,
    folder: &Path,
    space: Option<&Space>,
    rules: &Rules<'_>,
) -> Option<ProviderSettings> {
    let provider = root.table("provider");
    let issuer = match provider.field("issuer") {
        Some(field) => field.parse(Issuer::parse),
        None => Issuer::parse(ISSUER).ok(),
    };
    let client_id = provider
        .required("client_id", "register an app at https://huggingface.co/settings/applications/new")
        .and_then(|field| field.parse(client_id));
    let client_secret = secrets::client(&provider, folder);
    let orgs = provider.field("orgs").and_then(|field| field.list()).unwrap_or_default();
    let orgs = orgs.iter().filter_map(org_id).collect();
    let scope = scope(&provider, space, rules);
    let clock_skew = provider.field("clock_skew").and_then(|field| clock_skew(&field));
    Some(ProviderSettings {
        issuer: issuer?,
        client_id: client_id?,
        client_secret,
        scope: scope?,
        orgs,
        clock_skew: clock_skew.unwrap_or(DEFAULT_CLOCK_SKEW),
    })
}

pub(super) fn client_id(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("is empty; the app's page at https://huggingface.co/settings/applications shows it");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("is not a client id; it has no spaces");
    }
    Ok(text.to_owned())
}

fn clock_skew(field: &Field<'_>) -> Option<Duration> {
    let skew = field.duration(Duration::ZERO)?;
    if skew > MAX_CLOCK_SKEW {
        field.invalid("is too long; it must be at most 5m: correct the clock of this machine instead");
        return None;
    }
    Some(skew)
}

fn org_id(field: &Field<'_>) -> Option<String> {
    field.parse(|text| {
        let why = "is not an organisation's id, which is 24 hex digits; \
                   https://huggingface.co/api/whoami-v2 returns it for a member's token (`orgs[].id`)";
        if is_id(text) { Ok(text.to_owned()) } else { Err(why) }
    })
}

/// The scopes to request; reports missing ones that the rules need.
fn scope(provider: &Table<'_>, space: Option<&Space>, rules: &Rules<'_>) -> Option<String> {
    let needed = default_scope(rules.access, rules.deny, rules.routes);
    if let Some(field) = provider.field("scope") {
        let scope = field.parse(tokens)?;
        for (missing, why) in rules.lacking(&scope.split(' ').collect::<Vec<_>>()) {
            field.invalid(format_args!("lacks {missing}, which {why}"));
        }
        return Some(scope);
    }
    let Some(allowed) = space.and_then(Space::allowed) else { return Some(needed) };
    for (missing, why) in rules.lacking(&allowed) {
        provider.report.add(
            &Space::place(),
            "",
            format!("lacks {missing}, which {why}; add it to hf_oauth_scopes in the Space's README.md"),
        );
    }
    Some(allowed.join(" "))
}

/// Normalises a list of scopes (RFC 6749, section 3.3).
fn tokens(text: &str) -> Result<String, &'static str> {
    let token = |scope: &str| scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    let scopes: Vec<&str> = text.split_whitespace().collect();
    if !scopes.iter().all(|scope| token(scope)) {
        return Err("is not a list of scopes; write it like \"openid profile email\", with spaces between");
    }
    if !scopes.contains(&"openid") {
        return Err("lacks openid, which is required");
    }
    Ok(scopes.join(" "))
}

impl Rules<'_> {
    /// Scopes that `asked` lacks, with the rules that need them. Without the data, an `allow`
    /// rule denies everybody, and a `deny` rule may miss somebody.
    fn lacking(&self, asked: &[&str]) -> Vec<(&'static str, &'static str)> {
        let mut lacking = Vec::new();
        let mut need = |scope, needed: bool, why| {
            if needed && !asked.contains(&scope) {
                lacking.push((scope, why));
            }
        };
        need("profile", self.iter().any(Rule::needs_username), "the rules about usernames need");
        need("email", self.iter().any(Rule::needs_email), "the rules about e-mail addresses need");
        need("read-memberships", self.iter().any(Rule::needs_orgs), "the rules about organisations need");
        lacking
    }

    fn iter(&self) -> impl Iterator<Item = &Rule> {
        let of_routes = self.routes.iter().flat_map(|route| {
            let own = match &route.access {
                RouteAccess::Own(access) => of_access(access),
                RouteAccess::Public | RouteAccess::Inherited => &[],
            };
            own.iter().chain(&route.deny)
        });
        of_access(self.access).iter().chain(self.deny).chain(of_routes)
    }
}

fn of_access(access: &Access) -> &[Rule] {
    match access {
        Access::Rules(rules) => rules,
        Access::Anyone => &[],
    }
}
