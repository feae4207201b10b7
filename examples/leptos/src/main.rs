//! Serves the Leptos example.
//!
//! To try it without an account, start the stand-in with `cargo run -- hub` in huggate's
//! folder, then run this in `examples/leptos` with the client id and the secret that it prints:
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… cargo run
//! ```
//!
//! Without `ISSUER` the provider is huggingface.co. `LISTEN` sets the address to listen on.

use std::env::var;
use std::error::Error;
use std::net::SocketAddr;

use huggate::Gate;
use huggate::keys::Secret;
use huggate_leptos::{app, configure};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
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
        .secret(var("SESSION_SECRET").unwrap_or_else(|_| Secret::generate()));
    let gate = configure(gate).build().await?;

    println!("open {public_url}");
    axum::serve(listener, app(&gate).into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
