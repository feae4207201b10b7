//! Tests over real sockets, one binary.
#![cfg(all(feature = "hub", feature = "proxy"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails says where"
)]

// The vocabulary of the tests: a hub, an app, the gate in front of it, browsers.
mod world;

// The stand-in for huggingface.co.
mod hub;

// Signing in and out.
mod callback;
mod id_token;
mod own_sessions;
mod provider_down;
mod provider_logout;
mod return_to;
mod revalidate;
mod sessions;
mod sign_in;
mod sign_out;
#[cfg(feature = "testing")]
mod stores;
mod unauthenticated;
mod used_refresh_tokens;

// Authorization, and the identity for the app.
mod attack;
mod attack_sign_in;
mod bearer;
mod data_plane;
mod embedding;
mod embedding_hooks;
mod embedding_pages;
mod embedding_require;
mod embedding_shutdown;
#[cfg(feature = "testing")]
mod embedding_testing;
mod embedding_tracing;
mod errors;
mod headers;
mod layer;
mod paths;
mod policy;
mod preflight;
mod refused;
mod smuggling;
mod websocket_origin;

// The readings of a path by the servers behind the gate.
mod readings;
mod servers;
mod tables;

// Forward auth for other proxies.
mod forward_auth;

// The reverse proxy.
mod http2;
mod proxy;

// Listeners, connections, protocols and limits.
mod pool;

// Regressions, and the cases that users of comparable software reported.
mod regressions;
mod reported;
