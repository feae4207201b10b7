//! A sign-in or a sign-out that did not succeed.

use http::StatusCode;

/// The answer that ended a sign-in or a sign-out: [`TestUser::sign_in`](super::TestUser::sign_in)
/// and [`SignedIn::sign_out`](super::SignedIn::sign_out) return it.
///
/// ```
/// use huggate::testing;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), huggate::gate::BuildError> {
/// let gate = testing::gate().allow_anyone().build().await?;
/// testing::provider(&gate).stop().await;
/// let refused = testing::user("ada").sign_in(&gate).await.unwrap_err();
/// assert_eq!(refused.status(), 502);
/// assert_eq!(
///     refused.to_string(),
///     "the sign-in of ada ended at the provider with 502 Bad Gateway: the connection was refused",
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {action} of {username} ended at {place} with {status}{}", said(.text))]
pub struct Refused {
    pub(super) action: &'static str,
    pub(super) username: String,
    pub(super) place: &'static str,
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Refused {
    /// The status of the answer. Where the provider did not answer a browser at all, it is 502
    /// or 504.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What the answer says: the text of a page without its markup, or JSON as it is.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What follows a status.
fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
