//! Logout tokens (OpenID Connect Back-Channel Logout 1.0). huggingface.co sends none; tests sign
//! them here.

use serde_json::json;

use super::Hub;
use super::json::{Object, object, set};
use super::random;

/// Lifetime of a logout token.
const LIFETIME: u64 = 120;

impl Hub {
    /// A logout token for a user and a client, as a provider with back-channel logout would send
    /// it. `edit` changes its header and claims before it is signed; it must not call the hub.
    /// [`Behaviour::id_token_signature`](super::Behaviour::id_token_signature) says how.
    /// `None` if there is no such user.
    #[must_use]
    pub fn logout_token(
        &self,
        username: &str,
        client_id: &str,
        edit: impl FnOnce(&mut Object, &mut Object),
    ) -> Option<String> {
        let state = self.shared.state();
        let now = self.shared.now();
        let mut claims = object(json!({
            "iss": self.shared.issuer, "aud": client_id, "sub": state.user_named(username)?.id,
            "iat": now, "exp": now + LIFETIME, "jti": random::uuid(),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }));
        let key = state.keys.signing();
        let (behaviour, secret) =
            (state.behaviour.clone(), state.clients.get(client_id).and_then(|client| client.secret.clone()));
        drop(state);
        let mut header = Object::new();
        set(&mut header, "alg", "RS256");
        set(&mut header, "typ", "logout+jwt");
        if !behaviour.no_kid {
            set(&mut header, "kid", key.kid());
        }
        edit(&mut header, &mut claims);
        Some(key.id_token(&mut header, &claims, &behaviour.id_token_signature, secret.as_deref()))
    }
}
