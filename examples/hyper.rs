//! Sign in with Hugging Face around a plain hyper server, without Tower or axum: the person and the
//! client by functions on the extensions, the address of the peer, and a graceful end.
//!
//! To try it without an account, start the stand-in with `cargo run -- hub`, then run
//! this with the client id and the secret that it prints:
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… cargo run --example hyper
//! ```
//!
//! Without `ISSUER` the provider is huggingface.co. `LISTEN` sets the address to listen on. Ctrl-C lets the
//! requests under way finish.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example reads the environment and prints its address"
)]

use std::env::var;
use std::time::Duration;

use http_body_util::Full;
use huggate::keys::Secret;
use huggate::{Client, ExtractError, Gate, Peer, Route, Rule, User};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;

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

    println!("open {public_url}");
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let (stream, addr) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = &mut stop => break,
        };
        let gate = gate.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            // Without it no proxy is trusted, and the client's address is unknown.
            request.extensions_mut().insert(Peer::new(addr));
            let gate = gate.clone();
            async move { gate.handle(request, hello).await }
        });
        // hyper needs a timer to close connections that send no headers.
        let connection =
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connections.watch(connection));
    }
    // Idle connections are closed at once, and the others after their response.
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_secs(10), connections.shutdown()).await;
    Ok(())
}

/// The app. The gate has allowed every request that arrives here.
async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, ExtractError> {
    // An error says that no gate is in front; `None` is a public route without a session.
    let user = User::from_extensions(request.extensions())?;
    let client = Client::from_extensions(request.extensions())?;
    let name = user.map_or("nobody", User::username);
    let from = client.ip.map_or("somewhere".to_owned(), |ip| ip.to_string());
    Ok(Response::new(Full::from(format!("hello {name}, you are at {from}\n"))))
}
