//! Builds a gate in code.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Gate;
use super::settings::{BuildError, GateSettings, default_scope};
use crate::authn::BearerSettings;
use crate::client::{PublicUrl, TrustedProxies};
use crate::clock::Clock;
use crate::hooks::Hooks;
use crate::identity::{AssertionSettings, HeaderSettings};
use crate::keys::{Secret, SecretString};
use crate::oauth2::ReturnHosts;
use crate::policy::{Access, Route, Rule};
#[cfg(feature = "testing")]
use crate::provider::InProcess;
use crate::provider::{DEFAULT_CLOCK_SKEW, Issuer, ProviderSettings};
use crate::session::store::{CustomStore, SessionStore};
use crate::session::{SessionSettings, default_cookie_name};

/// The closures passed to [`GateBuilder::session`], in order.
#[derive(Clone, Default)]
struct SessionChanges(Vec<Arc<SessionChange>>);

/// Makes a provider in this process for the settings of a gate with this clock.
#[cfg(feature = "testing")]
pub(crate) type StartProvider = fn(&GateSettings, &Clock) -> Arc<dyn InProcess>;

type SessionChange = dyn Fn(&mut SessionSettings) + Send + Sync;

impl fmt::Debug for SessionChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionChanges({})", self.0.len())
    }
}

/// Collects settings; [`GateBuilder::build`] makes the gate.
#[derive(Debug, Clone, Default)]
pub struct GateBuilder {
    public_url: Option<String>,
    issuer: Option<String>,
    client: Option<(String, Option<SecretString>)>,
    scope: Option<String>,
    orgs: Vec<String>,
    clock_skew: Option<Duration>,
    secrets: Vec<SecretString>,
    access: Option<Access>,
    deny: Vec<Rule>,
    routes: Vec<Route>,
    prefix: Option<String>,
    session: SessionChanges,
    headers: HeaderSettings,
    assertion: AssertionSettings,
    bearer: Option<BearerSettings>,
    trusted_proxies: TrustedProxies,
    return_hosts: ReturnHosts,
    pub(super) hooks: Hooks,
    clock: Clock,
    #[cfg(feature = "testing")]
    start_provider: Option<StartProvider>,
}

impl Gate {
    /// Starts building a gate.
    #[must_use]
    pub fn builder() -> GateBuilder {
        GateBuilder::default()
    }
}

impl GateBuilder {
    /// The public URL of the app: `https://app.example.com`. Register
    /// `https://app.example.com/oauth2/callback` as the app's redirect URL.
    #[must_use]
    pub fn public_url(mut self, url: impl Into<String>) -> Self {
        self.public_url = Some(url.into());
        self
    }

    /// The OAuth app's client id and secret.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.client = Some((id.into(), Some(SecretString::new(secret))));
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

    /// The scopes to request, separated by spaces. Default: what the rules need.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Ids of organisations to request on the consent page (`orgIds`).
    #[must_use]
    pub fn ask_for_orgs(mut self, ids: impl IntoIterator<Item = String>) -> Self {
        self.orgs.extend(ids);
        self
    }

    /// How far the provider's clock may differ from this machine's. Default: a minute; at
    /// most five.
    #[must_use]
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = Some(skew);
        self
    }

    /// The session secret: at least 32 random bytes in base64 or hex, as
    /// `huggate secret` prints. Called again, it adds a secret that only opens what it
    /// sealed before a rotation.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(SecretString::new(secret));
        self
    }

    /// Admits people whom `rule` matches; several rules are alternatives.
    #[must_use]
    pub fn allow(mut self, rule: Rule) -> Self {
        match &mut self.access {
            Some(Access::Rules(rules)) => rules.push(rule),
            Some(Access::Anyone) | None => self.access = Some(Access::Rules(vec![rule])),
        }
        self
    }

    /// Admits every Hugging Face account.
    #[must_use]
    pub fn allow_anyone(mut self) -> Self {
        self.access = Some(Access::Anyone);
        self
    }

    /// Refuses people whom `rule` matches, on every route.
    #[must_use]
    pub fn deny(mut self, rule: Rule) -> Self {
        self.deny.push(rule);
        self
    }

    /// Adds a route with rules of its own; the first matching route decides.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// The path prefix of the gate's own endpoints. Default: `/oauth2`.
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
    pub fn session(mut self, change: impl Fn(&mut SessionSettings) + Send + Sync + 'static) -> Self {
        self.session.0.push(Arc::new(change));
        self
    }

    /// Keeps the sessions in `store`, which any number of gates can share.
    ///
    /// ```
    /// use huggate::store::MemoryStore;
    ///
    /// let store = MemoryStore::new();
    /// huggate::Gate::builder().session_store(store.clone());
    /// ```
    #[must_use]
    pub fn session_store(self, store: impl SessionStore) -> Self {
        let store = CustomStore::new(store);
        self.session(move |session| session.custom_store = Some(store.clone()))
    }

    /// The identity headers.
    #[must_use]
    pub fn headers(mut self, headers: HeaderSettings) -> Self {
        self.headers = headers;
        self
    }

    /// Whether the app gets the signed assertion, and in which headers.
    #[must_use]
    pub fn assertion(mut self, assertion: AssertionSettings) -> Self {
        self.assertion = assertion;
        self
    }

    /// Accepts tokens of API clients: `Authorization: Bearer hf_…`. Off by default.
    ///
    /// ```
    /// use huggate::authn::BearerSettings;
    ///
    /// huggate::Gate::builder().bearer(BearerSettings::default());
    /// ```
    #[must_use]
    pub fn bearer(mut self, settings: BearerSettings) -> Self {
        self.bearer = Some(settings);
        self
    }

    /// Networks whose `X-Forwarded-*` are used. Default: none.
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

    /// The clock. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the network: what `start` makes of the finished settings answers the requests
    /// to the provider, whatever its issuer. Without a secret, one is generated.
    #[cfg(feature = "testing")]
    pub(crate) fn provider_in_process(mut self, start: StartProvider) -> Self {
        self.start_provider = Some(start);
        self
    }

    /// Makes the gate, and requests the provider's metadata. If the provider is down, the
    /// gate starts all the same, and answers sign-ins with 503 until it is back.
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

    /// The settings as data, without a request to the provider: for
    /// [`Gate::prepare_reload`].
    ///
    /// # Errors
    /// [`BuildError`] says which setting is missing or wrong.
    pub fn settings(self) -> Result<GateSettings, BuildError> {
        #[cfg(feature = "testing")]
        if let Some(start) = self.start_provider {
            return self.settings_in_process(start);
        }
        self.configured()
    }

    #[cfg(feature = "testing")]
    fn settings_in_process(mut self, start: StartProvider) -> Result<GateSettings, BuildError> {
        if self.secrets.is_empty() {
            self.secrets.push(SecretString::new(Secret::generate()));
        }
        let clock = self.clock.clone();
        let mut settings = self.configured()?;
        let provider = start(&settings, &clock);
        settings.provider.issuer = settings.provider.issuer.answered_by(provider);
        Ok(settings)
    }

    fn configured(self) -> Result<GateSettings, BuildError> {
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
        session.cookie_name = default_cookie_name(&public_url);
        for change in &self.session.0 {
            change(&mut session);
        }
        let access = self.access.ok_or(BuildError::Missing("allow (or allow_anyone)"))?;
        let scope = self.scope.unwrap_or_else(|| default_scope(&access, &self.deny, &self.routes));
        Ok(GateSettings {
            public_url,
            prefix: self.prefix.unwrap_or_else(|| "/oauth2".to_owned()),
            provider: ProviderSettings {
                issuer,
                client_id,
                client_secret,
                scope,
                orgs: self.orgs,
                clock_skew: self.clock_skew.unwrap_or(DEFAULT_CLOCK_SKEW),
            },
            session,
            access,
            deny: self.deny,
            routes: self.routes,
            headers: self.headers,
            assertion: self.assertion,
            bearer: self.bearer,
            return_hosts: self.return_hosts,
            trusted_proxies: self.trusted_proxies,
            hooks: self.hooks,
        })
    }
}
