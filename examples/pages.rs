//! Pages and refusals of your own, and a hook that decides who signs in.
//!
//! To try it without an account, start the stand-in with `cargo run -- hub`, then run
//! this with the client id and the secret that it prints:
//!
//! ```text
//! ISSUER=http://127.0.0.1:4182 CLIENT_ID=… CLIENT_SECRET=… cargo run --example pages --features axum
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
use bytes::Bytes;
use http::Response;
use huggate::hooks::{
    ErrorPage, ForbiddenPage, HookError, Html, Pages, RefusedRequest, SignIn, SignInPage, SignedOutPage,
    SigningIn,
};
use huggate::keys::Secret;
use huggate::{Gate, Rule, User, escape_html};

/// The pages of this app.
struct Branded;

impl Pages for Branded {
    fn sign_in(&self, page: &SignInPage) -> Option<Html> {
        Some(document("Welcome", &link(&page.start_url, "Sign in with Hugging Face")))
    }

    fn signed_out(&self, page: &SignedOutPage) -> Option<Html> {
        Some(document("Goodbye", &link(&page.start_url, "Sign in again")))
    }

    fn forbidden(&self, page: &ForbiddenPage) -> Option<Html> {
        let items: String =
            page.reasons.iter().map(|reason| format!("<li>{}</li>", escape_html(reason))).collect();
        let who = escape_html(&page.username);
        Some(document("No entry", &format!("<p>Sorry, {who}.</p><ul>{items}</ul>")))
    }

    fn error(&self, page: &ErrorPage) -> Option<Html> {
        let text = format!("<p>{}</p>{}", escape_html(&page.text), link(&page.sign_in_url, "Sign in"));
        Some(document("That did not work", &text))
    }
}

/// A document; `main` is HTML.
fn document(title: &str, main: &str) -> Html {
    const STYLE: &str = "body { font-family: sans-serif; max-width: 30rem; margin: 4rem auto }";
    let title = escape_html(title);
    Html::new(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<h1>{title}</h1>\n{main}\n</html>\n"
    ))
}

fn link(url: &str, text: &str) -> String {
    format!("<p><a href=\"{}\">{}</a></p>", escape_html(url), escape_html(text))
}

/// Ben is suspended. Everybody else gets a plan, which handlers read.
async fn sign_in(signing_in: SigningIn) -> Result<SignIn, HookError> {
    Ok(match signing_in.user().username() {
        "ben" => SignIn::refuse("Your account is suspended. Write to help@example.com."),
        name => SignIn::admit().claim("plan", if name == "ada" { "gold" } else { "free" }),
    })
}

/// API clients get RFC 9457; everybody else the pages.
async fn refusal(refused: RefusedRequest) -> Result<Option<Response<Bytes>>, HookError> {
    if !refused.path().starts_with("/api/") {
        return Ok(None);
    }
    let problem = serde_json::json!({
        "type": format!("https://example.com/errors/{}", refused.code()),
        "status": refused.status().as_u16(),
        "detail": refused.reason(),
    });
    let response = Response::builder()
        .status(refused.status())
        .header("content-type", "application/problem+json")
        .body(Bytes::from(problem.to_string()))?;
    Ok(Some(response))
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
        .on_sign_in(sign_in)
        .on_refusal(refusal)
        .pages(Branded)
        .build()
        .await?;

    let app = Router::new().route("/plan", get(plan)).layer(gate.layer());
    println!("open {public_url}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// What the hook noted at the sign-in.
async fn plan(user: User) -> String {
    format!("{}, your plan is {}\n", user.username(), user.claims().text("plan").unwrap_or("unknown"))
}
