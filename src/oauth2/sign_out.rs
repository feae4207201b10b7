//! Sign-out: ends the gate's session, and goes on to a provider that can end its own. Hugging
//! Face has no endpoint for that.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::end_session::{clear_cache, on_to_provider};
use super::endpoints::OAuth2;
use crate::client::{IncomingRequest, is_cross_site, may_change_state};
use crate::events;
use crate::hooks::{SignedOut, guarded};
use crate::identity::User;
use crate::pages::{self, ProviderState};
use crate::respond::{answer, unavailable};
use crate::session::{Ended, StoreDown};

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
        let Ended { cookies: mut lines, user, id_token } = match self.sessions.end(headers).await {
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
        // Not without a session: whoever comes back to this address would go there again.
        if ended && let Some(url) = self.end_session_url(request, id_token.as_ref(), &return_to).await {
            return on_to_provider(request, &url, lines);
        }
        let page = self.signed_out_page(request, &return_to, ProviderState::SignedIn);
        let mut response = answer::with_cookies(page, lines);
        clear_cache(&mut response);
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
