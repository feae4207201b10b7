//! The hub's HTML pages. They have no script and load nothing from elsewhere; a banner on each
//! says that this is not huggingface.co.

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
