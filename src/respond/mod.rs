//! The gate's own answers: pages, JSON, OpenAI's error format, gRPC statuses, redirects.
//!
//! Only this folder contains status codes and bodies. `gate` decides which answer a
//! refusal gets, and `oauth2` which one an endpoint gives.

pub(crate) mod answer;
pub(crate) mod bad_request;
pub(crate) mod cors;
mod endpoint_urls;
mod forbidden;
pub(crate) mod grpc;
mod interrupted;
mod kept_head;
pub(crate) mod misuse;
pub(crate) mod openai;
mod org_names;
mod sign_in_failed;
pub(crate) mod token_refused;
pub(crate) mod unauthenticated;
pub(crate) mod unavailable;
#[cfg(feature = "proxy")]
mod upstream_failed;

pub(crate) use answer::Said;
pub(crate) use endpoint_urls::EndpointUrls;
pub(crate) use forbidden::{ForbiddenContext, forbidden};
pub(crate) use interrupted::{Interruption, interrupted};
#[cfg(feature = "proxy")]
pub(crate) use kept_head::FailedRequest;
pub(crate) use kept_head::KeptHead;
pub(crate) use org_names::OrgNames;
pub(crate) use sign_in_failed::{SignInFailure, sign_in_failed};
#[cfg(feature = "proxy")]
pub(crate) use upstream_failed::{UpstreamFailure, upstream_failed};
