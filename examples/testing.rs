//! An axum app behind the layer, and its tests: no provider, no network, no sockets.
//!
//! ```text
//! cargo test --example testing --features axum,testing
//! ```
//!
//! The app itself takes `CLIENT_ID`, `CLIENT_SECRET` and `SESSION_SECRET` from the environment.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example reads the environment and prints its address"
)]

use std::env::var;
use std::error::Error;

use axum::Router;
use axum::routing::get;
use huggate::{Gate, GateBuilder, PathPattern, Role, Route, Rule, User};

/// The rules, for production and for the tests.
fn configure(gate: GateBuilder) -> Result<GateBuilder, Box<dyn Error>> {
    let admins = vec![Rule::org("acme").with_role(Role::Admin)];
    Ok(gate.allow(Rule::org("acme")).route(Route::path(PathPattern::parse("/admin")?).allow(admins)))
}

fn app(gate: &Gate) -> Router {
    Router::new()
        .route("/", get(|user: User| async move { format!("hello {}\n", user.username()) }))
        .route("/admin", get(|| async { "for admins\n" }))
        .layer(gate.layer())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let gate = Gate::builder()
        .public_url("http://127.0.0.1:3000")
        .client(var("CLIENT_ID")?, var("CLIENT_SECRET")?)
        .secret(var("SESSION_SECRET")?);
    let gate = configure(gate)?.build().await?;
    println!("open http://127.0.0.1:3000");
    axum::serve(listener, app(&gate)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use http::{Request, Response, StatusCode};
    use huggate::authn::BearerSettings;
    use huggate::hub::{Endpoint, Fault};
    use huggate::testing;
    use tower::ServiceExt;

    use super::*;

    async fn send(gate: &Gate, request: Request<Body>) -> Response<Body> {
        app(gate).oneshot(request).await.unwrap()
    }

    fn get(path: &str) -> Request<Body> {
        Request::get(path).body(Body::empty()).unwrap()
    }

    // [guide]
    #[tokio::test]
    async fn only_admins_of_acme_reach_admin() -> Result<(), Box<dyn Error>> {
        let gate = configure(testing::gate())?.build().await?;
        let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await?;
        let ben = testing::user("ben").org("acme", Role::Read).sign_in(&gate).await?;
        for (person, status) in [(&ada, 200), (&ben, 403)] {
            let request = person.authenticate(Request::get("/admin").body(Body::empty())?);
            assert_eq!(app(&gate).oneshot(request).await?.status(), status);
        }
        Ok(())
    }
    // [/guide]

    #[tokio::test]
    async fn a_session_that_nobody_uses_ends() -> Result<(), Box<dyn Error>> {
        let gate = configure(testing::gate())?.build().await?;
        // [guide]
        let mut ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await?;
        testing::advance(&gate, Duration::from_secs(11 * 3600));
        let response = send(&gate, ada.authenticate(get("/"))).await;
        assert_eq!(response.status(), StatusCode::OK);
        ada.store(&response); // the renewed cookie, as a browser does

        testing::advance(&gate, Duration::from_secs(13 * 3600));
        let response = send(&gate, ada.authenticate(get("/"))).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        // [/guide]
        Ok(())
    }

    #[tokio::test]
    async fn a_person_who_leaves_the_organisation_is_refused() -> Result<(), Box<dyn Error>> {
        let gate = configure(testing::gate())?.build().await?;
        // [guide]
        let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await?;
        testing::user("ada").apply(&gate); // she is in no organisation any more
        testing::advance(&gate, Duration::from_secs(76 * 60));
        assert_eq!(send(&gate, ada.authenticate(get("/"))).await.status(), StatusCode::FORBIDDEN);
        // [/guide]
        Ok(())
    }

    #[tokio::test]
    async fn the_app_goes_on_while_the_provider_is_down() -> Result<(), Box<dyn Error>> {
        let gate = configure(testing::gate())?.build().await?;
        // [guide]
        let ada = testing::user("ada").org("acme", Role::Admin).sign_in(&gate).await?;
        let provider = testing::provider(&gate);
        provider.behave(|provider| provider.fail(Endpoint::Token, Fault::Status(503)));
        assert_eq!(send(&gate, ada.authenticate(get("/"))).await.status(), StatusCode::OK);

        let refused = testing::user("ben").sign_in(&gate).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(provider.calls(Endpoint::Token), 2);
        // [/guide]
        Ok(())
    }

    #[tokio::test]
    async fn a_program_sends_a_token() -> Result<(), Box<dyn Error>> {
        // [guide]
        let gate = configure(testing::gate())?.bearer(BearerSettings::default()).build().await?;
        let token = testing::user("ada").org("acme", Role::Admin).access_token(&gate);
        let request = Request::get("/").header("authorization", format!("Bearer {token}"));
        assert_eq!(send(&gate, request.body(Body::empty())?).await.status(), StatusCode::OK);
        // [/guide]
        Ok(())
    }
}
