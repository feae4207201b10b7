//! The settings of a gate, and why they can be wrong.

use super::provider_unusable::ProviderUnusable;
use crate::authn::BearerSettings;
use crate::client::{PublicUrl, PublicUrlError, TrustedProxies};
use crate::hooks::Hooks;
use crate::identity::{AssertionSettings, HeaderSettings};
use crate::keys::SecretError;
use crate::oauth2::ReturnHosts;
use crate::policy::{Access, PatternError, Route, Rule, all_rules};
use crate::provider::{IssuerError, ProviderSettings};
use crate::session::SessionSettings;
use crate::session::store::StoreOpenError;

/// All settings of a gate. [`GateBuilder`](crate::GateBuilder) fills them in code, the
/// configuration file for the program.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GateSettings {
    /// The URL that people open.
    pub public_url: PublicUrl,
    /// The path prefix of our endpoints: `/oauth2`.
    pub prefix: String,
    /// The provider, and our OAuth client.
    pub provider: ProviderSettings,
    /// How sessions are kept.
    pub session: SessionSettings,
    /// Who may enter.
    pub access: Access,
    /// Who may not enter, on any route.
    pub deny: Vec<Rule>,
    /// Routes with rules of their own; the first match decides.
    pub routes: Vec<Route>,
    /// The identity headers.
    pub headers: HeaderSettings,
    /// The signed assertion.
    pub assertion: AssertionSettings,
    /// Present: tokens of API clients are accepted.
    pub bearer: Option<BearerSettings>,
    /// Further hosts a sign-in may return to.
    pub return_hosts: ReturnHosts,
    /// Networks whose `X-Forwarded-*` are used.
    pub trusted_proxies: TrustedProxies,
    /// The app's own code at a sign-in, at a sign-out, and in place of refusals.
    pub hooks: Hooks,
}

/// Why a gate cannot be built: which setting is wrong, and what it accepts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting without a default was not given.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// `public_url`
    #[error("public_url {0:?} cannot be used")]
    PublicUrl(String, #[source] PublicUrlError),
    /// `issuer`
    #[error("issuer {0:?} cannot be used")]
    Issuer(String, #[source] IssuerError),
    /// `secret`
    #[error("the session secret cannot be used")]
    Secret(#[source] SecretError),
    /// `prefix`
    #[error("prefix {0:?} must be a plain path such as /oauth2")]
    Prefix(String),
    /// A route's path is not a pattern.
    #[error("the path {0:?} of a route cannot be used")]
    Route(String, #[source] PatternError),
    /// A route requires tokens, and tokens are not accepted.
    #[error("the route {0} is for tokens alone, and no tokens are taken; say so with `bearer`")]
    Bearer(String),
    /// The provider answered, and its metadata cannot be used.
    #[error("the provider cannot be used")]
    Provider(#[source] ProviderUnusable),
    /// The session store, or the file of revocations, cannot be opened.
    #[error("session.store or session.revocations cannot be opened")]
    Store(#[source] StoreOpenError),
    /// No key for the assertion could be derived.
    #[error("no signing key can be derived from the session secret")]
    Key,
}

/// The scopes that the rules need: `email` for one about addresses,
/// `read-memberships` for one about organisations.
#[must_use]
pub fn default_scope(access: &Access, deny: &[Rule], routes: &[Route]) -> String {
    let mut scope = "openid profile".to_owned();
    if all_rules(access, deny, routes).any(Rule::needs_email) {
        scope.push_str(" email");
    }
    if all_rules(access, deny, routes).any(Rule::needs_orgs) {
        scope.push_str(" read-memberships");
    }
    scope
}
