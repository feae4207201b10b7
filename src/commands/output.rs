//! What a running command prints.

use std::io::Write;

/// Prints while a command runs.
pub(super) fn print(text: &str) {
    // Whoever closed our output does not want to read on.
    let _ = write!(std::io::stdout(), "{text}");
    let _ = std::io::stdout().flush();
}
