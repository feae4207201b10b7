//! The hub's state.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Request;

use super::authorization_request::AuthorizationRequest;
use super::behaviour::{Behaviour, Endpoint};
use super::clients::Client;
use super::device_authorization::DeviceAuthorization;
use super::grant::{AuthorizationCode, Consent, Grant};
use super::jwt::Keys;
use super::rate_limit::RateLimiter;
use super::ttl_map::TtlMap;
use super::users::{App, User};
use crate::clock::{Clock, UnixTime};

/// Maximum number of clients that registered dynamically.
const MAX_REGISTERED: usize = 1000;

/// What the handlers share.
pub(super) struct HubContext {
    /// `http://127.0.0.1:PORT`; without a listener any URL.
    pub(super) issuer: String,
    /// The clock.
    pub(super) clock: Clock,
    /// The mutable state.
    pub(super) state: Mutex<HubState>,
}

/// A shared [`HubContext`].
pub(super) type Shared = Arc<HubContext>;

impl HubContext {
    /// Locks the state. A poisoned lock is fine: no change can panic half-way.
    pub(super) fn state(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current time.
    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }
}

/// The mutable state.
pub(super) struct HubState {
    /// The users.
    pub(super) users: Vec<User>,
    /// Applications with tokens of their own.
    pub(super) apps: Vec<App>,
    /// Registered clients by id.
    pub(super) clients: HashMap<String, Client>,
    /// Ids of dynamically registered clients, oldest first.
    registered: VecDeque<String>,
    /// (user id, client id) → consent.
    pub(super) consents: HashMap<(String, String), Consent>,
    /// CSRF tickets; `None` for a form without an authorization request.
    pub(super) tickets: TtlMap<Option<AuthorizationRequest>>,
    /// Authorization codes.
    pub(super) codes: TtlMap<AuthorizationCode>,
    /// Access tokens.
    pub(super) access_tokens: TtlMap<Grant>,
    /// Refresh tokens.
    pub(super) refresh_tokens: TtlMap<Grant>,
    /// Tokens of users and apps that were revoked as leaked; as many as there are at most.
    revoked: BTreeSet<String>,
    /// Device codes.
    pub(super) devices: TtlMap<DeviceAuthorization>,
    /// Deviations from correct behaviour.
    pub(super) behaviour: Behaviour,
    /// The keys.
    pub(super) keys: Keys,
    /// Number of requests per endpoint.
    pub(super) calls: HashMap<Endpoint, u64>,
    /// The last request to each endpoint.
    pub(super) last: HashMap<Endpoint, Request<()>>,
    /// Request counts per address.
    pub(super) rate_limiter: RateLimiter<IpAddr>,
}

impl HubState {
    /// The initial state.
    pub(super) fn new(
        users: Vec<User>,
        apps: Vec<App>,
        clients: Vec<Client>,
        behaviour: Behaviour,
        keys: Keys,
    ) -> Self {
        Self {
            users,
            apps,
            clients: clients.into_iter().map(|client| (client.id.clone(), client)).collect(),
            registered: VecDeque::new(),
            consents: HashMap::new(),
            tickets: TtlMap::new(10_000),
            codes: TtlMap::new(10_000),
            access_tokens: TtlMap::new(20_000),
            refresh_tokens: TtlMap::new(20_000),
            revoked: BTreeSet::new(),
            devices: TtlMap::new(1000),
            behaviour,
            keys,
            calls: HashMap::new(),
            last: HashMap::new(),
            rate_limiter: RateLimiter::default(),
        }
    }

    /// The user with that username.
    pub(super) fn user_named(&self, username: &str) -> Option<&User> {
        self.users.iter().find(|user| user.username.eq_ignore_ascii_case(username))
    }

    /// The user with that id.
    pub(super) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The user with that user access token, unless it was revoked.
    pub(super) fn user_with_token(&self, token: &str) -> Option<&User> {
        self.users.iter().find(|user| user.token == token && !self.revoked.contains(token))
    }

    /// The app with that token, unless it was revoked.
    pub(super) fn app_with_token(&self, token: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.token == token && !self.revoked.contains(token))
    }

    /// Revokes a token of any kind; an unknown one is ignored.
    pub(super) fn revoke(&mut self, token: &str) {
        self.access_tokens.remove(token);
        self.refresh_tokens.remove(token);
        if self.user_with_token(token).is_some() || self.app_with_token(token).is_some() {
            self.revoked.insert(token.to_owned());
        }
    }

    /// The user's consent for a client.
    pub(super) fn consent(&self, user: &str, client: &str) -> Option<&Consent> {
        self.consents.get(&(user.to_owned(), client.to_owned()))
    }

    /// Adds `scopes` to the consent and replaces its organisations by `orgs`.
    pub(super) fn remember(&mut self, user: &str, client: &str, scopes: &[String], orgs: BTreeSet<String>) {
        let consent = self.consents.entry((user.to_owned(), client.to_owned())).or_default();
        consent.scopes.extend(scopes.iter().cloned());
        consent.orgs = orgs;
    }

    /// Removes the consent and invalidates the client's codes and tokens for this user.
    pub(super) fn disconnect(&mut self, user: &str, client: &str) {
        self.consents.remove(&(user.to_owned(), client.to_owned()));
        let others = |grant: &Grant| grant.user != user || grant.client != client;
        self.codes.retain(|code| others(&code.grant));
        self.access_tokens.retain(others);
        self.refresh_tokens.retain(others);
    }

    /// Adds a dynamically registered client; removes the oldest one if there are too many.
    pub(super) fn register(&mut self, client: Client) {
        if self.registered.len() >= MAX_REGISTERED
            && let Some(oldest) = self.registered.pop_front()
        {
            self.clients.remove(&oldest);
        }
        self.registered.push_back(client.id.clone());
        self.clients.insert(client.id.clone(), client);
    }
}
