//! Sign-out: ends only the gate's session, since the provider has no endpoint for it.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::endpoints::OAuth2;
use super::return_to::ReturnTo;
use crate::client::{IncomingRequest, is_cross_site, may_change_state};
use crate::events;
use crate::hooks::{PageContent, SignedOut, SignedOutPage, guarded};
use crate::identity::User;
use crate::pages::{self, ContinueLink};
use crate::respond::{answer, unavailable};
use crate::session::StoreDown;

pub(super) const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
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
        let (mut lines, user) = match self.sessions.end(headers).await {
            Ok(ended) => ended,
            Err(StoreDown) => return unavailable::store_unavailable(request),
        };
        let ended = user.is_some();
        if let Some(user) = user {
            events::signed_out(request, &user);
            self.tell_of_sign_out(request, user).await;
        }
        let cookies = self.sessions.cookies();
        lines.extend(cookies.set(cookies.attempts_name(), None, 0));
        let onward = ContinueLink { url: return_to.as_str(), name: return_to.name() };
        let onward = (return_to.as_str() != "/").then_some(&onward);
        let start = self.urls.start(ReturnTo::root().as_str(), None);
        let page = pages::signed_out(&request.client.host, &start, onward);
        let content = SignedOutPage {
            host: request.client.host.to_string(),
            start_url: start,
            continue_url: onward.map(|onward| onward.url.to_owned()),
        };
        let page = answer::about(answer::page(StatusCode::OK, page), PageContent::SignedOut(content));
        let mut response = answer::with_cookies(page, lines);
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

    /// Tells the app's hook that a session has ended. The person is signed out in any case.
    pub(super) async fn tell_of_sign_out(&self, request: IncomingRequest<'_>, user: User) {
        let Some(hook) = &self.hooks.sign_out else { return };
        let signed_out = SignedOut { user, client_ip: request.client.ip, host: request.client.host.clone() };
        // A failure is in the log.
        let _ = guarded("on_sign_out", self.hooks.timeout, hook, signed_out).await;
    }
}
