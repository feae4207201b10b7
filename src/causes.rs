//! An error together with its causes, for logs and pages.

use std::error::Error;
use std::fmt;

/// Prints an error and its sources: `the upload failed: the connection was closed`. An error's
/// own text does not repeat that of its source.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut error = self.0;
        while let Some(source) = error.source() {
            write!(f, ": {source}")?;
            error = source;
        }
        Ok(())
    }
}
