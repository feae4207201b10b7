//! `GET /api/whoami-v2`. Unlike userinfo, `name` is the username and `fullname` the display
//! name.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::api_error::{error, unauthorized};
use super::bearer::bearer;
use super::grant::Grant;
use super::json::{Object, object, set};
use super::peer::Peer;
use super::state::{HubState, Shared};
use super::users::{Membership, User};

/// `GET /api/whoami-v2`, rate-limited per address.
pub(super) async fn whoami(
    State(hub): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let now = hub.now();
    let mut state = hub.state();
    let quota = state.behaviour.rate_limit;
    let status = state.rate_limiter.count(peer.0, quota, now);
    let mut response = match bearer(&headers) {
        _ if status.exceeded => error(StatusCode::TOO_MANY_REQUESTS, "You have been rate-limited; slow down"),
        None => unauthorized(headers.contains_key(header::AUTHORIZATION)),
        Some(token) => match answer(&state, token, now) {
            Some(Value::Object(mut object)) => {
                if let Some(edit) = &state.behaviour.edit_whoami {
                    edit.apply(&mut object);
                }
                Json(Value::Object(object)).into_response()
            }
            _ => unauthorized(true),
        },
    };
    drop(state);
    status.write(response.headers_mut());
    response
}

/// The response for a token.
fn answer(state: &HubState, token: &str, now: u64) -> Option<Value> {
    if let Some(grant) = state.access_tokens.find(token, now) {
        return Some(by_oauth(state, state.user(&grant.user)?, grant));
    }
    if let Some(app) = state.app_with_token(token) {
        return Some(json!({
            "id": app.id, "type": "app", "name": app.name,
            "scope": {"role": "read", "entities": []}, "auth": {"type": "app_token"},
        }));
    }
    Some(by_access_token(state.user_with_token(token)?))
}

/// The response for a user access token: without restrictions.
fn by_access_token(user: &User) -> Value {
    let mut access = object(json!({
        "displayName": "stand-in", "role": user.token_role, "createdAt": "2026-08-04T12:00:00.000Z",
    }));
    if user.token_role == "fineGrained" {
        let scoped = |org: &Membership| {
            json!({
                "entity": {"_id": org.id, "type": "org", "name": org.slug},
                "permissions": ["repo.content.read"],
            })
        };
        set(
            &mut access,
            "fineGrained",
            json!({
                "canReadGatedRepos": true, "global": ["discussion.write"],
                "scoped": user.orgs.iter().map(scoped).collect::<Value>(),
            }),
        );
    }
    let auth = json!({"type": "access_token", "accessToken": access});
    user_object(user, &auth, true, |_| true)
}

/// The response for an OAuth token: details only for granted organisations.
fn by_oauth(state: &HubState, user: &User, grant: &Grant) -> Value {
    let consent = state.consent(&grant.user, &grant.client);
    let granted = |org: &Membership| consent.is_some_and(|consent| consent.orgs.contains(&org.id));
    let auth = json!({"type": "oauth", "expiresAt": iso(grant.expires)});
    user_object(user, &auth, grant.has("email"), granted)
}

/// The members about a user.
fn user_object(user: &User, auth: &Value, email: bool, granted: impl Fn(&Membership) -> bool) -> Value {
    json!({
        "type": "user", "id": user.id, "name": user.username, "fullname": user.name,
        "email": if email { user.email.as_deref() } else { None },
        "emailVerified": email && user.email_verified, "canPay": user.can_pay, "billingMode": "postpaid",
        "isPro": user.pro, "periodEnd": null, "avatarUrl": format!("/avatars/{}.svg", user.id),
        "orgs": user.orgs.iter().map(|membership| org_object(membership, granted(membership))).collect::<Value>(),
        "auth": auth,
    })
}

/// The members about an organisation.
fn org_object(org: &Membership, granted: bool) -> Object {
    let mut entry = object(json!({
        "type": "org", "id": org.id, "name": org.slug, "fullname": org.name, "email": null,
        "canPay": org.can_pay, "billingMode": "postpaid",
        "avatarUrl": format!("/avatars/{}.svg", org.id), "periodEnd": null,
    }));
    if let Some(plan) = &org.plan {
        set(&mut entry, "plan", plan.as_str());
    }
    if let Some(enterprise) = org.is_enterprise {
        set(&mut entry, "isEnterprise", enterprise);
    }
    if granted {
        set(&mut entry, "roleInOrg", org.role.as_str());
        if !org.security_restrictions.is_empty() {
            set(&mut entry, "securityRestrictions", org.security_restrictions.as_slice());
        }
        let groups = org.resource_groups.iter();
        set(
            &mut entry,
            "resourceGroups",
            groups
                .map(|group| json!({"id": group.id, "name": group.name, "role": group.role}))
                .collect::<Value>(),
        );
    }
    entry
}

/// `2026-08-04T12:00:00.000Z` (RFC 3339), by the civil-from-days algorithm.
fn iso(time: u64) -> String {
    let (days, seconds) = (time / 86_400 + 719_468, time % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_formatted_as_rfc_3339() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_827_696), "2000-02-29T12:34:56.000Z");
        assert_eq!(iso(1_790_000_000), "2026-09-21T14:13:20.000Z");
        assert_eq!(iso(1_798_761_599), "2026-12-31T23:59:59.000Z");
    }
}
