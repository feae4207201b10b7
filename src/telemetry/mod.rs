//! What is written down: logs, and a line for each decision.

mod audit;
mod logging;

pub use audit::Asked;
pub use logging::{LogFormat, start};
