//! The ID token (OpenID Connect Core, section 2).

use super::behaviour::Behaviour;
use super::grant::Grant;
use super::json::{Object, set};
use super::jwt::RsaKey;
use super::state::HubContext;
use super::userinfo;

/// An ID token lives this long, whatever the access token does (card, section 4).
const LIFETIME: u64 = 3600;

/// The ID token for a grant. It never says a word about organisations or PRO:
/// those are in the userinfo answer only (card, section 5a).
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
        let claims = state.person(&grant.person).map(|person| userinfo::about(&hub.issuer, person, grant));
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
