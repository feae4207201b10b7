//! Sign in with Hugging Face, in front of any web app.

#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "proxy")]
pub mod server;

pub mod client;
pub mod gate;
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
pub use gate::{Gate, GateBuilder, GateLayer, GateService, Grant, PathPattern, Refusal, Route, Rule};
pub use identity::{Org, Role, User};
