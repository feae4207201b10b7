//! Sign in with Hugging Face as a layer around an axum app.
//!
//! Try it against the stand-in: `cargo run -- hub`, then, with the id and secret
//! it prints,
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… cargo run --example axum --features axum
//! ```
//!
//! For huggingface.co leave `ISSUER` out. `LISTEN` is another address to listen at.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program that reads and says little")]

use std::env::var;

use axum::Router;
use axum::routing::get;
use huggate::keys::Secret;
use huggate::{Gate, PathPattern, Route, Rule, User};

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
        // A fresh one signs everybody out at each start; keep one for real use.
        .secret(var("SESSION_SECRET").unwrap_or_else(|_| Secret::generate()))
        .allow(Rule::org("acme"))
        .route(Route::path(PathPattern::parse("/")?).public())
        .build()
        .await?;

    let app = Router::new().route("/", get(front)).route("/hello", get(hello)).layer(gate.layer());
    println!("open {public_url}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// Open to everybody; knows who is signed in, if anybody is.
async fn front(user: Option<User>) -> String {
    match user {
        Some(user) => format!("welcome back, {}\n", user.username()),
        None => "nobody is signed in; open /hello\n".to_owned(),
    }
}

/// Only members of acme get here.
async fn hello(user: User) -> String {
    format!("hello {}, you are in {}\n", user.name().unwrap_or(user.username()), user.groups().join(", "))
}
