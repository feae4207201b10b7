//! Forward auth: another proxy holds the request and asks whether it may go on.
//!
//! Each contract is turned into the request that it describes, which the gate decides
//! and refuses like any other. What differs is how "allowed" is answered, and that only
//! a trusted proxy may ask.

mod allowed;
mod ambiguous;
mod contract;
mod describe;
mod original;

pub(crate) use allowed::{Allowed, allowed};
pub use ambiguous::AmbiguousOriginal;
pub(crate) use contract::Contract;
pub(crate) use describe::{DescriptionRules, describe};
pub use original::OriginalRequest;
