//! May they: rules, routes and path variants.

mod denial;
mod evaluate;
mod path;
pub(crate) mod preflight;
mod route;
mod route_index;
mod rule;
#[cfg(feature = "config")]
mod shadowing;
mod verdict;

pub(crate) use denial::{DenialKind, Denied, Remedy, RemedyKind};
pub(crate) use evaluate::{Finding, Membership};
pub use path::{PathPattern, PatternError};
pub(crate) use path::{Readings, Unreadable, folded, readings};
pub(crate) use route::{Asked, Routes};
pub use route::{BearerUse, Route, RouteAccess};
pub use rule::{Holds, Rule};
pub(crate) use rule::{Sameness, is_id};
pub use verdict::Access;
pub(crate) use verdict::{Clause, Policy, Verdict};
