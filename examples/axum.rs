//! Sign in with Hugging Face as a layer around an axum app.
//!
//! Try it against the stand-in: `cargo run -- hub`, then, with the id and secret
//! it prints,
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… cargo run --example axum --features axum
//! ```

use axum::Router;
use axum::routing::get;
use huggate::keys::Secret;
use huggate::{Gate, PathPattern, Route, Rule, User};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let setting = |name: &str| std::env::vars().find(|(key, _)| key == name).map(|(_, value)| value);
    let gate = Gate::builder()
        .public_url("http://127.0.0.1:3000")
        .issuer(setting("ISSUER").unwrap_or_else(|| "https://huggingface.co".to_owned()))
        .client(
            setting("CLIENT_ID").ok_or("CLIENT_ID is not set")?,
            setting("CLIENT_SECRET").unwrap_or_default(),
        )
        // A fresh one signs everybody out at each start; keep one for real use.
        .secret(setting("SESSION_SECRET").unwrap_or_else(Secret::generate))
        .allow(Rule::org("acme"))
        .route(Route::path(PathPattern::parse("/")?).public())
        .build()
        .await?;

    let app = Router::new().route("/", get(front)).route("/hello", get(hello)).layer(gate.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

/// Open to everybody; knows who is signed in, if anybody is.
async fn front(user: Option<User>) -> String {
    match user {
        Some(user) => format!("welcome back, {}", user.username()),
        None => "nobody is signed in; open /hello".to_owned(),
    }
}

/// Only members of acme get here.
async fn hello(user: User) -> String {
    format!("hello {}, you are in {}", user.name().unwrap_or(user.username()), user.groups().join(", "))
}
