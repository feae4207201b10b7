//! The argument and the answer of the hook for sign-ins.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::identity::{AccessToken, ClaimsDraft, User};

/// The maximum length of a message for the person, in characters.
const MAX_MESSAGE: usize = 1_000;
/// The message in place of an empty one.
const NO_MESSAGE: &str = "The people who run this app do not let this account in.";

/// A sign-in that the provider confirmed and that the rules admit. There is no session yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct SigningIn {
    pub(crate) user: User,
    pub(crate) access_token: AccessToken,
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) host: Arc<str>,
    pub(crate) return_to: String,
}

impl SigningIn {
    /// The person, with the organisations that the rules and the groups need.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The person's access token for Hugging Face, within the scopes of the sign-in.
    #[must_use]
    pub fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// The client's address, as far as trusted proxies tell; `None` if it is unknown.
    #[must_use]
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    /// The host that the person signs in at.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where the browser goes afterwards: a path, or a URL of one of the `return_hosts`.
    #[must_use]
    pub fn return_to(&self) -> &str {
        &self.return_to
    }
}

/// The answer of an [`on_sign_in`](crate::GateBuilder::on_sign_in) hook.
///
/// ```
/// use huggate::hooks::SignIn;
///
/// let gold = SignIn::admit().claim("tier", "gold").claim("seats", 3);
/// let sorry = SignIn::refuse("Your account is suspended. Write to help@example.com.");
/// ```
#[derive(Debug)]
#[must_use]
pub struct SignIn(SignInOutcome);

#[derive(Debug)]
pub(crate) enum SignInOutcome {
    Admit(ClaimsDraft),
    Refuse(String),
}

impl SignIn {
    /// The session begins.
    pub fn admit() -> Self {
        Self(SignInOutcome::Admit(ClaimsDraft::default()))
    }

    /// No session begins, and the person reads `message`: on a page, where it is escaped, or in
    /// JSON. The status is 403. At most 1,000 characters are shown.
    pub fn refuse(message: impl Into<String>) -> Self {
        Self(SignInOutcome::Refuse(message.into()))
    }

    /// Adds a claim, which the session keeps, [`User::claims`] has, and the signed assertion
    /// carries.
    ///
    /// A claim that is not accepted refuses the sign-in (500), and the log says which and why:
    ///
    /// - The name has 1 to 64 of the characters `a-z A-Z 0-9 _ - . : /`, does not start with
    ///   `huggate`, and is none that the assertion has or a standard defines, such as `sub`,
    ///   `email` or `groups`, in any case.
    /// - A session has at most 16 claims, with at most 1 KiB as a JSON object.
    ///
    /// Without effect on a refusal.
    pub fn claim(mut self, name: &str, value: impl Serialize) -> Self {
        if let SignInOutcome::Admit(claims) = &mut self.0 {
            claims.add(name, value);
        }
        self
    }

    pub(crate) fn outcome(self) -> SignInOutcome {
        match self.0 {
            SignInOutcome::Refuse(message) if message.trim().is_empty() => {
                SignInOutcome::Refuse(NO_MESSAGE.to_owned())
            }
            SignInOutcome::Refuse(message) => {
                SignInOutcome::Refuse(message.chars().take(MAX_MESSAGE).collect())
            }
            admit @ SignInOutcome::Admit(_) => admit,
        }
    }
}
