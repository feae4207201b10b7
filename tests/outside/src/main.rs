//! Serves the noticeboard.
//!
//! To try it without an account, start the stand-in with `cargo run -- hub` in huggate's
//! folder, then run this with the client id and the secret that it prints:
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… SESSION_SECRET=$(openssl rand -hex 32) cargo run
//! ```

use std::env::var;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use huggate::Gate;
use noticeboard::{Accounts, Board, SharedSessions, app, configure};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let public_url = var("PUBLIC_URL").or_else(|_| listener.local_addr().map(|at| format!("http://{at}")))?;
    let mut gate = Gate::builder()
        .public_url(&public_url)
        .client(var("CLIENT_ID")?, var("CLIENT_SECRET")?)
        .secret(var("SESSION_SECRET")?);
    if let Ok(issuer) = var("ISSUER") {
        gate = gate.issuer(issuer);
    }
    let accounts = Arc::new(Accounts::default());
    let gate = configure(gate, &accounts, SharedSessions::default()).build().await?;

    println!("open {public_url}/board");
    // The address of each connection is what `Client` and `trusted_proxies` go by.
    let service = app(&gate, Board::default()).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stopped(gate)).await?;
    Ok(())
}

/// Waits for Ctrl-C, and ends the streams that would hold up the shutdown.
async fn stopped(gate: Gate) {
    // Without signals it runs until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
    gate.drain();
}
