//! A person's own sessions: listed, ended one by one, or all at once.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::end_session::{clear_cache, on_to_provider};
use super::endpoints::OAuth2;
use super::return_to::ReturnTo;
use super::user_agent::describe_user_agent;
use crate::client::{IncomingRequest, is_cross_site};
use crate::clock::{UnixTime, rfc3339};
use crate::events;
use crate::pages::{self, ShownSession};
use crate::respond::{answer, unauthenticated, unavailable};
use crate::session::store::SessionKey;
use crate::session::{
    ActiveSession, ListedSession, SessionAdminError, SessionFilter, SessionLookup, StoreDown,
};

/// The maximum number of sessions on the page.
const SHOWN: usize = 100;

impl OAuth2 {
    /// `sessions`: lists the person's own sessions, or ends one of them.
    pub(super) async fn own_sessions(&self, request: IncomingRequest<'_>) -> Response<Bytes> {
        let session = match self.sessions.open(&request.parts.headers).await {
            SessionLookup::Session(session) => session,
            SessionLookup::Unknown(StoreDown) => return unavailable::store_unavailable(request),
            SessionLookup::Nobody if request.wants_page() && request.parts.method != Method::POST => {
                return answer::redirect(&self.urls.start(&self.urls.sessions(), None));
            }
            SessionLookup::Nobody => return unauthenticated::login_required(&self.sign_in_url(request)),
        };
        if request.parts.method != Method::POST {
            return self.list_own(request, &session).await;
        }
        let id = request.parameter("end").and_then(|id| SessionKey::parse(&id));
        match id.filter(|_| !self.is_from_elsewhere(request)) {
            Some(id) => self.end_own(request, &session, id).await,
            // Nothing has happened; the page has the buttons.
            None => self.list_own(request, &session).await,
        }
    }

    async fn list_own(&self, request: IncomingRequest<'_>, session: &ActiveSession) -> Response<Bytes> {
        let (user, this) = (session.user(), session.id().key());
        let mut own = Vec::new();
        let account = SessionFilter::Account(user.id().to_owned());
        let listed = self.sessions.admin().list(&account, |session| own.push(session)).await;
        let is_all = match listed {
            Ok(()) => true,
            Err(SessionAdminError::Store(error)) => return store_failed(request, &error),
            Err(_) => false,
        };
        if !is_all {
            let agent = request.parts.headers.get(http::header::USER_AGENT);
            let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
            own.push(session.listed(request.client.ip, agent));
        }
        // This one first, then the one that was used last.
        own.sort_by_key(|session| (session.id != this, std::cmp::Reverse(session.last_used)));
        if !request.wants_page() {
            let own: Vec<_> = own.iter().map(|session| described(session, this)).collect();
            return answer::json(StatusCode::OK, &json!({"sessions": own, "complete": is_all}));
        }
        let now = self.clock.now();
        let shown: Vec<_> = own.iter().take(SHOWN).map(|session| self.shown(session, this, now)).collect();
        let everywhere = self.urls.sign_out_everywhere();
        let page = pages::own_sessions((&request.client.host, user.username()), &shown, is_all, &everywhere);
        answer::page(StatusCode::OK, page)
    }

    fn shown(&self, session: &ListedSession, this: SessionKey, now: UnixTime) -> ShownSession {
        let from = session.client.map(|ip| format!(" from {ip}")).unwrap_or_default();
        ShownSession {
            browser: describe_user_agent(&session.user_agent),
            facts: format!(
                "Signed in {}{from}. Last used {}.",
                ago(now, session.created),
                ago(now, session.last_used)
            ),
            is_this: session.id == this,
            end_url: self.urls.end_session(&session.id.to_string()),
        }
    }

    /// Ends a session of the person, whose button was pressed.
    async fn end_own(
        &self,
        request: IncomingRequest<'_>,
        session: &ActiveSession,
        id: SessionKey,
    ) -> Response<Bytes> {
        if id == session.id().key() {
            return self.sign_out(request).await;
        }
        let admin = self.sessions.admin();
        let mut is_own = false;
        let one = SessionFilter::Id(id);
        let found = admin.list(&one, |found| is_own = found.sub == session.user().id()).await;
        let ended = match found {
            Ok(()) if is_own => admin.revoke(&one).await,
            // Somebody else's is as good as none.
            Ok(()) | Err(SessionAdminError::NotKept | SessionAdminError::NothingShared) => {
                return no_such_session(request, &self.urls.sessions());
            }
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            return admin_failed(request, &error);
        }
        events::session_revoked(request, session.user(), 1);
        if request.wants_page() {
            return answer::redirect(&self.urls.sessions());
        }
        answer::json(StatusCode::OK, &json!({"revoked": 1}))
    }

    /// `sign_out?everywhere=true`: asks, and on the button's request ends all sessions of the
    /// person.
    pub(super) async fn sign_out_everywhere(&self, request: IncomingRequest<'_>) -> Response<Bytes> {
        let headers = &request.parts.headers;
        let session = match self.sessions.open(headers).await {
            SessionLookup::Session(session) => Some(session),
            SessionLookup::Unknown(StoreDown) => return unavailable::store_unavailable(request),
            SessionLookup::Nobody => None,
        };
        let Some(session) = session else {
            return answer::redirect(&self.urls.start(&self.urls.sessions(), None));
        };
        let account = SessionFilter::Account(session.user().id().to_owned());
        let admin = self.sessions.admin();
        if request.parts.method != Method::POST || self.is_from_elsewhere(request) {
            let count = match admin.count(&account).await {
                Ok(count) => Some(count),
                Err(SessionAdminError::Store(error)) => return store_failed(request, &error),
                Err(_) => None,
            };
            let url = self.urls.sign_out_everywhere();
            let page = pages::confirm_everywhere(&request.client.host, count, &url, &self.urls.sessions());
            return answer::page(StatusCode::OK, page);
        }
        let revoked = match admin.revoke(&account).await {
            Ok(revoked) => revoked,
            Err(error) => return admin_failed(request, &error),
        };
        events::session_revoked(request, session.user(), revoked.sessions);
        self.tell_of_sign_out(request, session.user().clone()).await;
        let lines = self.sessions.cookies().remove_session(headers);
        let id_token = session.id_token();
        if let Some(url) = self.end_session_url(request, id_token.as_ref(), &ReturnTo::root()).await {
            return on_to_provider(request, &url, lines);
        }
        let count = revoked.not_before.is_none().then_some(revoked.sessions);
        let response = if request.wants_page() {
            let start = self.urls.start("/", None);
            let page = pages::signed_out_everywhere(&request.client.host, count, &start);
            answer::page(StatusCode::OK, page)
        } else {
            answer::json(StatusCode::OK, &json!({"revoked": revoked.sessions}))
        };
        let mut response = answer::with_cookies(response, lines);
        clear_cache(&mut response);
        response
    }

    /// Whether a page of another site made the request.
    fn is_from_elsewhere(&self, request: IncomingRequest<'_>) -> bool {
        is_cross_site(&request.parts.headers, &self.urls.public_url, &request.client.host)
    }
}

fn described(session: &ListedSession, this: SessionKey) -> Value {
    json!({
        "id": session.id.to_string(),
        "created": rfc3339(session.created),
        "last_used": rfc3339(session.last_used),
        "expires": rfc3339(session.expires),
        "client": session.client.map(|ip| ip.to_string()),
        "user_agent": session.user_agent,
        "kind": session.kind.as_str(),
        "current": session.id == this,
    })
}

fn no_such_session(request: IncomingRequest<'_>, sessions_url: &str) -> Response<Bytes> {
    const TEXT: &str = "You have no such session.";
    if request.wants_page() {
        let page = pages::no_such_session(sessions_url);
        return answer::error_page(StatusCode::NOT_FOUND, "not_found", TEXT, page);
    }
    answer::json(StatusCode::NOT_FOUND, &json!({"error": "not_found", "error_description": TEXT}))
}

fn admin_failed(request: IncomingRequest<'_>, error: &SessionAdminError) -> Response<Bytes> {
    store_failed(request, error)
}

fn store_failed(request: IncomingRequest<'_>, error: &(dyn std::error::Error + 'static)) -> Response<Bytes> {
    tracing::error!(error = %crate::causes::Causes(error), "sessions of a person could not be listed or ended");
    unavailable::store_unavailable(request)
}

/// How long ago something was, in the largest unit.
fn ago(now: UnixTime, then: UnixTime) -> String {
    let past = now.saturating_sub(then);
    let (count, unit) = match past {
        0..60 => return "just now".to_owned(),
        60..3_600 => (past / 60, "minute"),
        3_600..86_400 => (past / 3_600, "hour"),
        _ => (past / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}
