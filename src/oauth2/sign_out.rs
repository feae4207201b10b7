//! Sign-out: ends only the gate's session, since the provider has no endpoint for it.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::endpoints::OAuth2;
use super::return_to::ReturnTo;
use crate::client::{IncomingRequest, is_cross_site, may_change_state};
use crate::pages::{self, ContinueLink};
use crate::respond::{answer, unavailable};
use crate::session::{SessionLookup, StoreDown};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const REFRESH: HeaderName = HeaderName::from_static("refresh");

impl OAuth2 {
    /// Ends the session and confirms it, if a person opened the address or something
    /// posted to it. A request that another site caused, or that only fetches the address
    /// (a prefetch, an image, a frame, a script), ends nothing and gets a page that asks.
    pub(super) async fn sign_out(&self, request: IncomingRequest<'_>) -> Response<Bytes> {
        let return_to = self.return_to(request);
        let headers = &request.parts.headers;
        let cross_site = is_cross_site(headers, &self.urls.public_url, &request.client.host);
        if cross_site || !may_change_state(request.parts, request.kind) {
            if !cross_site {
                // A developer whose script fetches the address finds nobody signed out.
                tracing::debug!(
                    client = ?request.client.ip,
                    "sign_out was fetched and not opened: nobody is signed out; a script has to POST",
                );
            }
            let url = self.urls.sign_out(return_to.as_str());
            let page = pages::confirm_sign_out(&request.client.host, &url, "/", cross_site);
            return answer::page(StatusCode::OK, page);
        }
        let user = match self.sessions.open(headers).await {
            SessionLookup::Session(session) => Some(session.user().username().to_owned()),
            SessionLookup::Nobody | SessionLookup::Unknown(_) => None,
        };
        let mut lines = match self.sessions.end(headers).await {
            Ok(lines) => lines,
            Err(StoreDown) => return unavailable::store_unavailable(request),
        };
        let ended = user.is_some();
        if let Some(user) = user {
            tracing::info!(target: "huggate::audit", event = "sign_out", %user, client = ?request.client.ip, "signed out");
        }
        let cookies = self.sessions.cookies();
        lines.extend(cookies.set(cookies.attempts_name(), None, 0));
        let onward = ContinueLink { url: return_to.as_str(), name: return_to.name() };
        let onward = (return_to.as_str() != "/").then_some(&onward);
        let start = self.urls.start(ReturnTo::root().as_str(), None);
        let page = pages::signed_out(&request.client.host, &start, onward);
        let mut response = answer::with_cookies(answer::page(StatusCode::OK, page), lines);
        // Clears the browser's cached pages of the app, so that the back button shows
        // nothing to the next person at this device.
        response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
        let room = answer::MAX_HEAD.saturating_sub(answer::head_size(&response));
        // The browser may keep the app's previous page until it has processed that
        // header. So this page is requested once more, and then shows that nobody is
        // signed in. An address that does not fit the head is left out there.
        let again = [return_to.as_str(), "/"]
            .map(|address| HeaderValue::try_from(format!("0; url={}", self.urls.sign_out(address))));
        let again = again.into_iter().flatten().find(|again| answer::field_size(&REFRESH, again) <= room);
        if let Some(again) = again.filter(|_| ended) {
            response.headers_mut().insert(REFRESH, again);
        }
        response
    }
}
