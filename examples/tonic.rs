//! A gRPC service behind the layer. Programs sign in with a Hugging Face token, pages with the session's
//! cookie; a refusal is the status UNAUTHENTICATED or PERMISSION_DENIED.
//!
//! To try it without an account, start the stand-in with `cargo run -- hub`, then run
//! this with the client id and the secret that it prints:
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… cargo run --example tonic
//! ```
//!
//! Without `ISSUER` the provider is huggingface.co. `LISTEN` sets the address to listen on. The server and
//! the messages below are what `tonic-prost-build` generates from
//!
//! ```proto
//! package greeter;
//! service Greeter { rpc Greet(GreetRequest) returns (GreetReply); }
//! message GreetRequest { string greeting = 1; }
//! message GreetReply { string text = 1; }
//! ```
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example reads the environment and prints its address"
)]

use std::convert::Infallible;
use std::env::var;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use huggate::authn::BearerSettings;
use huggate::keys::Secret;
use huggate::{Client, Gate, Peer, Role, Route, Rule, User};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::util::MapRequestLayer;
use tower_service::Service;

/// Greets whoever is signed in. The gate has allowed every request that arrives here.
async fn greet(request: Request<GreetRequest>) -> Result<Response<GreetReply>, Status> {
    // An error says that no gate is in front; `None` is a public route without a session.
    let user =
        User::from_extensions(request.extensions()).map_err(|error| Status::internal(error.to_string()))?;
    let name = user.map_or("nobody", User::username);
    let client = Client::from_extensions(request.extensions()).ok().and_then(|client| client.ip);
    let from = client.map_or("somewhere".to_owned(), |ip| ip.to_string());
    let text = format!("{} {name}, you are at {from}", request.get_ref().greeting);
    Ok(Response::new(GreetReply { text }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let public_url = format!("http://{}", listener.local_addr()?);
    let admins = Rule::org("acme").with_role(Role::Admin);
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
        // The path of a call is that of its service and method.
        .route(Route::path("/greeter.Admin/**").allow(vec![admins]))
        .bearer(BearerSettings::default())
        .build()
        .await?;

    println!("open {public_url}");
    Server::builder()
        // Browsers that sign in may use HTTP/1.1.
        .accept_http1(true)
        .layer(MapRequestLayer::new(with_peer))
        .layer(gate.layer())
        .add_service(Greeter)
        .serve_with_incoming(TcpIncoming::from(listener))
        .await?;
    Ok(())
}

/// Tells the gate the address of the connection. Without it no proxy is trusted, and the client's
/// address is unknown.
fn with_peer(mut request: http::Request<Body>) -> http::Request<Body> {
    let addr = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    if let Some(addr) = addr {
        request.extensions_mut().insert(Peer::new(addr));
    }
    request
}

#[derive(Clone, PartialEq, prost::Message)]
struct GreetRequest {
    #[prost(string, tag = "1")]
    greeting: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GreetReply {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Debug, Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "greeter.Greeter";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != "/greeter.Greeter/Greet" {
                return Ok(Status::unimplemented("there is no such method").into_http());
            }
            Ok(Grpc::new(ProstCodec::default()).unary(Greet, request).await)
        })
    }
}

struct Greet;

impl UnaryService<GreetRequest> for Greet {
    type Response = GreetReply;
    type Future = BoxFuture<'static, Result<Response<GreetReply>, Status>>;

    fn call(&mut self, request: Request<GreetRequest>) -> Self::Future {
        Box::pin(greet(request))
    }
}
