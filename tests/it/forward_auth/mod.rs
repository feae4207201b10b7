//! Forward auth: nginx, Traefik, Caddy and Envoy request a decision.

mod allowed;
mod description;
mod refused;
mod sign_in;

use huggate::{GateBuilder, Route, Rule, TrustedProxies};

use crate::world::{Ask, Front, World};

/// The three contracts.
pub(crate) const CONTRACTS: [Contract; 3] = [Contract::Nginx, Contract::Forward, Contract::Envoy];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    Nginx,
    Forward,
    Envoy,
}

impl Contract {
    /// The forward-auth request about `original` for `host`.
    fn about(self, original: Ask, host: &str) -> Ask {
        let (method, target) = (original.method_name(), original.target().to_owned());
        // Worlds at a name have an https public URL.
        let scheme = if host.starts_with("127.") || host.starts_with("localhost") { "http" } else { "https" };
        match self {
            Self::Nginx => original
                .retarget("/oauth2/auth")
                .method("GET")
                .with("host", host)
                .with("x-original-method", &method)
                .with("x-original-uri", &target),
            Self::Forward => original
                .retarget("/oauth2/auth/forward")
                .method("GET")
                .with("x-forwarded-method", &method)
                .with("x-forwarded-proto", scheme)
                .with("x-forwarded-host", host)
                .with("x-forwarded-uri", &target),
            Self::Envoy => original.retarget(&format!("/oauth2/auth/envoy{target}")).with("host", host),
        }
    }

    /// The status of an answer that allows the request.
    fn allowed(self) -> u16 {
        if self == Self::Nginx { 202 } else { 200 }
    }

    /// The status of a refusal: `status`, if the contract supports it.
    fn refused(self, status: u16) -> u16 {
        if self == Self::Nginx && status != 403 { 401 } else { status }
    }
}

fn path(text: &str) -> Route {
    Route::path(text)
}

/// Trusts every peer on this machine.
fn local() -> TrustedProxies {
    TrustedProxies::parse(["127.0.0.0/8"]).unwrap()
}

/// `/public/**` is public, `/admin/**` admits nobody, and the rest requires acme.
fn rules(gate: GateBuilder) -> GateBuilder {
    gate.allow(Rule::org("acme"))
        .route(path("/admin/**").allow(vec![Rule::user("nobody-at-all")]))
        .route(path("/public/**").without_sign_in())
}

/// A gate with these rules that trusts every peer.
async fn world(front: Front) -> World {
    World::start(front, |gate| rules(gate).trusted_proxies(local())).await
}
