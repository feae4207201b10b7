//! Gates, a provider and people for tests: no network, no socket, no account.
//!
//! [`gate`] is a [`GateBuilder`](crate::GateBuilder) that is filled in, [`user`] describes an
//! account, and [`TestUser::sign_in`] takes it through the real sign-in. Everything else is the
//! gate that production has: rules, sessions, headers, refusals.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use axum::{Router, body::Body, routing::get};
//! use http::{Request, StatusCode};
//! use huggate::testing::{self, Role};
//! use huggate::{Rule, User};
//! use tower::ServiceExt;
//!
//! let gate = testing::gate().allow(Rule::org("acme").with_role(Role::Write)).build().await?;
//! let hello = |user: User| async move { format!("hello {}", user.username()) };
//! # #[cfg(feature = "axum")]
//! # {
//! let app = Router::new().route("/", get(hello)).layer(gate.layer());
//!
//! let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await?;
//! let request = Request::get("/").body(Body::empty())?;
//! let response = app.clone().oneshot(ada.authenticate(request)).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // Nobody used the session for longer than `idle_timeout`.
//! testing::advance(&gate, Duration::from_secs(13 * 3600));
//! let request = Request::get("/").body(Body::empty())?;
//! let response = app.oneshot(ada.authenticate(request)).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # The provider
//!
//! Each gate has one of its own: a [`Hub`](crate::hub::Hub) whose requests are function calls,
//! known as `https://huggingface.test`. [`provider`] returns it, to edit accounts, to count
//! requests and to make it fail as a provider does over a network, timeouts included. No test
//! reaches another host: also with another issuer, the gate asks this provider.
//!
//! # Time
//!
//! The clock of the gate and of the provider stands still; [`advance`] moves it. Sessions,
//! assertions, ID tokens and tokens follow it. What waits, waits on tokio's timers: the ten
//! seconds of a provider that does not answer, the pause after metadata could not be loaded, the
//! minute after which open streams are looked at. `tokio::time::pause` and `advance` move those,
//! and in a test with `#[tokio::test(start_paused = true)]` they take no time.
//!
//! Both runtimes of tokio will do, and any number of gates at the same time: they share the key
//! that signs ID tokens, which takes long to generate, and nothing else.
//!
//! # Requests
//!
//! A request without a `Host` is one for the public URL, `https://app.test` if none is set. The
//! peer of a request is unknown, as it is behind `axum::serve` without connect info; insert a
//! [`Peer`](crate::Peer), or with axum add a `MockConnectInfo`, where the address matters.
//!
//! # Session stores
//!
//! [`store_conformance`] checks what a [`SessionStore`](crate::store::SessionStore) of your own
//! promises.

mod cookie_jar;
mod gate;
mod page_text;
mod provider;
mod refused;
mod sign_in;
mod signed_in;
mod store;
mod user;

pub use gate::{advance, from_settings, gate, provider};
pub use refused::Refused;
pub use signed_in::SignedIn;
pub use store::store_conformance;
pub use user::{TestUser, user};

pub use crate::identity::Role;
