//! Output of running commands.

use std::io::Write;

/// Prints to standard output.
pub(super) fn print(text: &str) {
    // A closed pipe is not an error.
    let _ = write!(std::io::stdout(), "{text}");
    let _ = std::io::stdout().flush();
}
