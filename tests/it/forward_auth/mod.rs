//! Forward auth: nginx, Traefik, Caddy and Envoy ask whether a request may go on.

mod allowed;
mod description;
mod refused;
mod sign_in;

use huggate::{GateBuilder, PathPattern, Route, Rule, TrustedProxies};

use crate::world::{Ask, Front, World};

/// The three ways to ask.
pub(crate) const WAYS: [Way; 3] = [Way::Nginx, Way::Forward, Way::Envoy];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Nginx,
    Forward,
    Envoy,
}

impl Way {
    /// The question that a proxy asks about `original`, which came for `host`.
    fn about(self, original: Ask, host: &str) -> Ask {
        let (method, target) = (original.method_name(), original.target().to_owned());
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
                .with("x-forwarded-proto", "http")
                .with("x-forwarded-host", host)
                .with("x-forwarded-uri", &target),
            Self::Envoy => original.retarget(&format!("/oauth2/auth/envoy{target}")).with("host", host),
        }
    }

    /// The status of a yes.
    fn yes(self) -> u16 {
        if self == Self::Nginx { 202 } else { 200 }
    }

    /// The status of a refusal that is `status` where it can be.
    fn no(self, status: u16) -> u16 {
        if self == Self::Nginx && status != 403 { 401 } else { status }
    }
}

fn path(text: &str) -> Route {
    Route::path(PathPattern::parse(text).unwrap())
}

/// Whoever asks, from this machine.
fn local() -> TrustedProxies {
    TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()])
}

/// `/public/**` for everybody, `/admin/**` for nobody, the rest for acme.
fn rules(gate: GateBuilder) -> GateBuilder {
    gate.allow(Rule::org("acme"))
        .route(path("/admin/**").allow(vec![Rule::user("nobody-at-all")]))
        .route(path("/public/**").public())
}

/// These rules; whoever asks is believed.
async fn world(front: Front) -> World {
    World::start(front, |gate| rules(gate).trusted_proxies(local())).await
}
