//! What the hub remembers while it runs.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Request;

use super::ask::Ask;
use super::behaviour::{Behaviour, Endpoint};
use super::clients::Client;
use super::device_authorization::Device;
use super::grant::{Code, Consent, Grant};
use super::jwt::Keys;
use super::people::{App, Person};
use super::rate::Windows;
use super::shelf::Shelf;
use crate::clock::{Clock, UnixTime};

/// How many registrations from outside are kept.
const REGISTERED: usize = 1000;

/// Everything the handlers share.
pub(super) struct Inner {
    /// `http://127.0.0.1:PORT`.
    pub(super) issuer: String,
    /// The time.
    pub(super) clock: Clock,
    /// What changes.
    pub(super) state: Mutex<State>,
}

/// The handlers' way to [`Inner`].
pub(super) type Shared = Arc<Inner>;

impl Inner {
    /// The state. A panic elsewhere does not make it wrong: every change is
    /// whole before anything can panic.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }
}

/// What changes while the hub runs.
pub(super) struct State {
    /// Who can sign in.
    pub(super) people: Vec<Person>,
    /// Applications with tokens of their own.
    pub(super) apps: Vec<App>,
    /// Registered clients by id.
    pub(super) clients: HashMap<String, Client>,
    /// The ids that came through `/oauth/register`, oldest first.
    registered: VecDeque<String>,
    /// (person's id, client id) → what was consented to.
    pub(super) consents: HashMap<(String, String), Consent>,
    /// Forms that were handed out; `None` is a form that asks for no consent.
    pub(super) tickets: Shelf<Option<Ask>>,
    /// Authorization codes.
    pub(super) codes: Shelf<Code>,
    /// Access tokens.
    pub(super) access_tokens: Shelf<Grant>,
    /// Refresh tokens.
    pub(super) refresh_tokens: Shelf<Grant>,
    /// Device codes.
    pub(super) devices: Shelf<Device>,
    /// Misbehaviour.
    pub(super) behaviour: Behaviour,
    /// Keys.
    pub(super) keys: Keys,
    /// Requests by endpoint.
    pub(super) calls: HashMap<Endpoint, u64>,
    /// The last request to each endpoint.
    pub(super) last: HashMap<Endpoint, Request<()>>,
    /// Requests by address.
    pub(super) windows: Windows<IpAddr>,
}

impl State {
    /// A hub's state at its start.
    pub(super) fn new(
        people: Vec<Person>,
        apps: Vec<App>,
        clients: Vec<Client>,
        behaviour: Behaviour,
        keys: Keys,
    ) -> Self {
        Self {
            people,
            apps,
            clients: clients.into_iter().map(|client| (client.id.clone(), client)).collect(),
            registered: VecDeque::new(),
            consents: HashMap::new(),
            tickets: Shelf::new(10_000),
            codes: Shelf::new(10_000),
            access_tokens: Shelf::new(20_000),
            refresh_tokens: Shelf::new(20_000),
            devices: Shelf::new(1000),
            behaviour,
            keys,
            calls: HashMap::new(),
            last: HashMap::new(),
            windows: Windows::default(),
        }
    }

    /// The person of that username.
    pub(super) fn person_named(&self, username: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.username.eq_ignore_ascii_case(username))
    }

    /// The person of that id.
    pub(super) fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
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
        if self.registered.len() >= REGISTERED
            && let Some(oldest) = self.registered.pop_front()
        {
            self.clients.remove(&oldest);
        }
        self.registered.push_back(client.id.clone());
        self.clients.insert(client.id.clone(), client);
    }
}
