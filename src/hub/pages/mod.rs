//! The pages people see. No script, nothing from elsewhere, and a strip on
//! each that says what this is, so that nobody takes it for the real one.

mod account_picker;
mod assets;
mod connected_apps;
mod consent;
mod device;
mod home;
mod layout;

pub(super) use account_picker::account_picker;
pub(super) use assets::{avatar, style};
pub(super) use connected_apps::{CONNECTED_APPS_PATH, connected};
pub(super) use consent::{Consent, consent};
pub(super) use device::device;
pub(super) use home::home;
pub(super) use layout::notice;
