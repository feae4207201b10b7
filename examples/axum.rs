//! Sign in with Hugging Face as a layer around an axum app.
//!
//! To try it without an account, start the stand-in with `cargo run -- hub`, then run
//! this with the client id and the secret that it prints:
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… cargo run --example axum --features axum
//! ```
//!
//! Without `ISSUER` the provider is huggingface.co. `LISTEN` sets the address to listen on.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example reads the environment and prints its address"
)]

use std::env::var;

use axum::Router;
use axum::routing::get;
use huggate::keys::Secret;
use huggate::{Gate, Route, Rule, User};

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
        .route(Route::public("/"))
        .build()
        .await?;

    let app = Router::new().route("/", get(front)).route("/hello", get(hello)).layer(gate.layer());
    println!("open {public_url}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// A public route: `None` without a session.
async fn front(user: Option<User>) -> String {
    match user {
        Some(user) => format!("welcome back, {}\n", user.username()),
        None => "nobody is signed in; open /hello\n".to_owned(),
    }
}

/// Reached by members of acme only.
async fn hello(user: User) -> String {
    format!("hello {}, you are in {}\n", user.name().unwrap_or(user.username()), user.groups().join(", "))
}
