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

pub(crate) use denial::{Denial, DenialKind, Remedy, RemedyKind};
pub(crate) use evaluate::{ConditionResult, Membership};
pub(crate) use path::{AmbiguousPath, PathReadings, folded, readings};
pub use path::{PathPattern, PatternError};
pub use route::{BearerUse, Route, RouteAccess};
pub(crate) use route::{RouteQuery, Routes};
pub use rule::{Match, Rule};
pub(crate) use rule::{NameMatch, is_id};
pub use verdict::Access;
pub(crate) use verdict::{Policy, RuleEvaluation, Verdict};
