//! Paths: which ones a route is for, and what servers make of one.

mod pattern;
mod readings;
mod variants;

pub use pattern::{PathPattern, PatternError};
pub(crate) use pattern::{folded, is_folded};
pub(crate) use readings::{AmbiguousPath, PathReadings, readings};
