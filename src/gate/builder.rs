//! How a gate is made: typed settings, and a builder for code.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use http::header::HeaderName;

use super::policy::{Access, Policy};
use super::route::{Route, Routes};
use super::rule::Rule;
use super::settings::GateSettings;
use super::{Gate, Inner};
use crate::client::{PublicUrl, PublicUrlError, TrustedProxies, normalized};
use crate::clock::Clock;
use crate::identity::assertion::{Assertions, choose_cryptography};
use crate::identity::headers::Spellings;
use crate::identity::{AssertionSettings, Claim, HeaderSettings, Person};
use crate::keys::{Hidden, Keyring, Secret, SecretError};
use crate::oauth2::{OAuth2, ReturnHosts};
use crate::provider::{Issuer, IssuerError, Provider, ProviderSettings};
use crate::session::{Cookies, SessionSettings, Sessions};

/// Why a gate cannot be built. Each says which setting, and what it takes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting without a default was not given.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// `public_url`
    #[error("public_url {0:?} {1}")]
    PublicUrl(String, PublicUrlError),
    /// `issuer`
    #[error("issuer {0:?} {1}")]
    Issuer(String, IssuerError),
    /// `secret`
    #[error("the session secret {0}")]
    Secret(SecretError),
    /// `prefix`
    #[error("prefix {0:?} must be a plain path such as /oauth2")]
    Prefix(String),
    /// The provider answered, and what it said cannot be used.
    #[error("the provider cannot be used: {0}")]
    Provider(String),
    /// No key for the assertion could be derived.
    #[error("no signing key can be derived from the session secret")]
    Key,
}

/// Collects settings; [`GateBuilder::build`] makes the gate.
#[derive(Debug, Clone, Default)]
pub struct GateBuilder {
    public_url: Option<String>,
    issuer: Option<String>,
    client: Option<(String, Option<Hidden>)>,
    scope: Option<String>,
    orgs: Vec<String>,
    secrets: Vec<Hidden>,
    access: Option<Access>,
    deny: Vec<Rule>,
    routes: Vec<Route>,
    prefix: Option<String>,
    session: Option<fn(&mut SessionSettings)>,
    headers: HeaderSettings,
    assertion: AssertionSettings,
    trusted_proxies: TrustedProxies,
    return_hosts: ReturnHosts,
    clock: Clock,
}

impl GateBuilder {
    /// What people type: `https://app.example.com`. Register
    /// `https://app.example.com/oauth2/callback` as the app's redirect URL.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// The OAuth app's client id and secret.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.client = Some((id.into(), Some(Hidden::new(secret))));
        self
    }

    /// The client id of an OAuth app without a secret: PKCE alone.
    #[must_use]
    pub fn public_client(mut self, id: impl Into<String>) -> Self {
        self.client = Some((id.into(), None));
        self
    }

    /// Another provider than `https://huggingface.co`, such as `huggate hub`.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// The scopes to ask for, separated by spaces; what the rules need unless given.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Ids of organisations that the consent page must ask for (`orgIds`).
    #[must_use]
    pub fn ask_for_orgs(mut self, ids: impl IntoIterator<Item = String>) -> Self {
        self.orgs.extend(ids);
        self
    }

    /// The session secret: at least 32 random bytes in base64 or hex, as
    /// `huggate secret` prints. Given again, the further ones only open what they
    /// sealed once.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(Hidden::new(secret));
        self
    }

    /// Lets in whom `rule` means; several are alternatives.
    #[must_use]
    pub fn allow(mut self, rule: Rule) -> Self {
        match &mut self.access {
            Some(Access::Rules(rules)) => rules.push(rule),
            Some(Access::Anyone) | None => self.access = Some(Access::Rules(vec![rule])),
        }
        self
    }

    /// Lets in every Hugging Face account.
    #[must_use]
    pub fn allow_anyone(mut self) -> Self {
        self.access = Some(Access::Anyone);
        self
    }

    /// Keeps out whom `rule` means, on every route.
    #[must_use]
    pub fn deny(mut self, rule: Rule) -> Self {
        self.deny.push(rule);
        self
    }

    /// Adds a part of the app with rules of its own; the first match decides.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Where the gate's own endpoints live, instead of `/oauth2`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Changes how sessions are kept.
    ///
    /// ```
    /// # use std::time::Duration;
    /// huggate::Gate::builder().session(|session| session.idle_timeout = Duration::from_secs(3600));
    /// ```
    #[must_use]
    pub fn session(mut self, change: fn(&mut SessionSettings)) -> Self {
        self.session = Some(change);
        self
    }

    /// The headers that tell the app who is asking.
    #[must_use]
    pub fn headers(mut self, headers: HeaderSettings) -> Self {
        self.headers = headers;
        self
    }

    /// Whether and where the app gets the signed assertion.
    #[must_use]
    pub fn assertion(mut self, assertion: AssertionSettings) -> Self {
        self.assertion = assertion;
        self
    }

    /// Networks whose `X-Forwarded-*` are believed.
    #[must_use]
    pub fn trusted_proxies(mut self, networks: TrustedProxies) -> Self {
        self.trusted_proxies = networks;
        self
    }

    /// Further hosts a sign-in may return to.
    #[must_use]
    pub fn return_hosts(mut self, hosts: ReturnHosts) -> Self {
        self.return_hosts = hosts;
        self
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the gate, and asks the provider for its metadata. A provider that is
    /// down does not stop the start: sign-ins are answered with 503 until it is
    /// back.
    ///
    /// # Errors
    /// [`BuildError`] says which setting is missing or wrong, or what is wrong
    /// with the provider's answer.
    pub async fn build(self) -> Result<Gate, BuildError> {
        let clock = self.clock.clone();
        let gate = Gate::new(self.settings()?, clock)?;
        gate.discover_at_start().await?;
        Ok(gate)
    }

    fn settings(self) -> Result<GateSettings, BuildError> {
        let url = self.public_url.ok_or(BuildError::Missing("public_url"))?;
        let public_url = PublicUrl::parse(&url).map_err(|error| BuildError::PublicUrl(url, error))?;
        let issuer = self.issuer.unwrap_or_else(|| "https://huggingface.co".to_owned());
        let issuer = Issuer::parse(&issuer).map_err(|error| BuildError::Issuer(issuer, error))?;
        let (client_id, client_secret) = self.client.ok_or(BuildError::Missing("client"))?;
        let mut secrets = self.secrets.iter().map(|text| Secret::parse(text.expose()));
        let first = secrets.next().ok_or(BuildError::Missing("secret"))?;
        let mut session = SessionSettings::new(first.map_err(BuildError::Secret)?);
        for further in secrets {
            session.secrets.push(further.map_err(BuildError::Secret)?);
        }
        if let Some(change) = self.session {
            change(&mut session);
        }
        let access = self.access.ok_or(BuildError::Missing("allow (or allow_anyone)"))?;
        let scope = self.scope.unwrap_or_else(|| default_scope(&access, &self.deny, &self.routes));
        Ok(GateSettings {
            public_url,
            prefix: self.prefix.unwrap_or_else(|| "/oauth2".to_owned()),
            provider: ProviderSettings { issuer, client_id, client_secret, scope, orgs: self.orgs },
            session,
            access,
            deny: self.deny,
            routes: self.routes,
            headers: self.headers,
            assertion: self.assertion,
            return_hosts: self.return_hosts,
            trusted_proxies: self.trusted_proxies,
        })
    }
}

/// The scopes that the rules need: `email` for one about addresses,
/// `read-memberships` for one about organisations.
#[must_use]
pub fn default_scope(access: &Access, deny: &[Rule], routes: &[Route]) -> String {
    let policy = Policy { access: access.clone(), deny: deny.to_vec(), routes: Routes::new(routes.to_vec()) };
    let mut scope = "openid profile".to_owned();
    if policy.rules().any(Rule::needs_email) {
        scope.push_str(" email");
    }
    if policy.rules().any(Rule::needs_orgs) {
        scope.push_str(" read-memberships");
    }
    scope
}

impl Gate {
    /// Asks the provider for its metadata; one that is down only gets a warning.
    pub(crate) async fn discover_at_start(&self) -> Result<(), BuildError> {
        match self.discover().await {
            Ok(()) => Ok(()),
            Err((reason, true)) => {
                tracing::warn!(%reason, "the provider does not answer yet");
                Ok(())
            }
            Err((reason, false)) => Err(BuildError::Provider(reason)),
        }
    }

    /// Makes a gate of typed settings, without asking the provider anything.
    ///
    /// # Errors
    /// [`BuildError::Prefix`] or [`BuildError::Key`].
    pub fn new(settings: GateSettings, clock: Clock) -> Result<Self, BuildError> {
        choose_cryptography();
        let GateSettings {
            public_url,
            prefix,
            provider,
            session,
            access,
            deny,
            mut routes,
            headers,
            assertion,
            ..
        } = settings;
        if !is_plain_prefix(&prefix) {
            return Err(BuildError::Prefix(prefix));
        }
        for host in routes.iter_mut().filter_map(|route| route.host.as_mut()) {
            // As the host of a request is read, or they would never be equal.
            *host = normalized(host);
        }
        let hosts: Vec<String> = routes
            .iter()
            .filter_map(|route| route.host.clone())
            .filter(|host| host != public_url.authority())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut origins = vec![public_url.as_str().to_owned()];
        origins.extend(hosts.iter().map(|host| public_url.sibling(host)));

        let keyring = Arc::new(Keyring::new(&session.secrets));
        let assertions = Assertions::new(public_url.as_str(), &keyring).map_err(|_| BuildError::Key)?;
        let cookies = Cookies::new(&session.cookie_name, public_url.is_https(), session.same_site);
        let groups_wanted = headers.wants(Claim::Groups) || assertion.enabled;
        let configured: Vec<HeaderName> = headers
            .claims
            .iter()
            .map(|(name, _)| name.clone())
            .chain(assertion.headers.iter().cloned())
            .collect();
        let scope = provider.scope.clone();
        let sessions =
            Sessions::new(&session, Arc::clone(&keyring), cookies, headers, origins.len(), clock.clone());
        let policy = Policy { access, deny, routes: Routes::new(routes) };
        let named: Vec<Rule> = policy.rules().cloned().collect();
        let retain = move |person: &mut Person| {
            person.retain(
                |org| named.iter().any(|rule| rule.names(org)),
                |org, group| named.iter().any(|rule| rule.names_group(org, group)),
                groups_wanted,
            );
        };
        let oauth2 = OAuth2 {
            pendings: OAuth2::pendings(keyring, &sessions),
            sessions,
            provider: Provider::new(provider, clock.clone()),
            jwks: Bytes::from(assertions.jwks().to_owned()),
            public_url,
            prefix,
            scope,
            return_hosts: settings.return_hosts,
            hosts,
            retain: Box::new(retain),
            draining: AtomicBool::new(false),
            clock: clock.clone(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                oauth2,
                methods_matter: policy.routes.list().iter().any(|route| !route.methods.is_empty()),
                policy,
                spellings: Spellings::new(configured.iter()),
                trusted_proxies: settings.trusted_proxies,
                assertions,
                assertion_headers: assertion.headers,
                assertion_enabled: assertion.enabled,
                origins,
                clock,
            }),
        })
    }
}

/// A path that no server reads in two ways: `/` and then letters, digits, `-`,
/// `_` in segments.
pub(crate) fn is_plain_prefix(prefix: &str) -> bool {
    prefix.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| {
            !segment.is_empty()
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
    })
}
