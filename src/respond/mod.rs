//! Every answer of our own.

pub(crate) mod answer;
mod forbidden;
mod org_names;
mod refusal;
mod unavailable;

pub(crate) use org_names::OrgNames;
pub use refusal::{Forbidden, Refusal};
pub(crate) use unavailable::store_unavailable;
