//! An offline stand-in for huggingface.co, as far as signing in goes.
//!
//! It is for developing against, for the demo, and for tests: it listens on a
//! loopback address only, makes its keys at every start, and can be made to
//! [misbehave](Behaviour). It shares no code with the gate, so that the gate's
//! mistakes are not repeated here.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use huggate::hub::{Client, Endpoint, Hub, Settings};
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let hub = Hub::start(listener, Settings::default()).await?;
//! hub.register(Client::confidential("my-app", "secret", "My app", &["http://localhost/callback"]));
//! // Ada agreed before, and ticked the organisation acme.
//! hub.consent("ada", "my-app", &["acme"]);
//! assert_eq!(hub.calls(Endpoint::Token), 0);
//! hub.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A script needs no browser: with `Cookie: hub_user=ada` somebody is signed in
//! at the hub, and after [`Hub::consent`] the authorization endpoint sends them
//! straight back. Without, the pages' forms are plain: `POST /oauth/authorize`
//! with `ticket`, `username`, any number of `org`, and `decision` (`authorize`,
//! `deny`).

mod account_pages;
mod api_error;
mod authorization_request;
mod authorize;
mod bearer;
mod behaviour;
mod browser_session;
mod client_authentication;
mod clients;
mod csrf;
mod device_authorization;
mod device_flow;
mod device_page;
mod discovery;
mod fault_injection;
mod faulty_body;
mod grant;
mod id_token;
mod json;
mod jwt;
mod oauth_error;
mod pages;
mod parameters;
mod peer;
mod random;
mod rate_limit;
mod redirect;
mod registration;
mod router;
mod server;
mod state;
mod token;
mod ttl_map;
mod userinfo;
mod users;
mod users_file;
mod whoami;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use behaviour::{Behaviour, Broken, Edit, EditQuery, EditToken, Endpoint, Fault, Iss, Signature};
pub use clients::Client;
pub use json::Object;
pub use users::{App, Membership, ResourceGroup, User, users_table};
pub use users_file::UsersError;

use crate::clock::Clock;
use state::{HubContext, HubState, Shared};

/// What a hub starts with; the default is the built-in people and faithful behaviour.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who can sign in.
    pub users: Vec<User>,
    /// Applications with tokens of their own.
    pub apps: Vec<App>,
    /// Clients that are registered from the start.
    pub clients: Vec<Client>,
    /// Deviations from faithful behaviour.
    pub behaviour: Behaviour,
    /// The time.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        let (users, apps) = users_file::built_in();
        Self { users, apps, clients: Vec::new(), behaviour: Behaviour::default(), clock: Clock::system() }
    }
}

impl Settings {
    /// With the people of a file's text, in place of the built-in ones.
    ///
    /// # Errors
    /// The first mistake, with its line and key.
    pub fn from_users_toml(text: &str) -> Result<Self, UsersError> {
        let (users, apps) = users_file::read(text)?;
        Ok(Self { users, apps, ..Self::default() })
    }
}

/// Why a hub does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Everybody can sign in as anybody here, so nobody else may reach it.
    #[error("the stand-in listens on loopback addresses only (127.0.0.1, ::1), not on {0}")]
    NotLoopback(SocketAddr),
    /// The listener has no address.
    #[error("the listener has no address")]
    Listener(#[source] std::io::Error),
    /// No key could be made.
    #[error("no key could be made")]
    Keys,
}

/// A running hub; cheap to clone. It runs until [`Hub::stop`], or until its
/// runtime ends.
#[derive(Clone)]
pub struct Hub {
    /// What the handlers share.
    shared: Shared,
    /// The task that serves, until it is stopped.
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// Tells that task to stop.
    stop: Arc<Notify>,
}

impl Hub {
    /// Starts serving on a loopback listener.
    ///
    /// # Errors
    /// If the listener is not on loopback, or no key can be made.
    pub async fn start(listener: TcpListener, settings: Settings) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(StartError::Listener)?;
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        // Making a key takes a while, which is not to stop other tasks.
        let keys = tokio::task::spawn_blocking(jwt::Keys::generate).await;
        let keys = keys.ok().and_then(Result::ok).ok_or(StartError::Keys)?;
        let Settings { users, apps, clients, behaviour, clock } = settings;
        let state = Mutex::new(HubState::new(users, apps, clients, behaviour, keys));
        let shared = Arc::new(HubContext { issuer: format!("http://{address}"), clock, state });
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared), Arc::clone(&stop)));
        Ok(Self { shared, task: Arc::new(Mutex::new(Some(task))), stop })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Registers a client, in place of one with the same id.
    pub fn register(&self, client: Client) {
        self.shared.state().clients.insert(client.id.clone(), client);
    }

    /// A person's user access token.
    #[must_use]
    pub fn token_of(&self, username: &str) -> Option<String> {
        self.shared.state().user_named(username).map(|person| person.token.clone())
    }

    /// A token that a client got for a person, as at the end of a sign-in: with
    /// every scope that it may ask for, and the organisations of [`Hub::consent`].
    #[must_use]
    pub fn oauth_token(&self, username: &str, client_id: &str) -> Option<String> {
        token::issue_without_sign_in(&self.shared, username, client_id)
    }

    /// Everybody, as they are now.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.shared.state().users.clone()
    }

    /// Changes a person: their memberships, their name, their token. `edit`
    /// must not call the hub. Does nothing if there is no such person.
    pub fn edit_user(&self, username: &str, edit: impl FnOnce(&mut User)) {
        let mut state = self.shared.state();
        let mut users = state.users.iter_mut();
        if let Some(person) = users.find(|person| person.username.eq_ignore_ascii_case(username)) {
            edit(person);
        }
    }

    /// Remembers that a person agreed to everything the client may ask for,
    /// and granted it these organisations (by slug) and no others.
    pub fn consent(&self, username: &str, client_id: &str, orgs: &[&str]) {
        let mut state = self.shared.state();
        let Some(person) = state.user_named(username) else { return };
        let granted = person.orgs.iter().filter(|org| orgs.contains(&org.slug.as_str()));
        let (id, granted): (_, BTreeSet<String>) =
            (person.id.clone(), granted.map(|org| org.id.clone()).collect());
        let scopes = state.clients.get(client_id).map(|client| client.scopes.clone()).unwrap_or_default();
        state.remember(&id, client_id, &scopes, granted);
    }

    /// What "Disconnect" does: the consent is forgotten, the client's tokens
    /// for this person are dead.
    pub fn disconnect(&self, username: &str, client_id: &str) {
        let mut state = self.shared.state();
        if let Some(id) = state.user_named(username).map(|person| person.id.clone()) {
            state.disconnect(&id, client_id);
        }
    }

    /// Ends every access token now, as if its time were up; refresh tokens stay.
    pub fn expire_access_tokens(&self) {
        self.shared.state().access_tokens.retain(|_| false);
    }

    /// Changes how the hub behaves. `edit` must not call the hub.
    pub fn behave(&self, edit: impl FnOnce(&mut Behaviour)) {
        edit(&mut self.shared.state().behaviour);
    }

    /// How many requests an endpoint got, those that met a fault included.
    #[must_use]
    pub fn calls(&self, endpoint: Endpoint) -> u64 {
        self.shared.state().calls.get(&endpoint).copied().unwrap_or(0)
    }

    /// The last request to an endpoint, without its body: to see how a client
    /// authenticates, or what it asks for.
    #[must_use]
    pub fn last_request(&self, endpoint: Endpoint) -> Option<http::Request<()>> {
        self.shared.state().last.get(&endpoint).cloned()
    }

    /// Signs ID tokens with a new key of a new `kid` from now on; the old ones
    /// stay in the key set if `keep_old`.
    pub fn rotate_keys(&self, keep_old: bool) {
        let fresh = jwt::RsaKey::generate().expect("a key could be made at the start");
        self.shared.state().keys.rotate(fresh, keep_old);
    }

    /// Stops serving and closes every connection. The address is free again
    /// when this returns.
    pub async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            self.stop.notify_one();
            // If it panicked, it has stopped as well.
            let _ = task.await;
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hub").field("issuer", &self.shared.issuer).finish_non_exhaustive()
    }
}
