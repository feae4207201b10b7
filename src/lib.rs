//! Sign in with Hugging Face, in front of any web app.
//!
//! A [`Gate`] protects an app. It sends browsers to Hugging Face to sign in, keeps a
//! sealed session cookie, decides who may enter, and tells the app who is signed in: in
//! headers, in a signed assertion, and as a [`User`] in the request's extensions. The
//! program `huggate` is a reverse proxy around it; this library adds it to a service of
//! your own, as a Tower layer ([`Gate::layer`]) or as one function ([`Gate::handle`]).
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::{BodyExt, Full};
//! use huggate::keys::Secret;
//! use huggate::{Gate, Rule, User};
//! use tower::{ServiceExt, service_fn};
//! use tower_layer::Layer;
//!
//! async fn hello(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     let name = request.extensions().get::<User>().map_or("nobody", User::username);
//!     Ok(Response::new(Full::from(format!("hello {name}"))))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gate = Gate::builder()
//!     .public_url("http://127.0.0.1:3000")
//!     .client("the client id", "the client secret")
//!     .secret(Secret::generate())
//!     .allow(Rule::org("acme"))
//!     // Nothing listens there. The gate starts all the same: people who are signed
//!     // in need no provider. Left out, it is https://huggingface.co
//!     .issuer("http://127.0.0.1:1")
//!     .build()
//!     .await?;
//! let app = gate.layer().layer(service_fn(hello));
//!
//! // A program without a session is told where a person can sign in.
//! let request = Request::get("/").header("host", "127.0.0.1:3000").body(Full::default())?;
//! let response = app.oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! let body = response.into_body().collect().await?.to_bytes();
//! let answer: serde_json::Value = serde_json::from_slice(&body)?;
//! assert_eq!(answer["error"], "login_required");
//! assert_eq!(answer["sign_in_url"], "http://127.0.0.1:3000/oauth2/sign_in?rd=%2F");
//! # Ok(())
//! # }
//! ```
//!
//! # Life of a request
//!
//! The modules stand below in the order in which a request meets them. With the
//! proxy it starts at 1; with the layer at 3. `docs/explanations/request.md` links each
//! step to its file.
//!
//! 1. `server` accepts the connection, terminates TLS, closes clients that are slow or
//!    send too much, and translates HTTP/2 requests to HTTP/1.1.
//! 2. `proxy` and the layer call `Gate::admit`, which has the steps 3 to 8 a line each, and
//!    after the app `Gate::complete`, which is step 10.
//! 3. [`client`] determines the client's address, the host and the scheme, from the
//!    [`Peer`] or from what a trusted proxy forwards.
//! 4. A path below `/oauth2` is answered by [`oauth2`] with the help of [`provider`],
//!    where each exchange with Hugging Face has a file. A valid callback begins a
//!    [`session`]. [`forward_auth`] turns the question of another proxy into the request
//!    that it describes, which takes the steps 5 to 7.
//! 5. [`policy`] finds the [`Route`], under every reading that a server might make of the
//!    path.
//! 6. [`authn`] finds the caller: a [`session`] whose cookie [`keys`] open, or an API
//!    token.
//! 7. [`policy`] evaluates the rules. Yes is a [`Grant`], a value that nothing else makes.
//!    No is a [`Refusal`], and `respond` turns it into a redirect, a page or JSON.
//! 8. [`gate`] rewrites the request from one list: identity headers of clients are
//!    dropped, those of [`identity`] are set, and the assertion replaces the session's
//!    cookie.
//! 9. The inner service is called, or `upstream` sends the request, which takes the
//!    [`Grant`] as an argument, and streams both ways.
//! 10. The response comes back: cookies of the gate's names are dropped, a session that
//!     was used is renewed, and a stream or a WebSocket ends when its permission does.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | none | the layer: [`Gate`], and what it needs |
//! | `axum` | [`User`], [`Grant`], [`Client`] and [`AccessToken`] as extractors; `ConnectInfo` and `OriginalUri` are read |
//! | `config` | settings from a TOML file and the environment: `Gate::from_config` |
//! | `proxy` | the reverse proxy as a library: `proxy`, `server`, `upstream`; with `config` |
//! | `hub` | the offline stand-in for huggingface.co |
//! | `redis-store` | sessions in Redis or Valkey: `store::RedisStore` |
//! | `testing` | `testing`: gates, a provider and people for your tests, without a network; with `hub` |
//! | `bin` | the program `huggate`, with all but `axum` and `testing`; on by default |

// docs.rs says which feature an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

// The path, in the order of a request.
#[cfg(feature = "proxy")]
pub mod server;

#[cfg(feature = "proxy")]
pub mod proxy;

pub mod client;

pub mod gate;

pub mod forward_auth;

pub mod authn;

pub mod policy;

mod respond;

#[cfg(feature = "proxy")]
pub mod upstream;

// What we answer ourselves.
pub mod oauth2;

mod pages;

pub mod hooks;

// What those stand on.
pub mod identity;

pub mod provider;

pub mod session;

pub mod clock;

mod causes;

mod events;

mod masked;

mod setters;

pub mod keys;

#[cfg(feature = "proxy")]
mod pem;

// The program's.
#[cfg(feature = "config")]
pub mod config;

pub mod explain;

#[cfg(feature = "hub")]
pub mod hub;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "bin")]
pub mod telemetry;

pub use client::{Client, Peer, PublicUrl, TrustedProxies};
pub use gate::{
    ExtractError, Gate, GateBuilder, GateLayer, GateService, Grant, Refusal, RequireLayer, RequireService,
    request_span,
};
pub use identity::{AccessToken, AppClaims, Org, Role, User};
pub use pages::escape_html;
pub use policy::{PathPattern, Route, Rule};
pub use session::store;

// Compiles what README and docs show.
#[cfg(all(doctest, feature = "axum", feature = "bin"))]
#[doc = include_str!("../README.md")]
struct Readme;
#[cfg(all(doctest, feature = "axum", feature = "bin"))]
#[doc = include_str!("../docs/start/layer.md")]
struct Layer;
#[cfg(all(doctest, feature = "axum", feature = "bin"))]
#[doc = include_str!("../docs/reference/logging.md")]
struct Logging;
#[cfg(all(doctest, feature = "axum", feature = "bin"))]
#[doc = include_str!("../docs/explanations/stores.md")]
struct Stores;
#[cfg(all(doctest, feature = "axum", feature = "bin"))]
#[doc = include_str!("../docs/guides/hooks.md")]
struct HooksGuide;
