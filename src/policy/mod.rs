//! Authorization: evaluates rules, conditions, routes and path variants to a verdict.
//!
//! Pure: no async, no I/O, no session, no provider. Of HTTP it uses only method, host and
//! path. `fuzz/` and `tests/policy` compile this folder without the rest of the crate.

mod access;
mod contradiction;
mod cors;
mod denial;
mod evaluate;
mod obstacle;
mod own_prefix;
mod path;
mod placement;
mod preflight;
mod remedy;
mod route;
mod route_index;
mod route_table;
mod rule;
#[cfg(feature = "config")]
mod shadowing;
mod verdict;

pub use access::Access;
pub use cors::{CorsOrigin, CorsOriginError};
pub(crate) use denial::{Credential, Denial, DenialKind};
pub(crate) use evaluate::{ConditionResult, Membership};
pub(crate) use own_prefix::OwnPrefix;
pub use path::{PathPattern, PatternError};
pub(crate) use path::{PathReadings, folded, readings};
pub(crate) use placement::Ambiguity;
pub(crate) use preflight::{PreflightHeaders, requested_method};
pub(crate) use remedy::{Remedy, RemedyKind};
pub(crate) use route::all_rules;
pub use route::{AssertionUse, BearerUse, Route, RouteAccess};
pub(crate) use route_table::{RouteQuery, RouteTable};
pub use rule::{Match, Rule};
pub(crate) use rule::{NameMatch, is_id};
pub(crate) use verdict::{OwnAddress, Policy, RuleEvaluation, Verdict};
