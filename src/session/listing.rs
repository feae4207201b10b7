//! What a list of sessions shows.

use std::net::IpAddr;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::store::SessionKey;
use crate::clock::{UnixTime, rfc3339};

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
    /// The provider's id of its session (`sid`), if the ID token had one.
    pub(super) provider_sid: Option<String>,
}

/// What holds a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionKind {
    /// A browser, by a cookie.
    Browser,
}

impl Serialize for ListedSession {
    /// As `sessions list --json` prints it: times in RFC 3339.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ListedSession", 9)?;
        fields.serialize_field("id", &self.id.to_string())?;
        fields.serialize_field("sub", &self.sub)?;
        fields.serialize_field("username", &self.username)?;
        fields.serialize_field("created", &rfc3339(self.created))?;
        fields.serialize_field("last_used", &rfc3339(self.last_used))?;
        fields.serialize_field("expires", &rfc3339(self.expires))?;
        fields.serialize_field("client", &self.client)?;
        fields.serialize_field("user_agent", &self.user_agent)?;
        fields.serialize_field("kind", self.kind.as_str())?;
        fields.end()
    }
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
    /// regard to case. All sessions of an account are meant if one of them has the name: the
    /// others learn a new name later.
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
