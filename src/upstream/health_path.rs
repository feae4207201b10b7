//! The path that active health checks request.

use http::uri::PathAndQuery;

/// The path that health checks request, as in `/health`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthPath(PathAndQuery);

/// Why a text is not a health check path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a path; write it like \"/health\"")]
#[non_exhaustive]
pub struct NotAPath;

impl HealthPath {
    /// Parses a path, with or without a query.
    ///
    /// # Errors
    /// [`NotAPath`]: it does not begin with a slash, or has characters that a path
    /// cannot have.
    pub fn parse(text: &str) -> Result<Self, NotAPath> {
        if !text.starts_with('/') || text.contains('#') {
            return Err(NotAPath);
        }
        text.parse().map(Self).map_err(|_| NotAPath)
    }

    pub(super) fn path_and_query(&self) -> &PathAndQuery {
        &self.0
    }
}
