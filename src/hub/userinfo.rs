//! The userinfo endpoint (OpenID Connect Core, section 5.3).

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::api_error;
use super::bearer::bearer;
use super::behaviour::Behaviour;
use super::grant::{Consent, Grant};
use super::json::{Object, set};
use super::state::Shared;
use super::users::{Membership, User};

/// `GET` and `POST /oauth/userinfo`. Accepts OAuth access tokens only: a user access token gets
/// 401.
pub(super) async fn userinfo(State(hub): State<Shared>, headers: HeaderMap) -> Response {
    let now = hub.now();
    let state = hub.state();
    let Some(token) = bearer(&headers) else {
        return api_error::unauthorized(headers.contains_key(AUTHORIZATION));
    };
    let Some(grant) = state.access_tokens.find(token, now) else { return api_error::unauthorized(true) };
    let Some(user) = state.user(&grant.user) else { return api_error::unauthorized(true) };
    let behaviour = &state.behaviour;
    if let Some(body) = &behaviour.userinfo_body {
        return ([(CONTENT_TYPE, "application/json")], body.clone()).into_response();
    }
    let consent = state.consent(&grant.user, &grant.client).cloned().unwrap_or_default();
    let mut object = about(&hub.issuer, user, grant);
    set(&mut object, "isPro", user.pro);
    if grant.has("read-billing") {
        set(&mut object, "canPay", user.can_pay);
        set(&mut object, "billingMode", "prepaid");
    }
    if !behaviour.no_orgs {
        set(&mut object, "orgs", orgs(&hub.issuer, user, grant, &consent, behaviour));
    }
    if let Some(sub) = &behaviour.userinfo_sub {
        set(&mut object, "sub", sub.as_str());
    }
    if let Some(edit) = &behaviour.edit_userinfo {
        edit.apply(&mut object);
    }
    ([(CACHE_CONTROL, "no-store")], Json(Value::Object(object))).into_response()
}

/// Claims about a user that both the ID token and userinfo contain, according to the scopes.
pub(super) fn about(issuer: &str, user: &User, grant: &Grant) -> Object {
    let mut claims = Object::new();
    set(&mut claims, "sub", user.id.as_str());
    if grant.has("profile") {
        set(&mut claims, "name", user.name.as_str());
        set(&mut claims, "preferred_username", user.username.as_str());
        set(&mut claims, "profile", format!("{issuer}/{}", user.username));
        set(&mut claims, "picture", format!("{issuer}/avatars/{}.svg", user.id));
        if let Some(website) = &user.website {
            set(&mut claims, "website", website.as_str());
        }
    }
    if grant.has("email")
        && let Some(email) = &user.email
    {
        set(&mut claims, "email", email.as_str());
        set(&mut claims, "email_verified", user.email_verified);
    }
    claims
}

/// The organisations; details only for those that were granted on the consent page.
fn orgs(issuer: &str, user: &User, grant: &Grant, consent: &Consent, behaviour: &Behaviour) -> Value {
    if behaviour.orgs_need_scope && !grant.has("read-memberships") {
        return Value::Array(Vec::new());
    }
    let entry = |org: &Membership| {
        let granted = consent.orgs.contains(&org.id);
        let mut entry = bare(issuer, org);
        if granted || (behaviour.role_by_scope && grant.has("read-memberships")) {
            set(&mut entry, "roleInOrg", org.role.as_str());
        }
        if granted {
            detail(&mut entry, org, grant);
        }
        Value::Object(entry)
    };
    user.orgs.iter().map(entry).collect()
}

/// The members of an organisation that are always present.
fn bare(issuer: &str, org: &Membership) -> Object {
    let mut entry = Object::new();
    set(&mut entry, "sub", org.id.as_str());
    set(&mut entry, "name", org.name.as_str());
    set(&mut entry, "preferred_username", org.slug.as_str());
    set(&mut entry, "picture", format!("{issuer}/avatars/{}.svg", org.id));
    if let Some(plan) = &org.plan {
        set(&mut entry, "plan", plan.as_str());
    }
    if let Some(enterprise) = org.is_enterprise {
        set(&mut entry, "isEnterprise", enterprise);
    }
    entry
}

/// The members of an organisation that are present only if it was granted to the client.
fn detail(entry: &mut Object, org: &Membership, grant: &Grant) {
    if !org.security_restrictions.is_empty() {
        set(entry, "securityRestrictions", org.security_restrictions.as_slice());
    }
    set(entry, "pendingSSO", org.pending_sso);
    set(entry, "missingMFA", org.missing_mfa);
    let group = |group: &super::users::ResourceGroup| json!({"sub": group.id, "name": group.name, "role": group.role});
    set(entry, "resourceGroups", org.resource_groups.iter().map(group).collect::<Value>());
    if grant.has("read-billing") {
        set(entry, "canPay", org.can_pay);
        set(entry, "billingMode", "postpaid");
    }
}
