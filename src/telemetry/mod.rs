//! What is written down: logs, and a line for each decision.

mod audit;
mod logging;

pub use audit::AuditEntry;
pub use logging::{LogFormat, init};
