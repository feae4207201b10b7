//! The pages that huggate shows itself: small, without scripts, and without external resources.
//!
//! Functions here are pure: data in, HTML out. Every value is [escaped](html::escape), because
//! [`Html::add`](html::Html::add) is the only way to insert one, and its templates are
//! literals.

mod error;
mod forbidden;
mod html;
mod illustration;
mod layout;
mod own_sessions;
mod sign_in;
mod signed_out;
#[cfg(any(feature = "proxy", test))]
mod upstream_error;

pub(crate) use error::{access_ended, bad_request, not_found, provider_unavailable, store_unavailable};
pub(crate) use forbidden::{Forbidden, OrganisationHint, Requirement, forbidden};
pub use html::escape_html;
pub(crate) use layout::Page;
pub(crate) use own_sessions::{
    ShownSession, confirm_everywhere, no_such_session, own_sessions, signed_out_everywhere,
};
pub(crate) use sign_in::{
    SignInFailed, form_not_sent, onward, session_ended, sign_in, sign_in_cancelled, sign_in_failed,
    sign_in_framed, sign_in_loop, signed_in_elsewhere, unfinished_sign_in,
};
pub(crate) use signed_out::{ContinueLink, ProviderState, confirm_sign_out, signed_out, signing_out};
#[cfg(any(feature = "proxy", test))]
pub(crate) use upstream_error::{
    body_too_large, request_incomplete, upstream_busy, upstream_down, upstream_header_too_large,
    upstream_invalid, upstream_slow,
};

#[cfg(test)]
mod tests;
