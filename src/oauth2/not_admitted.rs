//! A person whose sign-in the provider confirmed, and whom no rule admits.

use crate::identity::User;
use crate::policy::Denial;

/// A person whom no rule admits anywhere, so that the app's hook is not asked about them.
pub(crate) struct NotAdmitted {
    pub(crate) denial: Box<Denial>,
    pub(crate) user: User,
}
