//! What the hub remembers while it runs.

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

/// How many registrations from outside are kept.
const MAX_REGISTERED: usize = 1000;

/// Everything the handlers share.
pub(super) struct HubContext {
    /// `http://127.0.0.1:PORT`.
    pub(super) issuer: String,
    /// The time.
    pub(super) clock: Clock,
    /// What changes.
    pub(super) state: Mutex<HubState>,
}

/// The handlers' way to [`HubContext`].
pub(super) type Shared = Arc<HubContext>;

impl HubContext {
    /// The state. A panic elsewhere does not make it wrong: every change is
    /// whole before anything can panic.
    pub(super) fn state(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }
}

/// What changes while the hub runs.
pub(super) struct HubState {
    /// Who can sign in.
    pub(super) users: Vec<User>,
    /// Applications with tokens of their own.
    pub(super) apps: Vec<App>,
    /// Registered clients by id.
    pub(super) clients: HashMap<String, Client>,
    /// The ids that came through `/oauth/register`, oldest first.
    registered: VecDeque<String>,
    /// (person's id, client id) → what was consented to.
    pub(super) consents: HashMap<(String, String), Consent>,
    /// Forms that were handed out; `None` is a form that asks for no consent.
    pub(super) tickets: TtlMap<Option<AuthorizationRequest>>,
    /// Authorization codes.
    pub(super) codes: TtlMap<AuthorizationCode>,
    /// Access tokens.
    pub(super) access_tokens: TtlMap<Grant>,
    /// Refresh tokens.
    pub(super) refresh_tokens: TtlMap<Grant>,
    /// DeviceAuthorization codes.
    pub(super) devices: TtlMap<DeviceAuthorization>,
    /// Misbehaviour.
    pub(super) behaviour: Behaviour,
    /// Keys.
    pub(super) keys: Keys,
    /// Requests by endpoint.
    pub(super) calls: HashMap<Endpoint, u64>,
    /// The last request to each endpoint.
    pub(super) last: HashMap<Endpoint, Request<()>>,
    /// Requests by address.
    pub(super) rate_limiter: RateLimiter<IpAddr>,
}

impl HubState {
    /// A hub's state at its start.
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
            devices: TtlMap::new(1000),
            behaviour,
            keys,
            calls: HashMap::new(),
            last: HashMap::new(),
            rate_limiter: RateLimiter::default(),
        }
    }

    /// The person of that username.
    pub(super) fn user_named(&self, username: &str) -> Option<&User> {
        self.users.iter().find(|person| person.username.eq_ignore_ascii_case(username))
    }

    /// The person of that id.
    pub(super) fn person(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|person| person.id == id)
    }

    /// What a person consented to for a client.
    pub(super) fn consent(&self, person: &str, client: &str) -> Option<&Consent> {
        self.consents.get(&(person.to_owned(), client.to_owned()))
    }

    /// Adds `scopes` to what was consented to, and puts `orgs` in place of the
    /// organisations granted so far.
    pub(super) fn remember(&mut self, person: &str, client: &str, scopes: &[String], orgs: BTreeSet<String>) {
        let consent = self.consents.entry((person.to_owned(), client.to_owned())).or_default();
        consent.scopes.extend(scopes.iter().cloned());
        consent.orgs = orgs;
    }

    /// Forgets the consent; the client's codes and tokens for this person are dead.
    pub(super) fn disconnect(&mut self, person: &str, client: &str) {
        self.consents.remove(&(person.to_owned(), client.to_owned()));
        let others = |grant: &Grant| grant.person != person || grant.client != client;
        self.codes.retain(|code| others(&code.grant));
        self.access_tokens.retain(others);
        self.refresh_tokens.retain(others);
    }

    /// Takes in a client that registered itself; the oldest such goes when
    /// there are too many.
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
