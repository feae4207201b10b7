//! Sign-out: ours alone, since the provider has no endpoint for it.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::{Ask, OAuth2};
use crate::client::{is_cross_site, is_prefetch};
use crate::pages::{self, ContinueLink};
use crate::respond::answer;
use crate::session::SessionLookup;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const REFRESH: HeaderName = HeaderName::from_static("refresh");

impl OAuth2 {
    /// Ends the session and says so. If another site caused the request, asks
    /// first: an image elsewhere must not sign anybody out.
    pub(super) async fn sign_out(&self, ask: Ask<'_>) -> Response<Bytes> {
        let return_to = self.return_to(ask);
        let headers = &ask.parts.headers;
        // Nor may a browser that only fetches the link in case it is clicked.
        if is_prefetch(headers) || is_cross_site(headers, &self.public_url, &ask.client.host) {
            let page = pages::confirm_sign_out(&ask.client.host, &self.sign_out_url(&return_to), "/");
            return answer::page(StatusCode::OK, page);
        }
        let user = match self.sessions.open(headers).await {
            SessionLookup::Session(opened) => Some(opened.user().username().to_owned()),
            SessionLookup::Nobody | SessionLookup::Unknown(_) => None,
        };
        let mut lines = match self.sessions.end(headers).await {
            Ok(lines) => lines,
            Err(down) => return crate::respond::store_unavailable(ask, down),
        };
        let ended = user.is_some();
        if let Some(user) = user {
            tracing::info!(target: "huggate::audit", event = "sign_out", %user, client = ?ask.client.ip, "signed out");
        }
        let cookies = self.sessions.cookies();
        lines.extend(cookies.set(cookies.attempts_name(), None, 0));
        let onward = ContinueLink { url: return_to.as_str(), name: return_to.name() };
        let onward = (return_to.as_str() != "/").then_some(&onward);
        let start = self.start_url(&super::ReturnTo::root(), None);
        let page = pages::signed_out(&ask.client.host, &start, onward);
        let mut response = answer::with_cookies(answer::page(StatusCode::OK, page), lines);
        // What the browser kept of the app is not for whoever sits there next: the
        // back button must show nothing.
        let headers = response.headers_mut();
        headers.insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
        // The page of the app that this one follows is put away only now, after that
        // header was obeyed. So the page is asked for once more, and finds nobody.
        if ended && let Ok(again) = HeaderValue::try_from(format!("0; url={}", self.sign_out_url(&return_to)))
        {
            headers.insert(REFRESH, again);
        }
        response
    }
}
