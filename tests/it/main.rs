//! Tests over real sockets, one binary.
#![cfg(all(feature = "hub", feature = "proxy"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails says where"
)]

// The vocabulary of the tests: a hub, an app, a gate in front of it, browsers.
mod world;

// The stand-in for huggingface.co itself.
mod hub;

// From nobody to somebody, and back.
mod callback;
mod id_token;
mod provider_down;
mod return_to;
mod revalidate;
mod sessions;
mod sign_in;
mod sign_out;
mod unauthenticated;

// What the app is told, and who gets that far.
mod attack;
mod bearer;
mod data_plane;
mod headers;
mod layer;
mod paths;
mod policy;
mod preflight;
mod refused;
mod smuggling;
mod websocket_origin;

// What servers behind the gate make of a path.
mod readings;
mod servers;
mod tables;

// Other proxies that ask.
mod forward_auth;

// The reverse proxy's own work.
mod http2;
mod proxy;

// What it is before: connections, their protocols and their bounds.
mod pool;

// What went wrong once, and must not again.
mod regressions;
