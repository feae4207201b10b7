//! What a gate is made of, typed.

use super::policy::Access;
use super::route::Route;
use super::rule::Rule;
use crate::client::{PublicUrl, TrustedProxies};
use crate::identity::{AssertionSettings, HeaderSettings};
use crate::oauth2::ReturnHosts;
use crate::provider::ProviderSettings;
use crate::session::SessionSettings;

/// Everything a gate is made of. [`GateBuilder`](super::GateBuilder) fills it in code, and the
/// configuration file fills it for the program.
#[derive(Debug, Clone)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made by the builder or the configuration; read by nobody else"
)]
pub struct GateSettings {
    /// What people type.
    pub public_url: PublicUrl,
    /// Where our endpoints live: `/oauth2`.
    pub prefix: String,
    /// The provider, and who we are to it.
    pub provider: ProviderSettings,
    /// How sessions are kept.
    pub session: SessionSettings,
    /// Who may enter.
    pub access: Access,
    /// Who may not, on any route.
    pub deny: Vec<Rule>,
    /// Parts of the app with rules of their own; the first match decides.
    pub routes: Vec<Route>,
    /// Headers that tell the app who is asking.
    pub headers: HeaderSettings,
    /// The signed assertion.
    pub assertion: AssertionSettings,
    /// Further hosts a sign-in may return to.
    pub return_hosts: ReturnHosts,
    /// Networks whose `X-Forwarded-*` are believed.
    pub trusted_proxies: TrustedProxies,
}
