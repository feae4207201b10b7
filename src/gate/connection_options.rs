//! The client's `Connection` field (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};

/// The options of a `Connection` field that is more than one `close`, `keep-alive` or `upgrade`.
/// The app's server may read the field once more, when our own fields are there, so
/// only options about the connection itself are kept in it.
#[derive(Debug)]
pub(crate) struct ConnectionOptions {
    /// The fields that it names, which end here.
    named: Vec<HeaderName>,
    value: Option<HeaderValue>,
}

impl ConnectionOptions {
    /// `None` where nothing is to be changed.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(CONNECTION).iter();
        let first = lines.next()?;
        if matches!(first.as_bytes(), b"keep-alive" | b"close" | b"Upgrade" | b"upgrade")
            && lines.next().is_none()
        {
            return None;
        }
        let options = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok());
        let (mut named, mut kept) = (Vec::new(), Vec::new());
        for option in options {
            match option.as_str() {
                "close" | "keep-alive" | "upgrade" => kept.push(option),
                // Without these it would be another request.
                "cookie" | "host" | "content-length" | "transfer-encoding" => {}
                _ => named.push(option),
            }
        }
        // One line: some servers look at the first alone.
        let kept: Vec<&str> = kept.iter().map(HeaderName::as_str).collect();
        let value = HeaderValue::try_from(kept.join(", ")).ok().filter(|value| !value.is_empty());
        Some(Self { named, value })
    }

    /// Whether a field of this name ends here.
    pub(crate) fn drops(&self, name: &str) -> bool {
        self.named.iter().any(|named| named.as_str() == name)
    }

    /// The field as it is sent on.
    pub(crate) fn into_value(self) -> Option<HeaderValue> {
        self.value
    }
}
