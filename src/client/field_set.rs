//! Which of the fields that the gate looks at are in a message.

use http::header::{HeaderMap, HeaderName};

/// A set of field names, found in one pass over those of a message. Most of the names that
/// the gate looks for are absent, and each lookup in the map computes a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldSet(u16);

impl FieldSet {
    pub(crate) const ACCEPT: Self = Self(1);
    pub(crate) const AUTHORIZATION: Self = Self(1 << 1);
    pub(crate) const CONNECTION: Self = Self(1 << 2);
    pub(crate) const CONTENT_TYPE: Self = Self(1 << 3);
    pub(crate) const COOKIE: Self = Self(1 << 4);
    pub(crate) const EXPECT: Self = Self(1 << 5);
    pub(crate) const HOST: Self = Self(1 << 6);
    pub(crate) const TE: Self = Self(1 << 7);
    pub(crate) const TRANSFER_ENCODING: Self = Self(1 << 8);
    pub(crate) const UPGRADE: Self = Self(1 << 9);
    pub(crate) const USER_AGENT: Self = Self(1 << 10);
    pub(crate) const ORIGIN: Self = Self(1 << 14);
    /// `X-Stainless-*`.
    pub(crate) const STAINLESS: Self = Self(1 << 11);
    const TRAILER: Self = Self(1 << 12);
    /// `Keep-Alive`, `HTTP2-Settings` and `Proxy-*`.
    const OTHER_HOP_BY_HOP: Self = Self(1 << 13);

    /// The fields besides `Connection` that are hop-by-hop whatever it says (RFC 9110,
    /// section 7.6.1). `Trailer` of a response is end-to-end (section 6.6.2).
    pub(crate) const HOP_BY_HOP_BUT_CONNECTION: Self =
        Self::TE.or(Self::TRANSFER_ENCODING).or(Self::UPGRADE).or(Self::OTHER_HOP_BY_HOP);
    /// All of them.
    pub(crate) const HOP_BY_HOP: Self = Self::HOP_BY_HOP_BUT_CONNECTION.or(Self::CONNECTION);
    /// The fields of a request that end here. `Trailer` is one of them: the trailers of
    /// requests are dropped, so nothing may announce them.
    pub(crate) const HOP_BY_HOP_IN_REQUEST: Self = Self::HOP_BY_HOP.or(Self::TRAILER);

    /// The names in `headers`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        headers.keys().fold(Self(0), |found, name| found.or(Self::of_name(name)))
    }

    /// The set of one name. Its first letter leaves at most three to compare: comparing it
    /// with each constant of `HeaderName` takes three times as long.
    pub(crate) fn of_name(name: &HeaderName) -> Self {
        let name = name.as_str();
        match (name.as_bytes().first(), name) {
            (Some(b'a'), "accept") => Self::ACCEPT,
            (Some(b'a'), "authorization") => Self::AUTHORIZATION,
            (Some(b'c'), "connection") => Self::CONNECTION,
            (Some(b'c'), "content-type") => Self::CONTENT_TYPE,
            (Some(b'c'), "cookie") => Self::COOKIE,
            (Some(b'e'), "expect") => Self::EXPECT,
            (Some(b'h'), "host") => Self::HOST,
            (Some(b'h'), "http2-settings") => Self::OTHER_HOP_BY_HOP,
            (Some(b'k'), "keep-alive") => Self::OTHER_HOP_BY_HOP,
            (Some(b'o'), "origin") => Self::ORIGIN,
            (Some(b'p'), "proxy-authenticate" | "proxy-authorization" | "proxy-connection") => {
                Self::OTHER_HOP_BY_HOP
            }
            (Some(b't'), "te") => Self::TE,
            (Some(b't'), "trailer") => Self::TRAILER,
            (Some(b't'), "transfer-encoding") => Self::TRANSFER_ENCODING,
            (Some(b'u'), "upgrade") => Self::UPGRADE,
            (Some(b'u'), "user-agent") => Self::USER_AGENT,
            (Some(b'x'), _) if name.starts_with("x-stainless-") => Self::STAINLESS,
            _ => Self(0),
        }
    }

    /// The fields of both sets.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The fields of this set that are not in `other`.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether any of `others` is in the set.
    pub(crate) const fn has(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    #[test]
    fn each_field_is_found_and_no_other() {
        let none = FieldSet::of(&HeaderMap::new());
        for (name, found) in [
            ("accept", FieldSet::ACCEPT),
            ("authorization", FieldSet::AUTHORIZATION),
            ("connection", FieldSet::CONNECTION),
            ("content-type", FieldSet::CONTENT_TYPE),
            ("cookie", FieldSet::COOKIE),
            ("expect", FieldSet::EXPECT),
            ("host", FieldSet::HOST),
            ("origin", FieldSet::ORIGIN),
            ("te", FieldSet::TE),
            ("transfer-encoding", FieldSet::TRANSFER_ENCODING),
            ("upgrade", FieldSet::UPGRADE),
            ("user-agent", FieldSet::USER_AGENT),
            ("trailer", FieldSet::TRAILER),
            ("keep-alive", FieldSet::OTHER_HOP_BY_HOP),
            ("proxy-authenticate", FieldSet::OTHER_HOP_BY_HOP),
            ("proxy-authorization", FieldSet::OTHER_HOP_BY_HOP),
            ("proxy-connection", FieldSet::OTHER_HOP_BY_HOP),
            ("http2-settings", FieldSet::OTHER_HOP_BY_HOP),
            ("x-stainless-lang", FieldSet::STAINLESS),
            ("accept-encoding", none),
            ("x-stainless", none),
            ("x-other", none),
        ] {
            let name = HeaderName::from_static(name);
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("x"))]);
            assert_eq!(FieldSet::of(&headers), found, "{name}");
        }
        assert!(!none.has(FieldSet::ACCEPT) && none.or(FieldSet::TE).has(FieldSet::TE));
        let both = FieldSet::TE.or(FieldSet::HOST);
        assert_eq!(both.without(FieldSet::TE.or(FieldSet::EXPECT)), FieldSet::HOST);
    }
}
