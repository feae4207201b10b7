//! Sign in with Hugging Face around a bare hyper service, without Tower or axum.
//!
//! Run it as `examples/axum.rs` describes, with `--example hyper` and without features.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example reads the environment and prints its address"
)]

use std::convert::Infallible;
use std::env::var;

use http_body_util::Full;
use huggate::keys::Secret;
use huggate::{Gate, Peer, Rule, User};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let public_url = format!("http://{}", listener.local_addr()?);
    let gate = Gate::builder()
        .public_url(&public_url)
        .issuer(var("ISSUER").unwrap_or_else(|_| "https://huggingface.co".to_owned()))
        .client(var("CLIENT_ID")?, var("CLIENT_SECRET")?)
        .secret(var("SESSION_SECRET").unwrap_or_else(|_| Secret::generate()))
        .allow(Rule::org("acme"))
        .build()
        .await?;

    println!("open {public_url}");
    loop {
        let (stream, addr) = listener.accept().await?;
        let gate = gate.clone();
        tokio::spawn(async move {
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer::new(addr));
                let gate = gate.clone();
                async move { gate.handle(request, hello).await }
            });
            // hyper needs a timer to close connections that send no headers.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// The app. The gate has allowed every request that arrives here.
async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = request.extensions().get::<User>().map_or("nobody", User::username);
    Ok(Response::new(Full::from(format!("hello {name}\n"))))
}
