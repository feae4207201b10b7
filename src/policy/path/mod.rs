//! Path patterns, and the readings of a path by different servers.

mod pattern;
mod readings;
mod variants;

pub use pattern::{PathPattern, PatternError};
pub(crate) use pattern::{folded, is_folded};
pub(crate) use readings::{AmbiguousPath, PathReadings, readings};
