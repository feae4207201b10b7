//! `/sessions`: lists and ends sessions.

use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use huggate::session::{SessionAdminError, SessionFilter, SessionPages};
use huggate::store::SessionKey;
use serde_json::json;

use super::handler::{AdminState, error};
use crate::commands::failure::with_causes;

/// `GET /sessions[?user=NAME-OR-ID]`. The answer is sent while the sessions are read.
pub(super) async fn list(admin: AdminState, RawQuery(query): RawQuery) -> Response {
    let filter = match Query::parse(query.as_deref()) {
        Ok(Query { filter, .. }) => filter.unwrap_or(SessionFilter::All),
        Err(why) => return bad_request(&why),
    };
    // Before the head is sent, as long as another status can be.
    let mut pages = match admin.gate().session_admin().pages(&filter).await {
        Ok(pages) => pages,
        Err(why) => return failed(&why),
    };
    let first = match next(&mut pages, true).await {
        Ok(first) => first,
        Err(why) => return failed(&why),
    };
    let body = stream::unfold(Some((pages, Some(first))), |state| async {
        let (mut pages, first) = state?;
        let page = match first {
            Some(first) => first,
            // The connection is closed in the middle of the message.
            None => match next(&mut pages, false).await {
                Ok(page) => page,
                Err(why) => return Some((Err(std::io::Error::other(why)), None)),
            },
        };
        Some(match page {
            Some(text) => (Ok(Bytes::from(text)), Some((pages, None))),
            None => (Ok(Bytes::from_static(b"]}\n")), None),
        })
    });
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response()
}

/// The text of the next page that has a session; `None` after the last one.
async fn next(pages: &mut SessionPages, is_first: bool) -> Result<Option<String>, SessionAdminError> {
    let mut text = String::new();
    if is_first {
        text.push_str("{\"sessions\": [");
    }
    let mut separator = if is_first { "" } else { ", " };
    while let Some(page) = pages.next().await? {
        for session in &page {
            text.push_str(separator);
            text.push_str(&json!(session).to_string());
            separator = ", ";
        }
        if !page.is_empty() {
            return Ok(Some(text));
        }
    }
    Ok(is_first.then_some(text))
}

/// `DELETE /sessions?user=…|id=…|all=true`.
pub(super) async fn revoke(admin: AdminState, RawQuery(query): RawQuery) -> Response {
    let filter = match Query::parse(query.as_deref()) {
        Ok(Query { filter: Some(filter), .. }) => filter,
        Ok(_) => return bad_request("say which sessions: ?user=NAME-OR-ID, ?id=SID or ?all=true"),
        Err(why) => return bad_request(&why),
    };
    match admin.gate().session_admin().revoke(&filter).await {
        Ok(revoked) => {
            tracing::info!(
                target: "huggate::audit",
                event = "session_revoked",
                filter = ?filter,
                sessions = revoked.sessions,
                "an operator ended sessions",
            );
            axum::Json(revoked).into_response()
        }
        Err(why) => failed(&why),
    }
}

/// The query of a request.
struct Query {
    filter: Option<SessionFilter>,
}

impl Query {
    /// Parameters that are not known, repeated or contradict each other are errors: a typo must
    /// not end more than was meant.
    fn parse(query: Option<&str>) -> Result<Self, String> {
        let mut filter = None;
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let one = match (&*name, &*value) {
                (_, "") => return Err(format!("{name} has no value")),
                ("user", user) => SessionFilter::Person(user.to_owned()),
                ("id", id) => SessionFilter::Id(
                    SessionKey::parse(id)
                        .ok_or("id is not the id of a session: that is the sid of the assertion")?,
                ),
                ("all", "true") => SessionFilter::All,
                ("all", _) => return Err("all takes true alone".to_owned()),
                _ => return Err(format!("{name} is not a parameter; write user, id or all")),
            };
            if filter.replace(one).is_some() {
                return Err("write one of user, id and all".to_owned());
            }
        }
        Ok(Self { filter })
    }
}

fn bad_request(why: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "invalid_request", why)
}

fn failed(why: &SessionAdminError) -> Response {
    let (status, code) = match why {
        SessionAdminError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        _ => (StatusCode::NOT_IMPLEMENTED, "unsupported_store"),
    };
    error(status, code, &with_causes(why))
}
