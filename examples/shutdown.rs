//! The graceful shutdown of an axum app whose pages keep event streams open.
//!
//! `axum::serve` returns when its last response is complete, so an event stream would keep it
//! running. `Gate::drain` ends the streams.
//!
//! To try it without an account, start the stand-in with `cargo run -- hub`, then run
//! this with the client id and the secret that it prints, and stop it with Ctrl-C:
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… cargo run --example shutdown --features axum
//! ```
//!
//! Without `ISSUER` the provider is huggingface.co. `LISTEN` sets the address to listen on.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example reads the environment and prints its address"
)]

use std::convert::Infallible;
use std::env::var;
use std::time::Duration;

use axum::Router;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::get;
use futures_util::{Stream, StreamExt, stream};
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
        .secret(var("SESSION_SECRET").unwrap_or_else(|_| Secret::generate()))
        .allow(Rule::org("acme"))
        .route(Route::public("/clock"))
        .build()
        .await?;

    let app = Router::new()
        .route("/events", get(async |user: User| ticks(user.username().to_owned())))
        .route("/clock", get(async || ticks("tick".to_owned())))
        .layer(gate.layer());
    println!("open {public_url}");
    let shutdown = async move {
        shutdown_signal().await;
        gate.drain();
    };
    axum::serve(listener, app).with_graceful_shutdown(shutdown).await?;
    Ok(())
}

/// An event now and every second, for ever.
fn ticks(text: String) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = stream::once(async {}).chain(stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some(((), ()))
    }));
    Sse::new(events.map(move |()| Ok(Event::default().data(&text))))
}

/// Completes at Ctrl-C, or at SIGTERM, which container runtimes send.
async fn shutdown_signal() {
    let interrupt = async {
        // Without a handler the signal ends the process, as it should then.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
