//! What a list of sessions shows.

use std::net::IpAddr;

use super::store::SessionKey;
use crate::clock::UnixTime;

/// A session in a list. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedSession {
    /// Its id: the `sid` of the assertion.
    pub id: SessionKey,
    /// The account id of the person.
    pub sub: String,
    /// The person's user name when the session was last written.
    pub username: String,
    /// The time of the sign-in.
    pub created: UnixTime,
    /// The time of the last use, exact to a minute.
    pub last_used: UnixTime,
    /// When it ends if it is not used again.
    pub expires: UnixTime,
    /// The address that the sign-in came from.
    pub client: Option<IpAddr>,
    /// The browser, as it names itself.
    pub user_agent: String,
    /// What holds it.
    pub kind: SessionKind,
}

/// What holds a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionKind {
    /// A browser, by a cookie.
    Browser,
}

impl SessionKind {
    /// `browser`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
        }
    }
}

/// Which sessions to list or to end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionFilter {
    /// All of them.
    All,
    /// Those of the person with this user name or account id. Names are compared without
    /// regard to case.
    Person(String),
    /// Those of the account with this id.
    Account(String),
    /// One, by its id.
    Id(SessionKey),
}

impl ListedSession {
    /// Whether the filter names this session.
    pub(super) fn is_of(&self, filter: &SessionFilter) -> bool {
        match filter {
            SessionFilter::All => true,
            SessionFilter::Person(person) => {
                self.sub == *person || self.username.eq_ignore_ascii_case(person)
            }
            SessionFilter::Account(sub) => self.sub == *sub,
            SessionFilter::Id(id) => self.id == *id,
        }
    }
}
