//! Forward auth: another proxy holds the request and asks the gate for a decision.
//!
//! Each contract is translated to the original request, which the gate then decides like
//! any other. Only the answer for an allowed request differs, and the peer has to be a
//! trusted proxy.

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
