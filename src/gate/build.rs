//! A gate is put together from its settings.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderName;

use super::app_assertion::AppAssertions;
use super::names::NamesInForce;
use super::position::Warnings;
use super::rewrite::Rewriter;
use super::ruleset::Ruleset;
use super::settings::{BuildError, GateSettings};
use super::{Gate, Inner};
use crate::authn::{Authenticator, PersonFilter, SessionRevalidator, TokenAuthenticator};
use crate::client::{OverrideHeaders, PublicUrl, normalized};
use crate::clock::Clock;
use crate::identity::assertion::AssertionSigner;
use crate::identity::headers::{ACCESS_TOKEN, AUTH_REQUEST, IdentityHeaderNames, REMOTE};
use crate::identity::{
    AssertionSettings, Claim, HeaderSettings, IdentityRenderer, NamedOrgs, Org, Person, Shown,
};
use crate::keys::Keyring;
use crate::oauth2::{OAuth2, PendingSignIns};
use crate::policy::{BearerUse, OwnAddress, OwnPrefix, Policy, Route, RouteTable, Rule, all_rules};
use crate::provider::Provider;
use crate::respond::{EndpointUrls, OrgNames};
use crate::session::{Cookies, KeptOrgs, KeptOrgsSource, Sessions};

impl Gate {
    /// Makes a gate of typed settings, without asking the provider anything.
    ///
    /// # Errors
    /// [`BuildError::Prefix`], [`BuildError::Route`], [`BuildError::Bearer`],
    /// [`BuildError::Store`] or [`BuildError::Key`].
    pub fn new(settings: GateSettings, clock: Clock) -> Result<Self, BuildError> {
        Self::with(settings, clock, None)
    }

    /// The same, with what `before` knows of sessions, sign-ins and tokens.
    pub(super) fn with(
        mut settings: GateSettings,
        clock: Clock,
        before: Option<&Inner>,
    ) -> Result<Self, BuildError> {
        let prefix =
            OwnPrefix::parse(&settings.prefix).ok_or_else(|| BuildError::Prefix(settings.prefix.clone()))?;
        check_paths(&settings)?;
        check_bearer(&settings)?;
        for host in settings.routes.iter_mut().filter_map(|route| route.host.as_mut()) {
            // As the host of a request is spelled, or they would never be equal.
            *host = normalized(host);
        }
        let hosts = Hosts::of(&settings.routes, &settings.public_url);
        let keyring = Arc::new(Keyring::new(&settings.session.secrets));
        let signer =
            AssertionSigner::new(settings.public_url.as_str(), &keyring).map_err(|_| BuildError::Key)?;
        let jwks = Bytes::from(signer.jwks().to_owned());
        let added_rules = before.map_or_else(Arc::default, |before| Arc::clone(&before.added_rules));
        let names = added_rules.bind(rules_of(&settings), Shown::by_scope(&settings.provider.scope));
        let needs = Arc::clone(&names.needs);
        let parts = Parts::new(&settings, &hosts, names, keyring, clock.clone());
        let authority = settings.public_url.authority().to_owned();
        let policy = Policy {
            access: settings.access.clone(),
            deny: settings.deny.clone(),
            routes: RouteTable::new(settings.routes.clone()),
            own: OwnAddress { prefix: prefix.clone(), authority },
            needs,
        };
        let rewriter = parts.rewriter(&settings, &policy.routes, signer, &hosts);
        let identity_headers = identity_headers(&settings);
        let org_names = Arc::clone(&parts.org_names);
        let urls = EndpointUrls { public_url: settings.public_url.clone(), prefix };
        let (trusted_proxies, bearer) = (settings.trusted_proxies.clone(), settings.bearer.clone());
        let tokens_before = before.and_then(|before| before.ruleset.authn.tokens.as_ref());
        let tokens = bearer.map(|bearer| parts.token_authenticator(&bearer, tokens_before));
        let oauth2 = parts.oauth2(settings, urls, hosts.names, jwks, before.map(|before| &before.oauth2))?;
        let sessions = SessionRevalidator::new(
            Arc::clone(&oauth2.sessions),
            Arc::clone(&oauth2.provider),
            oauth2.retain.clone(),
            clock.clone(),
        );
        let drain = before.map_or_else(Arc::default, |before| Arc::clone(&before.ruleset.drain));
        let ruleset = Ruleset::new(policy, Authenticator { sessions, tokens }, hosts.origins, drain, clock);
        let own_host = normalized(oauth2.urls.public_url.authority()).into();
        let inner = Inner {
            ruleset,
            added_rules,
            oauth2,
            rewriter,
            org_names,
            trusted_proxies,
            warnings: Warnings::default(),
            own_host,
            identity_headers,
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Without its path a route would match every request.
fn check_paths(settings: &GateSettings) -> Result<(), BuildError> {
    match settings.routes.iter().find_map(|route| route.invalid_path.clone()) {
        Some((path, error)) => Err(BuildError::Route(path, error)),
        None => Ok(()),
    }
}

/// A route for tokens alone needs tokens to be accepted.
fn check_bearer(settings: &GateSettings) -> Result<(), BuildError> {
    let closed = settings.routes.iter().find(|route| route.bearer == BearerUse::Only);
    match closed {
        Some(route) if settings.bearer.is_none() => {
            let path = route.path.as_ref().map(ToString::to_string).unwrap_or_default();
            Err(BuildError::Bearer(format!("{}{path}", route.host.as_deref().unwrap_or_default())))
        }
        _ => Ok(()),
    }
}

/// The hosts that people reach the app by, besides the public URL's.
struct Hosts {
    names: Vec<String>,
    /// The public URL's origin, and then those of `names`.
    origins: Vec<String>,
}

impl Hosts {
    fn of(routes: &[Route], public_url: &PublicUrl) -> Self {
        let names: BTreeSet<String> = routes
            .iter()
            .filter_map(|route| route.host.clone())
            .filter(|host| host != public_url.authority())
            .collect();
        let mut origins = vec![public_url.as_str().to_owned()];
        origins.extend(names.iter().map(|host| public_url.sibling(host)));
        Self { names: names.into_iter().collect(), origins }
    }
}

/// The values that several parts of a gate share.
struct Parts {
    keyring: Arc<Keyring>,
    cookies: Cookies,
    renderer: IdentityRenderer,
    provider: Arc<Provider>,
    retain: PersonFilter,
    names: Arc<NamesInForce>,
    org_names: Arc<OrgNames>,
    clock: Clock,
}

impl Parts {
    fn new(
        settings: &GateSettings,
        hosts: &Hosts,
        names: Arc<NamesInForce>,
        keyring: Arc<Keyring>,
        clock: Clock,
    ) -> Self {
        let org_names = Arc::new(OrgNames::default());
        let (session, https) = (&settings.session, settings.public_url.is_https());
        Self {
            keyring,
            cookies: Cookies::new(&session.cookie_name, https, session.same_site),
            renderer: IdentityRenderer::new(settings.headers.clone(), named(&names), hosts.origins.len()),
            provider: Arc::new(Provider::new(
                settings.provider.clone(),
                Arc::clone(&names.needs),
                clock.clone(),
            )),
            retain: person_filter(settings, &names, Arc::clone(&org_names)),
            names,
            org_names,
            clock,
        }
    }

    fn token_authenticator(
        &self,
        settings: &crate::authn::BearerSettings,
        before: Option<&TokenAuthenticator>,
    ) -> TokenAuthenticator {
        TokenAuthenticator::new(
            settings,
            Arc::clone(&self.provider),
            &self.keyring,
            &self.renderer,
            self.retain.clone(),
            self.clock.clone(),
            before,
        )
    }

    fn rewriter(
        &self,
        settings: &GateSettings,
        routes: &RouteTable,
        signer: AssertionSigner,
        hosts: &Hosts,
    ) -> Rewriter {
        let configured = configured_headers(settings);
        Rewriter {
            identity_names: IdentityHeaderNames::new(configured.iter()),
            overrides: OverrideHeaders { method: routes.depend_on_method(), path: routes.depend_on_path() },
            assertions: AppAssertions::new(
                signer,
                settings.assertion.clone(),
                hosts.names.clone(),
                hosts.origins.clone(),
                self.clock.clone(),
            ),
            cookies: self.cookies.clone(),
            https: settings.public_url.is_https(),
            accepts_tokens: settings.bearer.is_some(),
        }
    }

    fn oauth2(
        self,
        settings: GateSettings,
        urls: EndpointUrls,
        hosts: Vec<String>,
        jwks: Bytes,
        before: Option<&OAuth2>,
    ) -> Result<OAuth2, BuildError> {
        let sessions = Sessions::new(
            &settings.session,
            Arc::clone(&self.keyring),
            self.cookies.clone(),
            self.renderer,
            self.clock.clone(),
            before.map(|before| &*before.sessions),
        )
        .map_err(BuildError::Store)?
        .with_kept_orgs(kept_orgs(&self.names));
        let pendings = PendingSignIns::new(self.keyring, self.cookies);
        let pendings = match before {
            None => pendings,
            Some(before) => pendings.with_state_of(&before.pendings),
        };
        let sessions = sessions.with_tasks();
        if before.is_none() {
            // After a reload, once that is in force.
            sessions.attach();
        }
        let draining = before.map_or_else(Arc::default, |before| Arc::clone(&before.draining));
        Ok(OAuth2 {
            urls,
            return_hosts: settings.return_hosts,
            hosts,
            provider: self.provider,
            sessions,
            pendings,
            jwks,
            retain: self.retain,
            draining,
            logout_tokens: before.map_or_else(Arc::default, |before| Arc::clone(&before.logout_tokens)),
            hooks: settings.hooks,
            clock: self.clock,
        })
    }
}

/// What a session keeps, however large it is: the organisations that rules name.
fn kept_orgs(names: &Arc<NamesInForce>) -> KeptOrgsSource {
    let (needs, names) = (Arc::clone(&names.needs), Arc::clone(names));
    KeptOrgsSource::new(needs, move || {
        let names = names.now();
        let filter = names.id;
        KeptOrgs { named: Arc::new(move |org: &Org| names.have(org)), filter }
    })
}

/// Drops from a person what neither rules nor headers need, and notes the names of
/// organisations that rules have.
fn person_filter(
    settings: &GateSettings,
    names: &Arc<NamesInForce>,
    org_names: Arc<OrgNames>,
) -> PersonFilter {
    let groups_wanted = settings.headers.wants(Claim::Groups) || settings.assertion.enabled;
    let groups_bytes = groups_wanted.then_some(settings.headers.groups_bytes);
    let (names, needs) = (Arc::clone(names), Arc::clone(&names.needs));
    PersonFilter::new(needs, move |person: &mut Person| {
        let names = names.now();
        person.orgs.iter().filter(|org| names.have(org)).for_each(|org| org_names.note(org));
        person.retain(
            names.id,
            |org| names.have(org),
            |org, group| names.have_group(org, group),
            groups_bytes,
        );
    })
}

/// The organisations that rules name.
fn named(names: &Arc<NamesInForce>) -> NamedOrgs {
    let names = Arc::clone(names);
    Arc::new(move |org: &Org| names.now().have(org))
}

fn rules_of(settings: &GateSettings) -> Vec<Rule> {
    all_rules(&settings.access, &settings.deny, &settings.routes).cloned().collect()
}

/// The names that the configuration gives to identity headers.
fn configured_headers(settings: &GateSettings) -> Vec<HeaderName> {
    let claims = settings.headers.claims.iter().map(|(name, _)| name.clone());
    claims.chain(settings.assertion.headers.iter().cloned()).collect()
}

/// Every identity header that forward auth answers with, so that none of the client's
/// is left.
fn identity_headers(settings: &GateSettings) -> Vec<HeaderName> {
    HeaderSettings::default()
        .claims
        .iter()
        .chain(&AUTH_REQUEST)
        .map(|(name, _)| name.clone())
        .chain(AssertionSettings::default().headers)
        .chain([ACCESS_TOKEN])
        .chain(REMOTE)
        .chain(configured_headers(settings))
        .collect()
}
