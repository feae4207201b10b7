//! What a gate is made of, and how it is put together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::HeaderName;
use tokio::sync::Notify;

use super::{Gate, Inner};
use crate::authn::{BearerSettings, IntrospectionConfig, TokenAuthenticator};
use crate::client::{PublicUrl, PublicUrlError, TrustedProxies, normalized};
use crate::clock::Clock;
use crate::identity::assertion::{AssertionSigner, choose_cryptography};
use crate::identity::headers::{ACCESS_TOKEN, AUTH_REQUEST, IdentityHeaderNames, REMOTE};
use crate::identity::{AssertionSettings, Claim, HeaderSettings, Org, Person};
use crate::keys::{Keyring, SecretError};
use crate::oauth2::{OAuth2, ReturnHosts};
use crate::policy::{Access, BearerUse, Policy, Route, Routes, Rule};
use crate::provider::{IssuerError, Provider, ProviderSettings};
use crate::respond::OrgNames;
use crate::session::{Cookies, SessionSettings, Sessions};

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
    /// Present: tokens of API clients count.
    pub bearer: Option<BearerSettings>,
    /// Further hosts a sign-in may return to.
    pub return_hosts: ReturnHosts,
    /// Networks whose `X-Forwarded-*` are believed.
    pub trusted_proxies: TrustedProxies,
}

/// Why the provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unusable {
    pub(super) reason: String,
    pub(super) passing: bool,
}

impl Unusable {
    /// Whether it may be over in a moment: the provider is away or overloaded,
    /// rather than wrong.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.passing
    }
}

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
    /// A route is for tokens alone, and there are none.
    #[error("the route {0} is for tokens alone, and no tokens are taken; say so with `bearer`")]
    Bearer(String),
    /// The provider answered, and what it said cannot be used.
    #[error("the provider cannot be used: {0}")]
    Provider(String),
    /// No key for the assertion could be derived.
    #[error("no signing key can be derived from the session secret")]
    Key,
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
            Err(unusable) if unusable.is_transient() => {
                tracing::warn!(reason = %unusable, "the provider does not answer yet");
                Ok(())
            }
            Err(unusable) => Err(BuildError::Provider(unusable.to_string())),
        }
    }

    /// Makes a gate of typed settings, without asking the provider anything.
    ///
    /// # Errors
    /// [`BuildError::Prefix`], [`BuildError::Bearer`] or [`BuildError::Key`].
    pub fn new(settings: GateSettings, clock: Clock) -> Result<Self, BuildError> {
        Self::with(settings, clock, None)
    }

    /// The same; what `before` knows of sessions goes on.
    pub(super) fn with(
        settings: GateSettings,
        clock: Clock,
        before: Option<&OAuth2>,
    ) -> Result<Self, BuildError> {
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
            bearer,
            ..
        } = settings;
        if !is_plain_prefix(&prefix) {
            return Err(BuildError::Prefix(prefix));
        }
        let closed = routes.iter().find(|route| bearer.is_none() && route.bearer == BearerUse::Only);
        if let Some(route) = closed {
            let path = route.path.as_ref().map(ToString::to_string).unwrap_or_default();
            return Err(BuildError::Bearer(format!("{}{path}", route.host.as_deref().unwrap_or_default())));
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
        let assertions = AssertionSigner::new(public_url.as_str(), &keyring).map_err(|_| BuildError::Key)?;
        let cookies = Cookies::new(&session.cookie_name, public_url.is_https(), session.same_site);
        let groups_wanted = headers.wants(Claim::Groups) || assertion.enabled;
        let configured: Vec<HeaderName> = headers
            .claims
            .iter()
            .map(|(name, _)| name.clone())
            .chain(assertion.headers.iter().cloned())
            .collect();
        let identity_names = HeaderSettings::default()
            .claims
            .iter()
            .chain(&AUTH_REQUEST)
            .map(|(name, _)| name.clone())
            .chain(AssertionSettings::default().headers)
            .chain([ACCESS_TOKEN])
            .chain(REMOTE)
            .chain(configured.iter().cloned())
            .collect();
        let scope = provider.scope.clone();
        let provider = Arc::new(Provider::new(provider, clock.clone()));
        let policy = Policy { access, deny, routes: Routes::new(routes) };
        let named: Vec<Rule> = policy.rules().cloned().collect();
        let org_names = Arc::new(OrgNames::default());
        let learnt = Arc::clone(&org_names);
        let retain: Arc<dyn Fn(&mut Person) + Send + Sync> = Arc::new(move |person: &mut Person| {
            let is_named = |org: &&Org| named.iter().any(|rule| rule.names(org));
            person.orgs.iter().filter(is_named).for_each(|org| learnt.learn(org));
            person.retain(
                |org| named.iter().any(|rule| rule.names(org)),
                |org, group| named.iter().any(|rule| rule.names_group(org, group)),
                groups_wanted,
            );
        });
        let bearer = bearer.map(|settings| {
            let manner = IntrospectionConfig {
                headers: headers.clone(),
                audiences: origins.len(),
                retain: Arc::clone(&retain),
            };
            TokenAuthenticator::new(&settings, Arc::clone(&provider), &keyring, manner, clock.clone())
        });
        let sessions =
            Sessions::new(&session, Arc::clone(&keyring), cookies, headers, origins.len(), clock.clone());
        let pendings = OAuth2::pendings(keyring, &sessions);
        let (sessions, pendings) = match before {
            None => (sessions, pendings),
            Some(before) => {
                (sessions.with_state_of(&before.sessions), pendings.with_state_of(&before.pendings))
            }
        };
        let oauth2 = OAuth2 {
            pendings,
            sessions,
            provider,
            jwks: Bytes::from(assertions.jwks().to_owned()),
            public_url,
            prefix,
            scope,
            return_hosts: settings.return_hosts,
            hosts,
            retain,
            draining: AtomicBool::new(false),
            clock: clock.clone(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                oauth2: Arc::new(oauth2),
                bearer,
                paths_matter: policy.routes.list().iter().any(|route| route.path.is_some()),
                methods_matter: policy
                    .routes
                    .list()
                    .iter()
                    .any(|route| route.preflight || !route.methods.is_empty()),
                policy,
                org_names,
                spellings: IdentityHeaderNames::new(configured.iter()),
                trusted_proxies: settings.trusted_proxies,
                assertions,
                assertion_headers: assertion.headers,
                assertion_enabled: assertion.enabled,
                identity_names,
                origins,
                successor: ArcSwapOption::empty(),
                replaced: Notify::new(),
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
