//! API clients: tokens in `Authorization`, over real sockets.

mod authorization;
mod introspection;
mod refusals;
mod streams;
mod tokens;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use huggate::authn::BearerSettings;
use huggate::hub::Endpoint;
use huggate::policy::BearerUse;
use huggate::{GateBuilder, Route, Rule};
use serde_json::Value;

use crate::world::{Ask, Echo, Front, World};

/// Members of acme have access, also with a token.
async fn of_acme(front: Front) -> World {
    World::start(front, |gate| with_tokens(gate.allow(Rule::org("acme")))).await
}

/// Also with one route of each kind.
async fn with_routes(front: Front) -> World {
    World::start(front, |gate| {
        with_tokens(gate.allow(Rule::org("acme")))
            .route(route("/public/**").without_sign_in())
            .route(route("/only/**").bearer(BearerUse::Only))
            .route(route("/off/**").bearer(BearerUse::Off))
            .route(route("/off-public/**").without_sign_in().bearer(BearerUse::Off))
            .route(route("/forward/**").forward_authorization())
            .route(route("/forward-public/**").without_sign_in().forward_authorization())
            .route(route("/forward-off/**").bearer(BearerUse::Off).forward_authorization())
            .route(route("/admin/**").allow(vec![Rule::org("acme").with_role(huggate::Role::Admin)]))
    })
    .await
}

fn with_tokens(gate: GateBuilder) -> GateBuilder {
    gate.bearer(BearerSettings::default())
}

fn route(path: &str) -> Route {
    Route::path(path)
}

/// A request like curl's.
fn with(token: &str, target: &str) -> Ask {
    Ask::get(target)
        .with("user-agent", "curl/8.14.1")
        .with("accept", "*/*")
        .with("authorization", &format!("Bearer {token}"))
}

impl World {
    /// A user access token of a person.
    fn token(&self, user: &str) -> String {
        self.hub.token_of(user).unwrap()
    }

    /// How many introspection requests the hub has received.
    fn introspections(&self) -> u64 {
        self.calls(Endpoint::Whoami)
    }
}

/// The claims of the assertion that the app received.
fn claims(echo: &Echo) -> Value {
    let assertion = echo.header("x-huggate-assertion").unwrap();
    let claims = assertion.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}
