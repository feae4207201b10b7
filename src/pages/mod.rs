//! What the gate itself shows people: small pages without script that load
//! nothing from anywhere.
//!
//! Data in, HTML out: no function here reads a request, a clock or a setting.
//! Every value passes [`escape`](html::escape) on its way into a page, because the only way
//! to put one there is [`Html::add`](html::Html::add), whose templates are literals.

mod broken;
mod face;
mod html;
mod refused;
mod shell;
mod sign_in;
mod signed_out;
#[cfg(any(feature = "proxy", test))]
mod upstream;

pub(crate) use broken::{bad_request, internal, not_found, provider_unavailable};
pub(crate) use refused::{Demanded, HowToBeSeen, Refused, refused};
pub(crate) use shell::Page;
pub(crate) use sign_in::{
    SignInFailed, cancelled, form_not_sent, framed, loop_explained, sign_in, sign_in_failed,
    sign_in_not_begun_here,
};
pub(crate) use signed_out::{Onward, confirm_sign_out, signed_out};
#[cfg(any(feature = "proxy", test))]
pub(crate) use upstream::{incomplete, too_large, upstream_busy, upstream_down, upstream_slow};

#[cfg(test)]
mod tests;
