//! The last step of an answer of our own: the app's hook may answer in its place, and the app's
//! pages replace ours.

use bytes::Bytes;
use http::header::{
    CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, SET_COOKIE,
    X_FRAME_OPTIONS,
};
use http::{Method, Response, StatusCode};

use super::response::guard_cookies;
use crate::client::{IncomingRequest, drop_hop_by_hop};
use crate::hooks::{ErrorPage, ForbiddenPage, Html, PageContent, RefusedRequest, guarded};
use crate::identity::User;
use crate::oauth2::OAuth2;
use crate::respond::{Said, answer, grpc};

/// Our answer to `request`, as the app wants it: its hook's, or with its page.
pub(super) async fn present(
    oauth2: &OAuth2,
    response: Response<Bytes>,
    request: IncomingRequest<'_>,
    user: Option<&User>,
) -> Response<Bytes> {
    let hooks = &oauth2.hooks;
    if !hooks.present_answers() || grpc::is_grpc_request(&request.parts.headers) {
        return response;
    }
    let refused = |Said { code, text }, status| RefusedRequest {
        code,
        status,
        reason: text,
        user: user.cloned(),
        method: request.parts.method.clone(),
        path: request.parts.uri.path().to_owned(),
        host: request.client.host.clone(),
        client_ip: request.client.ip,
        client_kind: request.kind.into(),
        sign_in_url: if request.kind.opens_a_page() {
            oauth2.urls.sign_in(oauth2.here(request).as_str())
        } else {
            oauth2.sign_in_url(request)
        },
    };
    present_as(oauth2, response, refused).await
}

/// The same where less of the request is left. `refused` is called if there is a refusal to
/// present.
pub(super) async fn present_as(
    oauth2: &OAuth2,
    mut response: Response<Bytes>,
    refused: impl FnOnce(Said, StatusCode) -> RefusedRequest,
) -> Response<Bytes> {
    let status = response.status();
    let content = response.extensions_mut().remove::<PageContent>();
    let said = response.extensions_mut().remove::<Said>().filter(|_| status.as_u16() >= 400);
    let Some(said) = said else { return with_page(oauth2, response, content).await };
    let refused = refused(said, status);
    let content = Some(content_of(content, &refused));
    let Some(hook) = &oauth2.hooks.refusal else { return with_page(oauth2, response, content).await };
    let method = refused.method.clone();
    match guarded("on_refusal", oauth2.hooks.timeout, hook, refused).await {
        Ok(Some(theirs)) => replaced(oauth2, response, theirs, &method),
        // A failure is in the log.
        Ok(None) | Err(_) => with_page(oauth2, response, content).await,
    }
}

/// The data of the page about a refusal: that of its own page, or of the error page.
fn content_of(content: Option<PageContent>, refused: &RefusedRequest) -> PageContent {
    match content {
        Some(PageContent::Forbidden(page)) => {
            PageContent::Forbidden(ForbiddenPage { user: refused.user.clone(), ..page })
        }
        Some(content) => content,
        None => PageContent::Error(ErrorPage {
            host: refused.host.to_string(),
            status: refused.status,
            code: refused.code.clone(),
            text: refused.reason.clone(),
            sign_in_url: refused.sign_in_url.clone(),
        }),
    }
}

/// Our page, or the app's in its place.
async fn with_page(
    oauth2: &OAuth2,
    mut response: Response<Bytes>,
    content: Option<PageContent>,
) -> Response<Bytes> {
    let headers = response.headers();
    // A page that may be framed is made for that, and stays ours.
    let is_page = headers.get(CONTENT_TYPE) == Some(&answer::PAGE) && headers.contains_key(X_FRAME_OPTIONS);
    let (Some(hook), Some(content)) = (&oauth2.hooks.pages, content.filter(|_| is_page)) else {
        return response;
    };
    let answer = guarded("pages", oauth2.hooks.timeout, hook, content).await;
    // A failure is in the log.
    if let Ok(Some(Html { html, policy })) = answer {
        let policy = policy.unwrap_or(HeaderValue::from_static(answer::APP_PAGE));
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        *response.body_mut() = Bytes::from(html);
    }
    response
}

/// The app's answer in place of ours. It stays a refusal, and what ours does to the browser
/// and says to the client's library is kept.
fn replaced(
    oauth2: &OAuth2,
    ours: Response<Bytes>,
    theirs: Response<Bytes>,
    method: &Method,
) -> Response<Bytes> {
    let (ours, _) = ours.into_parts();
    let (mut parts, body) = theirs.into_parts();
    if !is_refusal(parts.status) {
        tracing::error!(
            hook = "on_refusal",
            status = parts.status.as_u16(),
            sent = ours.status.as_u16(),
            "a hook answered a refusal with a status that is none; ours is sent with its body",
        );
        parts.status = ours.status;
    }
    drop_hop_by_hop(&mut parts.headers);
    parts.headers.remove(CONTENT_LENGTH);
    if parts.headers.contains_key(SET_COOKIE) {
        guard_cookies(oauth2.sessions.cookies(), &mut parts.headers);
    }
    if !parts.headers.contains_key(CONTENT_TYPE) && !body.is_empty() {
        parts.headers.insert(CONTENT_TYPE, answer::PLAIN_TEXT);
    }
    keep(&ours.headers, &mut parts.headers);
    answer::secure(&mut parts.headers);
    parts.extensions.extend(ours.extensions);
    parts.version = ours.version;
    let length = body.len();
    let mut response = Response::from_parts(parts, body);
    if *method == Method::HEAD {
        // RFC 9110, section 9.3.2: the length is that of the answer to GET.
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        *response.body_mut() = Bytes::new();
    }
    response
}

/// Whether clients and proxies take an answer with this status as a refusal: forward auth
/// takes 2xx as permission, and 304 would make a browser show what it has.
fn is_refusal(status: StatusCode) -> bool {
    (300..600).contains(&status.as_u16()) && status != StatusCode::NOT_MODIFIED
}

/// Adds the fields of ours that have to be sent.
fn keep(ours: &HeaderMap, theirs: &mut HeaderMap) {
    for name in answer::ADDED {
        for value in ours.get_all(&name) {
            theirs.append(&name, value.clone());
        }
    }
    for name in answer::KEPT {
        if let Some(value) = ours.get(&name) {
            theirs.insert(name, value.clone());
        }
    }
}
