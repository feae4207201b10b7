//! A request behind the layer, while the inner service is at work on it.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};

use super::drain::StreamKind;
use super::grant::{Grant, QUICK};
use super::permission_watch::PermissionWatch;
use crate::client::{Client, FieldSet};
use crate::hooks::{ClientKind, RefusedRequest};
use crate::identity::User;
use crate::respond::{EndpointUrls, KeptHead, Said};

/// How often a request that may be an upload is recorded as use.
const USE_INTERVAL: Duration = Duration::from_secs(1);

/// What is kept of a request, for an answer in place of the inner service's.
pub(super) struct Attended {
    pub(super) head: KeptHead,
    pub(super) host: Arc<str>,
    method: Method,
    pub(super) client_ip: Option<IpAddr>,
}

impl Attended {
    pub(super) fn of<B>(request: &Request<B>, fields: FieldSet, client: &Client) -> Self {
        Self {
            head: KeptHead::of(request, fields),
            host: client.host.clone(),
            method: request.method().clone(),
            client_ip: client.ip,
        }
    }

    /// The layer does not see the frames of a request's body.
    fn may_upload(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Observes the permission for the response, and the gate's drain.
    pub(super) fn watch<B>(&self, response: &Response<B>, grant: &Grant) -> PermissionWatch {
        let kind = StreamKind::of(&self.method, response.headers());
        PermissionWatch::until_drained(grant.clone(), kind)
    }

    /// The request for the app's hook, if the permission ended.
    pub(super) fn refused(
        &self,
        Said { code, text }: Said,
        status: StatusCode,
        user: Option<&User>,
        urls: &EndpointUrls,
    ) -> RefusedRequest {
        let request = self.head.request(&self.host, user.is_some());
        RefusedRequest {
            code,
            status,
            reason: text,
            user: user.cloned(),
            method: self.method.clone(),
            path: request.target.split('?').next().unwrap_or_default().to_owned(),
            host: self.host.clone(),
            client_ip: self.client_ip,
            client_kind: if request.wants_page() { ClientKind::Page } else { ClientKind::Program },
            sign_in_url: urls.sign_in(request.target),
        }
    }

    /// The output of `inner`, unless the permission ends first.
    pub(super) async fn unless_ended<T>(
        &self,
        inner: Pin<&mut impl Future<Output = T>>,
        grant: &Grant,
    ) -> Option<T> {
        let output = self.output_of(inner, grant).await;
        // A response would be cut at its first byte: hyper closes an HTTP/1.1 connection
        // then before it has sent the head, so that the client learns nothing.
        output.filter(|_| !grant.has_ended())
    }

    async fn output_of<T>(&self, mut inner: Pin<&mut impl Future<Output = T>>, grant: &Grant) -> Option<T> {
        // An answer that is there needs no timer.
        if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(inner.as_mut().poll(cx))).await {
            return Some(output);
        }
        if let Ok(output) = tokio::time::timeout(QUICK, inner.as_mut()).await {
            return Some(output);
        }
        let recorded = async {
            let mut interval = tokio::time::interval(USE_INTERVAL);
            let mut inner = inner;
            loop {
                tokio::select! {
                    biased;
                    output = &mut inner => return output,
                    _ = interval.tick(), if self.may_upload() => grant.record_use(),
                }
            }
        };
        let answered = async { grant.unless_ended(pin!(recorded)).await };
        Box::pin(answered).await
    }
}
