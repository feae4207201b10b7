//! Nested routers with rules of their own: `Gate::require`, and the address as the client wrote it.
//!
//! To try it without an account, start the stand-in with `cargo run -- hub`, then run
//! this with the client id and the secret that it prints:
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… cargo run --example nested --features axum
//! ```
//!
//! `ada` is an admin of acme and `ben` is not. Without `ISSUER` the provider is huggingface.co. `LISTEN` sets
//! the address to listen on.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example reads the environment and prints its address"
)]

use std::env::var;

use axum::Router;
use axum::extract::OriginalUri;
use axum::handler::Handler;
use axum::routing::get;
use http::Uri;
use huggate::keys::Secret;
use huggate::{Gate, Role, Rule, User};

/// Members of acme enter, its admins reach `/admin`, and members with write access publish.
fn app(gate: &Gate) -> Router {
    let publish = show.layer(gate.require(Rule::org("acme").with_role(Role::Write)));
    let models = Router::new().route("/", get(show)).route("/publish", get(publish));
    let admin = Router::new()
        .route("/{*page}", get(show))
        // This router alone, besides the rule of the gate.
        .layer(gate.require(Rule::org("acme").with_role(Role::Admin)));
    Router::new()
        .route("/", get(show))
        .nest("/models", models)
        .nest("/admin", admin)
        // Last: it then also covers paths without a route.
        .layer(gate.layer())
}

/// A nested handler sees the path below its prefix; the gate judged the whole one.
async fn show(user: User, path: Uri, OriginalUri(original): OriginalUri) -> String {
    format!("{} at {original}, here {path}\n", user.username())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let public_url = format!("http://{}", listener.local_addr()?);

    let gate = Gate::builder()
        .public_url(&public_url)
        .issuer(var("ISSUER").unwrap_or_else(|_| "https://huggingface.co".to_owned()))
        .client(
            var("CLIENT_ID").map_err(|_| "CLIENT_ID is not set")?,
            var("CLIENT_SECRET").map_err(|_| "CLIENT_SECRET is not set")?,
        )
        // A fresh secret signs everybody out at each start. In production, keep one.
        .secret(var("SESSION_SECRET").unwrap_or_else(|_| Secret::generate()))
        .allow(Rule::org("acme"))
        .build()
        .await?;

    println!("open {public_url}");
    axum::serve(listener, app(&gate)).await?;
    Ok(())
}
