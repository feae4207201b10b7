//! Logging and audit lines.

mod audit;
mod logging;

pub use audit::AuditEntry;
pub use logging::{LogFormat, init};
