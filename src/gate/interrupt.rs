//! The answer to a request whose permission ended before the app's answer came.

use std::net::IpAddr;

use bytes::Bytes;
use http::Response;

use super::Gate;
use super::attended::Attended;
use super::grant::Grant;
use super::presentation::present_as;
use crate::events;
use crate::respond::{Interruption, KeptHead, interrupted};

impl Gate {
    /// The answer to a request whose permission ended before the app's answer came.
    /// `client` is the client's address.
    pub(crate) fn interrupted(
        &self,
        grant: &Grant,
        head: &KeptHead,
        host: &str,
        client: Option<IpAddr>,
    ) -> Response<Bytes> {
        let goes_on = grant.session().is_some_and(|session| !session.has_ended());
        let interruption = if goes_on { Interruption::Access } else { Interruption::Session };
        let request = head.request(host, goes_on);
        let mut response = interrupted(interruption, request, &self.inner.oauth2.urls);
        self.expose(grant, head.origin(), &mut response);
        let place = (host, request.target);
        events::interrupted(place, client, interruption.code(), response.status(), grant.user());
        response
    }

    /// The same, as the app's hook wants it.
    pub(super) async fn interrupted_and_presented(
        &self,
        grant: &Grant,
        attended: &Attended,
    ) -> Response<Bytes> {
        let oauth2 = &self.inner.oauth2;
        let response = self.interrupted(grant, &attended.head, &attended.host, attended.client_ip);
        if !oauth2.hooks.present_answers() {
            return response;
        }
        let refused = |said, status| attended.refused(said, status, grant.user(), &oauth2.urls);
        Box::pin(present_as(oauth2, response, refused)).await
    }
}
