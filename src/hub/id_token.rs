//! The ID token (OpenID Connect Core, section 2).

use super::behaviour::Behaviour;
use super::grant::Grant;
use super::json::{Object, set};
use super::jwt::RsaKey;
use super::state::HubContext;
use super::userinfo;

/// Lifetime of an ID token, independent of the access token's.
const LIFETIME: u64 = 3600;

/// The ID token for a grant. It has no claims about organisations or PRO: userinfo alone
/// returns those.
pub(super) fn sign(
    hub: &HubContext,
    behaviour: &Behaviour,
    key: &RsaKey,
    grant: &Grant,
    nonce: Option<String>,
) -> String {
    let now = hub.now();
    let (mut claims, secret) = {
        let state = hub.state();
        let claims = state.user(&grant.user).map(|user| userinfo::about(&hub.issuer, user, grant));
        let secret = state.clients.get(&grant.client).and_then(|client| client.secret.clone());
        (claims.unwrap_or_default(), secret)
    };
    set(&mut claims, "iss", hub.issuer.as_str());
    set(&mut claims, "aud", grant.client.as_str());
    set(&mut claims, "auth_time", grant.auth_time);
    set(&mut claims, "iat", now);
    set(&mut claims, "exp", now + LIFETIME);
    if let Some(nonce) = nonce {
        set(&mut claims, "nonce", nonce);
    }
    let mut header = Object::new();
    set(&mut header, "alg", "RS256");
    set(&mut header, "typ", "JWT");
    if !behaviour.no_kid {
        set(&mut header, "kid", key.kid());
    }
    if let Some(edit) = &behaviour.edit_id_token {
        edit.apply(&mut header, &mut claims);
    }
    key.id_token(&mut header, &claims, &behaviour.id_token_signature, secret.as_deref())
}
