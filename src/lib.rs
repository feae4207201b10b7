//! Sign in with Hugging Face, in front of any web app.
//!
//! A [`Gate`] stands before an app. It sends browsers to Hugging Face, keeps a
//! sealed session cookie, decides who may enter, and tells the app who is asking:
//! in headers, in a signed assertion, and as a [`User`] in the request's
//! extensions. The program `huggate` is a reverse proxy around it; this library
//! puts it into a service of your own, as a Tower layer ([`Gate::layer`]) or as
//! one function ([`Gate::handle`]).
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
//! proxy it begins at 1; with the layer at 3.
//!
//! 1. [`server`](server/index.html) takes the connection, ends TLS, cuts clients
//!    that are slow or send too much, and notes the [`Peer`].
//! 2. [`proxy`](proxy/index.html) hands the request to [`Gate::handle`], which is
//!    all of the steps 3 to 8, and whose `decide` has them a line each.
//! 3. Strip: [`identity`] removes every header that claims to be somebody, in
//!    every spelling, whatever comes of the request.
//! 4. Whence: [`client`] tells the peer from the client behind trusted proxies,
//!    which host was asked for, and a page that is opened from a program.
//! 5. Ours? A path below `/oauth2` is answered by [`oauth2`], with the help of
//!    [`provider`], where each exchange with Hugging Face has a file. A callback
//!    that holds makes a [`session`]. The request ends here.
//!    Another proxy that asks about a request it holds (forward auth) is answered
//!    here as well: the request becomes that one, and takes the steps 6 to 8.
//! 6. Where to: [`gate`] finds the [`Route`]. A path that servers read in several
//!    ways is judged in every one of them.
//! 7. Who: [`session`] opens the cookie with what [`keys`] derived from the secret.
//! 8. May they: the rules are asked. Yes is a [`Grant`], a value that nothing else
//!    makes. No is a [`Refusal`], and one place turns it into an answer: a
//!    redirect, a page, or JSON.
//! 9. [`identity`] tells the app who is asking: headers, the assertion, and the
//!    assertion in place of the session cookie.
//! 10. On: the inner service is called, or [`upstream`](upstream/index.html) sends
//!     the request, which it does for a [`Grant`] alone, and streams both ways.
//! 11. Back: the app cannot set our cookies, a session that was used is renewed,
//!     and a stream or a WebSocket ends when its session does.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | none | the layer: [`Gate`], and what it needs |
//! | `axum` | [`User`] and `Option<User>` as extractors |
//! | `config` | settings from a TOML file and the environment: `Gate::from_config` |
//! | `proxy` | the reverse proxy as a library: `proxy`, `server`, `upstream`; with `config` |
//! | `hub` | the offline stand-in for huggingface.co, for your tests |
//! | `bin` | the program `huggate`, with all but `axum`; on by default |

#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "proxy")]
pub mod server;

pub mod authn;
pub mod client;
pub mod explain;
pub mod forward_auth;
pub mod gate;
pub mod policy;
mod respond;
#[cfg(feature = "proxy")]
pub mod upstream;

pub mod oauth2;
mod pages;

pub mod identity;
pub mod provider;
pub mod session;

pub mod clock;
pub mod keys;

#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "bin")]
pub mod telemetry;

pub use client::{Client, Peer, PublicUrl, TrustedProxies};
pub use gate::{Gate, GateBuilder, GateLayer, GateService, Grant, Refusal};
pub use identity::{Org, Role, User};
pub use policy::{PathPattern, Route, Rule};

// Compiles what README and docs show.
#[cfg(all(doctest, feature = "axum", feature = "bin"))]
#[doc = include_str!("../README.md")]
struct Readme;
#[cfg(all(doctest, feature = "axum", feature = "bin"))]
#[doc = include_str!("../docs/start/layer.md")]
struct Layer;
